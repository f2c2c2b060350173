-- title: Leads
-- unit: leads
-- better: higher
-- definition: Journeys created in the period: every lead, and every deal that no lead stands behind.
select
    created_on, channel, branch, owner_id,
    count(*) as n
from journeys
where created_on >= :start and created_on < :end
group by created_on, channel, branch, owner_id
