-- title: Time to a decision
-- unit: minutes
-- better: lower
-- owner: head of sales
-- definition: Whole minutes from a lead's creation until it was qualified or lost, median and slowest tenth; a lead that was neither within
--   the horizon ranks as slowest.
with decided as (
    select created_on, least(qualified_hours, lost_hours) as hours from journeys where created_on >= :start and created_on < :end
),
timed as (
    select created_on, case when hours <= :horizon_hours then cast(floor(hours * 60.0) as bigint) end as value from decided
)
select created_on, value, count(*) as n from timed group by created_on, value
