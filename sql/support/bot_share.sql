-- title: Closed by the bot
-- unit: share
-- better: higher
-- owner: head of support
-- definition: Requests closed by a bot, of all closed requests of which is known who closed them.
select created_on, channel, count(case when closed_by = 'bot' then 1 end) as numerator, count(*) as denominator
from support
where created_on >= :start and created_on < :end and closed_by is not null
group by created_on, channel
