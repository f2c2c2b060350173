-- title: Revenue
-- unit: money
-- better: higher
-- definition: Sum of the amounts of leads that paid within the horizon; a payment without an amount counts as nothing.
select
    created_on, channel, branch, owner_id,
    count(*) as n,
    coalesce(sum(amount), 0) as total,
    coalesce(sum(amount * amount), 0) as total_sq
from journeys
where created_on >= :start and created_on < :end and paid_hours <= :horizon_hours
group by created_on, channel, branch, owner_id
