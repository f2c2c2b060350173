"""The efficiency pool: action windows by the calendar of the business, and figures counted by hand, on both databases."""

from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors import engine as pulling
from connectors.contract import Surroundings
from connectors.files import Files, Options
from connectors.secrets import Secret
from pipeline.efficiency import Pool, observe_pool
from pipeline.errors import ConfigError
from pipeline.journeys import build_journeys
from pipeline.launches import Action, Efficiency, Launch
from pipeline.observed import Observed, Sides
from pipeline.periods import monday_of
from pipeline.stages import StageRule
from pipeline.warehouse import Warehouse
from tests.connectors.files.exports import csv_bytes
from tests.pipeline.records_made import lead as plain_lead
from tests.pipeline.salon_made import STAGES, lead_with

NEVER = datetime(2035, 1, 1)
BERLIN = ZoneInfo("Europe/Berlin")
REMINDER = Efficiency(actions={"reminder": Action(("reminded",), "visited")})
RULES = (StageRule("crm", "lead", "*", "reminded", "none"), StageRule("crm", "lead", "*", "visited", "visited"))


def pool_of(warehouse: Warehouse, first: date, efficiency: Efficiency, *, n_weeks: int = 2, known_on: date = date(2035, 1, 1),
            rules: tuple[StageRule, ...] = RULES) -> Pool:
    """The pool of a launch in the middle of `n_weeks` weeks from that Monday on."""
    weeks = tuple(first + timedelta(weeks=n) for n in range(n_weeks))
    sides = Sides(weeks, n_weeks // 2, 0, weeks[: n_weeks // 2], weeks[n_weeks // 2 :])
    launch = Launch("bot", "Bot", weeks[n_weeks // 2], efficiency=efficiency)
    with warehouse.reading() as reading:
        build_journeys(reading, stages=rules, channels=(), seen_until=NEVER, currency="RUB")
        pool = observe_pool(reading, launch, sides, None, horizon_days=30, known_on=known_on, seen_until=NEVER)
    assert pool is not None
    return pool


def figure(pool: Pool, key: str) -> Observed:
    return next(one.observed for one in pool.figures if one.key == key)


@pytest.mark.parametrize(
    ("action", "hits", "misses"),
    [  # the clocks go forward on 30 March 2025 and back on 26 October
        ("27.03.2025 23:30", ["27.03.2025 23:45", "03.04.2025 23:59"], ["04.04.2025 00:00", "27.03.2025 23:00", ""]),
        ("23.10.2025 00:30", ["23.10.2025 00:30", "30.10.2025 23:59"], ["31.10.2025 00:00", "22.10.2025 23:59"]),
    ],
)
def test_day_seven_counts_and_day_eight_does_not(
    warehouse: Warehouse, tmp_path: Path, action: str, hits: list[str], misses: list[str]
) -> None:
    rows = [(str(n), "01.03.2025 10:00", "Новая", action, outcome) for n, outcome in enumerate([*hits, *misses])]
    (tmp_path / "leads.csv").write_bytes(csv_bytes([("ID", "Дата создания", "Стадия", "Напомнили", "Визит"), *rows]))
    options = Options(path=str(tmp_path / "leads.csv"), milestones={"reminded": "Напомнили", "visited": "Визит"})
    reader = Files.open(options, Surroundings(BERLIN, Secret("k" * 32)))
    pulling.pull(reader, warehouse.sink("crm", "r1"))
    taken_on = datetime.strptime(action, "%d.%m.%Y %H:%M").date()
    found = figure(pool_of(warehouse, monday_of(taken_on), REMINDER), "action_hit.reminder")
    assert (found.pre["numerator"], found.pre["denominator"]) == (len(hits), len(rows))


def test_an_outcome_counts_for_the_last_action_before_it(warehouse: Warehouse) -> None:
    at = datetime(2025, 3, 3, 9)
    steps = [("NEW", 0), ("reminded", 24), ("NEW", 30), ("reminded", 48), ("visited", 72), ("visited", 80)]
    warehouse.append(lead_with(1, at, steps), "crm", "r1")
    found = figure(pool_of(warehouse, date(2025, 3, 3), REMINDER), "action_hit.reminder")
    assert (found.pre["numerator"], found.pre["denominator"]) == (1, 2)


def test_an_action_whose_window_has_not_passed_does_not_count_yet(warehouse: Warehouse) -> None:
    at = datetime(2025, 3, 5, 9)
    warehouse.append(lead_with(1, at, [("reminded", 0), ("visited", 24)]), "crm", "r1")
    # Its week ends with the 9th, the windows of the week seven days later.
    for known_on, n in ((date(2025, 3, 16), None), (date(2025, 3, 17), 1)):
        found = figure(pool_of(warehouse, date(2025, 3, 3), REMINDER, known_on=known_on), "action_hit.reminder")
        assert found.pre["denominator"] == n


STEPS = [  # stage and hours since creation of four leads of one week
    [("NEW", 0.0), ("BOOKED", 2.0), ("CAME", 30.0), ("PAID", 33.0)],
    [("NEW", 0.0), ("BOOKED", 6.0), ("NEW", 8.0), ("BOOKED", 10.0), ("MISSED", 40.0)],  # booked twice
    [("NEW", 0.0), ("LOST", 4.0)],
    [("NEW", 0.0)],
]
LOST = (*STAGES, StageRule("crm", "lead", "*", "LOST", "lost"))


def fill(warehouse: Warehouse, n_weeks: int) -> None:
    for week in range(n_weeks):
        for n, steps in enumerate(STEPS):
            at = datetime(2025, 3, 3, 9) + timedelta(weeks=week, days=n)
            warehouse.append(lead_with(10 * week + n, at, steps), "crm", "r1")


def test_figures_counted_by_hand(warehouse: Warehouse) -> None:
    fill(warehouse, 2)
    pool = pool_of(warehouse, date(2025, 3, 3), Efficiency(), rules=LOST)
    decided = figure(pool, "decision_time")  # after 2, 6 and 4 hours, one never
    assert decided.pre == {"median": 240, "p90": None, "n": 4, "n_open": 1}
    assert figure(pool, "first_contact").post == {"median": 240, "p90": None, "n": 4, "n_open": 1}
    assert figure(pool, "payment_step").pre == {"median": 180, "p90": 180, "n": 1, "n_open": 0}
    right = figure(pool, "decisions_right")
    assert (right.pre["numerator"], right.pre["denominator"]) == (2, 2)
    rework = figure(pool, "rework")
    assert (rework.pre["numerator"], rework.pre["denominator"]) == (1, 4)
    assert "booking_step" not in {one.key for one in pool.figures}  # nobody was qualified before being booked
    assert all(one.owner for one in pool.figures)
    assert {one.baseline_from for one in pool.figures} == {"pre"}


@pytest.mark.parametrize("engine", ["duckdb"])
def test_two_weeks_are_observed_and_ten_are_compared(warehouse: Warehouse, engine: str) -> None:
    fill(warehouse, 10)
    short, long = (pool_of(warehouse, date(2025, 3, 3), Efficiency(), n_weeks=n, rules=LOST) for n in (2, 10))
    for name in ("decision_time", "rework"):
        assert figure(short, name).changes == {}
        assert figure(long, name).changes
    assert figure(long, "decision_time").changes["median"].estimate == 0


def test_hand_offs_are_counted_where_a_lead_was_followed_from_its_start(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime(2025, 3, 4, 9)
    known = {number: plain_lead(number, created_at=at, created_on=at.date()) for number in (1, 2)}
    late = plain_lead(3, created_at=at - timedelta(days=20), created_on=(at - timedelta(days=20)).date())
    for hours, owners in ((1, {1: "a", 2: "a"}), (30, {1: "b", 2: "a"}), (60, {1: "a", 2: "a"}), (24 * 40, {1: "c", 2: "b"})):
        monkeypatch.setattr("pipeline.warehouse.utc_now", lambda moment=at + timedelta(hours=hours): moment)
        for lead in known.values():
            lead.owner_id = owners[int(lead.lead_id)]
        late.owner_id = str(hours)
        warehouse.append([*known.values(), late], "crm", f"r{hours}")
    first = monday_of(date(2025, 2, 10))
    found = figure(pool_of(warehouse, first, Efficiency(), n_weeks=8, rules=STAGES), "handoffs")
    # From a to b to a; what came after the horizon does not count, nor does the lead that was read late.
    assert (found.pre["n"], found.pre["total"]) == (2, 2)


def test_an_owner_of_a_figure_nobody_knows_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(ConfigError, match="no figure 'first_replay', did you mean 'first_reply'"):
        pool_of(warehouse, date(2025, 3, 3), Efficiency(owners={"first_replay": "Анна"}))
    with pytest.raises(ConfigError, match=r"no figure 'action_hit\.remind'"):
        pool_of(warehouse, date(2025, 3, 3), Efficiency(baselines={"action_hit.remind": 0.5}, actions=REMINDER.actions))
