"""The account of costs by name: what each adds to the sums, and the result with the ranges of what was not counted."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.costs import HOURS
from pipeline.reports import costing
from pipeline.reports.costing import lines_of
from pipeline.reports.numbers import MINUS, Numbers

Json = Any


def named_parts(
    document: Mapping[str, Json], numbers: Numbers, part: str, money: Mapping[str, Json], leads_a_month: str
) -> Iterator[str]:
    """The counted amounts of every line by name, as arithmetic; of ads what they cost over the window of this claim."""
    rate = document["launch"]["costs"]["hour_rate"]
    for line in lines_of(document):
        found = line[part]
        if line["kind"] == "ad_spend":
            a_month = money["ad_spend_monthly"] if part == "monthly" else None
            found = None if a_month is None else [a_month, a_month]
        if found is None or found[0] != found[1] or not found[0]:
            continue
        amount = numbers.decimal(found[0], digits=2)
        if line["kind"] != "checklist" or line["code"] not in HOURS:
            yield f"{amount} × {leads_a_month}" if part == "per_lead" else amount
        elif rate is not None:
            yield f"{amount} × {numbers.decimal(rate, digits=2)}"


def uncounted_lines(document: Mapping[str, Json], numbers: Numbers, months: str) -> Iterator[str]:
    """Cost and ROI at both ends of the ranges, with the arithmetic."""
    say, benefit = numbers.words.say, document["money"]["benefit"]
    for end in ("low", "high"):
        found, title = document["uncounted"][end], say(f"costs.sheet.{end}")
        once, monthly, cost = (numbers.decimal(found[name], digits=2) for name in ("one_off_cost", "monthly_cost", "cost"))
        yield f"- {say('costs.uncounted.cost')}, {title}: `{once} + {monthly} × {months} = {cost}`"
        if benefit and found["roi"]:
            gain, share = numbers.decimal(benefit["estimate"], digits=2), numbers.percent(found["roi"]["estimate"], digits=4)
            yield f"- {say('costs.uncounted.roi')}, {title}: `({gain} {MINUS} {cost}) / {cost} = {share}`"


def name_of(document: Mapping[str, Json], numbers: Numbers, code: str) -> str | None:
    """What a line that was not counted is called; None for one without words."""
    named = costing.name_of(numbers, document, code)
    if named is not None:
        return named
    return next((numbers.words.say(key) for key in (f"cost.{code}", f"money.{code}") if numbers.words.has(key)), None)
