-- title: Outcomes by age
-- unit: leads
-- definition: How many leads created in the period had paid (and visited) before seen_before, and how many of them within each candidate horizon.
with watched as (
    select
        case when paid_hours * 3600.0 <= extract(epoch from (cast(:seen_before as timestamp) - created_at)) then paid_hours end as paid_hours,
        case when visited_hours * 3600.0 <= extract(epoch from (cast(:seen_before as timestamp) - created_at)) then visited_hours end as visited_hours
    from journeys
    where created_on < :created_before
),
outcomes as (
    select 'paid' as outcome, paid_hours as hours from watched where paid_hours is not null
    union all
    select 'visited', visited_hours from watched where visited_hours is not null
)
select
    outcome,
    count(*) as n,
    count(case when hours <= :hours_7 then 1 end) as n_7,
    count(case when hours <= :hours_14 then 1 end) as n_14,
    count(case when hours <= :hours_21 then 1 end) as n_21,
    count(case when hours <= :hours_30 then 1 end) as n_30,
    count(case when hours <= :hours_45 then 1 end) as n_45,
    count(case when hours <= :hours_60 then 1 end) as n_60
from outcomes
group by outcome
