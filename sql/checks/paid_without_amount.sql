-- title: Paid without an amount
-- unit: rows
-- better: lower
-- definition: Paid leads whose amount is missing or zero: they count as customers and bring no revenue.
select source, entity, journey_id as record_id, owner_id
from journeys
where created_on >= :start and created_on < :end and paid_hours is not null and coalesce(amount, 0) = 0
