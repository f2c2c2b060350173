"""A plan: what a month brings, grown by a ramp and a season, against what it costs; for one set of figures or for draws.

Month t of the ramp brings t / ramp of the full effect, times the factor of its calendar month; costs are paid in full from the
first month, one-off ones at the start. The definitions are those of `roi` and `cashflow`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from zlib import crc32

import numpy as np

from pipeline.amounts import Quantity, bounds
from pipeline.cashflow import HORIZON_MONTHS, PAYBACK_HORIZON_MONTHS, irr, npv, payback_of_paths
from pipeline.errors import ConfigError
from pipeline.expressions import NOT_GIVEN, Value, call
from pipeline.scenarios import Scenario
from pipeline.weekly import FloatArray

N_DRAWS = 10_000
SEED = 7
SWING = 0.1  # what a tornado moves a figure by that was given as one number
COSTS = ("one_off_cost", "monthly_cost", "rollout_hours", "hours_a_month")
# Beside inputs that are no range (`is_fixed`) a tornado leaves it alone: not what will happen, but how it is looked at.
DISCOUNT = "discount_rate"
FLAT = (1.0,) * 12


@dataclass(frozen=True, slots=True)
class Swing:
    """What one input alone does to the net when it goes from `low` to `high`, all others at their middle."""

    name: str
    low: float
    high: float
    net_at_low: float
    net_at_high: float

    @property
    def width(self) -> float:
        return abs(self.net_at_high - self.net_at_low)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A computed plan: lines and results at the middle of every input, and over draws where an input is uncertain."""

    scenario: Scenario
    quantities: Mapping[str, Quantity]
    season: tuple[float, ...]
    points: Mapping[str, Value]
    draws: Mapping[str, Value]  # empty when every input is one number
    tornado: tuple[Swing, ...]
    flows: FloatArray  # cash at month 0, 1 ... of the middle
    seed: int

    @property
    def is_revenue_based(self) -> bool:
        """No margin was given although there is revenue: benefit is revenue, and ROI flatters. Savings need no margin."""
        if "margin" in self.quantities or "revenue_a_month" not in self.scenario.parts:
            return False
        return any(np.any(found["revenue"].numbers != 0) for found in (self.points, self.draws) if found)

    @property
    def p_net_positive(self) -> float | None:
        """Share of draws that earn more than they cost; None without draws or costs."""
        net = self.draws.get("net")
        return None if net is None or not np.isfinite(net.numbers).all() else float(np.mean(net.numbers > 0))

    @property
    def p_payback_within(self) -> float | None:
        """Share of draws that pay back within `payback_within` months."""
        if self.p_net_positive is None:
            return None
        months = self.draws["payback"].numbers
        return float(np.mean(np.nan_to_num(months, nan=np.inf) <= self.quantities["payback_within"].middle))

    def interval(self, name: str, share: float) -> tuple[float | None, float, float | None] | None:
        """Median and the ends that hold `share` of the draws; an end is None where that draw does not exist (never)."""
        found = self.draws.get(name)
        if found is None or found.reason not in ("", "never"):
            return None
        known = np.where(np.isfinite(found.numbers), found.numbers, np.inf)
        if np.isinf(known).any() and name != "payback":
            return None
        # An order statistic: between a number of months and "never" there is nothing.
        method: Literal["inverted_cdf", "linear"] = "inverted_cdf" if name == "payback" else "linear"
        low, middle, high = (float(q) for q in np.quantile(known, [(1 - share) / 2, 0.5, (1 + share) / 2], method=method))
        return (None if np.isinf(low) else low, middle, None if np.isinf(high) else high)


def compute(
    scenario: Scenario,
    quantities: Mapping[str, Quantity],
    *,
    season: Sequence[float] = FLAT,
    seed: int = SEED,
    n_draws: int = N_DRAWS,
) -> Outcome:
    """Lines, results, chances and tornado of a plan. The same inputs and seed give the same figures. Raises ConfigError."""
    check_plan(quantities, season)
    middles = {name: quantity.middle for name, quantity in quantities.items()}
    points = evaluate(scenario, _values(scenario, {name: np.array([value]) for name, value in middles.items()}), season)
    flows = _flows(points, int(middles["months"]))
    drawn = {name: _draws(scenario, name, quantity, seed, n_draws) for name, quantity in quantities.items()}
    is_certain = all(quantity.is_certain for quantity in quantities.values())
    draws = {} if is_certain else evaluate(scenario, _values(scenario, drawn), season)
    return Outcome(
        scenario=scenario, quantities=dict(quantities), season=tuple(season), points=_public(points), draws=_public(draws),
        tornado=_tornado(scenario, quantities, drawn, season), flows=flows, seed=seed,
    )  # fmt: skip


