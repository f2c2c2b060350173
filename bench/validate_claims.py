"""False alarms, coverage and power of both claims on simulated launches, with the peers on the same launches.

Launches that changed nothing serve every claim. Real effects of +15 and +40 %: of the booking rate for the process claim, of the
number of leads for the total claim, so that each is asked about what it is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench import peers, product
from bench.product import Told
from bench.simulator import Business, Channel, Launches, Lift, simulate
from bench.validate_tables import Cell, Section, alarms, coverage, power, shown
from pipeline.effects import Effect
from pipeline.weekly import FloatArray

ARMS = (0, 15, 40)
# What each launch leaves behind, a column each; NaN where the claim was withheld.
LOW, HIGH, TRUTH, BASE = range(4)
FIGURES = ("visits", "revenue")
BUSY = Business(season=0.2)
TWO_CHANNELS = (Channel(0.4, booking=0.57, share_growth=-0.03), Channel(0.6, booking=1.287))


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of business and history. `power_40`: what the statistics notes measured at +40 %, by claim."""

    name: str
    business: Business
    n_pre: int = 26
    n_post: int = 12
    claims: tuple[str, ...] = ("process", "total")
    power_40: Mapping[str, float] = field(default_factory=dict)
    is_total_withheld: bool = False
    """The guard should refuse the total claim here: false alarms must be rare because it does."""


SCENARIOS = (
    Scenario("100 a month, 8+8", Business(leads_a_month=100), 8, 8, power_40={"process": 54, "total": 34}),
    Scenario("200 a month, 8+8", Business(leads_a_month=200), 8, 8, power_40={"process": 79, "total": 56}),
    Scenario("1 500 a month, 26+12", Business(), power_40={"process": 100, "total": 79}),
    Scenario("trend 1 % a week, 26+12", Business(growth=0.01), power_40={"process": 100, "total": 97}),
    Scenario("random walk 3 % a week, 26+12", Business(wander=0.03), power_40={"process": 100, "total": 72}),
    Scenario("growth 3 % a week, 26+12", Business(growth=0.03), is_total_withheld=True, power_40={"process": 100}),
    Scenario("400 a month, growth 3 % a week, 8+8", Business(leads_a_month=400, growth=0.03), 8, 8, is_total_withheld=True),
    Scenario("100 000 a month, 26+12", Business(leads_a_month=100_000), power_40={"process": 100}),
    Scenario("season 20 %, 26+12", BUSY, power_40={"process": 100, "total": 64}),
    Scenario("season 20 %, 52+12", BUSY, 52, power_40={"process": 100, "total": 90}),
    Scenario("season 20 %, 104+12", BUSY, 104, power_40={"process": 100, "total": 94}),
    Scenario("season 20 % and trend 1 %, 26+12", Business(season=0.2, growth=0.01), power_40={"process": 100, "total": 53}),
    Scenario("control, season and trend, 26+12", Business(season=0.2, growth=0.01, control=1.0), claims=("control",),
             power_40={"control": 100}),
    Scenario("control, 200 a month, 8+8", Business(leads_a_month=200, season=0.2, control=1.0), 8, 8, claims=("control",),
             power_40={"control": 63}),
    Scenario("weak control (own noise 12 %), 26+12", Business(season=0.2, control=1.0, control_noise=0.12), claims=("control",)),
    Scenario("a poor channel shrinks 3 % a week, 26+12", Business(channels=TWO_CHANNELS), claims=("process",)),
)  # fmt: skip
WEAK_CONTROL_LIMIT = 0.06
Results = Mapping[str, FloatArray]


def keys() -> list[str]:
    """One a scenario and arm."""
    return [f"{scenario.name}|{arm}" for scenario in SCENARIOS for arm in ARMS]


