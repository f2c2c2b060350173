-- title: Moves
-- unit: rows
-- definition: One row a stage change of the scope's journeys, as known at seen_until; moved_on is the business's own day, hours run from the
--   journey's creation.
-- Reads the temporary tables journeys, parts and stage_map.
with change_versions as (
    select
        source, entity, change_id, entity_id, pipeline_id, stage_id, moved_at, moved_on, is_deleted,
        row_number() over (partition by source, entity, change_id order by seen_at desc) as version
    from stage_changes
    where seen_at <= :seen_until
)
select
    changes.source, parts.journey_entity, parts.journey_id, journeys.created_on, changes.entity, changes.entity_id, changes.change_id,
    changes.stage_id, stage_map.milestone, changes.moved_at, changes.moved_on,
    cast(extract(epoch from (changes.moved_at - journeys.created_at)) as double precision) / 3600.0 as hours,
    min(changes.stage_id) over (
        partition by changes.source, changes.entity, changes.entity_id
        order by changes.moved_at, changes.change_id rows between 1 preceding and 1 preceding
    ) as previous_stage_id
from change_versions as changes
join parts on parts.source = changes.source and parts.entity = changes.entity and parts.record_id = changes.entity_id
join journeys
    on journeys.source = parts.source and journeys.entity = parts.journey_entity and journeys.journey_id = parts.journey_id
left join stage_map
    on stage_map.source = changes.source and stage_map.entity = changes.entity
    and stage_map.pipeline_id = changes.pipeline_id and stage_map.stage_id = changes.stage_id
where changes.version = 1 and not changes.is_deleted and changes.moved_at <= :seen_until
