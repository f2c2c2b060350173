-- title: Rework
-- unit: share
-- better: lower
-- owner: head of sales
-- definition: Leads of which a record came back, within the horizon, to a stage it had left, of all leads with a known stage change.
with by_record as (
    select
        source, journey_entity, journey_id, created_on, entity, entity_id,
        count(*) as n_entered, count(distinct stage_id) as n_stages
    from moves
    where created_on >= :start and created_on < :end and hours <= :horizon_hours
        and (previous_stage_id is null or previous_stage_id <> stage_id)
    group by source, journey_entity, journey_id, created_on, entity, entity_id
),
by_lead as (
    select source, journey_entity, journey_id, created_on, max(case when n_entered > n_stages then 1 else 0 end) as is_back
    from by_record
    group by source, journey_entity, journey_id, created_on
)
select created_on, sum(is_back) as numerator, count(*) as denominator from by_lead group by created_on
