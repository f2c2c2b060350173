"""What stands behind a claim, as JSON values: effects, guards, controls, looks, placebo launches, comparisons, priors."""

from dataclasses import asdict
from datetime import date, timedelta
from typing import Any

from pipeline.claims import Claim
from pipeline.controls import Candidate
from pipeline.effects import Effect, Interval
from pipeline.forecast import BANDS, FASTEST_HALF_LIFE_MONTHS, HALF_LIFE_MONTHS, HORIZONS, Forecast, Line, Repeats, Worth
from pipeline.holdout import HoldoutEffect, TooFewLeads
from pipeline.looks import PlaceboPanel
from pipeline.measurement import Measurement
from pipeline.modes import CHECK, CONTROL, RATE, TOTAL
from pipeline.panel import Panel
from pipeline.power import Power
from pipeline.recording import Guard
from pipeline.returning import Tried
from pipeline.sensitivity import Variation

Json = Any  # a JSON value


def interval(found: Interval | None) -> Json:
    return None if found is None else {"estimate": found.estimate, "low": found.low, "high": found.high}


def effect_values(effect: Effect | None) -> Json:
    if effect is None:
        return None
    return {
        **interval(effect.interval),
        "relative": interval(effect.relative),
        "null": interval(effect.null),
        "observed": effect.observed,
        "counterfactual": effect.counterfactual,
        "detectable": effect.detectable,
        "p_value": effect.p_value,
        "n_pre_weeks": effect.n_pre_weeks,
        "n_post_weeks": effect.n_post_weeks,
        "widening": effect.widening,
    }


def guard(guard: Guard) -> Json:
    return {"code": guard.code, "claim": guard.claim, "action": guard.action, "figures": dict(guard.figures)}


def control(measurement: Measurement) -> Json:
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


def candidate(measurement: Measurement, candidate: Candidate) -> Json:
    used = measurement.control
    return {
        "dimension": candidate.dimension,
        "key": candidate.key,
        "is_fit": candidate.is_fit,
        "is_used": used is not None and used.dimension == candidate.dimension and candidate.key in used.keys,
        "reasons": [{"code": one.code, "is_for": one.is_for, "figures": dict(one.figures)} for one in candidate.reasons],
    }


def looks(claim: Claim | None) -> Json:
    if claim is None:
        return None
    looks = claim.looks
    return {
        "n_looks": looks.n_looks,
        "level": looks.level,
        "benefit_month": interval(looks.benefit_month),
        "relative": interval(looks.relative),
    }


def power(power: Power | None) -> Json:
    if power is None:
        return None
    return {
        "detectable": power.detectable,
        "break_even_relative": power.break_even_relative,
        "curve": [asdict(point) for point in power.curve],
        "more_weeks": power.more_weeks,
        "best_way": power.best_way,
    }


def placebo(panel: PlaceboPanel | None) -> Json:
    if panel is None:
        return None
    return {
        "figure": "visit_conversion",
        "n_post_weeks": panel.n_post_weeks,
        "points": [asdict(point) for point in panel.points],
        "n": len(panel.points),
        "n_alarms": panel.n_alarms,
    }


def panel(panel: Panel | None) -> Json:
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
                "interval": interval(effect.interval),
                "relative": effect.relative,
                "relative_interval": interval(effect.relative_interval),
                "p_value": effect.p_value,
                "inference": effect.inference.code,
                "can_prove": effect.inference.can_prove,
            }
            for effect in panel.effects
        ],
    }


def variation(one: Variation) -> Json:
    return {
        "code": one.code,
        "figures": dict(one.figures),
        "relative": interval(one.relative),
        "profit": interval(one.profit),
        "roi": interval(one.roi),
    }


def holdout(found: HoldoutEffect | TooFewLeads | None) -> Json:
    if found is None:
        return None
    if isinstance(found, TooFewLeads):
        return {"too_few_leads": asdict(found)}
    return {
        "n_treated": found.n_treated,
        "n_held": found.n_held,
        "n_weeks": found.n_weeks,
        "treated_rate": found.treated_rate,
        "held_rate": found.held_rate,
        "difference": interval(found.difference),
        "relative": interval(found.relative),
        "extra_reached": interval(found.extra_reached),
        "extra_revenue": interval(found.extra_revenue),
        "p_value": found.p_value,
        "sample_ratio": {**asdict(found.ratio), "is_mismatch": found.ratio.is_mismatch},
    }


