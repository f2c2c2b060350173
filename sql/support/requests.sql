-- title: Requests to support
-- unit: requests
-- better: neither
-- definition: Requests by the day they came.
select created_on, channel, count(*) as n
from support
where created_on >= :start and created_on < :end
group by created_on, channel