def run(key: str, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    """`n` launches: launches x (low, high, truth, base) by "claim figure", and the peers' answers under "peers"."""
    name, arm = key.rsplit("|", 1)
    scenario, size = _scenario(name), 1 + int(arm) / 100
    found: dict[str, FloatArray] = {}
    if "process" in scenario.claims:
        launches = _launches(scenario, n, Lift(booking=size), rng)
        found |= _measured("process", launches)
        if int(arm) == 0:
            found["peers"] = np.array([peers.ask(launches, at) for at in range(n)])
    others = [claim for claim in scenario.claims if claim != "process"]
    if others:
        if int(arm) or "process" not in scenario.claims:
            launches = _launches(scenario, n, Lift(volume=size), rng)
        for claim in others:
            found |= _measured(claim, launches)
        found["sketch"] = np.array([row(product.sketch(launches, at), "total", "visits", launches, at) for at in range(n)])
        if int(arm) == 0 and "peers" not in found:
            found["peers"] = np.array([peers.ask(launches, at) for at in range(n)])
        if int(arm) == 40 and "process" in scenario.claims and name == "1 500 a month, 26+12":
            # More leads of the same kind are no change of the process.
            found |= {f"more leads {key}": row for key, row in _measured("process", launches).items()}
    return found


def told(claim: str, launches: Launches, at: int, *, has_money: bool = True) -> Told:
    """One claim on one launch; without money it takes half the time."""
    funnel, weeks = launches.funnel(at, has_money=has_money), launches.weeks(at)
    if claim == "process":
        return product.process(funnel, weeks, launches.sources(at))
    control = None if launches.control is None or claim != "control" else launches.control[at]
    return product.total(funnel, weeks, control=control)


def row(effect: Effect | None, claim: str, figure: str, launches: Launches, at: int) -> list[float]:
    """Interval, truth and base of one effect, over the post weeks it used."""
    if effect is None:
        return [float("nan")] * 4
    post = launches.weeks(at).split(launches.leads.shape[1])[1][: effect.n_post_weeks]
    truth = launches.truth["process" if claim == "process" else "total", figure]
    return [effect.low, effect.high, float(truth.added[at, post].sum()), float(truth.without[at, post].sum())]


def tables(results: Mapping[str, Results]) -> list[Section]:
    """The tables of this group from the results by key; scenarios that were not run are left out."""
    done = [scenario for scenario in SCENARIOS if f"{scenario.name}|0" in results]
    return [_alarm_table(done, results), _peer_table(done, results), _coverage_table(done, results), _power_table(done, results)]


def excludes_zero(rows: FloatArray) -> FloatArray:
    """1 where the interval lies on one side of no effect, NaN where the claim was withheld."""
    return np.where(np.isnan(rows[:, LOW]), np.nan, (rows[:, LOW] > 0) | (rows[:, HIGH] < 0))


def contains_truth(rows: FloatArray) -> FloatArray:
    """1 where the interval contains the truth, NaN where the claim was withheld."""
    inside = (rows[:, LOW] <= rows[:, TRUTH]) & (rows[:, TRUTH] <= rows[:, HIGH])
    return np.where(np.isnan(rows[:, LOW]), np.nan, inside)


def is_found(rows: FloatArray) -> FloatArray:
    """1 where a gain was found; a withheld claim finds nothing."""
    return np.nan_to_num((rows[:, LOW] > 0).astype(np.float64))


def _scenario(name: str) -> Scenario:
    return next(scenario for scenario in SCENARIOS if scenario.name == name)


def _launches(scenario: Scenario, n: int, lift: Lift, rng: np.random.Generator) -> Launches:
    return simulate(scenario.business, n, scenario.n_pre, scenario.n_post, lift, rng)


def _measured(claim: str, launches: Launches) -> dict[str, FloatArray]:
    effects = [told(claim, launches, at).effect for at in range(launches.n)]
    return {
        f"{claim} {figure}": np.array([
            row(None if effect is None else getattr(effect, figure), claim, figure, launches, at)
            for at, effect in enumerate(effects)
        ])
        for figure in FIGURES
    }  # fmt: skip


def _alarm_table(done: Sequence[Scenario], results: Mapping[str, Results]) -> Section:
    header = ["scenario", *(f"{claim}, {figure}" for claim in ("process", "total", "control") for figure in FIGURES),
              "process withheld", "total or control withheld"]
    section = Section(
        "alarms", "False alarms",
        "Share (%) of launches that changed nothing and were still called an effect; target at most 5 % plus two Monte-Carlo "
        "errors (weak control: 6 %). A withheld claim raises no alarm and is counted in the last columns.", header)
    for scenario in done:
        found = results[f"{scenario.name}|0"]
        cells = [_alarm(scenario, claim, figure, found)
                 for claim in ("process", "total", "control") for figure in FIGURES]
        section.rows.append([scenario.name, *cells, _withheld(scenario, ("process",), found),
                             _withheld(scenario, ("total", "control"), found)])
    more = results.get("1 500 a month, 26+12|40", {})
    if "more leads process visits" in more:
        cells = [alarms(np.nan_to_num(excludes_zero(more[f"more leads process {figure}"]))) for figure in FIGURES]
        empty = Cell(float("nan"), float("nan"))
        withheld = shown(np.isnan(more["more leads process visits"][:, LOW]))
        section.rows.append(["40 % more leads of the same kind, 26+12", *cells, *[empty] * 4, withheld, empty])
    return section


def _alarm(scenario: Scenario, claim: str, figure: str, found: Results) -> Cell:
    rows = found.get(f"{claim} {figure}")
    if rows is None or claim not in scenario.claims:
        return Cell(float("nan"), float("nan"))
    limit = WEAK_CONTROL_LIMIT if scenario.name.startswith("weak control") else 0.05
    return alarms(np.nan_to_num(excludes_zero(rows)), limit)


def _withheld(scenario: Scenario, claims: Sequence[str], found: Results) -> Cell:
    rows = [found[f"{claim} visits"] for claim in claims if claim in scenario.claims]
    return shown(np.isnan(rows[0][:, LOW])) if rows else Cell(float("nan"), float("nan"))


def _peer_table(done: Sequence[Scenario], results: Mapping[str, Results]) -> Section:
    absent = "; ".join(f"{name}: {why}" for name, why in peers.missing().items())
    section = Section(
        "peers", "The same launches, as others measure them",
        "False alarms (%) of the usual methods on the launches of the table above; nominal 5 %. They are not told of closed days."
        + (f" Not run: {absent}." if absent else ""),
        ["scenario", "Payback, process", "Payback, total or control", *peers.PEERS])
    for scenario in done:
        found = results[f"{scenario.name}|0"]
        ours = [_ours(scenario, claims, found) for claims in (("process",), ("total", "control"))]
        section.rows.append([scenario.name, *ours, *(shown(found["peers"][:, column]) for column in range(len(peers.PEERS)))])
    return section


def _ours(scenario: Scenario, claims: Sequence[str], found: Results) -> Cell:
    rows = [found[f"{claim} visits"] for claim in claims if claim in scenario.claims]
    return shown(np.nan_to_num(excludes_zero(rows[0]))) if rows else Cell(float("nan"), float("nan"))


def _coverage_table(done: Sequence[Scenario], results: Mapping[str, Results]) -> Section:
    section = Section(
        "coverage", "Coverage of the 95 % interval",
        "Share (%) of intervals that contain the true effect, at no effect, +15 % and +40 %, of claims that were made; target 93 "
        "to 98. More than 98 is a miss too: such an interval is wider than it says.",
        ["scenario", "claim", *(f"{figure}, {_signed(arm)}" for figure in FIGURES for arm in ARMS)])
    for scenario in done:
        for claim in scenario.claims:
            if claim == "total" and scenario.is_total_withheld:
                continue
            cells = [coverage(contains_truth(rows)) if (rows := _rows(results, scenario, arm, f"{claim} {figure}")) is not None
                     else Cell(float("nan"), float("nan")) for figure in FIGURES for arm in ARMS]
            section.rows.append([scenario.name, claim, *cells])
    return section


def _power_table(done: Sequence[Scenario], results: Mapping[str, Results]) -> Section:
    section = Section(
        "power", "Power, and the width of the interval",
        "Share (%) of real gains that were found; at +40 % visits must reach what the notes the project started from measured on "
        "a simulator of their own. On these launches, which have holidays nobody told of and slower noise, the very method of "
        "those notes finds what the next columns say. Half-width: median of the interval for visits "
        "without effect, % of what was expected.",
        ["scenario", "claim", "visits, +15 %", "visits, +40 %", "wanted", "the notes' method: +40 %", "its false alarms",
         "revenue, +15 %", "revenue, +40 %", "half-width"])
    for scenario in done:
        for claim in scenario.claims:
            if claim == "total" and scenario.is_total_withheld:
                continue
            wanted = scenario.power_40.get(claim)
            cells = [_power(results, scenario, arm, f"{claim} {figure}", wanted if (figure, arm) == ("visits", 40) else None)
                     for figure in FIGURES for arm in ARMS[1:]]
            none = results[f"{scenario.name}|0"][f"{claim} visits"]
            half = float(np.nanmedian((none[:, HIGH] - none[:, LOW]) / 2 / none[:, BASE])) if not np.isnan(none).all() else np.nan
            sketch = [_sketch(results, scenario, arm, claim) for arm in (40, 0)]
            section.rows.append([scenario.name, claim, *cells[:2], "-" if wanted is None else f"{wanted:g}", *sketch, *cells[2:],
                                 Cell(100 * half, float("nan"))])
    return section


def _power(results: Mapping[str, Results], scenario: Scenario, arm: int, what: str, wanted: float | None) -> Cell:
    rows = _rows(results, scenario, arm, what)
    return Cell(float("nan"), float("nan")) if rows is None else power(is_found(rows), wanted)


def _sketch(results: Mapping[str, Results], scenario: Scenario, arm: int, claim: str) -> Cell:
    rows = _rows(results, scenario, arm, "sketch")
    if rows is None or claim == "process":
        return Cell(float("nan"), float("nan"))
    return shown(is_found(rows) if arm else np.nan_to_num(excludes_zero(rows)))


def _rows(results: Mapping[str, Results], scenario: Scenario, arm: int, what: str) -> FloatArray | None:
    return results.get(f"{scenario.name}|{arm}", {}).get(what)


def _signed(arm: int) -> str:
    return f"+{arm} %" if arm else "none"
