-- title: Revenue after a dialogue
-- unit: money_each
-- better: higher
-- owner: head of support
-- definition: What customers who had paid before paid within the return window after a dialogue began, mean over all their dialogues.
select
    created_on, channel, count(*) as n,
    coalesce(sum(revenue), 0) as total,
    coalesce(sum(revenue * revenue), 0) as total_sq
from dialogues
where created_on >= :start and created_on < :end and had_bought = 1
group by created_on, channel