def check_plan(quantities: Mapping[str, Quantity], season: Sequence[float]) -> None:
    """Raises ConfigError for months that do not fit together or a season that is none."""
    months, grows = quantities["months"].middle, quantities["ramp_months"].high
    if grows > months:
        raise ConfigError(
            f"months is {months:g}, shorter than ramp_months of {grows:g}: the full effect would never be seen",
            hint=f"give months of at least {grows:g}, or a shorter ramp",
        )
    if len(season) != 12 or any(not 0 <= factor <= 12 for factor in season):
        raise ConfigError("season: twelve factors are needed, January to December, each of at least 0", hint="1 is a usual month")
    average = sum(season) / 12
    if abs(average - 1) > 0.01:
        divided = "; ".join(f"{factor / average:.3g}" for factor in season) if average else "1; ..."
        raise ConfigError(
            f"season: the twelve factors have an average of {average:.3g} instead of 1, so they would change the yearly sum",
            hint=f"divided by their average they are {divided}",
        )


def evaluate(scenario: Scenario, values: dict[str, Value], season: Sequence[float]) -> dict[str, Value]:
    """Every line and result over arrays of inputs; all arrays have one length."""
    found = dict(values)
    size = max(value.numbers.size for value in values.values())
    for name, line in scenario.lines.items():
        found[name] = _spread(line.expression.value(found), size)
    parts = {name: _spread(expression.value(found), size) for name, expression in scenario.parts.items()}
    nothing = Value(np.zeros(size))
    defaults = dict.fromkeys(("revenue_a_month", "saving_a_month", "usage_a_month"), nothing)
    results = _results(found, {**defaults, **parts}, season)
    for part, name in (("saving_a_month", "saving"), ("capacity_a_month", "capacity")):
        # Taken as 0 in the benefit where it was left out, but never shown as 0.
        if part in parts and any(found[needed].reason == NOT_GIVEN for needed in scenario.parts[part].names):
            results[name] = Value(np.full(size, np.nan), NOT_GIVEN)
    if "capacity" in results:
        results["roi_with_capacity"] = call("roi", _plus(results["benefit"], results["capacity"]), results["cost"])
    return {**found, **results}


def _results(given: Mapping[str, Value], parts: Mapping[str, Value], season: Sequence[float]) -> dict[str, Value]:
    months = int(given["months"].numbers[0])
    shares = _shares(given["ramp_months"].numbers, int(given["start_month"].numbers[0]), season)
    effective = Value(shares[:months].sum(axis=0))
    margin = Value(np.ones_like(effective.numbers)) if given["margin"].reason == NOT_GIVEN else given["margin"]
    kept = _times(parts["revenue_a_month"], Value(1 - given["cannibalisation"].numbers))
    full = _plus(_times(kept, margin), parts["saving_a_month"])
    once, monthly = _costs(given, parts["usage_a_month"])
    revenue, saving, benefit = (_times(part, effective) for part in (kept, parts["saving_a_month"], full))
    cost = _plus(once, _scaled(monthly, months))
    cash = _cash(full, once, monthly, shares[:months])
    cumulative = np.cumsum(shares, axis=0)
    year = HORIZON_MONTHS
    over_year = call("roi", _times(full, Value(cumulative[year - 1])), _plus(once, _scaled(monthly, year)))
    roi = call("roi", benefit, cost)
    n = Value(np.full_like(effective.numbers, float(months)))
    own_cost = call("max", _plus(cost, _scaled(saving, -1)), Value(np.zeros(1)))
    found = {
        "full_benefit": full,
        "effective_months": effective,
        "revenue": revenue,
        "saving": saving,
        "benefit": benefit,
        "cost": cost,
        "net": _plus(benefit, _scaled(cost, -1)),
        "roi": roi,
        "annual_roi": call("annual_roi", roi, n),
        "year_roi": over_year,
        "compound_roi": call("compound_roi", roi, n),
        "payback": _payback(full, once, monthly, cumulative),
        "break_even_margin": call("break_even_margin", own_cost, revenue),
        "npv": _npv(cash, given["discount_rate"].numbers, full.reason or cost.reason),
        "irr": _irr(cash, full.reason or cost.reason),
        "_once": once,
        "_monthly": monthly,
        "_shares": Value(shares[:, 0]),
    }
    if "capacity_a_month" in parts:
        found["capacity"] = _times(parts["capacity_a_month"], effective)
    return found


def _shares(ramp: FloatArray, start_month: int, season: Sequence[float]) -> FloatArray:
    """Share of the full effect that months 1, 2 ... (rows) bring; columns are draws."""
    month = np.arange(1, PAYBACK_HORIZON_MONTHS + 1)[:, None]
    factors = np.asarray(season)[(start_month - 1 + month - 1) % 12]
    return np.asarray(np.minimum(month / np.maximum(ramp, 1.0), 1.0) * factors)


def _costs(given: Mapping[str, Value], usage: Value) -> tuple[Value, Value]:
    """Paid at the start, and a month; both unknown when no cost was given at all."""
    size = given["months"].numbers.size
    rate = call("or_zero", given["hour_rate"])
    once = _plus(call("or_zero", given["one_off_cost"]), _times(call("or_zero", given["rollout_hours"]), rate))
    monthly = _plus(call("or_zero", given["monthly_cost"]), _times(call("or_zero", given["hours_a_month"]), rate))
    monthly = _plus(monthly, usage)
    if all(given[name].reason == NOT_GIVEN for name in COSTS) and not np.any(usage.numbers):
        unknown = Value(np.full(size, np.nan), "no_cost")
        return unknown, unknown
    return once, monthly


