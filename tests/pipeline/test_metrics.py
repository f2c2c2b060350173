"""Metrics: the SQL files against the same figures worked out in plain Python from the raw rows, and their roll-up."""

import random
from collections import defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from connectors.contract import Deletes, Landing, Stream, Walk
from connectors.records import Deal, Lead
from pipeline import metrics, queries
from pipeline.journeys import build_journeys
from pipeline.metrics import cells, observe
from tests.pipeline.salon_made import CHANNELS, MILESTONES, STAGES, deal, lead_with

HORIZON = 14 * 24 + 1
START, END = date(2026, 1, 12), date(2026, 3, 2)
DEAL_STAGES = {"OPEN": "none", "WON": "paid", "CONFIRMED": "confirmed"}
RULES = (*STAGES, *(type(STAGES[0])("crm", "deal", "*", stage, milestone) for stage, milestone in DEAL_STAGES.items()))
IMPLIED = {
    "qualified": {"qualified", "booked", "confirmed", "no_show", "visited", "paid"},
    "booked": {"booked", "confirmed", "no_show", "visited", "paid"},
    "visited": {"visited", "paid"},
    "no_show": {"no_show"},
    "paid": {"paid"},
}


def random_history(seed):
    """Leads with messy histories, deals with and without them, later versions; and how to store them page by page."""
    rng = random.Random(seed)
    first, later = [], []
    for number in range(400):
        created_at = datetime(2026, 1, 5) + timedelta(minutes=rng.randrange(9 * 7 * 24 * 60))
        steps = [("NEW", 0.0)] + [
            (rng.choice(list(MILESTONES)), rng.choice([0.0, 336.0, 337.0, 337.5]) + rng.randrange(0, 40))
            for _ in range(rng.randrange(4))
        ]
        fields = {
            "amount": rng.choice([None, Decimal("0.00"), Decimal(rng.randrange(-5000, 900000)) / 100]),
            "utm_source": rng.choice(["google", "vk", "bing", None]),
            "crm_source": None,
            "owner_id": rng.choice(["anna", "boris", None]),
            "branch": rng.choice(["Юг", "Север", None]),
            "customer_hash": rng.choice([f"h{rng.randrange(60)}", None]),
        }
        rows = lead_with(number, created_at, steps, **fields)
        first += rows
        if rng.random() < 0.15:  # the lead got another owner later, and one more step
            more = lead_with(number, created_at, [*steps, ("CAME", 100.0)], **{**fields, "owner_id": "clara"})
            later += [more[0], more[-1]]
        for n in range(rng.choice([0, 0, 0, 1, 2])):
            amount = rng.choice([None, Decimal(rng.randrange(100000)) / 100])
            of = rng.choice([str(number), str(number), None, "never-loaded"])
            own = {
                "utm_source": rng.choice(["vk", None]),
                "utm_medium": None,
                "crm_source": None,
                "customer_hash": fields["customer_hash"],
                "contact_id": None,
            }
            stage = rng.choice(list(DEAL_STAGES))
            made_at = created_at + timedelta(hours=rng.randrange(500))
            first.append(
                deal(number * 10 + n, of, made_at, stage, amount, owner_id=fields["owner_id"], branch=fields["branch"], **own)
            )
    return first, later


def journeys_by_hand(records):
    """The journeys of records (the newest version of each key last), as plain dictionaries."""
    leads, deals, moves = {}, {}, {}
    for record in records:
        if isinstance(record, Lead):
            leads[record.lead_id] = record
        elif isinstance(record, Deal):
            deals[record.deal_id] = record
        else:
            moves[record.entity, record.change_id] = record
    journeys = {("lead", key): [lead] for key, lead in leads.items()}
    for key, one in deals.items():
        journeys.setdefault(("lead", one.lead_id) if one.lead_id in leads else ("deal", key), []).append(one)
    history = defaultdict(list)
    for move in moves.values():
        history[move.entity, move.entity_id].append((move.stage_id, move.moved_at))
    return [journey_by_hand(parts, history) for parts in journeys.values()]


