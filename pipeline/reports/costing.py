"""Costs by name in words: what was filled in, what was said to be nothing, ranges, what nobody counted; and ROI with those."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pipeline.costs import HOURS, PARTS
from pipeline.reports.numbers import Numbers
from pipeline.reports.words import plain

Json = Any
Document = Mapping[str, Json]


class Said(NamedTuple):
    """One line of the money table."""

    title: str
    value: str
    interval: str | None = None
    note: str | None = None
    is_absent: bool = False


def lines_of(document: Document) -> list[Mapping[str, Json]]:
    """The named lines of a document; a document without them has none."""
    return list(document["launch"]["costs"].get("lines") or ())


def has_checklist(document: Document) -> bool:
    """Whether costs are given by name: then a sum that was left out is nothing that is missing."""
    return any(line["kind"] == "checklist" for line in lines_of(document))


def cost_lines(numbers: Numbers, document: Document) -> Iterator[Said]:
    """Every line that says something, then those that nobody counted, together."""
    rate = document["launch"]["costs"]["hour_rate"]
    lines = lines_of(document)
    for line in lines:
        if line["state"] != "not_counted" or line["kind"] != "checklist":
            yield _said(numbers, line, rate)
    names = [title(numbers, line) for line in lines if line["state"] == "not_counted" and line["kind"] == "checklist"]
    if names:
        yield Said(numbers.words.say("costs.left_out"), numbers.count("costs.left_out.n", len(names)),
                   note=numbers.words.listed(names), is_absent=True)  # fmt: skip


def title(numbers: Numbers, line: Mapping[str, Json]) -> str:
    """A line's name: of the checklist, of a shared cost as the configuration calls it, or ads with their channels."""
    if line["kind"] == "shared":
        return numbers.words.say("costs.shared", title=plain(line["facts"]["title"]))
    return numbers.words.say("costs.ad_spend" if line["kind"] == "ad_spend" else f"cost.{line['code']}")


def name_of(numbers: Numbers, document: Document, code: str) -> str | None:
    """The name of a line by its code, for a list; None for a code that is no named line."""
    found = next((line for line in lines_of(document) if line["code"] == code), None)
    return None if found is None else title(numbers, found)


def uncounted_lines(numbers: Numbers, document: Document) -> Iterator[Said]:
    """The period's cost, ROI and payback with the costs that are only ranges, from their low to their high ends."""
    found, say = document.get("uncounted"), numbers.words.say
    if not found:
        return
    note = say("costs.uncounted.note", lines=_names(numbers, document, found["lines"]))
    low, high = found["low"], found["high"]
    cost = numbers.money_interval({"low": low["cost"], "high": high["cost"]}, is_signed=False)
    yield Said(say("costs.uncounted.cost"), cost, note=note)
    span = _roi(numbers, found)
    if span is not None:
        yield Said(say("costs.uncounted.roi"), span, note=say("costs.uncounted.estimate"))
    payback = _payback(numbers, found)
    if payback is not None:
        yield Said(say("costs.uncounted.payback"), payback, note=say("costs.uncounted.estimate"))


def uncounted(numbers: Numbers, document: Document) -> str | None:
    """ROI and payback with what was not counted, in a sentence; None where there is nothing of it, or no ROI."""
    found = document.get("uncounted")
    if not found:
        return None
    span, payback = _roi(numbers, found), _payback(numbers, found)
    if span is None or payback is None:
        return None
    return numbers.words.say("costs.uncounted.told", roi=span, payback=payback)


def turned(numbers: Numbers, document: Document) -> str | None:
    """That the uncounted costs would turn the verdict, and into which; None where they would not."""
    found = document.get("uncounted")
    if not found:
        return None
    now, low, high = document["verdict"]["code"], found["low"]["verdict"], found["high"]["verdict"]
    if high == now:
        return None
    word = numbers.words.say(f"verdict.{high}")
    return numbers.words.say("costs.turned.always" if low == high else "costs.turned", verdict=word)


