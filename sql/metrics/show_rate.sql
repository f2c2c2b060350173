-- title: Show rate
-- unit: share
-- better: higher
-- definition: Leads that visited within the horizon, of those booked within it; cancelled and still open bookings count as not shown.
select
    created_on, channel, branch, owner_id,
    count(case when visited_hours <= :horizon_hours then 1 end) as numerator,
    count(case when booked_hours <= :horizon_hours then 1 end) as denominator
from journeys
where created_on >= :start and created_on < :end
group by created_on, channel, branch, owner_id
