-- title: Gross profit
-- unit: money
-- better: higher
-- definition: Revenue times the launch's margin.
select
    created_on, channel, branch, owner_id,
    count(*) as n,
    coalesce(sum(amount), 0) * :margin as total,
    coalesce(sum(amount * amount), 0) * :margin * :margin as total_sq
from journeys
where created_on >= :start and created_on < :end and paid_hours <= :horizon_hours
group by created_on, channel, branch, owner_id
