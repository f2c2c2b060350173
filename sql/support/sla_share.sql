-- title: Answered in time
-- unit: share
-- better: higher
-- owner: head of support
-- definition: Requests with a first reply within the minutes promised for their priority, of all that have such a promise; one that is
--   younger than the promise and has no reply yet does not count.
select
    created_on, channel,
    count(case when reply_minutes <= sla_minutes then 1 end) as numerator,
    count(*) as denominator
from support
where created_on >= :start and created_on < :end
    and sla_minutes is not null and (reply_minutes is not null or age_minutes > sla_minutes)
group by created_on, channel
