-- title: Visit conversion
-- unit: share
-- better: higher
-- definition: Leads that visited within the horizon, of all leads.
select
    created_on, channel, branch, owner_id,
    count(case when visited_hours <= :horizon_hours then 1 end) as numerator,
    count(*) as denominator
from journeys
where created_on >= :start and created_on < :end
group by created_on, channel, branch, owner_id
