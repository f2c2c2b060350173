-- title: Gross profit
-- unit: money
-- better: higher
-- definition: Revenue within the horizon times the launch's margin.
-- numeric(24, 2), not 18: the square of an amount must fit, also of a million million.
with paid as (
    select created_on, channel, branch, owner_id, cast(sum(amount) as numeric(24, 2)) as amount
    from payments
    where created_on >= :start and created_on < :end
        and paid_hours <= :horizon_hours and not coalesce(replaced_hours <= :horizon_hours, false)
    group by source, entity, journey_id, created_on, channel, branch, owner_id
)
select
    created_on, channel, branch, owner_id,
    count(*) as n,
    coalesce(sum(amount), 0) * :margin as total,
    coalesce(sum(amount * amount), 0) * :margin * :margin as total_sq
from paid
group by created_on, channel, branch, owner_id
