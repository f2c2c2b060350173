"""The audit of a promise in a terminal and as a document."""

from collections.abc import Mapping
from typing import Any

from rich.padding import Padding

from connectors.text import clean_name
from pipeline.promises import Audit, Figure, Remark
from pipeline.reports import figures
from pipeline.reports.calculation import finished, heading, open_console, result_label
from pipeline.reports.numbers import Numbers
from pipeline.reports.terminal import glued
from pipeline.reports.words import plain
from pipeline.scenarios import text_in

SCHEMA_VERSION = 1
TONES = {"wrong": "red", "doubt": "yellow", "fine": "green", "note": ""}


def render_audit(found: Audit, numbers: Numbers) -> str:
    """The audit as text with ANSI styles (none where NO_COLOR is set): what does not add up comes first."""
    say, language = numbers.words.say, numbers.words.language
    console, buffer = open_console()
    console.print(glued(say("audit.title"), style="dim"))
    console.print(glued(plain(text_in(found.promise.title, language)), style="bold"))
    if source := text_in(found.promise.source, language):
        console.print(glued(say("audit.source", source=plain(source)), style="dim"))
    console.print(
        glued(say("audit.summary", **{tone: numbers.whole(count) for tone, count in counted(found).items() if tone != "note"}))
    )
    for tone, style in TONES.items():
        chosen = [remark for remark in found.remarks if remark.tone == tone]
        if not chosen:
            continue
        heading(console, say(f"audit.tone.{tone}"))
        for remark in chosen:
            console.print(Padding(glued("— " + sentence(found, remark, numbers), style=style), (0, 0, 0, 2)))
    return finished(buffer)


def counted(found: Audit) -> dict[str, int]:
    """How many remarks of each tone."""
    return {tone: sum(remark.tone == tone for remark in found.remarks) for tone in TONES}


def sentence(found: Audit, remark: Remark, numbers: Numbers) -> str:
    """A remark in words."""
    texts = {name: _written(numbers, figure) for name, figure in remark.figures.items()}
    if "needed" in remark.figures:
        texts["cases"] = numbers.count("audit.cases", remark.figures["needed"].low)
    texts |= {name: plain(text) for name, text in remark.texts.items() if name != "reason"}
    if "reason" in remark.texts:
        texts["reason"] = numbers.words.say(f"calc.reason.{remark.texts['reason']}")
    if remark.names:
        texts["names"] = numbers.words.listed(numbers.words.say(f"audit.cost.{name}") for name in remark.names)
    if remark.subject:
        texts["subject"] = _subject(found, remark, numbers)
    told = numbers.words.say(f"audit.{remark.code}", **texts)
    note = text_in(remark.note, numbers.words.language)
    return numbers.words.say("audit.noted", told=told.removesuffix("."), note=clean_name(note)) if note else told


def _written(numbers: Numbers, figure: Figure) -> str:
    if figure.kind == "p_value":
        return _p_written(numbers, figure.low)
    low, high = (figures.written(numbers, figure.kind, end) for end in (figure.low, figure.high))
    return low if low == high else numbers.interval(low, high)


def _p_written(numbers: Numbers, p_value: float) -> str:
    """`p = 0,102`, or that it is below what is worth telling."""
    if p_value < figures.LEAST_P:
        return numbers.words.say("audit.p_below", bound=numbers.decimal(figures.LEAST_P, digits=3))
    return numbers.words.say("audit.p", p=figures.written(numbers, "p_value", p_value))


def _subject(found: Audit, remark: Remark, numbers: Numbers) -> str:
    if not isinstance(remark.subject, str):
        return text_in(remark.subject, numbers.words.language)
    assert found.outcome is not None  # lines and results are those of a plan
    lines = found.outcome.scenario.lines
    if remark.subject in lines:
        return figures.label(numbers, found.outcome, lines[remark.subject].label)
    return result_label(found.outcome, numbers, remark.subject)


def audit_document(found: Audit, numbers: Numbers) -> dict[str, Any]:
    """The audit as a document: remarks by code with their figures, and the sentences in the language of `numbers`."""
    return {
        "schema_version": SCHEMA_VERSION, "title": dict(found.promise.title), "source": dict(found.promise.source),
        "currency": found.promise.currency, "scenario": None if found.outcome is None else found.outcome.scenario.name,
        "remarks": [{**_as_dict(remark), "text": sentence(found, remark, numbers)} for remark in found.remarks],
        "counts": counted(found),
    }  # fmt: skip


def _as_dict(remark: Remark) -> Mapping[str, Any]:
    return {
        "code": remark.code, "tone": remark.tone,
        "subject": remark.subject if isinstance(remark.subject, str) else dict(remark.subject),
        "figures": {name: {"kind": f.kind, "low": f.low, "high": f.high} for name, f in remark.figures.items()},
        "names": list(remark.names), **({"reason": remark.texts["reason"]} if "reason" in remark.texts else {}),
    }  # fmt: skip
