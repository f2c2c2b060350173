-- title: Owner unknown
-- unit: rows
-- better: lower
-- definition: Leads without a responsible employee, or with one that the source's directory does not know.
with known as (
    select distinct source, owner_id from owners where seen_at <= :seen_until
),
with_directory as (
    select distinct source from known
)
select journeys.source, journeys.entity, journeys.journey_id as record_id, journeys.owner_id
from journeys
left join known on known.source = journeys.source and known.owner_id = journeys.owner_id
left join with_directory on with_directory.source = journeys.source
where journeys.created_on >= :start and journeys.created_on < :end
    and (journeys.owner_id is null or (with_directory.source is not null and known.owner_id is null))
