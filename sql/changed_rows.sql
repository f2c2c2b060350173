-- title: Rows changed since
-- unit: rows
-- definition: Leads created in [start, end) that became known, were changed or deleted after `since`, and stage changes that had
--   happened by then but were told later; as known at seen_until. All leads of the business, whatever the scope of a launch.
with
lead_versions as (
    select
        source, lead_id, seen_at, is_deleted,
        row_number() over (partition by source, lead_id order by seen_at desc) as version,
        min(seen_at) over (partition by source, lead_id) as first_seen_at
    from leads
    where seen_at <= :seen_until and created_on >= :start and created_on < :end
),
changed as (
    select is_deleted, first_seen_at > :since as is_new from lead_versions where version = 1 and seen_at > :since
)
select 'leads_added' as code, count(*) as n from changed where is_new and not is_deleted
union all
select 'leads_changed', count(*) from changed where not is_new and not is_deleted
union all
select 'leads_deleted', count(*) from changed where is_deleted
union all
select 'moves_told_late', count(*)
from stage_changes
where seen_at > :since and seen_at <= :seen_until and moved_at <= :since
