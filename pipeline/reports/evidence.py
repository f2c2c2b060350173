"""What a claim rests on: both claims side by side, the control and who else could have been it, placebo launches, the same
measurement computed in other ways. Every key read here is optional."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.reports import doubts, sentences
from pipeline.reports.charts import PlaceboPoint
from pipeline.reports.doubts import side_of_zero
from pipeline.reports.guarding import guard_text
from pipeline.reports.numbers import Numbers
from pipeline.reports.tables import Line, Table, metric_title
from pipeline.reports.words import plain

Json = Any
Written = Callable[[float], str]
CLAIMS = ("process", "total")
N_NAMES = 5  # of a control that is pooled from many
# Figures of a reason for or against a control that its sentence counts by.
_COUNTED = {"enough_weeks": "n_weeks", "too_few_weeks": "n_weeks", "has_gaps": "n_weeks"}


@dataclass(frozen=True, slots=True)
class ClaimCard:
    """One claim: its question, its figures, its doubt. Without figures: why it is not made."""

    name: str
    title: str
    mark: str | None  # leads the report, or indicative
    question: str
    lines: tuple[Line, ...]
    doubt: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Control:
    """What the launch was compared with, in a sentence, and every candidate with reasons for and against."""

    told: str
    candidates: Table


@dataclass(frozen=True, slots=True)
class Placebo:
    """Pretended launches at earlier dates: points to draw, the real launch at the end, and the same as rows."""

    points: tuple[PlaceboPoint, ...]
    today: PlaceboPoint | None
    figure: str
    told: str
    rows: Table


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """The measurement computed in other ways, and whether the answer stays."""

    told: str | None
    rows: Table


def claim_cards(numbers: Numbers, document: Mapping[str, Json]) -> tuple[ClaimCard, ...]:
    """Both claims, the one that leads first; none when no effect is claimed at all."""
    if not document["claims"]:
        return ()
    names = sorted(CLAIMS, key=lambda name: (name != document["claim"], name not in document["claims"]))
    return tuple(_card(numbers, document, name) for name in names)


def control(numbers: Numbers, document: Mapping[str, Json]) -> Control | None:
    """The control and its rivals; None where nobody looked for one."""
    used, candidates = document.get("control"), document.get("control_candidates") or ()
    if not used and not candidates:
        return None
    told = _control_told(numbers, document, used) if used else numbers.words.say("control.none")
    return Control(told, _candidates(numbers, document, candidates))


def placebo(numbers: Numbers, document: Mapping[str, Json]) -> Placebo | None:
    """The placebo panel; None without points."""
    found = document.get("placebo")
    if not found or not found["points"]:
        return None
    say, rows = numbers.words.say, []
    points = tuple(
        PlaceboPoint(numbers.short_day(row["week"]), row["relative"], row["low"], row["high"], bool(row["is_alarm"]))
        for row in found["points"]
    )
    for point, row in zip(points, found["points"], strict=True):
        ends = numbers.interval(numbers.relative(point.low), numbers.relative(point.high))
        state = say("placebo.alarm" if point.is_alarm else "placebo.quiet")
        rows.append((numbers.day(row["week"]), numbers.relative(point.relative), ends, state))
    columns = ("column.placebo_week", "column.change", "column.no_effect", "column.state")
    figures = {"n_alarms": numbers.whole(found["n_alarms"]), "chance": numbers.decimal(0.05 * found["n"])}
    told = numbers.count("placebo.told", found["n"], weeks=numbers.whole(found["n_post_weeks"]), **figures)
    table = Table("placebo", say("table.placebo"), "", tuple(map(say, columns)), tuple(rows), len(rows))
    return Placebo(points, _today(numbers, document), metric_title(numbers, document, found["figure"]), told, table)


def sensitivity(numbers: Numbers, document: Mapping[str, Json]) -> Sensitivity | None:
    """One row a variation: effect, profit, ROI, each with its interval."""
    found = document.get("sensitivity") or ()
    if not found:
        return None
    say = numbers.words.say
    rows = tuple(
        (
            _variation(numbers, row),
            _cell(numbers, row["relative"], numbers.relative),
            _cell(numbers, row["profit"], lambda amount: numbers.money(amount, is_signed=True)),
            _cell(numbers, row["roi"], numbers.ratio),
        )
        for row in found
    )
    columns = ("column.variation", "column.effect", "money.incremental_profit", "money.roi")
    table = Table("sensitivity", say("table.sensitivity"), say("sensitivity.note"), tuple(map(say, columns)), rows)
    return Sensitivity(_stays(numbers, found), table)


def _card(numbers: Numbers, document: Mapping[str, Json], name: str) -> ClaimCard:
    say, claim = numbers.words.say, document["claims"].get(name)
    title, question = say(f"claim.{name}.title"), say(f"claim.{name}.question")
    if claim is None:
        return ClaimCard(name, title, say("claim.withheld"), question, (), tuple(_why_absent(numbers, document, name)))
    leads = name == document["claim"]
    mark = "claim.indicative" if claim["is_indicative"] else "claim.leads" if leads else None
    lines = tuple(_claim_lines(numbers, claim, name))
    return ClaimCard(name, title, say(mark) if mark else None, question, lines, tuple(_doubt(numbers, document, name, claim)))


def _claim_lines(numbers: Numbers, claim: Mapping[str, Json], name: str) -> Iterator[Line]:
    """Leads (the total claim alone), visits, profit or revenue, ROI, and the smallest effect that could be seen."""
    say, money = numbers.words.say, claim["money"]
    leads = claim["factors"].get("leads") if name == "total" else None
    for key, effect in (("claim.leads_effect", leads), ("claim.visits_effect", claim["visits"])):
        if effect and effect["relative"]:
            relative = effect["relative"]
            yield Line(say(key), numbers.relative(relative["estimate"]), _ends(numbers, relative, numbers.relative))
    amount = "incremental_profit" if money["incremental_profit"] else "incremental_revenue"
    if money[amount]:
        text = numbers.money(money[amount]["estimate"], is_signed=True)
        yield Line(say(f"money.{amount}"), text, numbers.money_interval(money[amount]))
    if money["roi"]:
        yield Line(say("money.roi"), numbers.ratio(money["roi"]["estimate"]), _ends(numbers, money["roi"], numbers.ratio))
    effect = claim["profit"] or claim["revenue"] or claim["visits"]
    if effect["detectable"] is not None:
        yield Line(say("claim.detectable"), say("waiting.from", effect=numbers.percent(effect["detectable"], digits=0)))


def _doubt(numbers: Numbers, document: Mapping[str, Json], name: str, claim: Mapping[str, Json]) -> Iterator[str]:
    """What the claim's figures depend on."""
    say, used = numbers.words.say, document.get("control")
    if claim["is_indicative"]:
        guards = doubts.concerning(document, name, "indicative")
        yield from (guard_text(numbers, guard) for guard in guards)
        if not guards:
            yield say("doubt.total.weak_control" if name == "total" and used and used["is_weak"] else f"doubt.{name}.indicative")
    elif name == "process":
        yield say("doubt.process")
    elif not used:
        yield say("doubt.total.history")
    elif used["method"] == "holdout":
        yield say("doubt.total.holdout")
    else:
        yield say("doubt.total.weak_control" if used["is_weak"] else "doubt.total.control")


