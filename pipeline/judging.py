"""Which claim may be made, after everything that speaks against it was heard; and how far it can be trusted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

from pipeline.account import find_control, learn_pasts, recorded
from pipeline.claims import Claim, ClaimName, Ground, MetricResult, climb
from pipeline.controls import Candidate, Control
from pipeline.effects import Funnel, ProcessEffect, at_margin
from pipeline.guards import OtherLaunch, Signals, shared_scope, strong_growth
from pipeline.guards import guards as run_guards
from pipeline.ladder import Rung
from pipeline.launches import Launch
from pipeline.llq import Past
from pipeline.looks import PlaceboPanel, placebo_panel
from pipeline.periods import Periods
from pipeline.power import Power, claim_detectable
from pipeline.power import power as find_power
from pipeline.recording import Guard
from pipeline.roi import Money
from pipeline.sensitivity import Choices, Variation
from pipeline.sensitivity import sensitivity as run_sensitivity
from pipeline.weekly import WeeklyCounts, WeeklyRate, Weeks

if TYPE_CHECKING:
    from pipeline.warehouse import Reading


@dataclass(frozen=True, slots=True)
class Judged:
    """The rung after the guards, with what they and the claims are made from."""

    rung: Rung
    season: float = 0.0
    guards: tuple[Guard, ...] = ()
    control: Control | None = None
    candidates: tuple[Candidate, ...] = ()
    pasts: Mapping[str, Past | None] = field(default_factory=dict)
    placebo: PlaceboPanel | None = None


def judge(
    reading: "Reading", launch: Launch, launches: Sequence[Launch], funnel: Funnel, weeks: Weeks, periods: Periods,
    known_on: date, measured: Mapping[str, MetricResult], season: float,
) -> Judged:  # fmt: skip
    """Look for a control, run the guards, learn from the account, climb again."""
    cells = {name: result.cells for name, result in measured.items()}
    control, candidates = find_control(reading, launch, funnel.leads, periods, weeks, season)
    pasts = learn_pasts(cells, funnel, periods.weeks, weeks, season)
    visits = WeeklyRate(funnel.visited, funnel.leads)
    placebo = placebo_panel(visits, weeks, periods.weeks, pasts.get("visit_rate"))
    signals = Signals(
        recorded(reading, cells, periods.weeks),
        season,
        visits,
        None if control is None else WeeklyCounts(control.leads),
        periods,
        tuple(_others(launch, launches)),
        None if placebo is None else (len(placebo.points), placebo.n_alarms),
    )
    fired = run_guards(signals, weeks)
    if control is not None and control.is_weak:
        figures = {"own_noise": control.own_noise, "weekly_drift": control.weekly_drift}
        fired = (*fired, Guard("weak_control", "total", "indicative", figures))
    if any(guard.code == "contaminated_control" for guard in fired):
        control = None
        fired = tuple(replace(guard, action="note") if guard.code == "contaminated_control" else guard for guard in fired)
        growth = strong_growth(signals.recorded.leads, weeks, season, visits)
        fired = fired if growth is None else (*fired, growth)
    rung = climb(measured, periods, known_on, fired, control)
    return Judged(rung, season, fired, control, candidates, pasts, placebo)


def _others(launch: Launch, launches: Sequence[Launch]) -> Iterator[OtherLaunch]:
    """Other launches that touch leads of this one."""
    for other in launches:
        scope = None if other.name == launch.name else shared_scope(asdict(launch.scope), asdict(other.scope))
        if scope is not None:
            yield OtherLaunch(other.name, other.title, other.started_on, scope)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the headline claim can tell with more weeks, and how it moves when one choice changes."""

    power: Power | None = None
    sensitivity: tuple[Variation, ...] = ()


def outlook(
    ground: Ground, claims: Mapping[ClaimName, Claim], parts: Mapping[str, Mapping[str, Funnel]],
    horizons: Mapping[int, tuple[Funnel, Weeks]], can_have_control: bool,
) -> Outlook:  # fmt: skip
    """What the headline claim can tell with more weeks, and how it moves when one choice changes."""
    if ground.rung.headline == "none":
        return Outlook()
    name: ClaimName = ground.rung.headline
    claim, rule = claims[name], ground.rung.total
    is_total = name == "total" and rule is not None
    season = rule.season if is_total and rule is not None and ground.control is None else None
    against = ground.control.leads if is_total and ground.control is not None else None
    found = find_power(
        claim_detectable(ground.funnel, season=season, control=against), ground.weeks, ground.funnel.leads.size, claim=name,
        now=claim.effect.money_or_visits.detectable, break_even=claim.money.break_even_effect,
        has_control=ground.control is not None, can_have_control=can_have_control,
    )  # fmt: skip

    def again(funnel: Funnel, weeks: Weeks, margin: float | None, factor: float) -> tuple[ProcessEffect, Money] | None:
        if funnel is ground.funnel and weeks is ground.weeks and factor == 1.0 and margin is not None:
            return ground.money(name, at_margin(claim.effect, margin))
        # Under a longer horizon the series ends earlier than the control's.
        fits = name == "process" or ground.control is None or funnel.leads.size == ground.funnel.leads.size
        return ground.claim(name, funnel, weeks, margin, factor) if fits else None

    choices = Choices(ground.funnel, ground.weeks, ground.launch.margin, season is not None, parts, horizons)
    return Outlook(found, run_sensitivity(choices, (claim.effect, claim.money), again))
