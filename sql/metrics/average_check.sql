-- title: Average check
-- unit: money_each
-- better: higher
-- definition: Revenue of leads that paid within the horizon, divided by their number.
select
    created_on, channel, branch, owner_id,
    count(*) as n,
    coalesce(sum(amount), 0) as total,
    coalesce(sum(amount * amount), 0) as total_sq
from journeys
where created_on >= :start and created_on < :end and paid_hours <= :horizon_hours
group by created_on, channel, branch, owner_id
