-- title: Duplicate leads
-- unit: rows
-- better: lower
-- definition: Leads of a customer who had made another one in the 30 days before.
select source, entity, journey_id as record_id, owner_id
from journeys
where created_on >= :start and created_on < :end and is_duplicate
