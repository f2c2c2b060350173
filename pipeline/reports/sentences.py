"""Codes of the document as full sentences with their figures: verdicts, reasons, findings, what is missing and why."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pipeline.costs import costs_of
from pipeline.ladder import MIN_VISITS, MIN_WEEKS
from pipeline.reports.guarding import guard_text
from pipeline.reports.numbers import Numbers
from pipeline.reports.words import plain

Json = Any

# Reasons of a verdict that stays open for want of a narrower interval.
UNDECIDED = ("zero_inside", "interim")
VERDICTS = ("pays", "works_payback_unproven", "does_not_pay", "harms", "not_enough_data")
# How each figure of a reason is written.
_WRITTEN: dict[str, Callable[[Numbers, Any], str]] = {
    "low": lambda numbers, value: numbers.money(value),
    "high": lambda numbers, value: numbers.money(value),
    "break_even": lambda numbers, value: numbers.money(value),
    "score": lambda numbers, value: numbers.whole(value),
    "threshold": lambda numbers, value: numbers.whole(value),
    "n_weeks": lambda numbers, value: numbers.whole(value),
    "n_visits": lambda numbers, value: numbers.whole(value),
    "n_pre_weeks": lambda numbers, value: numbers.whole(value),
    "season": lambda numbers, value: numbers.percent(value, digits=0),
    "share": lambda numbers, value: numbers.percent(value),
    "before": lambda numbers, value: numbers.percent(value),
    "after": lambda numbers, value: numbers.percent(value),
    "leads_change": lambda numbers, value: numbers.relative(value),
    "source": lambda numbers, value: numbers.words.name("channel", value),
}


def reason(numbers: Numbers, found: Mapping[str, Json]) -> str:
    """Why a rule fired: `{"code", "figures"}` of the document as a sentence. Raises KeyError for a code without words."""
    code, raw = found["code"], found["figures"]
    figures = {name: _WRITTEN[name](numbers, value) for name, value in raw.items() if value is not None and name in _WRITTEN}
    if raw.get("low") is not None and raw.get("high") is not None:
        figures["range"] = numbers.money_interval(raw, is_signed=False)
    key = f"reason.{code}"
    if code == "too_little_post":
        limits = {"min_weeks": numbers.whole(MIN_WEEKS), "min_visits": numbers.whole(MIN_VISITS)}
        if raw.get("more_weeks") is None:
            return numbers.words.say(f"{key}.no_pace", **figures, **limits)
        return numbers.count(key, raw["more_weeks"], **figures, **limits)
    if code == "too_little_pre":
        return numbers.words.say(key, **figures, min_weeks=numbers.whole(MIN_WEEKS), min_visits=numbers.whole(MIN_VISITS))
    if raw.get("plain_low") is not None:
        figures["plain"] = numbers.money_interval({"low": raw["plain_low"], "high": raw["plain_high"]}, is_signed=False)
    if not numbers.words.has(key):  # a guard that withholds a claim is a reason too
        return guard_text(numbers, found)
    sentence = numbers.words.say(key, **figures)
    if code in UNDECIDED and raw.get("break_even") is not None:
        threshold = numbers.words.say("reason.threshold", break_even=figures["break_even"])
        return numbers.words.say("format.two_sentences", first=sentence, second=threshold)
    return sentence


def verdict_word(numbers: Numbers, document: Mapping[str, Json]) -> str:
    """One of the five verdicts."""
    return numbers.words.say(f"verdict.{document['verdict']['code']}")


def verdict_reason(numbers: Numbers, document: Mapping[str, Json]) -> str:
    """The sentence beside the verdict."""
    guards = [guard["code"] for guard in document.get("guards") or ()]
    if guards and document["verdict"]["reason"]["code"] in ("no_claim", "total_withheld", *guards):
        return numbers.words.say("reason.no_claim.guarded")
    return reason(numbers, document["verdict"]["reason"])


def verdict_rule(numbers: Numbers, document: Mapping[str, Json]) -> str:
    """The rule by which the verdict was reached."""
    is_lowered = document["verdict"]["reason"]["code"] == "lowered_by_guard"
    return numbers.words.say("rule.lowered" if is_lowered else f"rule.{document['verdict']['code']}")


def is_refused(document: Mapping[str, Json]) -> bool:
    """Whether there are too few weeks or visits for any effect (and not a guard against all of them)."""
    codes = [found["code"] for found in document["rung"]["reasons"]]
    return document["rung"]["code"] == "R0" and any(code.startswith("too_little") for code in codes)


def next_step(numbers: Numbers, document: Mapping[str, Json]) -> str | None:
    """What would settle an open question most cheaply; None when nothing is open."""
    code, found = document["verdict"]["reason"]["code"], document.get("power")
    if document["verdict"]["code"] != "not_enough_data":
        return None
    if code in UNDECIDED and found and found["best_way"]:
        if found["best_way"] != "wait":
            return numbers.words.say(f"way.{found['best_way']}")
        if found["more_weeks"]:
            return numbers.count("way.wait", found["more_weeks"])
    key = "next.zero_inside" if code in UNDECIDED else f"next.{code}"
    return numbers.words.say(key) if numbers.words.has(key) else None


def headline_effect(document: Mapping[str, Json]) -> Mapping[str, Json] | None:
    """The effect of the claim that leads the report: on profit, else revenue, else visits; None when no claim leads it."""
    claim = document["claims"].get(document["claim"])
    found: Mapping[str, Json] | None = (claim["profit"] or claim["revenue"] or claim["visits"]) if claim else None
    return found


def power(numbers: Numbers, document: Mapping[str, Json], *, is_undecided: bool = False) -> str | None:
    """What these data can see at all: range of the effect, the smallest effect they detect, the break-even effect.

    `is_undecided` ends it with the plain answer: neither proved nor refuted. The range is the one the verdict is read from.
    """
    effect, found = headline_effect(document), document.get("power") or {}
    if not effect:
        return None
    bounds = (document.get("looks") or {}).get("relative") or effect["relative"]
    detectable = effect["detectable"] if found.get("detectable") is None else found["detectable"]
    if bounds is None or detectable is None:
        return None
    break_even = found.get("break_even_relative")
    if break_even is None:
        break_even = document["claims"][document["claim"]]["money"]["break_even_effect"]
    figures = {
        "range": numbers.interval(*(numbers.relative(bounds[end]) for end in ("low", "high"))),
        "detectable": numbers.percent(detectable, digits=0),
    }
    key = "power"
    if break_even is not None:
        key, figures["break_even"] = "power.break_even", numbers.relative(break_even)
    return numbers.words.say(f"{key}.undecided" if is_undecided else key, **figures)


def return_on_each(numbers: Numbers, document: Mapping[str, Json]) -> str | None:
    """What each unit of money spent brought back: 1 + ROI, for people who do not think in percent."""
    roi = (document["money"] or {}).get("roi")
    if roi is None or roi["low"] < -1:  # less than nothing cannot come back: the verdict says it better
        return None
    back = {end: numbers.full_money(1 + roi[end], digits=2) for end in ("estimate", "low", "high")}
    return numbers.words.say(
        "money.return_on_each",
        unit=numbers.full_money(1),
        back=back["estimate"],
        interval=numbers.interval(back["low"], back["high"]),
    )


def missing(numbers: Numbers, document: Mapping[str, Json], figure: str) -> str:
    """Why a figure of money is absent."""
    if document["money"] is None:
        code = "refused" if is_refused(document) else "guarded" if document.get("guards") else "withheld"
    else:
        code = document["money"]["missing"].get(figure, "unmeasured")
    return numbers.words.say(f"missing.{code}")


def finding(numbers: Numbers, found: Mapping[str, Json]) -> str:
    """One finding as a sentence; a check that nobody has put into words yet by its name."""
    key = f"finding.{found['code']}"
    if not numbers.words.has(key):
        return numbers.count("finding.other", found["n"], code=plain(found["code"]))
    days = {name: numbers.day(value) for name, value in found["detail"].items() if name in ("first_on", "last_on", "heard_on")}
    return numbers.count(key, found["n"], subject=plain(found["subject"]), **days)


def finding_points(numbers: Numbers, found: Mapping[str, Json]) -> str:
    """What a finding takes off the trust score."""
    if not found["points"]:
        return numbers.words.say("finding.no_points")
    return numbers.words.say("finding.points", points=numbers.decimal(found["points"]))


def finding_detail(numbers: Numbers, found: Mapping[str, Json]) -> str | None:
    """How much of the data it is, and where to look: stages, columns, files, examples or names of a finding, cut short."""
    share, told = found["detail"].get("share"), []
    if share is not None:
        unit = "rows" if found["code"] == "quarantined_rows" else "leads"  # what could not be read is no lead yet
        told.append(numbers.words.say(f"finding.share.{unit}", share=numbers.small_share(share)))
    for name in ("stages", "columns", "file", "examples", "nearest", "known"):
        if found["detail"].get(name):
            told.append(numbers.words.say(f"detail.{name}", text=_listed(numbers, str(found["detail"][name]))))
            break
    return " · ".join(told) or None


def horizon(numbers: Numbers, document: Mapping[str, Json]) -> str:
    """Within how many days outcomes count, why, and the share of outcomes that came within them."""
    found = document["horizon"]
    outcome = numbers.words.say(f"outcome.{found['outcome']}")
    share = {} if found["share"] is None else {"share": numbers.percent(found["share"], digits=0)}
    return numbers.count(f"horizon.{found['chosen_from']}", found["days"], outcome=outcome, **share)


def data_as_of(numbers: Numbers, document: Mapping[str, Json]) -> str:
    """The day of the data, and the time of the newest of them where they came on that very day."""
    as_of = document["as_of"]
    newest = max((source["last_seen_at"] for source in document["provenance"]["sources"]), default=None)
    if newest is None or numbers.local_day(newest).isoformat() != as_of:
        return numbers.moment(as_of)
    return numbers.moment(newest)


def window(numbers: Numbers, document: Mapping[str, Json]) -> str:
    """The period that money is counted over: `9 weeks after the launch`."""
    days = (document["money"] or {}).get("window_days")
    return numbers.count("window", round(days / 7) if days else document["periods"]["post"]["n_weeks"])


def payback(numbers: Numbers, document: Mapping[str, Json]) -> str | None:
    """The median payback, or that it does not come; None when it is not known."""
    money = document["money"]
    if money is None or money["payback_months"] is None:
        return None
    months = money["payback_months"]["estimate"]
    if months is None:
        return numbers.words.say("payback.never")
    return numbers.words.say("payback.at_once") if months == 0 else numbers.months(months)


def payback_interval(numbers: Numbers, document: Mapping[str, Json]) -> str:
    """The range of a payback: `from 1.2 to 5.2 months`, or words, because its far end may be never and both may be at once."""
    say, found = numbers.words.say, document["money"]["payback_months"]
    low, middle, high = (found[end] for end in ("low", "estimate", "high"))
    if low is None:
        return say("payback.in_no_case")
    if middle is None:
        return say("payback.at_best", low=numbers.months(low))
    if high is None:
        return say("payback.or_never", low=numbers.months(low)) if low else say("payback.else_never")
    if high == 0:  # nothing was paid at the start
        return say("payback.nothing_paid" if is_counted(document, "once") else "payback.nothing_counted")
    return numbers.interval(numbers.months(low), numbers.months(high))


def is_payback_range(document: Mapping[str, Json]) -> bool:
    """Whether the range of the payback lies between two moments."""
    found = document["money"]["payback_months"]
    return None not in (found["low"], found["estimate"], found["high"]) and found["high"] > 0


def is_counted(document: Mapping[str, Json], when: Literal["once", "monthly"]) -> bool:
    """Whether at least one line of the one-off, or of the monthly, costs was filled in."""
    costs = document["launch"]["costs"]
    hours = costs["staff_hours_one_off" if when == "once" else "staff_hours_monthly"]
    lines = (costs["one_off"],) if when == "once" else (costs["monthly"], costs["usage_per_lead"])
    if any(line is not None for line in lines) or (hours is not None and costs["hour_rate"] is not None):
        return True
    named = costs_of(costs)
    return named.is_counted("once") if when == "once" else named.is_counted("monthly") or named.is_counted("per_lead")


def _listed(numbers: Numbers, text: str, n_shown: int = 5) -> str:
    """The first few of a comma-separated list."""
    parts = [plain(part) for part in text.split(",") if part.strip()]
    return numbers.words.listed(parts[:n_shown]) + (" …" if len(parts) > n_shown else "")
