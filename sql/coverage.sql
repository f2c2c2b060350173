-- title: Coverage
-- unit: rows
-- definition: What each source holds as known at seen_until: rows, first and last event, and when it last said something new.
with events as (
    select source, 'leads' as kind, lead_id as key, created_on as first_on,
        case when moved_at <= :seen_until then cast(moved_at as date) else created_on end as last_on, seen_at
    from leads where seen_at <= :seen_until and created_at <= :seen_until
    union all
    select source, 'deals', deal_id, created_on,
        case when moved_at <= :seen_until then cast(moved_at as date) else created_on end, seen_at
    from deals where seen_at <= :seen_until and created_at <= :seen_until and not is_template
    union all
    select source, 'stage_changes', change_id, cast(null as date), moved_on, seen_at
    from stage_changes where seen_at <= :seen_until and moved_at <= :seen_until
)
select
    source,
    count(distinct case when kind = 'leads' then key end) as n_leads,
    count(distinct case when kind = 'deals' then key end) as n_deals,
    count(case when kind = 'stage_changes' then 1 end) as n_stage_changes,
    min(first_on) as first_on,
    max(last_on) as last_on,
    max(seen_at) as last_seen_at
from events
group by source
