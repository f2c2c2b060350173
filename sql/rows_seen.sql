-- title: Rows seen
-- unit: rows
-- definition: Leads and deals that the scope's sources have told of, as known at seen_until.
with seen as (
    select source, 'lead' as entity, lead_id as record_id from leads join scope_sources using (source) where seen_at <= :seen_until
    union
    select source, 'deal', deal_id from deals join scope_sources using (source) where seen_at <= :seen_until
)
select count(*) as n from seen
