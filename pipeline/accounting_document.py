"""The accounting of a programme as a document: plain JSON, the same bytes for the same measurement."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import date
from itertools import combinations
from math import ceil
from typing import Any

import numpy as np

from pipeline.accounting import DEFAULT_POOL, WEEK, ModuleMoney, ProgrammeMeasurement, net_and_roi
from pipeline.document import plain_json, version
from pipeline.effects import interval_of
from pipeline.ladder import MIN_VISITS, MIN_WEEKS
from pipeline.modules import Piece, Step
from pipeline.roi import at_median

Json = Any
SCHEMA_VERSION = 1
# Of the zones that two modules share, what the report says is the rule of the first that any of them falls under.
PAIR_RULES = ("joint", "elsewhere", "in_turn", "too_few")


def programme_document(measured: ProgrammeMeasurement) -> dict[str, Json]:
    """The measurement as JSON values; floats rounded to 10 significant digits. Deterministic."""
    account, modules = measured.account, measured.modules
    periods = measured.periods
    found = {
        "schema_version": SCHEMA_VERSION,
        "kind": "programme",
        "programme": {"name": measured.programme.name, "title": measured.programme.title},
        "as_of": measured.as_of.text,
        "seen_until": measured.as_of.seen_until.isoformat(timespec="microseconds"),
        "known_on": measured.known_on,
        "currency": measured.currency,
        "timezone": measured.timezone,
        "margin": measured.margin,
        "is_revenue_based": measured.margin is None,
        "horizon": asdict(measured.horizon),
        "periods": {
            "pre": {"start": periods.pre.start, "end": periods.pre.end, "n_weeks": len(periods.pre_weeks)},
            "post": {"start": periods.post.start, "end": periods.post.end, "n_weeks": account.effect.visits.n_post_weeks},
        },
        "modules": [_module(measured, one) for one in modules],
        "joint": [_joint(measured, names) for names in account.draws if len(names) > 1],
        "rest": asdict(account.rest_amount),
        "money": _money(measured),
        "steps": [_step(measured, step) for step in account.steps],
        "pairs": [_pair(measured, one, other) for one, other in combinations(modules, 2)],
        "definitions": {name: {"title": measured.metric_titles[name]} for name in sorted(measured.metric_titles)},
        "trust": {"score": measured.trust_score},
        "provenance": {"config_hash": measured.config_hash, "code_version": version()},
    }
    plain = plain_json(found)
    assert isinstance(plain, dict)
    return plain


def _money(measured: ProgrammeMeasurement) -> Json:
    """The whole; net and ROI need a margin and a cost."""
    saved = sum(one.saved for one in measured.modules)
    costs = [one.cost for one in measured.modules if one.cost is not None]
    cost = sum(costs) if any(one.cost is not None and one.state != "not_begun" for one in measured.modules) else None
    net = measured.account.whole + saved - cost if cost is not None and measured.margin is not None else None
    revenue = measured.account.effect.revenue
    assert revenue is not None
    return {
        "amount": asdict(measured.account.whole_amount),
        "revenue": {"observed": revenue.observed, "expected": revenue.counterfactual},
        "saved": saved,
        "cost": cost,
        "net": None if net is None else asdict(interval_of(net)),
        "roi": None if net is None or not cost else asdict(interval_of(net / cost)),
    }


def _module(measured: ProgrammeMeasurement, one: ModuleMoney) -> Json:
    launch = one.launch
    return {
        "name": launch.name, "title": launch.title, "started_on": launch.started_on, "scope": asdict(launch.scope),
        "pool": list(measured.programme.pool.get(launch.name) or DEFAULT_POOL), "state": one.state, "n_weeks": one.n_weeks,
        "n_leads": one.n_leads, "amount": one.amount and asdict(one.amount), "saved": one.saved, "cost": one.cost,
        "not_counted": list(one.not_counted), "net": one.net and asdict(one.net), "roi": one.roi and asdict(one.roi),
    }  # fmt: skip


def _joint(measured: ProgrammeMeasurement, names: tuple[str, ...]) -> Json:
    """One figure for modules that cannot be told apart; their ROI together where neither has leads of its own elsewhere."""
    account = measured.account
    mine = [one for one in measured.modules if one.launch.name in names]
    is_all = all(set(names) & set(other) == set() for other in account.draws if other != names) and all(
        names in step.amounts for step in account.steps if set(names) & set(step.modules)
    )
    costs = [one.cost for one in mine if one.cost is not None]
    net = roi = None
    if is_all and measured.margin is not None and len(costs) == len(mine):
        saved = sum(one.saved for one in mine)
        net, roi = net_and_roi(account.amounts[names], account.draws[names], saved, sum(costs))
    return {
        "modules": list(names), "amount": asdict(account.amounts[names]), "cost": sum(costs) if costs else None,
        "net": net and asdict(net), "roi": roi and asdict(roi),
        "n_weeks_apart": _weeks_apart(measured, names),
    }  # fmt: skip


def _weeks_apart(measured: ProgrammeMeasurement, names: Sequence[str]) -> int:
    """Weeks between two starts that would be enough on most of their shared leads: those that count, and that of the start."""
    paces = [float(zone.funnel.visited.mean()) for zone in measured.zones if set(names) <= zone.modules]
    pace = max(paces, default=0.0)
    return max(MIN_WEEKS, ceil(MIN_VISITS / pace) if pace else MIN_WEEKS) + 1


def _step(measured: ProgrammeMeasurement, step: Step) -> Json:
    def day(week: int) -> date:
        return measured.periods.pre.start + WEEK * week

    revenue = None if step.effect is None else step.effect.revenue
    return {
        "n_leads": step.n_leads,
        "revenue": None if revenue is None else {"observed": revenue.observed, "expected": revenue.counterfactual},
        "pieces": [_piece(measured, step, piece, day) for piece in step.pieces],
        "zone": sorted(step.zone), "modules": list(step.modules), "rule": step.rule, "known_from": list(step.known_from),
        "before": {"start": day(step.pre_start), "end": day(step.pre_end), "n_weeks": step.n_pre_weeks},
        "after": {"start": day(step.settled), "end": max(day(step.end), day(step.settled)), "n_weeks": step.n_post_weeks},
        "relative": revenue.relative and asdict(revenue.relative) if revenue is not None else None,
        "amounts": [{"modules": list(names), **asdict(interval_of(draws))} for names, draws in step.amounts.items()],
        "pool": [
            {"modules": list(one.modules), "metric": one.metric, "unit": one.unit, "better": one.better,
             "observed": one.effect.observed, "expected": one.effect.counterfactual,
             "estimate": one.effect.estimate, "low": one.effect.low, "high": one.effect.high}
            for one in measured.pool[step.zone, step.modules]
        ],
    }  # fmt: skip


def _piece(measured: ProgrammeMeasurement, step: Step, piece: Piece, day: Callable[[int], date]) -> Json:
    """Revenue without the step and with it (seen, or by its ratio), and the amounts: all read where the whole has its median, so
    that the amounts of a module sum to its own, and each follows from the revenue."""
    *estimates, expected = at_median(np.stack([*piece.amounts.values(), piece.base * piece.n_leads]), measured.account.whole)
    reached = expected + sum(estimates) / (measured.margin or 1.0)
    if piece is step.pieces[0] and step.effect is not None and step.effect.revenue is not None:
        reached = step.effect.revenue.observed
    return {
        "start": day(piece.start), "end": day(piece.end), "n_leads": piece.n_leads,
        "revenue": {"without": float(expected), "with": float(reached)},
        "amounts": [{"modules": list(names), "estimate": float(estimate)}
                    for names, estimate in zip(piece.amounts, estimates, strict=True)],
    }  # fmt: skip


def _pair(measured: ProgrammeMeasurement, one: ModuleMoney, other: ModuleMoney) -> Json:
    """The rule that two modules fall under."""
    names = {one.launch.name, other.launch.name}
    zones = {step.zone for step in measured.account.steps if names <= step.zone}
    codes = {_rule(names, [step for step in measured.account.steps if step.zone == zone]) for zone in zones}
    code = next((code for code in PAIR_RULES if code in codes), "apart")
    if "not_begun" in (one.state, other.state):
        code = "not_begun"
    return {"modules": [one.launch.name, other.launch.name], "code": code,
            "n_weeks_apart": _weeks_apart(measured, sorted(names))}  # fmt: skip


def _rule(names: set[str], steps: Sequence[Step]) -> str:
    """How two modules are told apart in one zone."""
    mine = [step for step in steps if names & set(step.modules)]
    if any(step.rule == "too_few" for step in mine):
        return "too_few"
    together = next((step for step in mine if names <= set(step.modules)), None)
    if together is None:
        return "in_turn"
    return "joint" if any(names <= set(found) for found in together.amounts) else "elsewhere"
