-- title: Hand-offs
-- unit: times_each
-- better: lower
-- owner: head of sales
-- definition: How often a lead changed its responsible employee within the horizon, mean over the leads that were first read within two days
--   of their creation; changes between two readings are seen as one.
with versions as (
    select
        leads.source, leads.lead_id, leads.owner_id, journeys.created_on,
        cast(extract(epoch from (leads.seen_at - journeys.created_at)) as double precision) / 3600.0 as seen_hours,
        min(leads.owner_id) over (
            partition by leads.source, leads.lead_id order by leads.seen_at rows between 1 preceding and 1 preceding
        ) as previous_owner_id
    from leads
    join journeys on journeys.source = leads.source and journeys.entity = 'lead' and journeys.journey_id = leads.lead_id
    where leads.seen_at <= :seen_until and journeys.created_on >= :start and journeys.created_on < :end
),
handed as (
    select
        source, lead_id, created_on, min(seen_hours) as first_seen_hours,
        count(case when previous_owner_id <> owner_id and seen_hours <= :horizon_hours then 1 end) as n_handoffs
    from versions
    group by source, lead_id, created_on
)
select created_on, count(*) as n, sum(n_handoffs) as total, sum(n_handoffs * n_handoffs) as total_sq
from handed
where first_seen_hours <= 48
group by created_on
