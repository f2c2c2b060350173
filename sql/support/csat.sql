-- title: Satisfied customers (CSAT)
-- unit: share
-- better: higher
-- owner: head of support
-- definition: Scores of at least four fifths of their scale (4 of 5, 8 of 10, 80 %), of all scores. Observed; never part of money.
select created_on, channel, count(case when csat * 5 >= csat_max * 4 then 1 end) as numerator, count(*) as denominator
from support
where created_on >= :start and created_on < :end and csat is not null
group by created_on, channel
