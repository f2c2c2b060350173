-- title: Outcomes of an action
-- unit: share
-- better: higher
-- owner: head of marketing
-- definition: Actions followed by their outcome on the day itself or within the days after it, the last included, by the business's
--   calendar; an outcome counts for the last action before it.
-- Reads the temporary tables moves, action_stages (stage_id) and action_outcomes (milestone).
with taken as (
    select
        moves.source, journey_entity, journey_id, moved_at, moved_on, change_id,
        min(moved_at) over (
            partition by moves.source, journey_entity, journey_id
            order by moved_at, change_id rows between 1 following and 1 following
        ) as next_at
    from moves
    join action_stages on action_stages.stage_id = moves.stage_id
),
reached as (
    select moves.source, journey_entity, journey_id, moved_at, moved_on
    from moves
    join action_outcomes on action_outcomes.milestone = moves.milestone
),
followed as (
    select
        taken.source, taken.journey_entity, taken.journey_id, taken.change_id, taken.moved_on,
        max(case when reached.moved_on - taken.moved_on <= :days then 1 else 0 end) as is_hit
    from taken
    left join reached
        on reached.source = taken.source and reached.journey_entity = taken.journey_entity
        and reached.journey_id = taken.journey_id and reached.moved_at >= taken.moved_at
        and (taken.next_at is null or reached.moved_at < taken.next_at)
    where taken.moved_on >= :start and taken.moved_on < :end
    group by taken.source, taken.journey_entity, taken.journey_id, taken.change_id, taken.moved_on
)
select moved_on as created_on, sum(is_hit) as numerator, count(*) as denominator from followed group by moved_on
