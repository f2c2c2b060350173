-- title: Negative amounts
-- unit: rows
-- better: lower
-- definition: Leads whose amount is below zero: a refund, or a slip of the pen.
select source, entity, journey_id as record_id, owner_id
from journeys
where created_on >= :start and created_on < :end and amount < 0
