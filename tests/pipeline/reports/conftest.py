"""Documents to report on: real measurements of a small salon, and every verdict of the ladder put into one of them."""

import copy
from collections.abc import Callable, Iterator
from datetime import date, datetime
from functools import cache
from typing import Any

import pytest

from connectors.records import Owner
from pipeline.document import document
from pipeline.effects import Interval
from pipeline.ladder import verdict
from pipeline.launches import LaunchCosts
from pipeline.measurement import measure
from pipeline.periods import AsOf
from pipeline.reports import render
from pipeline.settings import ChannelRule
from pipeline.warehouse import Warehouse
from tests.browser import opened
from tests.pipeline.reports import evidence_made, monday_made
from tests.pipeline.salon_made import launch, salon, settings

Document = dict[str, Any]
AS_OF = AsOf(date(2026, 8, 3), datetime(2200, 1, 1), "2026-08-03")
HOSTILE = (
    "<script>alert(1)</script>",
    "=HYPERLINK(\"http://evil.example\",\"x\")",
    "[URL=http://evil.example]x[/URL]",
    "[red]{0}{boom}%(x)s$x^2$[/red]",
    "\u202eевил\u200f\u0007\x1b[31m",
    "д" * 200,
)  # fmt: skip
# benefit (low, high) a month, break-even, trust: one for each rule of the verdict
RULES = {
    "above_break_even": ((20_000.0, 40_000.0), 9_000.0, 95),
    "break_even_inside": ((1_000.0, 40_000.0), 9_000.0, 95),
    "break_even_unknown": ((1_000.0, 40_000.0), None, 95),
    "below_break_even": ((-2_000.0, 4_000.0), 9_000.0, 95),
    "below_zero": ((-9_000.0, -1_000.0), 9_000.0, 95),
    "zero_inside": ((-9_000.0, 21_000.0), 9_000.0, 95),
    "low_trust": ((20_000.0, 40_000.0), 9_000.0, 30),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened() as browser:
        yield browser


@pytest.fixture(scope="session")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Document]:
    """measured(lift=0.5, booking=0.4, names=..., as_of=..., **launch fields) -> the document of a real measurement."""
    warehouses: dict[Any, tuple[Warehouse, tuple[ChannelRule, ...]]] = {}

    def stored(lift: float, booking: float, names: tuple[str, ...]) -> tuple[Warehouse, tuple[ChannelRule, ...]]:
        if (lift, booking, names) not in warehouses:
            made = Warehouse(f"duckdb:///{tmp_path_factory.mktemp('measured') / 'w.duckdb'}")
            made.migrate()
            sources = tuple(f"source{n:03}" for n in range(len(names))) or (None,)
            owners = [Owner("0", "Анна <b>", True), Owner("1", "Борис", True)]
            made.append([*salon(lift=lift, booking=booking, channels=sources), *owners], "crm", "r1")
            rules = tuple(ChannelRule(name, utm_source=(f"source{n:03}",)) for n, name in enumerate(names))
            warehouses[lift, booking, names] = made, rules
        return warehouses[lift, booking, names]

    def make(*, lift: float = 0.5, booking: float = 0.4, names: tuple[str, ...] = ("Поиск", "Соцсети"), as_of: AsOf = AS_OF,
             **fields: Any) -> Document:  # fmt: skip
        warehouse, rules = stored(lift, booking, names)
        with warehouse.reading(as_of.seen_until) as reading:
            return document(measure(reading, launch(**fields), settings(channels=rules), as_of))

    return make


@pytest.fixture(scope="session")
def paying(measured: Callable[..., Document]) -> Document:
    """A launch that pays; do not change it, copy it."""
    return measured()