def _why_absent(numbers: Numbers, document: Mapping[str, Json], name: str) -> Iterator[str]:
    guards = doubts.concerning(document, name, "withhold")
    yield from (guard_text(numbers, guard) for guard in guards)
    if guards:
        return
    codes = [reason["code"] for reason in document["rung"]["reasons"]]
    if name == "process" and "process_withheld" in codes:
        yield from (sentences.reason(numbers, why) for why in document["rung"]["reasons"] if not why["code"].startswith("total"))
    else:
        yield numbers.words.say("claim.absent")


def _control_told(numbers: Numbers, document: Mapping[str, Json], used: Mapping[str, Json]) -> str:
    say = numbers.words.say
    names = [say("quoted", name=_member(numbers, document, used["dimension"], key)) for key in used["keys"]]
    figures = {
        "names": numbers.words.listed(names[:N_NAMES]) + (" …" if len(names) > N_NAMES else ""),
        "dimension": say(f"dimension.{used['dimension']}"),
        "leads": numbers.whole(used["leads_a_month"]),
        "method": say(f"control.method.{used['method']}"),
    }
    return numbers.count("control.weak" if used["is_weak"] else "control.plain", used["n_pre_weeks"], **figures)


def _candidates(numbers: Numbers, document: Mapping[str, Json], candidates: Sequence[Mapping[str, Json]]) -> Table:
    say, rows = numbers.words.say, []
    for found in candidates:
        state = "used" if found["is_used"] else "fit" if found["is_fit"] else "unfit"
        sides = [[_candidate_reason(numbers, why) for why in found["reasons"] if why["is_for"] is side] for side in (True, False)]
        name = _member(numbers, document, found["dimension"], found["key"])
        cells = (say("control.candidate", dimension=say(f"dimension.{found['dimension']}"), name=name), say(f"control.{state}"))
        rows.append((*cells, *(say("format.semicolon").join(side) or "—" for side in sides)))
    columns = ("column.candidate", "column.state", "column.for", "column.against")
    return Table("candidates", say("table.candidates"), "", tuple(map(say, columns)), tuple(rows))


