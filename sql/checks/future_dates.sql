-- title: Dates in the future
-- unit: rows
-- better: lower
-- definition: Leads created, or stages reached, later than the data are known: they do not count.
select source, entity, journey_id as record_id, owner_id
from journeys
where created_at > :seen_until
union
select source, entity, entity_id, cast(null as varchar)
from stage_changes
where seen_at <= :seen_until and moved_at > :seen_until