@pytest.fixture(scope="session")
def documents(measured: Callable[..., Document], paying: Document) -> dict[str, Document]:
    """Every situation a report must cope with, by name."""
    found = {
        "paying": paying,
        "harming": measured(lift=-0.6),
        "no effect": measured(lift=0.0, names=monday_made.OTHER_SCRIPTS),
        "no visits": measured(lift=0.0, booking=0.0, names=("Поиск",)),  # and one channel
        "one week": measured(booking=0.0, names=("Поиск",), as_of=AsOf(date(2026, 2, 9), AS_OF.seen_until, "2026-02-09"),
                             started_on=date(2026, 1, 12)),  # before and after
        "monday": monday_made.monday(paying),
        "no margin": measured(margin=None),
        "no costs": measured(costs=LaunchCosts()),
        "free": measured(costs=LaunchCosts(one_off=0.0, monthly=0.0)),
        "saved hours": measured(costs=LaunchCosts(monthly=100.0, saved_hours_monthly=40.0, hour_rate=500.0, is_saved_cash=True)),
        "refused": measured(as_of=AsOf(date(2026, 6, 10), AS_OF.seen_until, "2026-06-10")),
        "just started": measured(as_of=AsOf(date(2026, 5, 5), AS_OF.seen_until, "2026-05-05")),
        "no channel": measured(names=()),
        "60 channels": measured(names=tuple(f"Канал {n}" for n in range(60))),
        "hostile": measured(names=HOSTILE, title="<img src=x onerror=alert(1)>" + "ё" * 100),
        "withheld": withheld(paying),
        "huge": scaled(paying, 1e9),
        "tiny": scaled(paying, 1e-4),
        "evidence": evidence_made.with_evidence(paying),
        "undecided": evidence_made.undecided(paying),
        "control": evidence_made.with_control(paying),
        "guarded": evidence_made.guarded(paying),
        "empty": evidence_made.empty(paying),
        "old": evidence_made.without_keys(paying),
    }
    found |= {f"verdict {code}": with_verdict(paying, code) for code in RULES}
    return found


@pytest.fixture(scope="session")
def rendered(documents: dict[str, Document]) -> Callable[[str, str, str], str]:
    """rendered(name, kind, language): each report that is a text is made once."""
    return cache(lambda name, kind, language: render(documents[name], kind, language).decode())


def with_verdict(document: Document, code: str) -> Document:
    """A document that the ladder judged by another benefit."""
    (low, high), break_even, trust = RULES[code]
    reached = verdict(Interval((low + high) / 2, low, high), break_even, trust)
    assert reached.reason.code == code
    changed = copy.deepcopy(document)
    changed["verdict"] = {"code": reached.code, "reason": {"code": code, "figures": dict(reached.reason.figures)}}
    changed["trust"]["score"] = trust
    changed["money"]["monthly_benefit"] = {"estimate": (low + high) / 2, "low": low, "high": high}
    changed["money"]["break_even_monthly"] = break_even
    return changed


def withheld(document: Document) -> Document:
    """Lead recording changed and history is short: nothing leads the report, the total claim is indicative."""
    changed = copy.deepcopy(document)
    reasons = [
        {"code": "process_withheld", "figures": {}},
        {"code": "source_appeared", "figures": {"source": "Бот", "share": 0.31}},
        {"code": "total_indicative", "figures": {"n_pre_weeks": 17, "season": 0.1}},
    ]
    changed["rung"] = {"code": "R5", "headline": "none", "reasons": reasons}
    changed["claims"].pop("process")
    changed |= {"claim": "none", "money": None, "contributions": []}
    changed["probability"] = {"roi_positive": None, "payback_within_12_months": None}
    changed["verdict"] = {"code": "not_enough_data", "reason": {"code": "no_claim", "figures": {}}}
    return changed


def scaled(document: Document, factor: float) -> Document:
    """The same launch in another size of money."""
    changed = copy.deepcopy(document)
    for name in ("incremental_revenue", "incremental_profit", "benefit", "net", "monthly_benefit"):
        changed["money"][name] = {end: value * factor for end, value in changed["money"][name].items()}
    for name in ("cost", "monthly_cost", "one_off_cost", "break_even_monthly"):
        changed["money"][name] *= factor
    for row in changed["contributions"]:
        row |= {end: None if row[end] is None else row[end] * factor for end in ("estimate", "low", "high")}
    return changed
