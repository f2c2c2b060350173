-- title: Own steps
-- unit: rows
-- definition: When each journey first reached each step of the business's own funnel that plays no role, as known at seen_until. Stage
--   changes of a lead and of its deals count together, and the stage a record stands in counts as one more change.
-- Reads the temporary tables journeys, parts and step_map (source, entity, pipeline_id, stage_id, step: one row a step that the stage
-- says was reached).
with
lead_versions as (
    select
        source, lead_id, pipeline_id, stage_id, coalesce(moved_at, created_at) as moved_at,
        row_number() over (partition by source, lead_id order by seen_at desc) as version
    from leads
    where seen_at <= :seen_until
),
deal_versions as (
    select
        source, deal_id, pipeline_id, stage_id, coalesce(moved_at, created_at) as moved_at,
        row_number() over (partition by source, deal_id order by seen_at desc) as version
    from deals
    where seen_at <= :seen_until
),
change_versions as (
    select
        source, entity, entity_id, pipeline_id, stage_id, moved_at, is_deleted,
        row_number() over (partition by source, entity, change_id order by seen_at desc) as version
    from stage_changes
    where seen_at <= :seen_until
),
moves as (
    select source, entity, entity_id, pipeline_id, stage_id, moved_at from change_versions where version = 1 and not is_deleted
    union all
    select source, 'lead', lead_id, pipeline_id, stage_id, moved_at from lead_versions where version = 1
    union all
    select source, 'deal', deal_id, pipeline_id, stage_id, moved_at from deal_versions where version = 1
),
reached as (
    select parts.source, parts.journey_entity, parts.journey_id, step_map.step, min(moves.moved_at) as reached_at
    from moves
    join step_map
        on step_map.source = moves.source and step_map.entity = moves.entity
        and step_map.pipeline_id = moves.pipeline_id and step_map.stage_id = moves.stage_id
    join parts on parts.source = moves.source and parts.entity = moves.entity and parts.record_id = moves.entity_id
    where moves.moved_at <= :seen_until
    group by parts.source, parts.journey_entity, parts.journey_id, step_map.step
)
select
    reached.source, reached.journey_entity as entity, reached.journey_id, reached.step,
    cast(extract(epoch from (reached.reached_at - journeys.created_at)) as double precision) / 3600.0 as hours
from reached
join journeys
    on journeys.source = reached.source and journeys.entity = reached.journey_entity and journeys.journey_id = reached.journey_id
