"""The measurement as a document: plain JSON, the same bytes for the same measurement, on every engine.

No clock, no run id, no machine: what stands in it follows from the warehouse, `as_of` and the configuration.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date
from importlib import metadata
from math import isfinite
from typing import Any

import numpy as np

from pipeline import llq, queries
from pipeline.cashflow import HORIZON_MONTHS
from pipeline.checks import penalty
from pipeline.claims import Claim, Expected, MetricResult
from pipeline.controls import Candidate
from pipeline.effects import Effect, Interval
from pipeline.holdout import HoldoutEffect
from pipeline.looks import PlaceboPanel
from pipeline.measurement import Measurement
from pipeline.metrics import RATE, Figure
from pipeline.panel import Panel
from pipeline.periods import Periods, Span
from pipeline.power import Power
from pipeline.recording import Guard
from pipeline.roi import MONTH_DAYS, Money

SCHEMA_VERSION = 2
# Two engines agree on sums to the last bit, not on every logarithm: what is printed is far coarser than that.
SIGNIFICANT_DIGITS = 10

Json = Any  # a JSON value


def document(measurement: Measurement) -> dict[str, Json]:
    """The measurement as JSON values; floats rounded to 10 significant digits."""
    headline = measurement.headline
    found = {
        "schema_version": SCHEMA_VERSION,
        "launch": _launch(measurement),
        "as_of": measurement.as_of.text,
        "seen_until": measurement.as_of.seen_until.isoformat(timespec="microseconds"),
        "known_on": measurement.known_on,
        "currency": measurement.currency,
        "timezone": measurement.timezone,
        "periods": _periods(measurement.periods),
        "horizon": {**asdict(measurement.horizon)},
        "metrics": {name: _metric(measurement, name, result) for name, result in measurement.metrics.items()},
        "by": {dimension: _by(measurement, dimension) for dimension in ("channel", "branch", "owner")},
        "weekly": _weekly(measurement),
        "funnel": _funnel(measurement),
        "rung": {
            "code": measurement.rung.code,
            "headline": measurement.rung.headline,
            "reasons": [{"code": reason.code, "figures": dict(reason.figures)} for reason in measurement.rung.reasons],
        },
        "claims": {name: _claim(measurement, claim) for name, claim in measurement.claims.items()},
        "claim": measurement.rung.headline,
        "money": _money(measurement, headline),
        "probability": {
            "roi_positive": headline.money.p_roi_positive if headline and measurement.launch.margin is not None else None,
            "payback_within_12_months": headline.money.p_payback_within_year
            if headline and measurement.launch.margin is not None
            else None,
        },
        "contributions": _contributions(headline) if headline else [],
        "guards": [_guard(guard) for guard in measurement.guards],
        "control": _control(measurement),
        "control_candidates": [_candidate(measurement, candidate) for candidate in measurement.candidates],
        "looks": _looks(headline),
        "power": _power(measurement.power),
        "placebo": _placebo(measurement.placebo),
        "sensitivity": [
            {"code": one.code, "figures": dict(one.figures), "relative": _interval(one.relative), "profit": _interval(one.profit),
             "roi": _interval(one.roi)}
            for one in measurement.sensitivity
        ],
        "panel": _panel(measurement.panel),
        "holdout": _holdout(measurement.holdout),
        "verdict": {
            "code": measurement.verdict.code,
            "reason": {"code": measurement.verdict.reason.code, "figures": dict(measurement.verdict.reason.figures)},
        },
        "trust": {
            "score": measurement.trust_score,
            "findings": [_finding(measurement, n) for n in range(len(measurement.findings))],
        },
        "priors": _priors(measurement),
        "definitions": {name: _definition(result) for name, result in measurement.metrics.items()},
        "provenance": _provenance(measurement),
    }
    plain = _plain(found)
    assert isinstance(plain, dict)
    return plain


def document_bytes(found: Mapping[str, Json]) -> bytes:
    """The canonical bytes of a document (UTF-8)."""
    return json.dumps(found, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")


def _plain(value: Any) -> Json:
    """JSON values only: dates as text, floats rounded, what is not finite as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value.tolist()]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        rounded = float(f"{value:.{SIGNIFICANT_DIGITS}g}") if isfinite(value) else None
        return 0.0 if rounded == 0 else rounded  # no negative zero
    return value


def _launch(measurement: Measurement) -> Json:
    launch = measurement.launch
    return {**asdict(launch), "costs": asdict(launch.costs), "scope": asdict(launch.scope)}


def _span(span: Span) -> Json:
    return {"start": span.start, "end": span.end}


