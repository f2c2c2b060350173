-- title: Dates in the future
-- unit: rows
-- better: lower
-- definition: Leads created, or stages reached, later than the data are known: they do not count.
select source, entity, journey_id as record_id, owner_id
from journeys
where created_at > :seen_until
union
select moves.source, moves.entity, moves.entity_id, cast(null as varchar)
from stage_changes as moves
join parts on parts.source = moves.source and parts.entity = moves.entity and parts.record_id = moves.entity_id
where moves.seen_at <= :seen_until and moves.moved_at > :seen_until
    and parts.created_on >= :start and parts.created_on < :end
