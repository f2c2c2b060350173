"""What else the money could earn, in a line each where there is no room for the table; or why it is not said."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.reports import ahead
from pipeline.reports.numbers import Numbers

Json = Any


def elsewhere(numbers: Numbers, document: Mapping[str, Json]) -> tuple[str, ...]:
    """The launch beside each rate; one sentence where none is known for the currency; nothing where there is no cost."""
    found = ahead.hurdles(numbers, document)
    if found is not None:
        return tuple(
            numbers.words.say("elsewhere.line", title=title, rate=rate, earned=earned, compared=compared)
            for title, rate, earned, compared, _ in found.rows.rows
        )
    money = document["money"] or {}
    # A document from before rates were known has no key at all: it promised nothing.
    if document.get("hurdles") == [] and money.get("monthly_benefit") and money.get("cost"):
        return (numbers.words.say("elsewhere.none", currency=document["currency"]),)
    return ()


def rates(numbers: Numbers, lines: Sequence[Mapping[str, Json]]) -> str:
    """The rates of a year in one line, each with its day."""
    say = numbers.words.say
    told = (
        say("elsewhere.rate", title=ahead.title_of(numbers, line), rate=ahead.rate_of(numbers, line), on=numbers.day(line["on"]))
        for line in lines
    )
    return say("format.semicolon").join(told)
