-- title: Repeat visits
-- unit: share
-- better: higher
-- definition: Of the leads that visited within the horizon, those whose customer visited again, through a later lead, within the same horizon.
select
    created_on, channel, branch, owner_id,
    count(case when visited_hours <= :horizon_hours and next_visit_hours <= :horizon_hours then 1 end) as numerator,
    count(case when visited_hours <= :horizon_hours then 1 end) as denominator
from journeys
where created_on >= :start and created_on < :end
group by created_on, channel, branch, owner_id