def _said(numbers: Numbers, line: Mapping[str, Json], rate: float | None) -> Said:
    say, state = numbers.words.say, line["state"]
    note = _note(numbers, line)
    if state == "not_counted":
        return Said(title(numbers, line), say("not_counted"), note=note, is_absent=True)
    if state == "zero":
        return Said(title(numbers, line), numbers.money(0), note=note or say("costs.zero"))
    amounts = [say(f"costs.{part}", amount=_amount(numbers, line, part)) for part in PARTS if line[part] and line[part][1]]
    if _is_hours(line):
        note = say("cost.no_rate") if rate is None else say("costs.hours_at", rate=numbers.money(rate))
    if state == "range":
        facts = line["facts"]
        told = say("costs.range")
        if facts.get("from") == "benchmarks":
            told = say("costs.typical", day=numbers.day(facts["on"]), source=plain(facts["source"]))
        note = told if note is None else numbers.words.listed([note, told])
    return Said(title(numbers, line), numbers.words.listed(amounts), note=note, is_absent=state == "range")


def _amount(numbers: Numbers, line: Mapping[str, Json], part: str) -> str:
    low, high = line[part]
    if _is_hours(line):
        ends = [hours(numbers, end) for end in (low, high)]
    else:
        digits = 2 if part == "per_lead" or (line["kind"] == "shared" and not float(low).is_integer()) else 0
        ends = [numbers.full_money(end, digits=2) if digits else numbers.money(end) for end in (low, high)]
    return ends[0] if low == high else numbers.interval(*ends)


def hours(numbers: Numbers, n: float) -> str:
    """`12 ч`, `12,5 ч`: as it was filled in."""
    return numbers.words.say("unit.hours", n=numbers.decimal(n, digits=0 if float(n).is_integer() else 1))


def _is_hours(line: Mapping[str, Json]) -> bool:
    return line["kind"] == "checklist" and line["code"] in HOURS


def _note(numbers: Numbers, line: Mapping[str, Json]) -> str | None:
    """What somebody who checks the line needs: the rate of a tax, the key of a shared cost, whose ads."""
    say, facts = numbers.words.say, line["facts"]
    if line["kind"] == "shared":
        whole = [say(f"costs.{part}", amount=numbers.full_money(amount, digits=2)) for part, amount in facts["whole"].items()]
        return say(f"costs.key.{facts['key']}", share=numbers.percent(facts["share"]), whole=numbers.words.listed(whole))
    if line["kind"] == "ad_spend":
        channels = numbers.words.listed(numbers.words.name("channel", channel) for channel in facts["channels"])
        if line["state"] == "not_counted":
            return say("costs.ads.unknown", channels=channels, days=known_days(numbers, facts["known"]))
        return say("costs.ads.total", channels=channels, total=numbers.money(facts["total"]))
    if "rate" in facts:
        names = numbers.words.listed(say(f"cost.{one}") for one in facts["on"])
        digits = 0 if round(facts["rate"] * 100, 9).is_integer() else 1
        return say("costs.rate", rate=numbers.percent(facts["rate"], digits=digits), lines=names)
    return None


def known_days(numbers: Numbers, known: Mapping[str, Json]) -> str:
    """The days of which the spend is known, over all channels."""
    spans = sorted({(first, last) for found in known.values() for first, last in found})
    if not spans:
        return numbers.words.say("none")
    words = numbers.words
    return words.listed(words.say("format.span", first=numbers.day(first), last=numbers.day(last)) for first, last in spans)


def _names(numbers: Numbers, document: Document, codes: list[str]) -> str:
    return numbers.words.listed(found for code in codes if (found := name_of(numbers, document, code)))


def _roi(numbers: Numbers, found: Mapping[str, Json]) -> str | None:
    """From the worse to the better end: with a loss, higher costs make the share of it smaller."""
    ends = [found[end]["roi"] for end in ("low", "high")]
    if None in ends:
        return None
    low, high = sorted(end["estimate"] for end in ends)
    return numbers.interval(numbers.ratio(low), numbers.ratio(high))


def _payback(numbers: Numbers, found: Mapping[str, Json]) -> str | None:
    low, high = (found[end]["payback_months"] for end in ("low", "high"))
    if low is None or high is None:
        return None
    low, high = low["estimate"], high["estimate"]
    if low is None:
        return numbers.words.say("payback.never")
    if high is None:
        return numbers.words.say("payback.or_never", low=numbers.months(low))
    if high == 0:
        return numbers.words.say("payback.at_once")
    return numbers.interval(numbers.months(low), numbers.months(high))
