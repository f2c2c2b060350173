-- title: Stages seen
-- unit: rows
-- definition: Every stage that a record stood in or moved to, as known at seen_until, and how many versions and changes name it.
with named as (
    select source, entity, pipeline_id, stage_id from stage_changes where seen_at <= :seen_until
    union all
    select source, 'lead', pipeline_id, stage_id from leads where seen_at <= :seen_until
    union all
    select source, 'deal', pipeline_id, stage_id from deals where seen_at <= :seen_until and not is_template
)
select source, entity, pipeline_id, stage_id, count(*) as n
from named
group by source, entity, pipeline_id, stage_id
