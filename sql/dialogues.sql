-- title: Dialogues
-- unit: rows
-- definition: One row a dialogue: the first request of a customer the CRM knows in each stretch of as many days as a return may take,
--   counted from first_s (seconds since 1970); stretches_a_second is one over their length. had_bought: a payment before the dialogue;
--   n_bought, revenue: payments within return_hours after it began and before the customer's next dialogue, so each counts once.
-- Reads the temporary tables support, journeys, parts and payments: with a scope only its customers and payments.
with
hashes as (
    select customer_hash from leads where customer_hash is not null and seen_at <= :seen_until
    union
    select customer_hash from deals where customer_hash is not null and seen_at <= :seen_until
    union
    select customer_hash from contacts where customer_hash is not null and seen_at <= :seen_until
),
contact_versions as (
    select
        source, contact_id, customer_hash, is_deleted,
        row_number() over (partition by source, contact_id order by seen_at desc) as version
    from contacts
    where seen_at <= :seen_until
),
linked as (
    select
        support.source, support.request_id, support.created_on, support.channel, support.crm,
        cast(extract(epoch from support.created_at) as double precision) as asked_s,
        coalesce(own.journey_entity, grown.journey_entity) as entity, coalesce(own.journey_id, grown.journey_id) as journey_id,
        coalesce(support.customer_hash, contact.customer_hash) as hash, support.contact_id
    from support
    left join parts as own on own.source = support.crm and own.entity = 'lead' and own.record_id = support.lead_id
    left join parts as grown on grown.source = support.crm and grown.entity = 'deal' and grown.record_id = support.deal_id
    left join contact_versions as contact
        on contact.source = support.crm and contact.contact_id = support.contact_id
        and contact.version = 1 and not contact.is_deleted
),
-- A hash is one person everywhere; a contact's number means somebody else in another source; without either a lead is a person.
customers as (
    select
        journeys.source, journeys.entity, journeys.journey_id, journeys.created_at,
        case when journeys.customer is null then journeys.entity else 'customer' end as kind,
        coalesce(journeys.customer, journeys.journey_id) as person,
        case when hashes.customer_hash is not null then '' else journeys.source end as person_source
    from journeys
    left join hashes on hashes.customer_hash = journeys.customer
),
known as (
    select distinct kind, person, person_source from customers
),
asked as (
    select
        linked.source, linked.request_id, linked.created_on, linked.channel, linked.asked_s,
        coalesce(journey.kind, 'customer') as kind,
        coalesce(journey.person, linked.hash, linked.contact_id) as person,
        coalesce(journey.person_source, case when linked.hash is not null then '' else linked.crm end) as person_source
    from linked
    left join customers as journey
        on journey.source = linked.crm and journey.entity = linked.entity and journey.journey_id = linked.journey_id
),
in_stretches as (
    select
        asked.*,
        row_number() over (
            partition by asked.kind, asked.person, asked.person_source, floor((asked_s - :first_s) * :stretches_a_second)
            order by asked_s, source, request_id
        ) as place
    from asked
    join known on known.kind = asked.kind and known.person = asked.person and known.person_source = asked.person_source
),
openings as (
    select
        in_stretches.*,
        min(asked_s) over (
            partition by kind, person, person_source order by asked_s, source, request_id rows between 1 following and 1 following
        ) as next_s
    from in_stretches
    where place = 1
),
purchases as (
    select
        customers.kind, customers.person, customers.person_source, coalesce(payments.amount, 0) as amount,
        cast(extract(epoch from customers.created_at) as double precision) + payments.paid_hours * 3600.0 as paid_s
    from payments
    join customers
        on customers.source = payments.source and customers.entity = payments.entity and customers.journey_id = payments.journey_id
    where payments.replaced_hours is null
)
select
    openings.created_on, openings.channel, openings.source, openings.request_id,
    max(case when purchases.paid_s < openings.asked_s then 1 else 0 end) as had_bought,
    count(case when purchases.paid_s >= openings.asked_s then 1 end) as n_bought,
    coalesce(cast(sum(case when purchases.paid_s >= openings.asked_s then purchases.amount end) as numeric(24, 2)), 0) as revenue
from openings
left join purchases
    on purchases.kind = openings.kind and purchases.person = openings.person and purchases.person_source = openings.person_source
    and purchases.paid_s - openings.asked_s <= :return_hours * 3600.0
    and (openings.next_s is null or purchases.paid_s < openings.next_s)
group by openings.created_on, openings.channel, openings.source, openings.request_id
