-- title: Conversion in dialogues
-- unit: share
-- better: higher
-- owner: head of support
-- definition: Dialogues of customers the CRM knows that were followed by a payment within the return window, of all such dialogues.
select created_on, channel, count(case when n_bought > 0 then 1 end) as numerator, count(*) as denominator
from dialogues
where created_on >= :start and created_on < :end
group by created_on, channel
