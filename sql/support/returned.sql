-- title: Customers who wrote and bought again
-- unit: share
-- better: higher
-- owner: head of support
-- definition: Dialogues of customers who had paid before that were followed by another payment within the return window, of all dialogues
--   of such customers.
select created_on, channel, count(case when n_bought > 0 then 1 end) as numerator, count(*) as denominator
from dialogues
where created_on >= :start and created_on < :end and had_bought = 1
group by created_on, channel