def _candidate_reason(numbers: Numbers, why: Mapping[str, Json]) -> str:
    raw = {name: value for name, value in why["figures"].items() if value is not None}
    written: dict[str, Written] = {
        "needed": numbers.whole,
        "leads_a_month": numbers.whole,
        "change": numbers.relative,
        "weekly_drift": numbers.relative,
        "own_noise": lambda share: numbers.percent(share, digits=0),
        "correlation": lambda value: numbers.decimal(value, digits=2),
    }
    figures = {name: written[name](value) for name, value in raw.items() if name in written}
    key, counted = f"candidate.{why['code']}", _COUNTED.get(why["code"])
    try:
        return numbers.words.say(key, **figures) if counted is None else numbers.count(key, raw[counted], **figures)
    except KeyError:
        return plain(why["code"])


def _member(numbers: Numbers, document: Mapping[str, Json], dimension: str, key: str) -> str:
    """A channel, branch, owner or pipeline by the name people know it by."""
    rows = document["by"].get(dimension, ())
    title = next((row["title"] for row in rows if row["key"] == key and row["title"]), key)
    return numbers.words.name(dimension, title)


def _today(numbers: Numbers, document: Mapping[str, Json]) -> PlaceboPoint | None:
    """The launch itself on the same figure."""
    effect = (document["metrics"].get(document["placebo"]["figure"]) or {"effect": None})["effect"]
    if not effect or not effect["relative"] or not effect["null"]:
        return None
    seen, low, high = effect["relative"]["estimate"], effect["null"]["low"], effect["null"]["high"]
    return PlaceboPoint(numbers.short_day(document["launch"]["started_on"]), seen, low, high, not low <= seen <= high)


def _variation(numbers: Numbers, row: Mapping[str, Json]) -> str:
    code, raw = row["code"], row["figures"]
    key = f"sensitivity.{code}"
    if not numbers.words.has(key):
        return plain(code)
    if code in ("horizon", "washout"):
        return numbers.count(key, raw["days" if code == "horizon" else "weeks"])
    figures = {}
    if code == "margin":
        figures["margin"] = numbers.percent(raw["margin"], digits=0)
    for dimension in ("channel", "branch"):
        if code == f"without_{dimension}":
            figures[dimension] = numbers.words.name(dimension, raw[dimension])
    return numbers.words.say(key, **figures)


def _stays(numbers: Numbers, rows: Sequence[Mapping[str, Json]]) -> str | None:
    """Whether any variation turns the answer: its interval lies on another side of zero. None with nothing to compare."""
    measured = next((_side(row) for row in rows if row["code"] == "as_measured"), None)
    sides = [side for row in rows if row["code"] != "as_measured" and (side := _side(row)) is not None]
    if measured is None or not sides:
        return None
    n_turned, others = sum(side != measured for side in sides), numbers.whole(len(sides))
    if not n_turned:
        return numbers.words.say("sensitivity.stays", total=others)
    return numbers.count("sensitivity.turns", n_turned, total=others)


def _side(row: Mapping[str, Json]) -> int | None:
    bounds = row["profit"] or row["relative"]
    return side_of_zero(bounds) if bounds else None


def _cell(numbers: Numbers, bounds: Mapping[str, float] | None, written: Written) -> str:
    if not bounds:
        return numbers.words.say("none")
    return numbers.words.say("with_range", estimate=written(bounds["estimate"]), range=_ends(numbers, bounds, written))


def _ends(numbers: Numbers, bounds: Mapping[str, float], written: Written) -> str:
    return numbers.interval(written(bounds["low"]), written(bounds["high"]))
