-- title: Journeys
-- unit: rows
-- definition: One row a lead, plus one a deal that no live lead stands behind, as known at seen_until. Stage changes of a
--   lead and of its deals count together, and the stage a record stands in counts as one more change. The first time a
--   milestone was reached counts; paid implies visited, visited, confirmed and no_show imply booked, booked implies qualified.
--   amount is what the paid deals brought, else the paid lead's own, else what open deals or the lead may bring; revenue counts
--   payments.sql instead. own_paid_hours and own_amount are those of the lead (or lone deal) itself, its deals aside.
-- Reads the temporary tables stage_map (source, entity, pipeline_id, stage_id, milestone) and channel_map (crm_source,
-- utm_source, utm_medium, utm_campaign, channel), where an empty text stands for a field that is not filled.
-- ClickHouse will need an override: extract(epoch from ...) of a difference is not known there.
with
lead_versions as (
    select
        source, lead_id, created_at, created_on, moved_at, stage_id, pipeline_id, owner_id, branch, contact_id,
        customer_hash, is_repeat, crm_source, utm_source, utm_medium, utm_campaign, is_deleted,
        case when currency is null or currency = :currency then amount end as amount,
        row_number() over (partition by source, lead_id order by seen_at desc) as version
    from leads
    where seen_at <= :seen_until
),
live_leads as (
    select * from lead_versions where version = 1 and not is_deleted
),
deal_versions as (
    select
        source, deal_id, lead_id, created_at, created_on, moved_at, stage_id, pipeline_id, owner_id, branch, contact_id,
        customer_hash, is_repeat, crm_source, utm_source, utm_medium, utm_campaign, is_deleted, is_template,
        case when currency is null or currency = :currency then amount end as amount,
        row_number() over (partition by source, deal_id order by seen_at desc) as version
    from deals
    where seen_at <= :seen_until
),
live_deals as (
    select deal.*, lead.lead_id is not null as has_lead
    from deal_versions as deal
    left join live_leads as lead on lead.source = deal.source and lead.lead_id = deal.lead_id
    where deal.version = 1 and not deal.is_deleted and not deal.is_template
),
change_versions as (
    select
        source, entity, entity_id, pipeline_id, stage_id, moved_at, is_deleted,
        row_number() over (partition by source, entity, change_id order by seen_at desc) as version
    from stage_changes
    where seen_at <= :seen_until
),
moves as (
    select source, entity, entity_id, pipeline_id, stage_id, moved_at
    from change_versions
    where version = 1 and not is_deleted
    union all
    select source, 'lead', lead_id, pipeline_id, stage_id, coalesce(moved_at, created_at)
    from live_leads
    union all
    select source, 'deal', deal_id, pipeline_id, stage_id, coalesce(moved_at, created_at)
    from live_deals
),
reached as (
    select
        moves.source, moves.entity, moves.entity_id,
        min(case when milestone in ('qualified', 'booked', 'confirmed', 'no_show', 'visited', 'paid') then moved_at end) as qualified_at,
        min(case when milestone in ('booked', 'confirmed', 'no_show', 'visited', 'paid') then moved_at end) as booked_at,
        min(case when milestone = 'confirmed' then moved_at end) as confirmed_at,
        min(case when milestone in ('visited', 'paid') then moved_at end) as visited_at,
        min(case when milestone = 'no_show' then moved_at end) as no_show_at,
        min(case when milestone = 'cancelled' then moved_at end) as cancelled_at,
        min(case when milestone = 'paid' then moved_at end) as paid_at,
        min(case when milestone = 'lost' then moved_at end) as lost_at
    from moves
    join stage_map
        on stage_map.source = moves.source and stage_map.entity = moves.entity
        and stage_map.pipeline_id = moves.pipeline_id and stage_map.stage_id = moves.stage_id
    where stage_map.milestone <> 'none' and moves.moved_at <= :seen_until
    group by moves.source, moves.entity, moves.entity_id
),
deal_outcomes as (
    select
        deal.source, deal.lead_id,
        min(qualified_at) as qualified_at, min(booked_at) as booked_at, min(confirmed_at) as confirmed_at,
        min(visited_at) as visited_at, min(no_show_at) as no_show_at, min(cancelled_at) as cancelled_at,
        min(paid_at) as paid_at, min(lost_at) as lost_at,
        -- Once a deal is paid, the others of the same lead are hopes or losses: only paid ones are revenue.
        sum(case when paid_at is not null then coalesce(amount, 0) end) as paid_amount,
        sum(amount) as hoped_amount,
        count(*) as n_deals
    from live_deals as deal
    left join reached on reached.source = deal.source and reached.entity = 'deal' and reached.entity_id = deal.deal_id
    where deal.has_lead
    group by deal.source, deal.lead_id
),
contact_versions as (
    select
        source, contact_id, customer_hash, is_deleted,
        row_number() over (partition by source, contact_id order by seen_at desc) as version
    from contacts
    where seen_at <= :seen_until
),
subjects as (
    select
        source, 'lead' as entity, lead_id as journey_id, created_at, created_on, pipeline_id, owner_id, branch, contact_id,
        customer_hash, is_repeat, crm_source, utm_source, utm_medium, utm_campaign, amount
    from live_leads
    union all
    select
        source, 'deal', deal_id, created_at, created_on, pipeline_id, owner_id, branch, contact_id,
        customer_hash, is_repeat, crm_source, utm_source, utm_medium, utm_campaign, amount
    from live_deals
    where not has_lead
),
described as (
    select
        subjects.source, subjects.entity, subjects.journey_id, subjects.created_at, subjects.created_on,
        subjects.pipeline_id, subjects.owner_id, subjects.branch, subjects.is_repeat as is_marked_repeat,
        coalesce(channel_map.channel, 'unknown') as channel,
        coalesce(subjects.customer_hash, contact.customer_hash, subjects.contact_id) as customer,
        -- A hash is one person everywhere; a contact's number means somebody else in another source.
        case when coalesce(subjects.customer_hash, contact.customer_hash) is null then subjects.source else '' end as customer_source,
        case
            when deal.paid_at is not null then deal.paid_amount
            when deal.n_deals > 0 and own.paid_at is null then deal.hoped_amount
            else subjects.amount
        end as amount,
        own.paid_at as own_paid_at, subjects.amount as own_amount,
        least(own.qualified_at, deal.qualified_at) as qualified_at,
        least(own.booked_at, deal.booked_at) as booked_at,
        least(own.confirmed_at, deal.confirmed_at) as confirmed_at,
        least(own.visited_at, deal.visited_at) as visited_at,
        least(own.no_show_at, deal.no_show_at) as no_show_at,
        least(own.cancelled_at, deal.cancelled_at) as cancelled_at,
        least(own.paid_at, deal.paid_at) as paid_at,
        least(own.lost_at, deal.lost_at) as lost_at
    from subjects
    left join reached as own
        on own.source = subjects.source and own.entity = subjects.entity and own.entity_id = subjects.journey_id
    left join deal_outcomes as deal
        on deal.source = subjects.source and subjects.entity = 'lead' and deal.lead_id = subjects.journey_id
    left join contact_versions as contact
        on contact.source = subjects.source and contact.contact_id = subjects.contact_id
        and contact.version = 1 and not contact.is_deleted
    left join channel_map
        on channel_map.crm_source = coalesce(subjects.crm_source, '') and channel_map.utm_source = coalesce(subjects.utm_source, '')
        and channel_map.utm_medium = coalesce(subjects.utm_medium, '') and channel_map.utm_campaign = coalesce(subjects.utm_campaign, '')
),
in_order as (
    select
        described.*,
        max(created_at) over earlier as previous_created_at,
        count(visited_at) over earlier as n_earlier_visits,
        min(visited_at) over later as next_visited_at
    from described
    window
        earlier as (
            partition by customer_source, coalesce(customer, journey_id), case when customer is null then entity end
            order by created_at, source, entity, journey_id rows between unbounded preceding and 1 preceding
        ),
        later as (
            partition by customer_source, coalesce(customer, journey_id), case when customer is null then entity end
            order by created_at, source, entity, journey_id rows between 1 following and unbounded following
        )
)
select
    source, journey_id, entity, created_at, created_on, channel, branch, owner_id, pipeline_id, customer, customer_source,
    coalesce(cast(extract(epoch from (created_at - previous_created_at)) as double precision) <= 2592000, false) as is_duplicate,
    coalesce(is_marked_repeat, false) or previous_created_at is not null as is_repeat,
    n_earlier_visits as n_visits_before,
    cast(extract(epoch from (qualified_at - created_at)) as double precision) / 3600.0 as qualified_hours,
    cast(extract(epoch from (booked_at - created_at)) as double precision) / 3600.0 as booked_hours,
    cast(extract(epoch from (confirmed_at - created_at)) as double precision) / 3600.0 as confirmed_hours,
    cast(extract(epoch from (visited_at - created_at)) as double precision) / 3600.0 as visited_hours,
    cast(extract(epoch from (no_show_at - created_at)) as double precision) / 3600.0 as no_show_hours,
    cast(extract(epoch from (cancelled_at - created_at)) as double precision) / 3600.0 as cancelled_hours,
    cast(extract(epoch from (paid_at - created_at)) as double precision) / 3600.0 as paid_hours,
    cast(extract(epoch from (lost_at - created_at)) as double precision) / 3600.0 as lost_hours,
    cast(extract(epoch from (next_visited_at - created_at)) as double precision) / 3600.0 as next_visit_hours,
    cast(amount as numeric(18, 2)) as amount,
    cast(extract(epoch from (own_paid_at - created_at)) as double precision) / 3600.0 as own_paid_hours,
    own_amount
from in_order
