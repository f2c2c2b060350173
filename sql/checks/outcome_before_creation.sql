-- title: Outcomes before creation
-- unit: rows
-- better: lower
-- definition: Leads that reached a milestone more than a day before they were created: imported, or dated wrongly. A day of grace, because some sources know only days.
select source, entity, journey_id as record_id, owner_id
from journeys
where created_on >= :start and created_on < :end
    and (qualified_hours < -24 or booked_hours < -24 or visited_hours < -24 or no_show_hours < -24 or paid_hours < -24)
