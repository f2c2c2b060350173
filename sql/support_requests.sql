-- title: Support requests
-- unit: rows
-- definition: One row a live support request of the launch's channels, as known at seen_until. A request that a bot closed without a
--   reply of its own counts as answered when it was closed. sla_minutes is what was promised for its priority, null where nothing was.
-- Reads the temporary tables support_channels (channel) and sla_map (priority, minutes), where an empty text stands for "not filled".
with versions as (
    select
        source, request_id, created_at, created_on, coalesce(channel, '') as channel, coalesce(priority, '') as priority,
        first_reply_at, closed_at, closed_by, csat, csat_max, nps, coalesce(crm, source) as crm, lead_id, deal_id, contact_id,
        customer_hash, is_deleted, row_number() over (partition by source, request_id order by seen_at desc) as version
    from support_requests
    where seen_at <= :seen_until
),
live as (
    select versions.*, coalesce(first_reply_at, case when closed_by = 'bot' then closed_at end) as replied_at
    from versions
    join support_channels on support_channels.channel = versions.channel
    where version = 1 and not is_deleted and created_at <= :seen_until
)
select
    source, request_id, created_at, created_on, channel, closed_by, csat, csat_max, nps, crm, lead_id, deal_id, contact_id, customer_hash,
    cast(extract(epoch from (replied_at - created_at)) as double precision) / 60.0 as reply_minutes,
    cast(extract(epoch from (closed_at - created_at)) as double precision) / 60.0 as close_minutes,
    cast(extract(epoch from (cast(:seen_until as timestamp) - created_at)) as double precision) / 60.0 as age_minutes,
    sla_map.minutes as sla_minutes
from live
left join sla_map on sla_map.priority = live.priority
