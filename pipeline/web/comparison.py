"""Two stored documents of a launch side by side: figures, differences, and what may explain them. Pure."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pipeline.reports.numbers import Numbers
from pipeline.reports.since import FORMS, STEPS, printed
from pipeline.reports.words import plain
from pipeline.web import figures
from pipeline.web.figures import Digest, Range
from pipeline.web.page import finding_line

# What is set side by side: the figure, and the kind of number it is.
RANGES = ("roi", "profit", "payback", "effect", "net")
PLAIN = {"total_cost": "cost", "cost": "cost", "trust": "count", "n_weeks": "count", "n_leads": "count", "horizon_days": "count"}
TITLES = {"horizon_days": "horizon"}


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of both."""

    title: str
    older: str
    newer: str
    difference: str
    older_interval: str = ""
    newer_interval: str = ""


def lines(older: Digest, newer: Digest, numbers: Numbers) -> list[Line]:
    """The figures that at least one of the two has. Amounts of different currencies have no difference."""
    say = numbers.words.say
    of_older, of_newer = figures.numbers_for(numbers, older), figures.numbers_for(numbers, newer)
    words = [figures.verdict_word(numbers, one) or say("none") for one in (older, newer)]
    same = say("dash.compare.same") if older.verdict == newer.verdict else say("dash.compare.other")
    found = [Line(say("dash.figure.verdict"), words[0], words[1], same)]
    for name in RANGES:
        was: Range | None = getattr(older, name)
        now: Range | None = getattr(newer, name)
        if was is None and now is None:
            continue
        found.append(
            Line(
                say(f"dash.figure.{name}"),
                _value(of_older, name, was), _value(of_newer, name, now),
                _difference(of_newer, name, _estimate(was), _estimate(now), older.currency == newer.currency),
                figures.range_text(of_older, name, was), figures.range_text(of_newer, name, now),
            )
        )  # fmt: skip
    for name, kind in PLAIN.items():
        sizes = getattr(older, name), getattr(newer, name)
        if sizes != (None, None):
            is_same_unit = kind != "cost" or older.currency == newer.currency
            texts = (figures.value(of_older, kind, sizes[0]), figures.value(of_newer, kind, sizes[1]))
            title = say(f"dash.figure.{TITLES.get(name, name)}")
            found.append(Line(title, *texts, _difference(of_newer, kind, *sizes, is_same_unit)))
    return found


def reasons(older: Digest, newer: Digest, numbers: Numbers) -> list[str]:
    """What differs in how the two were made."""
    say, found = numbers.words.say, []
    if older.config_hash != newer.config_hash:
        found.append(say("dash.compare.config"))
    if older.code_version != newer.code_version:
        found.append(say("dash.compare.code", old=plain(older.code_version), new=plain(newer.code_version)))
    for name, key in (("n_weeks", "weeks"), ("n_leads", "leads")):
        sizes = getattr(older, name), getattr(newer, name)
        if None not in sizes and sizes[0] != sizes[1]:
            found.append(say(f"dash.compare.{key}", old=numbers.whole(sizes[0]), new=numbers.whole(sizes[1])))
    return found or [say("dash.compare.nothing")]


def findings_only_in(one: Digest, other: Digest, numbers: Numbers) -> list[Mapping[str, str]]:
    """What the checks found in one and not in the other, by code and subject."""
    known = {(found.facts.get("code"), str(found.facts.get("subject"))) for found in other.findings}
    only = [found for found in one.findings if (found.facts.get("code"), str(found.facts.get("subject"))) not in known]
    return [finding_line(figures.finding_words(numbers, found), found.severity, numbers) for found in only]


def changes_since(newer: Digest, numbers: Numbers) -> str:
    """A heading for `changes`: they are told against the report before, which need not be the one beside it."""
    since = newer.changes.get("since")
    day = since.get("as_of") if isinstance(since, Mapping) else None
    if not isinstance(day, str):
        return numbers.words.say("dash.compare.changes")
    return numbers.words.say("dash.compare.changes_since", moment=numbers.moment(day))


def changes(newer: Digest, numbers: Numbers) -> list[tuple[str, ...]]:
    """What the newer document itself says became of its figures, a heading first; empty when it says nothing (older programs)."""
    say, table = numbers.words.say, newer.changes.get("figures")
    if not isinstance(table, Mapping):
        return []
    own = figures.numbers_for(numbers, newer)
    rows = []
    for name in FORMS:
        row: Any = table.get(name)
        ends = {key: figures.number(row.get(key)) for key in ("then", *STEPS, "now")} if isinstance(row, Mapping) else {}
        known = {key: end for key, end in ends.items() if end is not None}
        with suppress(ValueError):  # of a document that does not add up
            rows += [printed(own, name, known)] if known and len(known) == len(ends) else []
    heads = (say("dash.compare.figure"), say("dash.compare.then"), *(say(f"dash.compare.step.{step}") for step in STEPS))
    return [(*heads, say("dash.compare.now")), *rows] if rows else []


def _estimate(found: Range | None) -> float | None:
    return None if found is None else found.estimate


def _value(numbers: Numbers, kind: str, found: Range | None) -> str:
    return numbers.words.say("none") if found is None else figures.value(numbers, kind, found.estimate)


def _difference(numbers: Numbers, kind: str, was: float | None, now: float | None, is_same_unit: bool) -> str:
    if was is None or now is None or not is_same_unit:
        return "—"
    if was == now:
        return numbers.words.say("dash.compare.same")
    return figures.value(numbers, kind, now - was, is_change=True)