def journey_by_hand(parts, history):
    root = parts[0]
    reached = [part_reached(part, history) for part in parts]
    hours = {}
    for milestone in IMPLIED:
        times = [times[milestone] for times in reached if times[milestone] is not None]
        hours[milestone] = (min(times) - root.created_at).total_seconds() / 3600 if times else None
    deals = [(part, times) for part, times in zip(parts, reached, strict=True) if isinstance(part, Deal)]
    deals = [(part, times) for part, times in deals if part is not root]

    def is_in_time(times):
        return times["paid"] is not None and (times["paid"] - root.created_at).total_seconds() / 3600 <= HORIZON

    amount = Decimal(0)  # what came within the horizon: paid deals, else what the lead itself was marked paid with
    if any(is_in_time(times) for _, times in deals):
        amount = sum((part.amount or Decimal(0) for part, times in deals if is_in_time(times)), Decimal(0))
    elif is_in_time(reached[0]):
        amount = root.amount or Decimal(0)
    channel = {"google": "Search", "vk": "Social", None: "unknown"}.get(root.utm_source, "other")
    key = (root.created_on, channel, root.branch or "unknown", root.owner_id or "unknown")
    return {
        "key": key,
        "hours": hours,
        "amount": amount,
        "customer": root.customer_hash,
        "created_at": root.created_at,
    }


def part_reached(part, history):
    entity, key, map_ = ("lead", part.lead_id, MILESTONES) if isinstance(part, Lead) else ("deal", part.deal_id, DEAL_STAGES)
    moves = [*history[entity, key], (part.stage_id, part.moved_at)]
    return {name: min((at for stage, at in moves if map_[stage] in implied), default=None) for name, implied in IMPLIED.items()}


def metrics_by_hand(journeys, margin):
    """Cells of every metric: {metric: {key: (numerator, denominator) or (n, total, total_sq) or (n,)}}."""
    found = defaultdict(lambda: defaultdict(lambda: (0, 0)))

    def within(journey, milestone):
        return journey["hours"][milestone] is not None and journey["hours"][milestone] <= HORIZON

    def add(metric, key, *values):
        found[metric][key] = tuple(map(sum, zip(found[metric].get(key, (0,) * len(values)), values, strict=True)))

    for journey in journeys:
        key = journey["key"]
        if not START <= key[0] < END:
            continue
        booked, visited, paid = (within(journey, name) for name in ("booked", "visited", "paid"))
        missed = within(journey, "no_show")
        add("leads", key, 1)
        add("qualified", key, within(journey, "qualified"), 1)
        add("booking_conversion", key, booked, 1)
        add("visit_conversion", key, visited, 1)
        add("paid_conversion", key, paid, 1)
        add("show_rate", key, visited, booked)
        add("no_show_rate", key, missed and not visited, missed or visited)
        add("repeat_visits", key, visited and came_again(journey, journeys), visited)
        if paid:
            amount = journey["amount"]
            add("revenue", key, 1, amount, amount**2)
            add("average_check", key, 1, amount, amount**2)
            add("gross_profit", key, 1, amount * margin, amount**2 * margin**2)
        if booked:
            minutes = int(journey["hours"]["booked"] * 60)
            add("time_to_booking", key, 1, minutes, minutes**2)
    return found


def came_again(journey, journeys):
    later = [
        other["hours"]["visited"] + (other["created_at"] - journey["created_at"]).total_seconds() / 3600
        for other in journeys
        if journey["customer"] and other["customer"] == journey["customer"] and other["created_at"] > journey["created_at"]
        and other["hours"]["visited"] is not None
    ]  # fmt: skip
    return bool(later) and min(later) <= HORIZON


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_metric_equals_plain_python_over_the_raw_rows(warehouse, seed):
    first, later = random_history(seed)
    warehouse.append(first, "crm", "r1")
    warehouse.append(later, "crm", "r2")
    expected = metrics_by_hand(journeys_by_hand([*first, *later]), Decimal("0.35"))
    assert set(expected) == set(metrics.names())
    with warehouse.reading() as reading:
        build_journeys(reading, stages=RULES, channels=CHANNELS, seen_until=datetime.max, currency="RUB")
        for name, wanted in expected.items():
            found = observe(reading, name, START, END, HORIZON, 0.35)
            assert as_dict(found) == {
                key: pytest.approx(tuple(map(float, values)), rel=1e-12) for key, values in wanted.items()
            }, name


def as_dict(found):
    labels = [[found.labels[name][code] for code in found.codes[name]] for name in metrics.DIMENSIONS]
    days = [date(1970, 1, 1) + timedelta(days=int(day)) for day in found.day]
    keys = zip(days, *labels, strict=True)
    return dict(zip(keys, zip(*(map(float, found.values[column]) for column in found.columns), strict=True), strict=True))


