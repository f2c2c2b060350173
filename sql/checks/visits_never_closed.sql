-- title: Visits nobody closed
-- unit: rows
-- better: lower
-- definition: Booked leads older than the horizon without any outcome: neither visited nor missed, cancelled or lost.
select source, entity, journey_id as record_id, owner_id
from journeys
where created_on >= :start and created_on < :end and created_on < :mature_before
    and booked_hours is not null and visited_hours is null and no_show_hours is null
    and cancelled_hours is null and lost_hours is null
