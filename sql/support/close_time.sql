-- title: Time to the solution
-- unit: minutes
-- better: lower
-- owner: head of support
-- definition: Whole minutes from a request to its end, median and slowest tenth; a request that is still open ranks as slowest.
select created_on, cast(floor(close_minutes) as bigint) as value, count(*) as n
from support
where created_on >= :start and created_on < :end
group by created_on, cast(floor(close_minutes) as bigint)
