"""Costs as they stand in a document: the lines, the result with what was not counted, ads by channel.

Keys appear only where the configuration names such costs, so that a document without them keeps its bytes.
"""

from dataclasses import asdict
from datetime import date
from typing import Any

import numpy as np

from pipeline import evidence
from pipeline.ad_returns import AdReturns, Counted, ad_returns, spend_of
from pipeline.ad_spend import Spend
from pipeline.costs import PARTS, CostLine
from pipeline.ladder import Verdict
from pipeline.measurement import Measurement
from pipeline.roi import Money

Json = Any  # a JSON value


def costs(measurement: Measurement) -> dict[str, Json]:
    """`launch.costs`: the sums as they were filled in, and every named line as it was reckoned with."""
    found: dict[str, Json] = measurement.launch.costs.facts()
    if measurement.headline is not None:
        lines = measurement.headline.money.costs.lines
    else:
        periods = measurement.periods
        post = np.flatnonzero([monday in set(periods.post_weeks) for monday in periods.weeks])
        lines = measurement.costs.over(post).lines
    found.pop("lines", None)
    return {**found, "lines": [_line(line) for line in lines]} if lines else found


def _line(line: CostLine) -> dict[str, Json]:
    parts: Json = {part: None if (found := getattr(line, part)) is None else list(found) for part in PARTS}
    return {**parts, "code": line.code, "kind": line.kind, "state": line.state, "facts": dict(line.facts)}


def ad_month(money: Money) -> dict[str, Json]:
    """`ad_spend_monthly` of a claim whose launch counts ads: claims differ in their windows."""
    found = [line.monthly for line in money.costs.lines if line.kind == "ad_spend"]
    return {"ad_spend_monthly": None if found[0] is None else found[0][0]} if found else {}


def uncounted(measurement: Measurement) -> dict[str, Json]:
    """`uncounted`: money and verdict with every cost that is only a range at its low and at its high end."""
    claim, turned = measurement.headline, measurement.turned
    if claim is None or claim.uncounted is None or turned is None:
        return {}
    has_margin = measurement.launch.margin is not None
    names = [line.code for line in claim.money.costs.lines if line.state == "range"]
    low, high = (_at_end(money, verdict, has_margin) for money, verdict in zip(claim.uncounted, turned, strict=True))
    return {"uncounted": {"lines": names, "low": low, "high": high}}


def _at_end(money: Money, verdict: Verdict, has_margin: bool) -> dict[str, Json]:
    payback = money.payback if has_margin else None
    return {
        "cost": money.cost, "one_off_cost": money.one_off_cost, "monthly_cost": money.monthly_cost,
        "net": evidence.interval(money.net) if has_margin else None,
        "roi": evidence.interval(money.roi) if has_margin else None,
        "payback_months": None if payback is None else {"estimate": payback.median, "low": payback.low, "high": payback.high},
        "break_even_monthly": money.break_even_monthly, "verdict": verdict.code,
    }  # fmt: skip


def ad_spend(measurement: Measurement) -> dict[str, Json]:
    """`ad_spend`: spend and what it brought by channel, before and after the launch."""
    spend, periods = measurement.spend, measurement.periods
    if spend is None:
        return {}
    sides = {"pre": periods.pre_weeks, "post": periods.post_weeks}
    rows = [
        {"channel": channel, "known": [list(span) for span in spend.spans(channel)],
         **{side: _side(measurement, spend, channel, weeks) for side, weeks in sides.items()}}
        for channel in spend.channels
    ]  # fmt: skip
    return {"ad_spend": {"channels": rows, "counted": list(measurement.launch.costs.ad_spend)}}


def _side(measurement: Measurement, spend: Spend, channel: str, weeks: tuple[date, ...]) -> dict[str, Json]:
    """Over the weeks whose spend is known; leads, customers and revenue are those of the same weeks."""
    scope = measurement.launch.scope
    is_part = any((scope.branches, scope.owners, scope.pipelines, scope.sources))
    has_payments = any(use.milestone == "paid" for use in measurement.stages)
    known = tuple(monday for monday in weeks if spend.is_known(channel, (monday,)))
    columns = {"leads": ("leads", "n"), "customers": ("paid_conversion", "numerator"), "revenue": ("revenue", "total")}
    sums = {}
    for name, (metric, column) in columns.items():
        figure = measurement.metrics[metric].cells.figures_by("channel", known).get(channel)
        sums[name] = figure.sums[column] if figure else 0.0
    counted = Counted(sums["leads"], *((sums["customers"], sums["revenue"]) if has_payments else (None, None)))
    is_part = is_part or bool(scope.channels and channel not in scope.channels)
    found: AdReturns = ad_returns(spend_of(spend, channel, known), counted, is_part=is_part, has_weeks=bool(weeks))
    told = {name: value for name, value in asdict(found).items() if name != "counted"}
    return {**told, **asdict(counted), "spend": None if found.spend is None else float(found.spend), "n_weeks": len(known)}
