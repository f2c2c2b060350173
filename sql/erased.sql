-- title: Erased on request
-- unit: rows
-- definition: Leads and deals that were erased on a person's request, by source and the month they were created in: how many, and when last.
select source, table_name, month, sum(n_rows) as n, max(erased_at) as erased_at
from erasures
where table_name = 'leads' or table_name = 'deals'
group by source, table_name, month
