-- title: From signal to contact
-- unit: minutes
-- better: lower
-- owner: head of sales
-- definition: Whole minutes from a lead's creation to its first move a minute later or more (earlier ones are made by the CRM itself),
--   median and slowest tenth; a lead that did not move within the horizon ranks as slowest.
with first_moves as (
    select source, journey_entity, journey_id, min(hours) as hours
    from moves
    where hours * 60.0 >= 1.0 and hours <= :horizon_hours
    group by source, journey_entity, journey_id
),
timed as (
    select journeys.created_on, cast(floor(first_moves.hours * 60.0) as bigint) as value
    from journeys
    left join first_moves
        on first_moves.source = journeys.source and first_moves.journey_entity = journeys.entity
        and first_moves.journey_id = journeys.journey_id
    where journeys.created_on >= :start and journeys.created_on < :end
)
select created_on, value, count(*) as n from timed group by created_on, value
