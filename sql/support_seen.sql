-- title: Support requests seen
-- unit: rows
-- definition: Live support requests known at seen_until by source, channel and priority (empty where not filled), with their first and last day.
with versions as (
    select
        source, request_id, created_on, created_at, is_deleted, coalesce(channel, '') as channel, coalesce(priority, '') as priority,
        row_number() over (partition by source, request_id order by seen_at desc) as version
    from support_requests
    where seen_at <= :seen_until
)
select source, channel, priority, count(*) as n, min(created_on) as first_on, max(created_on) as last_on
from versions
where version = 1 and not is_deleted and created_at <= :seen_until
group by source, channel, priority
