-- title: Net promoter score (NPS)
-- unit: nps_each
-- better: higher
-- owner: head of support
-- definition: Share of answers 9 and 10 less the share of answers 0 to 6. Observed; never part of money.
select
    created_on, channel, count(*) as n,
    sum(case when nps >= 9 then 1 when nps <= 6 then -1 else 0 end) as total,
    sum(case when nps >= 9 or nps <= 6 then 1 else 0 end) as total_sq
from support
where created_on >= :start and created_on < :end and nps is not null
group by created_on, channel
