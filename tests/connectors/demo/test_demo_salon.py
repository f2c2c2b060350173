"""The salon: its served rows agree with its truth, and it is as untidy as promised."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from connectors.demo import Store, Truth, bulk, salon
from tests.connectors.demo.portal_client import TODAY, Client, small_salon

HORIZON = 21


def moments(client: Client, type_id: int) -> dict[str, dict[str, datetime]]:
    """First moment of each stage, by owner."""
    stage = "STATUS_ID" if type_id == 1 else "STAGE_ID"
    found: dict[str, dict[str, datetime]] = defaultdict(dict)
    last_at = datetime.min
    for row in client.walk("crm.stagehistory.list", entityTypeId=type_id):
        at = datetime.fromisoformat(row["CREATED_TIME"]).replace(tzinfo=None)
        assert at >= last_at, "history ids must ascend in time"
        last_at = at
        assert (row["TYPE_ID"] == "1") == (row["OWNER_ID"] not in found)
        found[row["OWNER_ID"]].setdefault(row[stage], at)
    return found


def recount(client: Client, start: date, end: date) -> dict[str, float]:
    """Outcomes of the leads of a window, from nothing but what the portal serves."""
    created = {owner: stages["NEW"] for owner, stages in moments(client, 1).items()}
    chosen = {owner: at for owner, at in created.items() if start <= at.date() < end}
    counts: Counter[str] = Counter(leads=len(chosen))
    revenue = 0.0
    deals = moments(client, 2)
    for deal in client.walk("crm.deal.list"):
        at = chosen.get(deal["LEAD_ID"])
        for stage, name in {"NEW": "booked", "EXECUTING": "visited", "APOLOGY": "no_show", "WON": "paid"}.items():
            moved = deals[deal["ID"]].get(stage)
            if at and moved and moved - at <= timedelta(days=HORIZON):
                counts[name] += 1
                revenue += float(deal["OPPORTUNITY"]) if stage == "WON" else 0.0
    return {"revenue": revenue, **counts}


def test_served_rows_recount_to_the_truth(client: Client) -> None:
    truth = client.portal.store.truth
    assert truth is not None
    mature = TODAY - timedelta(days=HORIZON + 1)
    for start, end in ((truth.launch_on - timedelta(weeks=8), truth.launch_on), (truth.launch_on, mature)):
        observed, _ = truth.window(start, end, HORIZON)
        assert recount(client, start, end) == asdict(observed)
    document = {"start": truth.launch_on.isoformat(), "end": mature.isoformat(), "horizon_days": HORIZON}
    assert client.side("/_truth", document).json()["with_launch"] == asdict(observed)


def windows(truth: Truth, **change: int) -> list[tuple[Any, Any]]:
    launch = truth.launch_on
    return [
        truth.window(launch - timedelta(weeks=8), launch, 30),
        truth.window(launch, launch + timedelta(weeks=8), 30),
    ]


def test_the_launch_does_what_its_parameters_say() -> None:
    truth = small_salon(leads_per_week=2000, slow_noise=0.0).truth
    assert truth is not None
    before, (with_launch, without) = windows(truth)
    assert before[0] == before[1]
    assert with_launch.leads == without.leads
    assert with_launch.booked / without.booked == pytest.approx(1.25, abs=0.02)
    no_show = [each.no_show / (each.no_show + each.visited) for each in (with_launch, without)]
    assert no_show[0] / no_show[1] == pytest.approx(0.75, abs=0.04)
    assert truth.incremental_revenue(truth.launch_on, truth.end_on, 30) > 0


@pytest.mark.parametrize("lift", [0.2, -0.2])
def test_a_launch_may_move_the_number_of_leads(lift: float) -> None:
    store = small_salon(leads_per_week=2000, volume_lift=lift)
    assert store.truth is not None
    _, (with_launch, without) = windows(store.truth)
    assert with_launch.leads / without.leads == pytest.approx(1 + lift, abs=0.03)
    assert store.leads.n == len(store.truth.with_launch.created_day)


def test_no_effect_means_equal_worlds() -> None:
    truth = small_salon(booking_lift=0.0, no_show_lift=0.0).truth
    assert truth is not None
    assert all(observed == counterfactual for observed, counterfactual in windows(truth))


def test_the_truth_survives_json() -> None:
    truth = small_salon().truth
    assert truth is not None
    again = Truth.from_json(json.loads(json.dumps(truth.to_json())))
    assert windows(again) == windows(truth)
    assert again.params == truth.params


def everything(client: Client) -> list[Any]:
    methods = ["crm.lead.list", "crm.deal.list", "crm.contact.list"]
    rows = [client.walk(method, select=["*", "UF_*", "PHONE"]) for method in methods]
    return [*rows, *(client.walk("crm.stagehistory.list", entityTypeId=type_id) for type_id in (1, 2))]


def test_everything_depends_on_the_seed_alone(serve: Callable[..., Client]) -> None:
    first, again, other = (everything(serve(small_salon(seed=seed), has_limits=False)) for seed in (5, 5, 6))
    assert first == again
    assert first != other
    bulks = [everything(serve(bulk.build(300, seed=seed), has_limits=False)) for seed in (5, 5, 6)]
    assert bulks[0] == bulks[1] != bulks[2]


def test_an_earlier_now_serves_the_same_past(serve: Callable[..., Client]) -> None:
    earlier = TODAY - timedelta(days=10)
    end_on = date(2026, 11, 1)
    now = small_salon(end_on=end_on)
    then = small_salon(end_on=end_on, today=earlier)
    assert then.leads.n < now.leads.n
    old, new = (everything(serve(store, has_limits=False)) for store in (then, now))
    cut = f"{earlier}T00:00:00+03:00"
    for name, old_rows, new_rows in zip(("lead", "deal", "contact", *["history"] * 2), old, new, strict=True):
        time = "CREATED_TIME" if name == "history" else "DATE_MODIFY"
        assert all(row[time] <= cut for row in old_rows)
        by_id = {row["ID"]: row for row in old_rows}
        assert by_id.keys() <= {row["ID"] for row in new_rows}
        untouched = [row for row in new_rows if row[time] <= cut]
        assert [by_id[row["ID"]] for row in untouched] == untouched, name
        assert len(untouched) < len(new_rows)


@pytest.fixture(scope="module")
def big() -> Store:
    return salon.build(seed=7, today=TODAY)


def column(store: Store, entity: str, name: str) -> list[Any]:
    table = store.table(entity)
    texts = table.columns[name].render(slice(0, table.n), "list")
    return [json.loads(text) if text else None for text in texts]


def test_the_salon_is_as_untidy_as_promised(big: Store) -> None:
    n = big.leads.n
    sources = column(big, "lead", "UTM_SOURCE")
    advertised = [tag for tag, source in zip(sources, column(big, "lead", "SOURCE_ID"), strict=True)
                  if source in ("WEB", "UC_VK0001", "1", "UC_TG0001", "WEBFORM")]  # fmt: skip
    missing = sum(not tag for tag in advertised) / len(advertised)
    assert 0.12 < missing < 0.18
    dirty = set(filter(None, sources))
    assert any("<script>" in tag for tag in dirty)
    assert any(tag.startswith("=HYPERLINK(") for tag in dirty)
    assert max(map(len, dirty)) > 500
    assert {"YANDEX", " vk ", "Яндекс Директ"} <= dirty
    assert {None, ""} <= set(sources)
    stages = Counter(column(big, "lead", "STATUS_ID"))
    assert 0.005 < stages["UC_7QK2ZD"] / n < 0.015
    unreadable = [row for row in column(big, "lead", "OPPORTUNITY") if "руб" in row]
    unreadable += [row for row in column(big, "lead", "DATE_CREATE") if row.startswith("0000")]
    assert 0.0002 < len(unreadable) / n < 0.001
    phones = ["".join(filter(str.isdigit, row[0]["VALUE"]))[-10:] for row in column(big, "lead", "PHONE") if row]
    assert 0.1 < 1 - len(set(phones)) / len(phones) < 0.3
    raw = {row[0]["VALUE"][:2] for row in column(big, "lead", "PHONE") if row}
    assert {"+7", "8 ", "79", "8(", "90"} <= raw


def test_the_salon_has_branches_owners_and_visits_nobody_closed(big: Store) -> None:
    branches = Counter(column(big, "lead", "UF_CRM_1700000001"))
    assert set(branches) == {"Тверская", "Сокол", "Митино", None}
    owners = set(column(big, "lead", "ASSIGNED_BY_ID"))
    dismissed = {user["ID"] for user in big.users if not user["ACTIVE"]}
    assert len(owners) == 6
    assert dismissed & owners
    created, stage = column(big, "deal", "DATE_CREATE"), column(big, "deal", "STAGE_SEMANTIC_ID")
    open_long = [s for at, s in zip(created, stage, strict=True) if at < "2026-09" and s == "P"]
    assert 0.02 < len(open_long) / len(created) < 0.12
    names = {row["NAME"] for row in big.statuses}
    assert {"Подтверждён на завтра", "Подтвержден на сегодня", "Недозвон", "Не пришёл"} <= names


def test_volume_has_season_weekdays_and_about_the_asked_size(big: Store) -> None:
    assert big.truth is not None
    days = Counter(big.truth.with_launch.created_day.tolist())
    weekday = Counter[int]()
    for day, n in days.items():
        weekday[(day + 3) % 7] += n
    assert weekday[6] < 0.75 * weekday[1]
    months = Counter[str]()
    for at in column(big, "lead", "DATE_CREATE"):
        months[at[:7]] += 1
    assert months["2025-12"] > 1.25 * months["2025-06"]
    assert 250 < big.leads.n / 116 < 400
    assert (big.truth.launch_on, big.truth.end_on) == (date(2026, 8, 24), date(2026, 11, 15))


def test_links_between_the_tables_hold(big: Store) -> None:
    leads, contacts = set(column(big, "lead", "ID")), set(column(big, "contact", "ID"))
    assert set(column(big, "deal", "LEAD_ID")) <= leads
    assert set(column(big, "deal", "CONTACT_ID")) <= contacts
    assert set(column(big, "lead", "CONTACT_ID")) - {None} == contacts
    known_since = dict(zip(column(big, "contact", "ID"), column(big, "contact", "DATE_CREATE"), strict=True))
    lead_columns = (column(big, "lead", name) for name in ("CONTACT_ID", "STATUS_ID", "DATE_CREATE"))
    for contact, status, created in zip(*lead_columns, strict=True):
        assert contact is None or status == "CONVERTED" or created[:4] == "0000" or created >= known_since[contact]
    phones = dict(zip(column(big, "contact", "ID"), column(big, "contact", "PHONE"), strict=True))
    pairs = list(zip(column(big, "lead", "CONTACT_ID"), column(big, "lead", "PHONE"), strict=True))
    own = ["".join(filter(str.isdigit, row[0]["VALUE"]))[-9:] for _, row in pairs[:500] if row and _]
    theirs = ["".join(filter(str.isdigit, phones[c][0]["VALUE"]))[-9:] for c, row in pairs[:500] if row and c]
    assert own == theirs


def test_a_wrong_plan_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a Sunday"):
        salon.build(end_on=date(2026, 11, 16))
    with pytest.raises(TypeError, match="leads_a_week"):
        salon.build(leads_a_week=3)
