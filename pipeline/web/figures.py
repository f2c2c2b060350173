"""The few figures of a stored document that the dashboard sets side by side, whatever version of the program wrote it.

What an older document does not have is None; nothing here computes a figure that the document does not hold.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isclose, isfinite
from typing import Any

from pipeline.reports import sentences
from pipeline.reports.numbers import Numbers
from pipeline.reports.words import plain

Json = Any
SERIES = ("roi", "profit", "effect", "trust")  # what a history can be drawn of, the most telling first
N_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Range:
    """An estimate with its 95 % interval; an end that is not known, or never comes (a payback), is None."""

    estimate: float | None
    low: float | None = None
    high: float | None = None

    @property
    def is_whole(self) -> bool:
        return self.low is not None and self.high is not None


@dataclass(frozen=True, slots=True)
class Found:
    """One finding of a document: severity, code and what `sentences.finding` needs."""

    severity: str
    facts: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Unclosed:
    """Visits that nobody closed: whose (`key` of the employee, `title` where the source tells it), how many, some ids."""

    key: str
    title: str
    n: int
    ids: str


@dataclass(frozen=True, slots=True)
class Module:
    """A module of a programme; `amount` over the window, None where it has no figure of its own: `state` says why."""

    title: str
    state: str
    amount: Range | None


@dataclass(frozen=True, slots=True)
class ProgrammeFigures:
    """What only a programme has, over the window: `joint` by the titles of modules that cannot be told apart; with `rest` and the
    modules' own amounts they sum to `whole`."""

    is_revenue_based: bool
    whole: Range
    modules: tuple[Module, ...]
    joint: tuple[tuple[tuple[str, ...], Range], ...]
    rest: Range


@dataclass(frozen=True, slots=True)
class Digest:
    """Of one document; of a programme where it `is_programme`, and `programme` None where it is none this version can read.

    Money in its currency; `roi` and `effect` are shares; `payback` months; `profit` and `cost` a month,
    `net` and `total_cost` over the window.
    """

    title: str
    currency: str
    timezone: str
    as_of: str
    started_on: str
    verdict: str
    reason: Mapping[str, Json]
    roi: Range | None
    profit: Range | None
    payback: Range | None
    net: Range | None
    effect: Range | None
    cost: float | None
    total_cost: float | None
    trust: float | None
    n_weeks: int | None
    n_leads: float | None
    horizon_days: float | None
    findings: tuple[Found, ...]
    unclosed: tuple[Unclosed, ...]
    changes: Mapping[str, Json]
    config_hash: str
    code_version: str
    schema_version: str
    is_programme: bool = False
    programme: ProgrammeFigures | None = None


def digest_of(document: Mapping[str, Json]) -> Digest:
    """Never raises for a JSON object, however old or odd."""
    money, trust = _table(document.get("money")), _table(document.get("trust"))
    provenance, launch = _table(document.get("provenance")), _table(document.get("launch") or document.get("programme"))
    verdict = _table(document.get("verdict"))
    claim = _table(_table(document.get("claims")).get(str(document.get("claim"))))
    effect = next((_table(claim.get(name)) for name in ("profit", "revenue", "visits") if claim.get(name)), {})
    post = _table(_table(document.get("periods")).get("post"))
    n_weeks = number(post.get("n_weeks"))
    return Digest(
        title=plain(launch.get("title") or launch.get("name") or ""),
        currency=str(document.get("currency") or ""), timezone=str(document.get("timezone") or "UTC"),
        as_of=str(document.get("as_of") or ""), started_on=str(launch.get("started_on") or ""),
        verdict=str(verdict.get("code") or ""), reason=_table(verdict.get("reason")),
        roi=_range(money.get("roi")), profit=_range(money.get("monthly_benefit")), payback=_payback(money.get("payback_months")),
        net=_range(money.get("net")), effect=_range(effect.get("relative")),
        cost=number(money.get("monthly_cost")), total_cost=number(money.get("cost")),
        trust=number(trust.get("score")), n_weeks=None if n_weeks is None else round(n_weeks),
        n_leads=number(provenance.get("n_leads")), horizon_days=number(_table(document.get("horizon")).get("days")),
        findings=tuple(Found(str(row.get("severity")), row) for row in _rows(trust.get("findings"))),
        unclosed=tuple(_unclosed(document.get("unclosed"))),
        changes=_table(document.get("changes")),
        config_hash=str(provenance.get("config_hash") or ""), code_version=str(provenance.get("code_version") or ""),
        schema_version=str(document.get("schema_version") or ""),
        is_programme="programme" in document, programme=_programme(document) if "programme" in document else None,
    )  # fmt: skip


def numbers_for(numbers: Numbers, digest: Digest) -> Numbers:
    """The same language, the document's currency."""
    return Numbers(numbers.words, plain(digest.currency) if digest.currency else numbers.currency, numbers.timezone)


