-- title: Qualified rightly
-- unit: share
-- better: higher
-- owner: head of sales
-- definition: Leads qualified within the horizon that were neither lost nor cancelled within it, of all leads qualified within it.
select
    created_on,
    count(case when not coalesce(lost_hours <= :horizon_hours, false) and not coalesce(cancelled_hours <= :horizon_hours, false) then 1 end)
        as numerator,
    count(*) as denominator
from journeys
where created_on >= :start and created_on < :end and qualified_hours <= :horizon_hours
group by created_on
