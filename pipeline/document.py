"""The measurement as a document: plain JSON, the same bytes for the same measurement, on every engine.

No clock, no run id, no machine: what stands in it follows from the warehouse, `as_of` and the configuration.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import date
from importlib import metadata
from math import isfinite
from typing import Any

import numpy as np

from pipeline import costed, evidence, pools, queries
from pipeline.cashflow import HORIZON_MONTHS
from pipeline.checks import N_EXAMPLES, penalty
from pipeline.claims import Claim, Expected, MetricResult
from pipeline.daily import Days
from pipeline.funnel import OwnFunnel
from pipeline.journeys import UNKNOWN
from pipeline.measurement import Measurement
from pipeline.metrics import RATE, Figure
from pipeline.periods import Periods, Span
from pipeline.queries import POOLS
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
        "daily": _daily(measurement.days),
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
        "guards": [evidence.guard(guard) for guard in measurement.guards],
        "control": evidence.control(measurement),
        "control_candidates": [evidence.candidate(measurement, candidate) for candidate in measurement.candidates],
        "looks": evidence.looks(headline),
        "power": evidence.power(measurement.power),
        "placebo": evidence.placebo(measurement.placebo),
        "sensitivity": [evidence.variation(one) for one in measurement.sensitivity],
        "panel": evidence.panel(measurement.panel),
        "holdout": evidence.holdout(measurement.holdout),
        "forecast": evidence.forecast(measurement.forecast),
        "verdict": {
            "code": measurement.verdict.code,
            "reason": {"code": measurement.verdict.reason.code, "figures": dict(measurement.verdict.reason.figures)},
        },
        "trust": {
            "score": measurement.trust_score,
            "findings": [_finding(measurement, n) for n in range(len(measurement.findings))],
        },
        "hurdles": [hurdle.facts() for hurdle in measurement.hurdles],
        "unclosed": _unclosed(measurement),
        "priors": evidence.priors(measurement),
        "definitions": {name: _definition(result) for name, result in measurement.metrics.items()},
        "provenance": _provenance(measurement),
        **costed.uncounted(measurement),
        **costed.ad_spend(measurement),
    }
    if not measurement.own.is_empty:
        found["business_funnel"] = evidence.business_funnel(measurement)
    if measurement.support is not None:
        found["support"] = pools.support(measurement.support)
    if measurement.efficiency is not None:
        found["efficiency"] = pools.efficiency(measurement.efficiency)
    plain = plain_json(found)
    assert isinstance(plain, dict)
    return plain


def document_bytes(found: Mapping[str, Json]) -> bytes:
    """The canonical bytes of a document (UTF-8)."""
    return json.dumps(found, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")


def plain_json(value: Any) -> Json:
    """JSON values only, as a document holds them: dates as text, floats rounded, what is not finite as null."""
    if isinstance(value, Mapping):
        return {str(key): plain_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if isinstance(value, np.ndarray):
        return [plain_json(item) for item in value.tolist()]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        rounded = float(f"{value:.{SIGNIFICANT_DIGITS}g}") if isfinite(value) else None
        return 0.0 if rounded == 0 else rounded  # no negative zero
    return value


def _launch(measurement: Measurement) -> Json:
    launch = measurement.launch
    return {**launch.facts(), "costs": costed.costs(measurement), "scope": asdict(launch.scope)}


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


def _metric(measurement: Measurement, name: str, result: MetricResult) -> Json:
    """Both sides, the effect with its method, and the weekly sums."""
    effect = result.effect
    headline, periods = measurement.headline, measurement.periods
    if headline is not None and name in ("revenue", "gross_profit"):
        effect = headline.effect.revenue if name == "revenue" else headline.effect.profit
    return {
        "pre": _figure(result.pre),
        "post": _figure(result.post, has_weeks=bool(periods.post_weeks)),
        "effect": evidence.effect_values(effect),
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


def _daily(days: Days | None) -> Json:
    """Columns of one value a day; counts as whole numbers, which is half as long."""
    if days is None:
        return None
    columns = {name: (values if name == "revenue" else values.astype(int)).tolist() for name, values in days.columns.items()}
    return {"start": days.start, "mature_until": days.mature_until, "columns": columns}


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
        "visits": evidence.effect_values(effect.visits),
        "revenue": evidence.effect_values(effect.revenue),
        "profit": evidence.effect_values(effect.profit),
        "factors": {name: evidence.factor(measurement, name, factor) for name, factor in effect.factors.items()},
        "money": _money(measurement, claim),
    }


def _money(measurement: Measurement, claim: Claim | None) -> Json:
    """Money of a claim. Without a margin nothing that needs profit is given: revenue is not profit."""
    if claim is None:
        return None
    money = claim.money
    has_margin = measurement.launch.margin is not None
    payback = money.payback if has_margin else None
    return {
        "incremental_revenue": evidence.interval(money.incremental_revenue),
        "incremental_profit": evidence.interval(money.incremental_profit),
        "saved_hours": money.saved,
        "is_saved_cash": money.is_saved_cash,
        "benefit": evidence.interval(money.benefit) if has_margin else None,
        "cost": money.cost,
        "net": evidence.interval(money.net) if has_margin else None,
        "npv": evidence.interval(money.npv) if has_margin else None,
        "irr": evidence.interval(money.irr) if has_margin else None,
        "p_irr_undefined": money.p_irr_undefined if has_margin else None,
        "discount_rate": money.discount_rate,
        "horizon_months": HORIZON_MONTHS,
        "roi": evidence.interval(money.roi) if has_margin else None,
        "payback_months": None if payback is None else {"estimate": payback.median, "low": payback.low, "high": payback.high},
        "p_never_pays_back": None if payback is None else payback.p_never,
        "break_even_margin": money.break_even_margin,
        "break_even_effect": money.break_even_effect,
        "break_even_monthly": money.break_even_monthly,
        "monthly_benefit": evidence.interval(money.monthly_benefit) if has_margin else None,
        "monthly_cost": money.monthly_cost,
        "one_off_cost": money.one_off_cost,
        "margin": money.margin,
        "window_days": money.window_days,
        "window_months": money.window_days / MONTH_DAYS,
        "not_counted": list(money.not_counted),
        "missing": _missing(measurement, money),
        **costed.ad_month(money),
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
        {"dimension": "factor", "key": part.factor, **evidence.interval(part.amount)} for part in claim.money.contributions
    ]
    for dimension, parts in claim.segments.items():
        rows += [{"dimension": dimension, "key": key, **evidence.interval(amount)} for key, amount in parts.items()]
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


def _unclosed(measurement: Measurement) -> Json:
    """Visits that nobody closed by manager, most first, with some of their ids for those who close them now."""
    by_owner: dict[str, list[str]] = {}
    for row in measurement.unclosed:
        by_owner.setdefault(row.owner_id or UNKNOWN, []).append(row.record_id or "")
    rows = [{"key": owner, "title": measurement.owner_names.get(owner), "n": len(ids), "examples": ids[:N_EXAMPLES]}
            for owner, ids in by_owner.items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row["n"], row["key"]))


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
        "code_version": version(),
        "sql_hash": _sql_hash(measurement.own, [pool for pool in POOLS if getattr(measurement, pool) is not None]),
        "n_leads": measurement.n_leads,
        "n_stage_changes": sum(source.n_stage_changes for source in measurement.sources),
        "sources": [asdict(source) for source in measurement.sources],
        "stages": [asdict(use) for use in measurement.stages],
    }


def version() -> str:
    try:
        return metadata.version("payback")
    except metadata.PackageNotFoundError:
        return "checkout"


def _sql_hash(own: OwnFunnel, pools: Collection[str]) -> str:
    """SHA-256 (16 hex digits) of every query a measurement with this funnel and these pools runs."""
    digest = hashlib.sha256()
    for name in (*queries.measured_names(pools), *(queries.names("funnel") if own.steps else ())):
        digest.update(f"{name}\n{queries.load(name).text}\n".encode())
    for one in own.metrics:
        digest.update(f"{one.query.name}\n{one.query.text}\n".encode())
    return digest.hexdigest()[:16]
