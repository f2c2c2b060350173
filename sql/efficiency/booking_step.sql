-- title: From qualified to booked
-- unit: minutes
-- better: lower
-- owner: head of sales
-- definition: Whole minutes between the two milestones, median and slowest tenth of the leads that reached them one after the other
--   within the horizon.
with timed as (
    select created_on, cast(floor((booked_hours - qualified_hours) * 60.0) as bigint) as value
    from journeys
    where created_on >= :start and created_on < :end and booked_hours <= :horizon_hours and qualified_hours < booked_hours
)
select created_on, value, count(*) as n from timed group by created_on, value
