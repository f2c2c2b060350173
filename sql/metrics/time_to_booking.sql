-- title: Time to booking
-- unit: minutes_each
-- better: lower
-- definition: Whole minutes from creation to booking, mean over the leads booked within the horizon.
select
    created_on, channel, branch, owner_id,
    count(*) as n,
    cast(sum(cast(floor(booked_hours * 60.0) as bigint)) as bigint) as total,
    cast(sum(cast(floor(booked_hours * 60.0) as bigint) * cast(floor(booked_hours * 60.0) as bigint)) as bigint) as total_sq
from journeys
where created_on >= :start and created_on < :end and booked_hours <= :horizon_hours
group by created_on, channel, branch, owner_id
