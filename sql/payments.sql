-- title: Payments
-- unit: rows
-- definition: One row a payment: every paid deal of a lead, and every lead or lone deal that is itself marked paid. paid_hours run from
--   the journey's creation. A lead's own mark gives way to its deals from the first paid one on (replaced_hours), so that within any
--   horizon a payment counts once: paid_hours <= horizon and not replaced within it.
-- Reads the temporary tables journeys, parts and stage_map.
with
paid_stages as (
    select pipeline_id, stage_id, source from stage_map where entity = 'deal' and milestone = 'paid'
),
change_versions as (
    select
        source, entity_id, pipeline_id, stage_id, moved_at, is_deleted,
        row_number() over (partition by source, change_id order by seen_at desc) as version
    from stage_changes
    where seen_at <= :seen_until and entity = 'deal'
),
deal_versions as (
    select
        source, deal_id, pipeline_id, stage_id, coalesce(moved_at, created_at) as moved_at,
        row_number() over (partition by source, deal_id order by seen_at desc) as version
    from deals
    where seen_at <= :seen_until
),
moves as (
    select source, entity_id as deal_id, pipeline_id, stage_id, moved_at from change_versions where version = 1 and not is_deleted
    union all
    select source, deal_id, pipeline_id, stage_id, moved_at from deal_versions where version = 1
),
paid_deals as (
    select moves.source, moves.deal_id, min(moves.moved_at) as paid_at
    from moves
    join paid_stages
        on paid_stages.source = moves.source and paid_stages.pipeline_id = moves.pipeline_id
        and paid_stages.stage_id = moves.stage_id
    where moves.moved_at <= :seen_until
    group by moves.source, moves.deal_id
),
of_deals as (
    select
        journeys.source, journeys.entity, journeys.journey_id, journeys.created_on, journeys.channel, journeys.branch,
        journeys.owner_id,
        cast(extract(epoch from (paid_deals.paid_at - journeys.created_at)) as double precision) / 3600.0 as paid_hours,
        cast(null as double precision) as replaced_hours, parts.amount
    from paid_deals
    join parts on parts.source = paid_deals.source and parts.entity = 'deal' and parts.record_id = paid_deals.deal_id
    join journeys
        on journeys.source = parts.source and journeys.entity = 'lead' and parts.journey_entity = 'lead'
        and journeys.journey_id = parts.journey_id
),
first_of_deals as (
    select source, journey_id, min(paid_hours) as paid_hours from of_deals group by source, journey_id
)
select
    journeys.source, journeys.entity, journeys.journey_id, journeys.created_on, journeys.channel, journeys.branch,
    journeys.owner_id, journeys.own_paid_hours as paid_hours, first_of_deals.paid_hours as replaced_hours,
    journeys.own_amount as amount
from journeys
left join first_of_deals
    on journeys.entity = 'lead' and first_of_deals.source = journeys.source and first_of_deals.journey_id = journeys.journey_id
where journeys.own_paid_hours is not null
union all
select source, entity, journey_id, created_on, channel, branch, owner_id, paid_hours, replaced_hours, amount
from of_deals