def factor(measurement: Measurement, name: str, effect: Effect | None) -> Json:
    """A factor's effect, with what its sister series taught."""
    past = measurement.pasts.get(name)
    if effect is None or past is None:
        return effect_values(effect)
    return {**effect_values(effect), "past": {"evidence": past.evidence, "squares": past.squares, "n": past.n}}


def priors(measurement: Measurement) -> Json:
    """Prior weights and scales of each temperament by kind of series, calm first."""
    n_pre, total = len(measurement.periods.pre_weeks), measurement.rung.total
    rows: list[Json] = []
    for mode in (TOTAL, CONTROL, RATE, CHECK):
        season = total.season if mode is TOTAL and total is not None else 0.0
        for n, (temper, weight) in enumerate(zip(mode.tempers(season, n_pre), mode.prior(n_pre), strict=True), start=1):
            rows.append({"mode": mode.name, "temper": n, "weight": float(weight), **temper._asdict()})
    return rows


def business_funnel(measurement: Measurement) -> Json:
    """The business's own steps, metrics and names; `names` are by language, "" stands for every one."""
    own, counts = measurement.own, {count.key: count for count in measurement.steps}
    return {
        "steps": [
            {"key": step.key, "role": step.role or None, "names": dict(step.names), "pre": counts[step.key].pre,
             "post": counts[step.key].post, "is_mapped": counts[step.key].is_mapped}
            for step in own.steps
        ],
        "metrics": [
            {"name": one.name, "names": dict(one.titles), "reached": one.steps and one.steps[0], "of": one.steps and one.steps[1]}
            for one in own.metrics if one.name in measurement.metrics
        ],
        "titles": {name: dict(names) for name, names in own.titles.items()},
    }  # fmt: skip


def forecast(found: Forecast | None) -> Json:
    """What lies ahead. `net` of a line: its quantiles, by the text of each, at month 0, 1 ... 12."""
    if found is None:
        return None
    launch = found.launch
    return {
        "missing": found.missing,
        "horizons": list(HORIZONS),
        "half_life_months": HALF_LIFE_MONTHS,
        "fastest_half_life_months": FASTEST_HALF_LIFE_MONTHS,
        "launch": None if launch is None else {
            "claim": launch.claim,
            "is_proven": launch.is_proven,
            "window_months": launch.window_months,
            "new_share": launch.new_share,
            "new_customers_a_month": interval(launch.new_customers),
            "no_repeats": launch.no_repeats,
            "lines": [_line(line) for line in launch.lines],
        },
        "repeats": _repeats(found.repeats),
    }  # fmt: skip


def _line(line: Line) -> Json:
    back = line.payback
    return {
        "half_life_months": line.half_life_months,
        "net": None if line.net is None else {f"{band:g}": path for band, path in zip(BANDS, line.net, strict=True)},
        "at": [
            {
                "months": at.months,
                "effect": interval(at.effect),
                "repeats": interval(at.repeats),
                "cost": at.cost,
                "net": interval(at.net),
                "roi": interval(at.roi),
            }
            for at in line.at
        ],
        "payback_months": None if back is None else {"estimate": back.median, "low": back.low, "high": back.high},
        "p_not_within": None if back is None else back.p_never,
    }


def _repeats(found: Repeats) -> Json:
    model = found.parameters
    curve = None if found.curve is None else dict(zip(("estimate", "low", "high"), found.curve, strict=True))
    return {
        "missing": found.missing,
        "n_customers": found.n_customers,
        "n_visits": found.n_visits,
        "n_unknown": found.n_unknown,
        "months": found.months,
        "model": found.model,
        "parameters": None if model is None else {name: getattr(model, name) for name in ("r", "alpha", "a", "b")},
        "curve": curve,
        "watched_months": found.watched,
        "reach_months": found.reach,
        "decay_a_month": found.decay,
        "shock": found.shock,
        "season": found.season,
        "widening": found.widening,
        "check": interval(found.check),
        "value": [_worth(one) for one in found.value],
        "known": [_worth(one) for one in found.known],
        "tried": [_tried(one) for one in found.tried],
    }


def _worth(found: Worth) -> Json:
    return {"months": found.months, "visits": interval(found.visits), "money": interval(found.money)}


def _tried(found: Tried) -> Json:
    return {
        "model": found.model,
        "on": date(1970, 1, 1) + timedelta(days=found.origin_day),
        "months": found.months,
        "n_customers": found.n_customers,
        "visits": found.observed,
        "predicted": interval(found.predicted),
        "money": found.observed_money,
        "predicted_money": interval(found.predicted_money),
        "naive": found.naive,
        "surprise": float(found.surprise),
    }