def value(numbers: Numbers, kind: str, size: float | None, *, is_change: bool = False) -> str:
    """A figure of a kind (`roi`, `profit`, `effect`, `trust`, `payback`, `net`, `cost`, `count`) in words; a missing one too."""
    if size is None:
        return numbers.words.say("payback.never" if kind == "payback" and not is_change else "none")
    match kind:
        case "roi":
            return numbers.points(size) if is_change else numbers.ratio(size)
        case "effect":
            return numbers.points(size) if is_change else numbers.relative(size)
        case "profit" | "net":
            return numbers.money(size, is_signed=True)
        case "cost":
            return numbers.money(size, is_signed=is_change)
        case "payback":
            return numbers.words.say("unit.months", n=numbers.decimal(size, is_signed=is_change))
    return numbers.whole(size, is_signed=is_change)


def range_text(numbers: Numbers, kind: str, found: Range | None) -> str:
    """The interval in words; empty when there is none."""
    if found is None or (not found.is_whole and kind != "payback"):
        return ""
    if kind == "payback" and found.low is None:
        return numbers.words.say("payback.in_no_case")
    return numbers.interval(value(numbers, kind, found.low), value(numbers, kind, found.high))


def is_readable(digest: Digest) -> bool:
    """Whether the document holds what every report of this form does: the figures of others are not shown as absent ones."""
    return digest.programme is not None if digest.is_programme else bool(digest.verdict)


def verdict_word(numbers: Numbers, digest: Digest) -> str:
    """The verdict in words; the code of one that this version does not know."""
    key = f"verdict.{digest.verdict}"
    return numbers.words.say(key) if numbers.words.has(key) else plain(digest.verdict)


def verdict_reason(numbers: Numbers, digest: Digest) -> str:
    """The sentence beside the verdict; empty where this version has no words for it."""
    try:
        return sentences.reason(numbers, digest.reason)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return ""


def finding_words(numbers: Numbers, found: Found) -> tuple[str, str, str]:
    """(what was found, where, its points) of a finding; its code where this version has no words for it."""
    try:
        return (
            sentences.finding(numbers, found.facts),
            sentences.finding_detail(numbers, found.facts) or "",
            sentences.finding_points(numbers, found.facts),
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return plain(found.facts.get("code", "")), "", ""


def in_series(digest: Digest, series: str) -> Range | None:
    """What a history draws of a digest."""
    if series == "trust":
        return None if digest.trust is None else Range(digest.trust)
    found = {"roi": digest.roi, "profit": digest.profit, "effect": digest.effect}[series]
    return found if found is not None and found.estimate is not None else None


def _unclosed(found: Json) -> Iterator[Unclosed]:
    """Visits that nobody closed, by manager, as far as the document has them."""
    for row in _rows(found):
        n, examples = number(row.get("n")), row.get("examples")
        ids = [plain(one) for one in examples[:N_EXAMPLES]] if isinstance(examples, list) else []
        if n:
            yield Unclosed(str(row.get("key") or ""), plain(row["title"]) if row.get("title") else "", round(n), ", ".join(ids))


def _programme(document: Mapping[str, Json]) -> ProgrammeFigures | None:
    """None unless every amount that sums to the whole is there."""
    whole, rest = _range(_table(document.get("money")).get("amount")), _range(document.get("rest"))
    modules, titles = [], {}
    for row in _rows(document.get("modules")):
        titles[str(row.get("name"))] = plain(row.get("title") or row.get("name") or "")
        modules.append(Module(titles[str(row.get("name"))], str(row.get("state") or ""), _range(row.get("amount"))))
    joint = []
    for row in _rows(document.get("joint")):
        amount, names = _range(row.get("amount")), row.get("modules")
        if amount is None or not isinstance(names, list):
            return None
        joint.append((tuple(titles.get(str(name), plain(name)) for name in names), amount))
    if whole is None or rest is None:
        return None
    parts = [*(one.amount for one in modules if one.amount is not None), *(amount for _, amount in joint), rest]
    if not all(one.is_whole for one in (whole, *parts)):
        return None
    if not isclose(sum(one.estimate or 0.0 for one in parts), whole.estimate or 0.0, rel_tol=1e-6, abs_tol=1.0):
        return None  # it could not be printed as a sum
    return ProgrammeFigures(bool(document.get("is_revenue_based")), whole, tuple(modules), tuple(joint), rest)


def _range(found: Json) -> Range | None:
    ends = [number(_table(found).get(end)) for end in ("estimate", "low", "high")]
    return Range(*ends) if ends[0] is not None else None


def _payback(found: Json) -> Range | None:
    """A payback that is there may have ends that never come."""
    if not isinstance(found, Mapping):
        return None
    return Range(*(number(found.get(end)) for end in ("estimate", "low", "high")))


def _table(found: Json) -> Mapping[str, Json]:
    return found if isinstance(found, Mapping) else {}


def _rows(found: Json) -> list[Mapping[str, Json]]:
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []


def number(found: Json) -> float | None:
    """A finite number of a document, or None."""
    is_number = isinstance(found, int | float) and not isinstance(found, bool) and isfinite(found)
    return found if is_number else None
