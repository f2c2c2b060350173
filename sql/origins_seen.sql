-- title: Origins seen
-- unit: rows
-- definition: Every combination of CRM source and UTM fields that a lead or deal carries; an empty text is a field not filled.
with named as (
    select crm_source, utm_source, utm_medium, utm_campaign from leads where seen_at <= :seen_until
    union all
    select crm_source, utm_source, utm_medium, utm_campaign from deals where seen_at <= :seen_until
)
select distinct
    coalesce(crm_source, '') as crm_source, coalesce(utm_source, '') as utm_source,
    coalesce(utm_medium, '') as utm_medium, coalesce(utm_campaign, '') as utm_campaign
from named
