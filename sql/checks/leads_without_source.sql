-- title: Leads without a source
-- unit: rows
-- better: lower
-- definition: Leads of which neither the CRM source nor any UTM field is filled in.
select source, entity, journey_id as record_id, owner_id
from journeys
where created_on >= :start and created_on < :end and channel = 'unknown'
