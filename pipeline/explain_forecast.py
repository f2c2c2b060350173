"""The account of the forecast: its months, the effect that is left in each, later visits, costs, net, ROI and payback.

Later visits are summed here as pipeline/forecast.py does: customers come in the middle of their month, and each of them has made
by then the visits of the curve at their age.
"""

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

from pipeline.reports import forecast
from pipeline.reports.numbers import MINUS, Numbers

Json = Any


def forecast_lines(document: Mapping[str, Json], numbers: Numbers) -> Iterator[str]:
    """The section, the longest horizon alone; nothing where there is no forecast of the launch."""
    found = document.get("forecast")
    if not found or found["launch"] is None:
        return
    say, launch = numbers.words.say, found["launch"]
    line = forecast.expected(launch)
    at = line["at"][-1]
    half, half_life = numbers.decimal(0.5), numbers.whole(line["half_life_months"])
    yield f"\n## {say('section.forecast')}\n"
    yield f"{say('explain.forecast.text', half_life=half_life)}\n"
    kept = _kept(line["half_life_months"], launch["window_months"], at["months"])
    shares = [numbers.decimal(share, digits=4) for share in kept]
    measured = numbers.decimal(launch["window_months"], digits=4)
    last = f"{half} ^ (({at['months']} {MINUS} {half} {MINUS} {measured}) / {half_life})"
    yield f"- {say('explain.forecast.left')} `{last} = {shares[-1]}`"
    full = numbers.decimal(sum(kept), digits=4)
    yield f"- {say('explain.forecast.full_months')} `{' + '.join(shares)} = {full}`"
    yield from _effect(document, numbers, at, full)
    if at["repeats"] is not None:
        yield from _repeats(document, numbers, at, kept)
    yield from _result(document, numbers, line)
    yield from (f"- {sentence}" for sentence in forecast.beside(numbers, document))


def _kept(half_life: float, measured: float, months: int) -> list[float]:
    return [0.5 ** (max(month + 0.5 - measured, 0.0) / half_life) for month in range(months)]


def _effect(document: Mapping[str, Json], numbers: Numbers, at: Mapping[str, Json], full: str) -> Iterator[str]:
    """A month's benefit as often as there are full months; saved hours that are cash do not fade."""
    money = document["claims"][document["claim"]]["money"]
    saved = money["saved_hours"] / money["window_months"] if money["is_saved_cash"] and money["saved_hours"] is not None else 0.0
    benefit, amount = _money(numbers, money["monthly_benefit"]["estimate"]), _money(numbers, at["effect"]["estimate"])
    product = f"{benefit} × {full}"
    if saved:
        hours = _money(numbers, saved)
        product = f"({benefit} {MINUS} {hours}) × {full} + {hours} × {at['months']}"
    sign = "=" if at["repeats"] is None else "≈"
    yield f"- {numbers.words.say('column.effect_profit')}: `{product} {sign} {amount}`"


def _repeats(document: Mapping[str, Json], numbers: Numbers, at: Mapping[str, Json], kept: list[float]) -> Iterator[str]:
    """Customers won in each month times their visits so far; then the worth of a visit and the margin."""
    say, found = numbers.words.say, document["forecast"]
    curve, reach = found["repeats"]["curve"]["estimate"], found["repeats"]["reach_months"]
    ages = [min(at["months"] - month - 0.5, reach, len(curve) - 1) for month in range(len(kept))]
    made = [curve[int(age)] + (curve[ceil(age)] - curve[int(age)]) * (age % 1) for age in ages]
    terms = [f"{numbers.decimal(share, digits=4)} × {numbers.decimal(visits, digits=4)}"
             for share, visits in zip(kept, made, strict=True)]  # fmt: skip
    total = numbers.decimal(sum(share * visits for share, visits in zip(kept, made, strict=True)), digits=3)
    yield f"- {say('explain.forecast.visits')} `{' + '.join(terms)} = {total}`"
    won = numbers.decimal(found["launch"]["new_customers_a_month"]["estimate"], digits=4)
    check = _money(numbers, found["repeats"]["check"]["estimate"])
    margin = numbers.decimal(document["launch"]["margin"], digits=4)
    amount = _money(numbers, at["repeats"]["estimate"])
    yield f"- {say('explain.forecast.repeats')} `{won} × {total} × {check} × {margin} ≈ {amount}`"


def _result(document: Mapping[str, Json], numbers: Numbers, line: Mapping[str, Json]) -> Iterator[str]:
    say, at = numbers.words.say, line["at"][-1]
    if at["net"] is None:
        yield f"- {say('forecast.no_cost')}"
        return
    money = document["claims"][document["claim"]]["money"]
    once, monthly, cost = (_money(numbers, value) for value in (money["one_off_cost"], money["monthly_cost"], at["cost"]))
    yield f"- {say('column.cost_by_then')}: `{once} + {monthly} × {at['months']} = {cost}`"
    parts = " + ".join(_money(numbers, at[part]["estimate"]) for part in ("effect", "repeats") if at[part] is not None)
    net = _money(numbers, at["net"]["estimate"])
    yield f"- {say('column.net_by_then')}: `{parts} {MINUS} {cost} = {net}`, {numbers.money_interval(at['net'])}"
    if at["roi"] is not None:
        yield f"- {say('money.roi')}: `{net} / {cost} = {numbers.percent(at['roi']['estimate'], digits=4)}`"
    back, path = line["payback_months"], line["net"]["0.5"]
    if back is not None and back["estimate"]:
        month = ceil(back["estimate"]) - 1
        before, after = _money(numbers, path[month]), _money(numbers, path[month + 1])
        stated = numbers.decimal(back["estimate"], digits=4)
        yield f"- {say('explain.forecast.payback')} `{month} {MINUS} ({before}) / ({after} {MINUS} ({before})) = {stated}`"


def _money(numbers: Numbers, value: float) -> str:
    return numbers.decimal(value, digits=2)
