-- title: Time to the first reply
-- unit: minutes
-- better: lower
-- owner: head of support
-- definition: Whole minutes from a request to its first reply, median and slowest tenth; a request without a reply ranks as slowest.
select created_on, cast(floor(reply_minutes) as bigint) as value, count(*) as n
from support
where created_on >= :start and created_on < :end
group by created_on, cast(floor(reply_minutes) as bigint)