def _periods(periods: Periods) -> Json:
    return {
        "pre": {**_span(periods.pre), "n_weeks": len(periods.pre_weeks)},
        "washout": {**_span(periods.washout), "n_weeks": periods.washout.n_days // 7},
        "post": {**_span(periods.post), "n_weeks": len(periods.post_weeks)},
        "left_out": [{"week": week.week, "reason": week.reason} for week in periods.left_out],
        "horizon_days": periods.horizon_days,
    }


def _figure(figure: Figure | None, *, has_weeks: bool = True) -> Json:
    """A side's value and sums; over no weeks at all a sum is unknown, not zero."""
    if figure is None:
        return None
    return {"value": figure.value, **figure.sums} if has_weeks else dict.fromkeys(("value", *figure.sums))


def _interval(interval: Interval | None) -> Json:
    return None if interval is None else {"estimate": interval.estimate, "low": interval.low, "high": interval.high}


def _effect(effect: Effect | None) -> Json:
    if effect is None:
        return None
    return {
        **_interval(effect.interval),
        "relative": _interval(effect.relative),
        "null": _interval(effect.null),
        "observed": effect.observed,
        "counterfactual": effect.counterfactual,
        "detectable": effect.detectable,
        "p_value": effect.p_value,
        "n_pre_weeks": effect.n_pre_weeks,
        "n_post_weeks": effect.n_post_weeks,
        "widening": effect.widening,
    }


def _guard(guard: Guard) -> Json:
    return {"code": guard.code, "claim": guard.claim, "action": guard.action, "figures": dict(guard.figures)}


def _control(measurement: Measurement) -> Json:
    control = measurement.control
    if control is None:
        return None
    return {
        "dimension": control.dimension,
        "keys": list(control.keys),
        "method": "llq_ratio",
        "n_pre_weeks": control.n_pre_weeks,
        "leads_a_month": control.leads_a_month,
        "own_noise": control.own_noise,
        "is_weak": control.is_weak,
        "per_week": control.leads,
    }


def _candidate(measurement: Measurement, candidate: Candidate) -> Json:
    used = measurement.control
    return {
        "dimension": candidate.dimension,
        "key": candidate.key,
        "is_fit": candidate.is_fit,
        "is_used": used is not None and used.dimension == candidate.dimension and candidate.key in used.keys,
        "reasons": [{"code": one.code, "is_for": one.is_for, "figures": dict(one.figures)} for one in candidate.reasons],
    }


def _looks(claim: Claim | None) -> Json:
    if claim is None:
        return None
    looks = claim.looks
    return {
        "n_looks": looks.n_looks,
        "level": looks.level,
        "benefit_month": _interval(looks.benefit_month),
        "relative": _interval(looks.relative),
    }


def _power(power: Power | None) -> Json:
    if power is None:
        return None
    return {
        "detectable": power.detectable,
        "break_even_relative": power.break_even_relative,
        "curve": [asdict(point) for point in power.curve],
        "more_weeks": power.more_weeks,
        "best_way": power.best_way,
    }


def _placebo(panel: PlaceboPanel | None) -> Json:
    if panel is None:
        return None
    return {
        "figure": "visit_conversion",
        "n_post_weeks": panel.n_post_weeks,
        "points": [asdict(point) for point in panel.points],
        "n": len(panel.points),
        "n_alarms": panel.n_alarms,
    }


def _panel(panel: Panel | None) -> Json:
    if panel is None:
        return None
    return {
        "dimension": panel.dimension,
        "treated": list(panel.treated),
        "n_donors": len(panel.donors),
        "start": panel.start,
        "end": panel.end,
        "effects": [
            {
                "method": effect.method,
                "att": effect.att,
                "total": effect.total,
                "interval": _interval(effect.interval),
                "relative": effect.relative,
                "relative_interval": _interval(effect.relative_interval),
                "p_value": effect.p_value,
                "inference": effect.inference.code,
                "can_prove": effect.inference.can_prove,
            }
            for effect in panel.effects
        ],
    }


def _holdout(found: HoldoutEffect | str | None) -> Json:
    if found is None or isinstance(found, str):
        return None if found is None else {"reason": found}
    return {
        "n_treated": found.n_treated,
        "n_held": found.n_held,
        "n_weeks": found.n_weeks,
        "treated_rate": found.treated_rate,
        "held_rate": found.held_rate,
        "difference": _interval(found.difference),
        "relative": _interval(found.relative),
        "extra_reached": _interval(found.extra_reached),
        "extra_revenue": _interval(found.extra_revenue),
        "p_value": found.p_value,
        "sample_ratio": {**asdict(found.ratio), "is_mismatch": found.ratio.is_mismatch},
    }


def _metric(measurement: Measurement, name: str, result: MetricResult) -> Json:
    """Both sides, the effect with its method, and the weekly sums."""
    effect = result.effect
    headline, periods = measurement.headline, measurement.periods
    if headline is not None and name in ("revenue", "gross_profit"):
        effect = headline.effect.revenue if name == "revenue" else headline.effect.profit
    return {
        "pre": _figure(result.pre),
        "post": _figure(result.post, has_weeks=bool(periods.post_weeks)),
        "effect": _effect(effect),
        "method": effect.method if effect else None,
        "a_week": _a_week(periods, result),
        "unit": result.cells.query.unit,
        "better": result.cells.query.better,
        "per_week": dict(result.weekly),
    }


def _a_week(periods: Periods, result: MetricResult) -> Json:
    """A mean week of each side for a count or a sum: sides differ in length, their totals cannot stand side by side."""
    if result.cells.columns == RATE or result.cells.is_mean:
        return None
    sides = {"pre": (result.pre, periods.pre_weeks), "post": (result.post, periods.post_weeks)}
    return {side: figure.value / len(weeks) if weeks and figure.value is not None else None
            for side, (figure, weeks) in sides.items()}  # fmt: skip


def _by(measurement: Measurement, dimension: str) -> Json:
    """Rows of one dimension, every metric on both sides; `title` is an employee's name where the source tells it."""
    titles = measurement.owner_names if dimension == "owner" else {}
    keys = sorted({key for result in measurement.metrics.values() for key in result.by[dimension]})
    rows = []
    for key in keys:
        sides = {name: result.by[dimension].get(key, (None, None)) for name, result in measurement.metrics.items()}
        rows.append(
            {
                "key": key,
                "title": titles.get(key),
                "metrics": {name: {"pre": _figure(pre), "post": _figure(post)} for name, (pre, post) in sides.items()},
            }
        )
    return rows


def _weekly(measurement: Measurement) -> Json:
    """One row a week for the chart: leads, visits, and the visits expected at the old conversion with their band."""
    periods = measurement.periods
    left_out = {week.week for week in periods.left_out}
    leads, visits = measurement.metrics["leads"].weekly["n"], measurement.metrics["visit_conversion"].weekly["numerator"]
    expected = _expected_by_week(measurement.expected)
    rows = []
    for n, week in enumerate(periods.weeks):
        side = "pre" if week < periods.pre.end else "post" if week >= periods.post.start else "washout"
        row = {"week": week, "side": "left_out" if week in left_out else side, "leads": leads[n], "visited": visits[n]}
        rows.append({**row, "expected": expected.get(week)})
    return rows


def _expected_by_week(expected: Expected | None) -> dict[date, Json]:
    if expected is None:
        return {}
    rows = zip(expected.weeks, expected.mean, expected.low, expected.high, strict=True)
    return {week: {"estimate": float(mean), "low": float(low), "high": float(high)} for week, mean, low, high in rows}


def _funnel(measurement: Measurement) -> Json:
    """Leads at each step on both sides, as counted."""
    steps = {
        "leads": ("leads", "n"),
        "qualified": ("qualified", "numerator"),
        "booked": ("booking_conversion", "numerator"),
        "visited": ("visit_conversion", "numerator"),
        "no_show": ("no_show_rate", "numerator"),
        "paid": ("paid_conversion", "numerator"),
        "revenue": ("revenue", "total"),
    }
    has_post = bool(measurement.periods.post_weeks)
    results = {step: (measurement.metrics[name], column) for step, (name, column) in steps.items()}
    return [
        {"step": step, "pre": result.pre.sums[column], "post": result.post.sums[column] if has_post else None}
        for step, (result, column) in results.items()
    ]


def _claim(measurement: Measurement, claim: Claim) -> Json:
    effect = claim.effect
    return {
        "is_indicative": effect.is_indicative,
        "visits": _effect(effect.visits),
        "revenue": _effect(effect.revenue),
        "profit": _effect(effect.profit),
        "factors": {name: _factor(measurement, name, factor) for name, factor in effect.factors.items()},
        "money": _money(measurement, claim),
    }


def _factor(measurement: Measurement, name: str, effect: Effect | None) -> Json:
    """A factor's effect, with what its sister series taught."""
    past = measurement.pasts.get(name)
    if effect is None or past is None:
        return _effect(effect)
    return {**_effect(effect), "past": {"evidence": past.evidence, "squares": past.squares, "n": past.n}}


def _priors(measurement: Measurement) -> Json:
    """Prior weights and scales of each temperament by kind of series, calm first."""
    n_pre, total = len(measurement.periods.pre_weeks), measurement.rung.total
    rows: list[Json] = []
    for mode in (llq.TOTAL, llq.CONTROL, llq.RATE, llq.CHECK):
        season = total.season if mode is llq.TOTAL and total is not None else 0.0
        for temper, weight in zip(mode.tempers(season), mode.prior(n_pre), strict=True):
            rows.append({"mode": mode.name, "temper": len(rows) % 3 + 1, "weight": float(weight), **temper._asdict()})
    return rows


def _money(measurement: Measurement, claim: Claim | None) -> Json:
    """Money of a claim. Without a margin nothing that needs profit is given: revenue is not profit."""
    if claim is None:
        return None
    money = claim.money
    has_margin = measurement.launch.margin is not None
    payback = money.payback if has_margin else None
    return {
        "incremental_revenue": _interval(money.incremental_revenue),
        "incremental_profit": _interval(money.incremental_profit),
        "saved_hours": money.saved,
        "is_saved_cash": money.is_saved_cash,
        "benefit": _interval(money.benefit) if has_margin else None,
        "cost": money.cost,
        "net": _interval(money.net) if has_margin else None,
        "npv": _interval(money.npv) if has_margin else None,
        "irr": _interval(money.irr) if has_margin else None,
        "p_irr_undefined": money.p_irr_undefined if has_margin else None,
        "discount_rate": money.discount_rate,
        "horizon_months": HORIZON_MONTHS,
        "roi": _interval(money.roi) if has_margin else None,
        "payback_months": None if payback is None else {"estimate": payback.median, "low": payback.low, "high": payback.high},
        "p_never_pays_back": None if payback is None else payback.p_never,
        "break_even_margin": money.break_even_margin,
        "break_even_effect": money.break_even_effect,
        "break_even_monthly": money.break_even_monthly,
        "monthly_benefit": _interval(money.monthly_benefit) if has_margin else None,
        "monthly_cost": money.monthly_cost,
        "one_off_cost": money.one_off_cost,
        "margin": money.margin,
        "window_days": money.window_days,
        "window_months": money.window_days / MONTH_DAYS,
        "not_counted": list(money.not_counted),
        "missing": _missing(measurement, money),
    }


def _missing(measurement: Measurement, money: Money) -> Json:
    """Why a figure is null."""
    reasons: dict[str, str] = {}
    if money.incremental_revenue is None:
        reasons["incremental_revenue"] = reasons["incremental_profit"] = "no_payments"
    if money.cost is None:
        reasons.update(dict.fromkeys(("cost", "net", "roi", "payback_months"), "cost_not_given"))
    elif not money.cost:
        reasons["roi"] = "cost_zero"
    if measurement.launch.margin is None:
        reasons.update(dict.fromkeys(("incremental_profit", "net", "roi", "payback_months"), "margin_missing"))
    return reasons


def _contributions(claim: Claim) -> Json:
    """What each factor, channel and branch brought; the estimates of a dimension sum to the profit (revenue without a margin) of
    the claim, those of the factors to its benefit."""
    rows: list[Json] = [
        {"dimension": "factor", "key": part.factor, **_interval(part.amount)} for part in claim.money.contributions
    ]
    for dimension, parts in claim.segments.items():
        rows += [{"dimension": dimension, "key": key, **_interval(amount)} for key, amount in parts.items()]
    return rows


def _finding(measurement: Measurement, n: int) -> Json:
    finding = measurement.findings[n]
    return {
        "code": finding.code,
        "severity": finding.severity,
        "subject": finding.subject,
        "n": finding.n,
        "detail": dict(finding.detail),
        "points": penalty(finding),
    }


def _definition(result: MetricResult) -> Json:
    query = result.cells.query
    return {
        "title": query.title,
        "unit": query.unit,
        "better": query.better,
        "definition": query.definition,
        "sql": f"{query.name}.sql",
    }


def _provenance(measurement: Measurement) -> Json:
    return {
        "config_hash": measurement.config_hash,
        "code_version": _version(),
        "sql_hash": _sql_hash(),
        "n_leads": measurement.n_leads,
        "n_stage_changes": sum(source.n_stage_changes for source in measurement.sources),
        "sources": [asdict(source) for source in measurement.sources],
        "stages": [asdict(use) for use in measurement.stages],
    }


def _version() -> str:
    try:
        return metadata.version("payback")
    except metadata.PackageNotFoundError:
        return "checkout"


def _sql_hash() -> str:
    """SHA-256 (16 hex digits) of every query a measurement runs."""
    digest = hashlib.sha256()
    for name in [*queries.names(), *queries.names("metrics"), *queries.names("checks")]:
        digest.update(f"{name}\n{queries.load(name).text}\n".encode())
    return digest.hexdigest()[:16]
