-- title: Milestones without a time
-- unit: rows
-- better: lower
-- definition: Records that stand in a stage with a meaning, and neither the record nor the stage history says since when.
with versions as (
    select
        source, 'lead' as entity, lead_id as record_id, owner_id, pipeline_id, stage_id, moved_at, is_deleted,
        row_number() over (partition by source, lead_id order by seen_at desc) as version
    from leads
    where seen_at <= :seen_until
    union all
    select
        source, 'deal', deal_id, owner_id, pipeline_id, stage_id, moved_at, is_deleted or is_template,
        row_number() over (partition by source, deal_id order by seen_at desc)
    from deals
    where seen_at <= :seen_until
)
select versions.source, versions.entity, versions.record_id, versions.owner_id
from versions
join parts on parts.source = versions.source and parts.entity = versions.entity and parts.record_id = versions.record_id
join stage_map
    on stage_map.source = versions.source and stage_map.entity = versions.entity
    and stage_map.pipeline_id = versions.pipeline_id and stage_map.stage_id = versions.stage_id
left join (
    select distinct source, entity, entity_id, stage_id from stage_changes where seen_at <= :seen_until
) as history
    on history.source = versions.source and history.entity = versions.entity
    and history.entity_id = versions.record_id and history.stage_id = versions.stage_id
where parts.created_on >= :start and parts.created_on < :end
    and versions.version = 1 and not versions.is_deleted and versions.moved_at is null
    and stage_map.milestone not in ('none', 'unmapped') and history.entity_id is null
