-- title: Rows changed since
-- unit: rows
-- definition: Leads created in [start, end) that became known, were changed or deleted after `since`, deals created then whose sum is
--   another now, and stage changes that had happened by `since` but were told later; as known at seen_until. All leads and deals of
--   the business, whatever the scope of a launch.
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
),
deal_versions as (
    select
        source, deal_id, seen_at, coalesce(amount, 0) as amount,
        row_number() over (partition by source, deal_id order by seen_at desc) as version
    from deals
    where seen_at <= :seen_until and created_on >= :start and created_on < :end
),
known_deals as (
    select source, deal_id, amount, row_number() over (partition by source, deal_id order by seen_at desc) as version
    from deal_versions
    where seen_at <= :since
),
corrected as (
    select newest.deal_id
    from deal_versions as newest
    join known_deals as known on known.source = newest.source and known.deal_id = newest.deal_id and known.version = 1
    where newest.version = 1 and newest.seen_at > :since and newest.amount <> known.amount
)
select 'leads_added' as code, count(*) as n from changed where is_new and not is_deleted
union all
select 'leads_changed', count(*) from changed where not is_new and not is_deleted
union all
select 'leads_deleted', count(*) from changed where is_deleted
union all
select 'deals_corrected', count(*) from corrected
union all
select 'moves_told_late', count(*)
from stage_changes
where seen_at > :since and seen_at <= :seen_until and moved_at <= :since
