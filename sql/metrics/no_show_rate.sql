-- title: No-show rate
-- unit: share
-- better: lower
-- definition: No-shows of visits that came to an end: no_show / (visited + no_show) within the horizon. Who missed one visit and came to another
--   within the horizon visited; cancelled and open visits stand apart.
select
    created_on, channel, branch, owner_id,
    count(case when no_show_hours <= :horizon_hours and not coalesce(visited_hours <= :horizon_hours, false) then 1 end) as numerator,
    count(case when visited_hours <= :horizon_hours or no_show_hours <= :horizon_hours then 1 end) as denominator
from journeys
where created_on >= :start and created_on < :end
group by created_on, channel, branch, owner_id
