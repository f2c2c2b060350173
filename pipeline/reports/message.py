"""The report as a message that fits one screen of a messenger: plain text, within what the channel takes.

A pure function of the document and the language. Where the text is too long, whole lines are left out in the order of
`LEAVE_OUT`, then the title of the launch is shortened; nothing is cut inside a sentence.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from connectors.text import GLUE, cut
from pipeline.costs import costs_of
from pipeline.ladder import TRUST_THRESHOLD
from pipeline.reports import costing, doubts, sentences, tiles
from pipeline.reports.ahead import hurdles
from pipeline.reports.forecast import expected
from pipeline.reports.naming import numbers_for
from pipeline.reports.numbers import Numbers
from pipeline.reports.own import own_metrics
from pipeline.reports.words import plain

Json = Any
RATES = ("booking_conversion", "no_show_rate", "average_check")
# What is left out first stands first. Never left out: the week, the launch, the word of the verdict, how far to trust it.
# Of a business's own metrics the first stands longer than our rates: it is the one that its owner declared first.
LEAVE_OUT = (
    "own_more", "hurdle", "forecast", "uncounted", "window", "next", "finding", "guard", "known", "rates", "own", "roi", "cost",
    "reason", "payback", "profit", "caution",
)  # fmt: skip
SHORT_TITLE = 32
# Words of a CRM that messengers turn into links, tags, commands and calls of people by themselves: @all, #tag, /stop, evil.com
# E1.RU, 74.ru, 1.2.3.4/a; also as typed with full-width signs. Numbers and dates keep their dots: those have up to three parts.
_TIES = re.compile(
    r"(?<!\w)[@＠﹫#＃﹟/／$＄﹩](?=\w)|(?<=\w)[@＠﹫](?=\w)|[:：](?=[/／]{2})|(?<=\S)[.․．](?=[^\W\d_])(?!toml\b)"
    r"|(?<=[A-Za-z0-9])[。｡](?=[A-Za-z])|(?<=\d)\.(?=\d{1,3}\.\d{1,3}\.\d)"
)


@dataclass(frozen=True, slots=True)
class Limit:
    """How long a text may be, as the channel counts."""

    most: int
    size: Callable[[str], int]


def utf16_units(text: str) -> int:
    """The length as Telegram counts: an emoji is two."""
    return len(text.encode("utf-16-le")) // 2


def utf8_bytes(text: str) -> int:
    """The length as WeCom counts: a Russian letter is two, a Chinese one three."""
    return len(text.encode())


CAPTION = Limit(1024, utf16_units)  # https://core.telegram.org/bots/api#senddocument
ROBOT = Limit(2048, utf8_bytes)  # https://developer.work.weixin.qq.com/document/path/91770
SCREEN = Limit(1024, utf16_units)  # where nothing limits it: what one screen of a phone shows


@dataclass(frozen=True, slots=True)
class _Line:
    """One line; `name` says when it is left out."""

    name: str
    text: str


def message_of(document: Mapping[str, Json], language: str, limit: Limit = SCREEN, *, note: str = "") -> str:
    """The message; `note` is a last line that always stays. Raises KeyError for a language without a catalogue."""
    numbers = numbers_for(document, language)
    text = ""
    for longest in (80, SHORT_TITLE):
        lines = [line for line in _lines(numbers, document, longest) if line.text]
        for left_out in (None, *LEAVE_OUT):
            lines = [line for line in lines if line.name != left_out]
            text = untied("\n".join([*(line.text for line in lines), *([note] if note else [])]))
            if limit.size(text) <= limit.most:
                return text
    return text


def subject_of(document: Mapping[str, Json], language: str) -> str:
    """The subject of a mail: launch, week, verdict."""
    numbers = numbers_for(document, language)
    title = shortened(plain(document["launch"]["title"]), SHORT_TITLE)
    week = report_week(document).isocalendar().week
    verdict = sentences.verdict_word(numbers, document)
    return numbers.words.say("message.subject", launch=title, number=str(week), verdict=verdict)


def report_week(document: Mapping[str, Json]) -> date:
    """The Monday of the last whole week that the data know."""
    known_on = date.fromisoformat(document["known_on"])
    return known_on - timedelta(days=known_on.weekday() + 7)


def untied(text: str) -> str:
    """The text with nothing in it that a messenger would make a link, a tag, a command or a call of everybody."""
    return _TIES.sub(lambda found: found[0] + GLUE, text)


def _lines(numbers: Numbers, document: Mapping[str, Json], longest: int) -> Iterator[_Line]:
    say = numbers.words.say
    monday = report_week(document)
    span = numbers.span(monday, monday + timedelta(days=7))
    week, moment = str(monday.isocalendar().week), sentences.data_as_of(numbers, document)
    yield _Line("week", say("message.week", number=week, span=span, moment=moment))
    if document["known_on"] != document["as_of"][:10]:
        yield _Line("known", say("message.known_on", day=numbers.day(document["known_on"])))
    yield _Line("launch", _launch(numbers, document, longest))
    if document["trust"]["score"] < TRUST_THRESHOLD:
        yield _Line("caution", say("caution"))
    yield _Line("window", _window(numbers, document))
    yield _Line("leads", _metric(numbers, document, "leads"))
    yield _Line("rates", " · ".join(filter(None, (_metric(numbers, document, name) for name in RATES))))
    own = list(filter(None, (_metric(numbers, document, name) for name in own_metrics(document))))
    yield _Line("own", "".join(own[:1]))
    yield _Line("own_more", " · ".join(own[1:]))
    yield _Line("profit", _profit(numbers, document))
    yield _Line("cost", _cost(numbers, document))
    yield _Line("roi", _roi(numbers, document))
    yield _Line("payback", _payback(numbers, document))
    yield _Line("forecast", _forecast(numbers, document))
    yield _Line("uncounted", _uncounted(numbers, document))
    yield _Line("hurdle", _hurdle(numbers, document))
    yield _Line("verdict", say("message.verdict", verdict=sentences.verdict_word(numbers, document)))
    yield _Line("reason", sentences.verdict_reason(numbers, document))
    guards = doubts.guards(numbers, document)
    yield _Line("guard", guards[0].text if guards and guards[0].action in ("withhold", "indicative") else "")
    yield _Line("next", sentences.next_step(numbers, document) or "")
    yield _Line("trust", say("trust.score", score=numbers.whole(document["trust"]["score"])))
    findings = [found for found in document["trust"]["findings"] if found["points"]]
    yield _Line("finding", sentences.finding(numbers, max(findings, key=lambda found: found["points"])) if findings else "")


def _uncounted(numbers: Numbers, document: Mapping[str, Json]) -> str:
    """ROI and payback with the costs that are only ranges, and whether they would turn the verdict."""
    told = costing.uncounted(numbers, document)
    turned = costing.turned(numbers, document)
    return "\n".join(filter(None, (told, turned)))


def _forecast(numbers: Numbers, document: Mapping[str, Json]) -> str:
    """Net by the end of the forecast; nothing before the effect is proven."""
    launch = (document.get("forecast") or {}).get("launch")
    at = expected(launch)["at"][-1] if launch and launch["is_proven"] else None
    if at is None or at["net"] is None:
        return ""
    net = {"net": numbers.money(at["net"]["estimate"], is_signed=True), "interval": numbers.money_interval(at["net"])}
    return numbers.words.say("message.forecast", months=numbers.whole(at["months"]), **net)


def _hurdle(numbers: Numbers, document: Mapping[str, Json]) -> str:
    """What the same money would earn at the first rate of the configuration, and how the launch compares."""
    found = hurdles(numbers, document)
    if found is None:
        return ""
    title, rate, _, compared, _ = found.rows.rows[0]
    return numbers.words.say("message.hurdle", title=title, rate=rate, compared=compared)


def _launch(numbers: Numbers, document: Mapping[str, Json], longest: int) -> str:
    launch = document["launch"]
    title, day = shortened(plain(launch["title"]), longest), numbers.day(launch["started_on"])
    passed = (date.fromisoformat(document["as_of"][:10]) - date.fromisoformat(launch["started_on"])).days // 7
    if passed < 1:
        return numbers.words.say("message.launch.new", launch=title, day=day)
    return numbers.count("message.launch", passed, launch=title, day=day)


def _window(numbers: Numbers, document: Mapping[str, Json]) -> str:
    """Which weeks the figures are of: they are not of the last week alone."""
    post, pre = (document["periods"][side] for side in ("post", "pre"))
    if not post["n_weeks"]:
        return ""
    spans = (numbers.span(date.fromisoformat(side["start"]), date.fromisoformat(side["end"])) for side in (post, pre))
    return numbers.words.say("message.window", now=next(spans), before=next(spans))


def _metric(numbers: Numbers, document: Mapping[str, Json], name: str) -> str:
    """A figure now and before, in a mean week or as a rate; empty when neither side has one."""
    metric = document["metrics"].get(name)
    if metric is None:
        return ""
    after, before = (tiles.value(numbers, metric, side) for side in ("post", "pre"))
    if after is None and before is None:
        return ""
    title = numbers.words.say("tile.leads" if name == "leads" else f"metric.{name}")
    none = numbers.words.say("none")
    return numbers.words.say("message.metric", title=title, now=after or none, before=before or none)


def _profit(numbers: Numbers, document: Mapping[str, Json]) -> str:
    """The benefit of a month; without a margin the revenue of the window, and said so; without either why there is none."""
    say, money = numbers.words.say, document["money"] or {}
    if money.get("monthly_benefit") is not None:
        found = money["monthly_benefit"]
        key = "message.benefit" if money.get("saved_hours") and money["is_saved_cash"] else "message.profit"
        return say(key, amount=numbers.money(found["estimate"], is_signed=True), range=numbers.money_interval(found))
    if money.get("incremental_revenue") is not None:
        found = money["incremental_revenue"]
        amount, window = numbers.money(found["estimate"], is_signed=True), sentences.window(numbers, document)
        told = say("message.revenue", amount=amount, window=window, range=numbers.money_interval(found))
        return f"{told}\n{say('message.no_margin')}" if document["launch"]["margin"] is None else told
    return say("message.no_profit", reason=sentences.missing(numbers, document, "incremental_profit"))


def _cost(numbers: Numbers, document: Mapping[str, Json]) -> str:
    """One-off and monthly costs; what nobody filled in is not counted, never nothing."""
    say, costs, money = numbers.words.say, document["launch"]["costs"], document["money"] or {}
    known = costs_of(costs)
    given = (known.once, known.a_month(0.0)) if known.lines else (costs["one_off"], costs["monthly"])
    once, each = (money.get("one_off_cost", given[0]), money.get("monthly_cost", given[1]))
    one_off = numbers.money(once or 0.0) if sentences.is_counted(document, "once") else None
    monthly = numbers.money(each or 0.0) if sentences.is_counted(document, "monthly") else None
    if one_off is not None and monthly is not None:
        return say("message.cost", one_off=one_off, monthly=monthly)
    if one_off is not None:
        return say("message.cost.one_off", one_off=one_off)
    return say("message.cost.none") if monthly is None else say("message.cost.monthly", monthly=monthly)


def _roi(numbers: Numbers, document: Mapping[str, Json]) -> str:
    roi = (document["money"] or {}).get("roi")
    if roi is None:
        return ""  # what is missing stands in the lines on profit and payback
    ends = numbers.interval(numbers.ratio(roi["low"]), numbers.ratio(roi["high"]))
    return numbers.words.say(
        "message.roi", roi=numbers.ratio(roi["estimate"]), range=ends, window=sentences.window(numbers, document)
    )


def _payback(numbers: Numbers, document: Mapping[str, Json]) -> str:
    say, months = numbers.words.say, sentences.payback(numbers, document)
    if months is None:
        return say("message.no_payback", reason=sentences.missing(numbers, document, "payback_months"))
    interval = sentences.payback_interval(numbers, document)
    if document["money"]["payback_months"]["low"] is None:
        return say("message.payback.in_no_case", range=interval)
    key = "message.payback" if sentences.is_payback_range(document) else "message.payback.in_words"
    return say(key, months=months, range=interval)


def shortened(title: str, longest: int) -> str:
    """A title of at most so many characters."""
    return title if len(title) <= longest else cut(title, longest - 1) + "…"
