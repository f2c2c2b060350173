-- title: Parts
-- unit: rows
-- definition: The records a journey is made of, as known at seen_until: the lead (or lone deal) itself and the live deals of the lead.
-- Reads the temporary table journeys, so with a scope it holds the records of the scope.
with deal_versions as (
    select
        source, deal_id, lead_id, is_deleted, is_template,
        case when currency is null or currency = :currency then amount end as amount,
        row_number() over (partition by source, deal_id order by seen_at desc) as version
    from deals
    where seen_at <= :seen_until
)
select source, entity, journey_id as record_id, entity as journey_entity, journey_id, created_on, own_amount as amount
from journeys
union all
select deal.source, 'deal', deal.deal_id, 'lead', deal.lead_id, journeys.created_on, deal.amount
from deal_versions as deal
join journeys
    on journeys.source = deal.source and journeys.entity = 'lead' and journeys.journey_id = deal.lead_id
where deal.version = 1 and not deal.is_deleted and not deal.is_template
