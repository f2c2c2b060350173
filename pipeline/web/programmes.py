"""What the pages show of a stored programme: the whole, the modules, and what cannot be told apart. Pure."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pipeline.reports.numbers import Numbers
from pipeline.reports.programme import summed
from pipeline.reports.words import plain
from pipeline.web import figures
from pipeline.web.figures import Digest, ProgrammeFigures


def card(digest: Digest, found: ProgrammeFigures, numbers: Numbers) -> dict[str, Any]:
    """The figures of the whole and the rows below them; what is printed sums to the whole."""
    say, own = numbers.words.say, figures.numbers_for(numbers, digest)
    modules, whole = _rows(found, own)
    money = {**whole, "title": say(f"dash.programme.{'revenue' if found.is_revenue_based else 'profit'}")}
    return {"figures": [money, *_more(digest, own)], "modules": modules}


def sentence(digest: Digest, found: ProgrammeFigures, numbers: Numbers) -> str:
    """The whole in a sentence, as its report begins."""
    own, kind = figures.numbers_for(numbers, digest), "revenue" if found.is_revenue_based else "profit"
    amount = own.money(found.whole.estimate or 0.0, is_signed=True)
    return own.words.say(f"modules.whole.{kind}", amount=amount, interval=own.money_interval(asdict(found.whole)))


def facts(digest: Digest, numbers: Numbers) -> list[str]:
    """That it is a programme, and of how many modules."""
    return [numbers.count("dash.programme.modules", len(digest.programme.modules))] if digest.programme else []


def _more(digest: Digest, numbers: Numbers) -> list[dict[str, str]]:
    say = numbers.words.say
    cost = None if digest.total_cost is None else figures.Range(digest.total_cost)
    rows = [("total_cost", "cost", cost), ("roi", "roi", digest.roi)]
    found = [
        {"title": say(f"dash.figure.{name}"), "value": say("none") if one is None else figures.value(numbers, kind, one.estimate),
         "interval": figures.range_text(numbers, kind, one)}
        for name, kind, one in rows
    ]  # fmt: skip
    score = say("none") if digest.trust is None else say("dash.out_of_100", score=numbers.whole(digest.trust))
    return [*found, {"title": say("dash.figure.trust"), "value": score, "interval": ""}]


def _rows(found: ProgrammeFigures, numbers: Numbers) -> tuple[list[dict[str, str]], dict[str, str]]:
    """(modules, joint parts and the rest; the whole), amounts in whole units of the currency."""
    say = numbers.words.say
    named = [(one.title, _interval(one.amount)) for one in found.modules if one.amount is not None]
    named += [(say("modules.part.joint", names=numbers.words.listed(titles)), _interval(one)) for titles, one in found.joint]
    named.append((say("modules.part.rest"), _interval(found.rest)))
    parts = [{"title": one.title, "value": one.text, "interval": one.interval or ""}
             for one in summed(numbers, named, _interval(found.whole))]  # fmt: skip
    own, rows = iter(parts), []
    for one in found.modules:
        key = f"modules.state.{one.state}"
        state = say(key) if numbers.words.has(key) else plain(one.state)
        empty = {"title": one.title, "value": "", "interval": ""}
        rows.append({**(empty if one.amount is None else next(own)), "state": state})
    *others, whole = own
    return [*rows, *({**one, "state": ""} for one in others)], whole


def _interval(found: figures.Range) -> Mapping[str, float]:
    return {name: value or 0.0 for name, value in asdict(found).items()}
