-- title: Rows that could not be read
-- unit: rows
-- better: lower
-- definition: Rows of the scope's sources that were put aside because they could not be read, and were not read since.
with versions as (
    select
        source, stream, record_key, is_resolved,
        row_number() over (partition by source, stream, coalesce(record_key, location) order by seen_at desc) as version
    from quarantine
    join scope_sources using (source)
    where seen_at <= :seen_until
)
select source, stream as entity, record_key as record_id, cast(null as varchar) as owner_id
from versions
where version = 1 and not is_resolved
