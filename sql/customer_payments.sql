-- title: Customer payments
-- unit: rows
-- definition: One row a payment known before known_until, with its customer; customer is empty where nobody knows who paid. is_at_first_sale
--   marks what came within the horizon of its own lead: in the money of the launch's effect already where that lead is the customer's first.
-- Reads the temporary tables journeys and payments, so with a scope it holds the payments of the scope.
with dated as (
    select
        journeys.customer, journeys.customer_source, payments.source, payments.entity, payments.journey_id,
        journeys.created_at, payments.paid_hours, payments.replaced_hours, payments.amount,
        cast(extract(epoch from (cast(:known_until as timestamp) - journeys.created_at)) as double precision) / 3600.0 as known_hours
    from payments
    join journeys
        on journeys.source = payments.source and journeys.entity = payments.entity and journeys.journey_id = payments.journey_id
)
select
    customer, customer_source, source, entity, journey_id, created_at, paid_hours,
    paid_hours <= :horizon_hours as is_at_first_sale,
    amount
from dated
where paid_hours < known_hours and not coalesce(replaced_hours < known_hours, false)
order by customer_source, customer, source, entity, journey_id, paid_hours, amount
