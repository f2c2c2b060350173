-- title: Unmapped stages by stage
-- unit: records
-- definition: Stages nobody has given a meaning to, as the source's own dictionary calls them, and how many records of the scope created
--   within the window stand or stood in each.
with named as (
    select source, entity, entity_id as record_id, pipeline_id, stage_id from stage_changes where seen_at <= :seen_until
    union all
    select source, 'lead', lead_id, pipeline_id, stage_id from leads where seen_at <= :seen_until
    union all
    select source, 'deal', deal_id, pipeline_id, stage_id from deals where seen_at <= :seen_until and not is_template
),
titles as (
    select
        source, entity, pipeline_id, stage_id, name,
        row_number() over (partition by source, entity, pipeline_id, stage_id order by seen_at desc) as version
    from stages
    where seen_at <= :seen_until
)
select
    named.source, named.entity, named.pipeline_id, named.stage_id, titles.name, count(distinct named.record_id) as n
from named
join parts on parts.source = named.source and parts.entity = named.entity and parts.record_id = named.record_id
join stage_map
    on stage_map.source = named.source and stage_map.entity = named.entity
    and stage_map.pipeline_id = named.pipeline_id and stage_map.stage_id = named.stage_id
left join titles
    on titles.source = named.source and titles.entity = named.entity and titles.pipeline_id = named.pipeline_id
    and titles.stage_id = named.stage_id and titles.version = 1
where stage_map.milestone = 'unmapped' and parts.created_on >= :start and parts.created_on < :end
group by named.source, named.entity, named.pipeline_id, named.stage_id, titles.name
