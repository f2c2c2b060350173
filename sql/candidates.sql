-- title: Leads by everything a control could be made of
-- unit: leads
-- definition: Leads a day by channel, branch, employee and pipeline, of the whole business, whatever the scope of the launch is.
-- Reads the temporary table every_journey, which exists when a launch has a scope.
select created_on, channel, branch, owner_id, pipeline_id, count(*) as n
from every_journey
where created_on >= :start and created_on < :end
group by created_on, channel, branch, owner_id, pipeline_id
