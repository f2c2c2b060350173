-- title: Coverage
-- unit: rows
-- definition: What each source holds as known at seen_until: rows, first and last event, when it last said something new, and when it was
--   last heard at all. Days are the business's own; last_moved_at, last_seen_at and synced_at are UTC, Python makes days of them.
with events as (
    select
        source, 'leads' as kind, lead_id as key, created_on as first_on, created_on as last_on,
        case when moved_at <= :seen_until then moved_at end as last_moved_at, seen_at
    from leads where seen_at <= :seen_until and created_at <= :seen_until
    union all
    select
        source, 'deals', deal_id, created_on, created_on, case when moved_at <= :seen_until then moved_at end, seen_at
    from deals where seen_at <= :seen_until and created_at <= :seen_until and not is_template
    union all
    select source, 'stage_changes', change_id, cast(null as date), moved_on, moved_at, seen_at
    from stage_changes where seen_at <= :seen_until and moved_at <= :seen_until
),
held as (
    select
        source,
        count(distinct case when kind = 'leads' then key end) as n_leads,
        count(distinct case when kind = 'deals' then key end) as n_deals,
        count(case when kind = 'stage_changes' then 1 end) as n_stage_changes,
        min(first_on) as first_on,
        max(last_on) as last_on,
        max(last_moved_at) as last_moved_at,
        max(seen_at) as last_seen_at
    from events
    group by source
),
heard as (
    -- Rows that an event of the portal asked for say nothing about the others: only a sync hears a source.
    select source, max(seen_at) as synced_at from commits
    where seen_at <= :seen_until and run_id not like 'events-%' group by source
)
select held.*, heard.synced_at
from held
left join heard on heard.source = held.source