def _payback(full: Value, once: Value, monthly: Value, cumulative: FloatArray) -> Value:
    reason = full.reason or once.reason or monthly.reason
    if reason:
        return Value(np.full_like(full.numbers, np.nan), reason)
    month = np.arange(PAYBACK_HORIZON_MONTHS + 1)[:, None]
    earned = np.vstack([np.zeros((1, cumulative.shape[1])), cumulative])
    net = full.numbers * earned - monthly.numbers * month - once.numbers
    months = payback_of_paths(net, full.numbers > monthly.numbers)
    return Value(np.where(np.isinf(months), np.nan, months), "never" if np.isinf(months).any() else "")


def _cash(full: Value, once: Value, monthly: Value, shares: FloatArray) -> FloatArray:
    """What is paid at the start, then what every month leaves (rows); columns are draws."""
    return np.vstack([-once.numbers, full.numbers * shares - monthly.numbers])


def _npv(cash: FloatArray, rate: FloatArray, reason: str) -> Value:
    rates = np.broadcast_to(rate, cash.shape[1:])
    known = [npv(column, a_year) if np.isfinite(column).all() else np.nan for column, a_year in zip(cash.T, rates, strict=True)]
    return Value(np.array(known), reason)


def _irr(cash: FloatArray, reason: str) -> Value:
    """Of draws some of which bring nothing back, those have lost all; where most do, there is no rate."""
    known = [irr(column) if np.isfinite(column).all() else None for column in cash.T]
    rates = np.array([np.nan if rate is None else rate for rate in known])
    is_lost = (cash[0] < 0) & (cash[1:] <= 0).all(axis=0)
    if is_lost.mean() <= 0.5:
        rates[is_lost] = -1.0
    return Value(rates, "" if np.isfinite(rates).all() else reason or "no_irr")


def _flows(points: Mapping[str, Value], months: int) -> FloatArray:
    gained = points["full_benefit"].numbers[0] * points["_shares"].numbers[:months] - points["_monthly"].numbers[0]
    return np.concatenate([-points["_once"].numbers[:1], gained])


def _draws(scenario: Scenario, name: str, quantity: Quantity, seed: int, size: int) -> FloatArray:
    """Each input has a stream of its own: another uncertain input does not change its draws."""
    asked = scenario.inputs[name]
    random = np.random.default_rng([seed, crc32(name.encode())])
    return quantity.draws(random, size, *bounds(asked.kind, asked.least, asked.most))


def _values(scenario: Scenario, known: Mapping[str, FloatArray]) -> dict[str, Value]:
    size = max(numbers.size for numbers in known.values())
    lacking = Value(np.full(size, np.nan), NOT_GIVEN)
    return {name: _spread(Value(known[name]), size) if name in known else lacking for name in scenario.inputs}


def _tornado(
    scenario: Scenario, quantities: Mapping[str, Quantity], drawn: Mapping[str, FloatArray], season: Sequence[float]
) -> tuple[Swing, ...]:
    """Uncertain inputs over the middle 80 % of their draws; if there is none, every input by a tenth."""
    is_certain = all(quantity.is_certain for quantity in quantities.values())
    ends = {}
    for name, quantity in quantities.items():
        if not quantity.is_certain:
            low, high = (float(end) for end in np.quantile(drawn[name], [0.1, 0.9]))
            ends[name] = (low, high)
        elif is_certain and name != DISCOUNT and quantity.middle and not scenario.inputs[name].is_fixed:
            asked = scenario.inputs[name]
            least, most = bounds(asked.kind, asked.least, asked.most)
            moved = sorted((quantity.middle * (1 - SWING), quantity.middle * (1 + SWING)))
            ends[name] = (max(moved[0], least), min(moved[1], most))
    if not ends:
        return ()
    size = 2 * len(ends)
    columns = {name: np.full(size, quantity.middle) for name, quantity in quantities.items()}
    for place, (name, pair) in enumerate(ends.items()):
        columns[name][2 * place : 2 * place + 2] = pair
    net = evaluate(scenario, _values(scenario, columns), season)["net"].numbers
    swings = [Swing(name, *pair, float(net[2 * n]), float(net[2 * n + 1])) for n, (name, pair) in enumerate(ends.items())]
    moving = [swing for swing in swings if np.isfinite(swing.width) and swing.width > 0]
    return tuple(sorted(moving, key=lambda swing: (-swing.width, swing.name)))


def _public(values: Mapping[str, Value]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if not name.startswith("_")}


def _spread(value: Value, size: int) -> Value:
    return Value(np.broadcast_to(value.numbers, size).astype(np.float64), value.reason)


def _times(left: Value, right: Value) -> Value:
    return Value(left.numbers * right.numbers, left.reason or right.reason)


def _plus(left: Value, right: Value) -> Value:
    return Value(left.numbers + right.numbers, left.reason or right.reason)


def _scaled(value: Value, factor: float) -> Value:
    return Value(value.numbers * factor, value.reason)
