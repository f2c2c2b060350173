-- title: Unmapped stages
-- unit: rows
-- better: lower
-- definition: Records that stand, or stood, in a stage nobody has given a meaning to in stages.toml.
with named as (
    select source, entity, entity_id as record_id, pipeline_id, stage_id from stage_changes where seen_at <= :seen_until
    union all
    select source, 'lead', lead_id, pipeline_id, stage_id from leads where seen_at <= :seen_until
    union all
    select source, 'deal', deal_id, pipeline_id, stage_id from deals where seen_at <= :seen_until and not is_template
)
select distinct named.source, named.entity, named.record_id, cast(null as varchar) as owner_id
from named
join parts on parts.source = named.source and parts.entity = named.entity and parts.record_id = named.record_id
join stage_map
    on stage_map.source = named.source and stage_map.entity = named.entity
    and stage_map.pipeline_id = named.pipeline_id and stage_map.stage_id = named.stage_id
where stage_map.milestone = 'unmapped' and parts.created_on >= :start and parts.created_on < :end
