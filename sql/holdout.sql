-- title: Leads of a hold-out
-- unit: rows
-- definition: One row a lead created in the period: whether it was booked and whether it visited within the horizon (1 or 0), and what
--   it paid within the horizon, as in metrics/revenue.sql. Which group a lead belongs to follows from journey_id, in Python.
-- Reads the temporary tables journeys and payments.
with paid as (
    select source, entity, journey_id, cast(sum(amount) as numeric(18, 2)) as amount
    from payments
    where created_on >= :start and created_on < :end
        and paid_hours <= :horizon_hours and not coalesce(replaced_hours <= :horizon_hours, false)
    group by source, entity, journey_id
)
select
    journeys.journey_id, journeys.created_on,
    case when journeys.booked_hours <= :horizon_hours then 1 else 0 end as booked,
    case when journeys.visited_hours <= :horizon_hours then 1 else 0 end as visited,
    paid.amount
from journeys
left join paid
    on paid.source = journeys.source and paid.entity = journeys.entity and paid.journey_id = journeys.journey_id
where journeys.created_on >= :start and journeys.created_on < :end