def test_a_report_as_of_an_older_day_does_not_see_what_came_later(warehouse):
    first, later = random_history(4)
    warehouse.append(first, "crm", "r1")
    with warehouse.reading() as reading:
        known = reading.seen_until
    warehouse.append(later, "crm", "r2")
    gone = Landing(Stream("leads", Lead, walk=Walk.KEYSET, deletes=Deletes.COUNT), deleted=[str(number) for number in range(50)])
    warehouse.sink("crm", "r3").commit([gone])
    expected = metrics_by_hand(journeys_by_hand(first), Decimal(1))
    with warehouse.reading() as reading:
        build_journeys(reading, stages=RULES, channels=CHANNELS, seen_until=known, currency="RUB")
        found = observe(reading, "visit_conversion", START, END, HORIZON)
    assert as_dict(found) == {key: tuple(map(float, values)) for key, values in expected["visit_conversion"].items()}


def test_a_metric_that_needs_a_margin_is_not_made_without_one(warehouse):
    with warehouse.reading() as reading:
        build_journeys(reading, stages=RULES, channels=CHANNELS, seen_until=datetime.max, currency="RUB")
        assert observe(reading, "gross_profit", START, END, HORIZON) is None
        assert observe(reading, "revenue", START, END, HORIZON).figure([START]).value == 0


MONDAY = date(2026, 1, 5)


def made(query, **columns):
    table = {"created_on": pa.array([datetime(2026, 1, day) for day in columns.pop("day")], type=pa.timestamp("us"))}
    n = len(table["created_on"])
    for column in metrics.DIMENSIONS.values():
        table[column] = pa.array(columns.pop(column, ["x"] * n), type=pa.string())
    return cells(queries.load(f"metrics/{query}"), pa.table({**table, **columns}))


def test_weeks_run_from_monday_to_sunday():
    found = made("leads", day=[4, 5, 11, 12, 18, 19], n=[1, 2, 4, 8, 16, 32])
    assert list(found.weekly([MONDAY, MONDAY + timedelta(days=7)])["n"]) == [6, 24]
    assert found.figure([MONDAY + timedelta(days=7)]).value == 24
    assert found.figure([MONDAY, MONDAY + timedelta(days=14)]).value == 38  # a week left out between them
    assert {day.day: figure.value for day, figure in found.by_day().items()} == {4: 1, 5: 2, 11: 4, 12: 8, 18: 16, 19: 32}


def test_a_rate_is_divided_after_summing_and_nothing_by_nothing_is_nothing():
    found = made("show_rate", day=[5, 6, 12], channel=["a", "b", "a"], numerator=[1, 30, 0], denominator=[1, 60, 0])
    assert found.figure([MONDAY]).value == 31 / 61
    assert found.figure([date(2026, 1, 12)]).value is None
    assert {key: figure.value for key, figure in found.figures_by("channel", [MONDAY]).items()} == {"a": 1.0, "b": 0.5}
    assert found.figures_by("channel", [date(2026, 1, 12)]).keys() == {"a"}


def test_a_sum_of_money_and_a_mean_of_money():
    columns = {"day": [5, 6], "n": [2, 2], "total": [100.0, 300.0], "total_sq": [5000.0, 50000.0]}
    assert made("revenue", **dict(columns)).figure([MONDAY]).value == 400
    assert made("average_check", **dict(columns)).figure([MONDAY]).value == 100


def test_what_is_not_filled_in_is_unknown():
    found = made("leads", day=[5, 5], branch=[None, "Юг"], n=[3, 4])
    assert {key: figure.value for key, figure in found.figures_by("branch", [MONDAY]).items()} == {"unknown": 3, "Юг": 4}
    by_branch = found.weekly_by("branch", "n", [MONDAY])
    assert {key: list(series) for key, series in by_branch.items()} == {"unknown": [3], "Юг": [4]}


def test_sums_do_not_depend_on_the_order_in_which_an_engine_returns_rows():
    rng = np.random.default_rng(1)
    amounts = rng.lognormal(7, 2, 5000)
    sums = set()
    for _ in range(5):
        order = rng.permutation(amounts.size)
        found = made("revenue", day=[5] * amounts.size, n=[1] * amounts.size, total=amounts[order], total_sq=amounts[order] ** 2)
        sums.add((found.figure([MONDAY]).value, found.weekly([MONDAY])["total_sq"][0]))
    assert len(sums) == 1


def test_a_query_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="returns neither"):
        made("leads", day=[5], something=[1])
