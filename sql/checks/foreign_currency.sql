-- title: Amounts in another currency
-- unit: rows
-- better: lower
-- definition: Leads and deals whose amount is in another currency than the business's: their amount is left out.
with versions as (
    select
        source, 'lead' as entity, lead_id as record_id, owner_id, amount, currency, is_deleted,
        row_number() over (partition by source, lead_id order by seen_at desc) as version
    from leads
    where seen_at <= :seen_until
    union all
    select
        source, 'deal', deal_id, owner_id, amount, currency, is_deleted or is_template,
        row_number() over (partition by source, deal_id order by seen_at desc)
    from deals
    where seen_at <= :seen_until
)
select versions.source, versions.entity, versions.record_id, versions.owner_id
from versions
join parts on parts.source = versions.source and parts.entity = versions.entity and parts.record_id = versions.record_id
where parts.created_on >= :start and parts.created_on < :end
    and version = 1 and not is_deleted and versions.amount <> 0 and currency <> :currency
