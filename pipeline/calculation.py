"""A computed plan as a document: what `payback calc --json` prints."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from pipeline.calculator import N_DRAWS, Outcome
from pipeline.expressions import Value
from pipeline.scenarios import RESULTS

SCHEMA_VERSION = 1


def document_of(outcome: Outcome, currency: str, hurdles: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Inputs as they were read, lines and results with reasons and ranges, chances, tornado, what money earns elsewhere.

    What does not exist is null.
    """
    scenario = outcome.scenario
    inputs = {name: {"kind": asked.kind, **_quantity(outcome, name)} for name, asked in scenario.inputs.items()}
    lines = {
        name: {"kind": line.kind, "formula": line.expression.text, **_figure(outcome, name)}
        for name, line in scenario.lines.items()
    }
    results = {name: {"kind": kind, **_figure(outcome, name)} for name, kind in RESULTS.items() if name in outcome.points}
    return {
        "schema_version": SCHEMA_VERSION, "scenario": scenario.name, "currency": currency, "inputs": inputs,
        "season": list(outcome.season), "lines": lines, "results": results, "is_revenue_based": outcome.is_revenue_based,
        "not_counted": [name for name in scenario.inputs if name not in outcome.quantities],
        "probability": {"net_positive": outcome.p_net_positive, "payback_within": outcome.p_payback_within,
                        "within_months": outcome.quantities["payback_within"].middle},
        "tornado": [{"input": s.name, "low": s.low, "high": s.high, "net_at_low": s.net_at_low, "net_at_high": s.net_at_high}
                    for s in outcome.tornado],
        "flows": [flow if isfinite(flow) else None for flow in outcome.flows.tolist()],
        "hurdles": [{**hurdle, "on": hurdle["on"].isoformat()} for hurdle in hurdles],
        "draws": N_DRAWS if outcome.draws else 0, "seed": outcome.seed,
    }  # fmt: skip


def _quantity(outcome: Outcome, name: str) -> Mapping[str, Any]:
    known = outcome.quantities.get(name)
    if known is None:
        return {"shape": None, "low": None, "middle": None, "high": None}
    return {"shape": known.shape, "low": known.low, "middle": known.middle, "high": known.high}


def _figure(outcome: Outcome, name: str) -> dict[str, Any]:
    found: dict[str, Any] = figure(outcome.points[name])
    for share, key in ((0.8, "interval_80"), (0.95, "interval_95")):
        ends = outcome.interval(name, share)
        found[key] = None if ends is None else {"low": ends[0], "median": ends[1] if isfinite(ends[1]) else None, "high": ends[2]}
    return found


def figure(value: Value) -> dict[str, Any]:
    """A figure or why there is none."""
    return {"value": value.point, "reason": value.reason if value.point is None else None}
