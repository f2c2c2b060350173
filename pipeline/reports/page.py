"""The report as words and figures in the order an owner reads it; each output only lays it out.

A pure function of the document: nothing is computed here but the wording. A new output (a message, a spreadsheet) starts here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pipeline.ladder import TRUST_THRESHOLD
from pipeline.reports import ads, ahead, beside, costing, doubts, evidence, sentences, tables, tiles
from pipeline.reports.ads import Ads
from pipeline.reports.ahead import Fan, Hurdles
from pipeline.reports.beside import Beside
from pipeline.reports.charts import Week
from pipeline.reports.doubts import GuardLine, Waiting
from pipeline.reports.elsewhere import elsewhere
from pipeline.reports.evidence import ClaimCard, Control, Placebo, Sensitivity
from pipeline.reports.forecast import Foretold, foretold
from pipeline.reports.heldout import HeldOut, holdout, panel
from pipeline.reports.naming import numbers_for
from pipeline.reports.numbers import Numbers
from pipeline.reports.own import funnel_table, own_tiles
from pipeline.reports.since import Since, since
from pipeline.reports.tables import Line, Part, Table
from pipeline.reports.tiles import Tile
from pipeline.reports.words import plain

Json = Any
# Half a year before the launch is enough to see the level it started from, and fits a phone.
N_PRE_WEEKS_DRAWN = 26


@dataclass(frozen=True, slots=True)
class Verdict:
    """The word, the sentence with its figures, the rule behind it, and what would settle an open question."""

    code: str
    word: str
    reason: str
    rule: str
    details: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FindingLine:
    """One finding in words, and the points it takes off the trust score."""

    severity: str
    text: str
    detail: str | None
    points: str


@dataclass(frozen=True, slots=True)
class Page:
    """Everything a report says, written out in one language."""

    numbers: Numbers
    title: str
    overline: str
    facts: tuple[str, ...]
    verdict: Verdict
    guards: tuple[GuardLine, ...]
    caution: str | None
    tiles: tuple[Tile, ...]
    own: tuple[Tile, ...]  # metrics of the business's own
    funnel: Table | None
    weeks: tuple[Week, ...]
    week_rows: Table
    launch_label: str
    weeks_caption: str
    parts_title: str  # without a margin the parts are revenue, not profit
    parts: tuple[Part, ...]
    split: Mapping[str, tuple[Part, ...]]  # the same by channel and by branch
    money: tuple[Line, ...]
    ads: Ads | None
    fan: Fan | None
    foretold: Foretold | None
    hurdles: Hurdles | None
    elsewhere: tuple[str, ...]  # the same in lines, or why there is none
    since: Since | None
    unclosed: Table | None
    claims: tuple[ClaimCard, ...]
    waiting: Waiting | None
    holdout: HeldOut | None
    panel: HeldOut | None
    support: Beside | None
    efficiency: Beside | None
    placebo: Placebo | None
    sensitivity: Sensitivity | None
    control: Control | None
    breakdowns: tuple[Table, ...]
    trust: str
    trust_score: int
    findings: tuple[FindingLine, ...]
    metrics: Table
    method: tuple[str, ...]
    rules: tuple[tuple[str, str, str], ...]  # code, word, rule
    definitions: tuple[tuple[str, str, str], ...]  # title, definition, SQL name
    sources: Table
    provenance: tuple[tuple[str, str], ...]


def page_of(document: Mapping[str, Json], language: str) -> Page:
    """The page of a document. Raises KeyError for a language without a catalogue."""
    numbers = numbers_for(document, language)
    say = numbers.words.say
    weeks = tuple(_weeks(numbers, document))
    return Page(
        numbers=numbers,
        title=plain(document["launch"]["title"]),
        overline=_overline(numbers, document),
        facts=tuple(_facts(numbers, document)),
        verdict=_verdict(numbers, document),
        guards=doubts.guards(numbers, document),
        caution=say("caution") if document["trust"]["score"] < TRUST_THRESHOLD else None,
        tiles=tiles.tiles(numbers, document),
        own=own_tiles(numbers, document),
        funnel=funnel_table(numbers, document),
        weeks=weeks,
        week_rows=_week_rows(numbers, document),
        launch_label=say("chart.launch", day=numbers.short_day(document["launch"]["started_on"])),
        weeks_caption=_weeks_caption(numbers, document),
        parts_title=say("section.parts.revenue" if document["launch"]["margin"] is None else "section.parts"),
        parts=tables.parts(numbers, document, "factor"),
        split={dimension: tables.parts(numbers, document, dimension) for dimension in ("channel", "branch")},
        money=tables.money_lines(numbers, document),
        ads=ads.ads(numbers, document),
        fan=ahead.fan(numbers, document),
        foretold=foretold(numbers, document),
        hurdles=ahead.hurdles(numbers, document),
        elsewhere=elsewhere(numbers, document),
        since=since(numbers, document),
        unclosed=_unclosed(numbers, document),
        claims=evidence.claim_cards(numbers, document),
        waiting=doubts.waiting(numbers, document),
        holdout=holdout(numbers, document),
        panel=panel(numbers, document),
        support=beside.support(numbers, document),
        efficiency=beside.efficiency(numbers, document),
        placebo=evidence.placebo(numbers, document),
        sensitivity=evidence.sensitivity(numbers, document),
        control=evidence.control(numbers, document),
        breakdowns=tables.breakdowns(numbers, document),
        trust=say("trust.score", score=numbers.whole(document["trust"]["score"])),
        trust_score=document["trust"]["score"],
        findings=tuple(_finding(numbers, found) for found in document["trust"]["findings"]),
        metrics=tables.every_metric(numbers, document),
        method=tuple(_method(numbers, document)),
        rules=tuple((code, say(f"verdict.{code}"), say(f"rule.{code}")) for code in sentences.VERDICTS),
        definitions=tuple(_definitions(numbers, document)),
        sources=_sources(numbers, document),
        provenance=tuple(_provenance(numbers, document)),
    )


def _overline(numbers: Numbers, document: Mapping[str, Json]) -> str:
    """The last whole week that the data know."""
    known_on = date.fromisoformat(document["known_on"])
    return numbers.week(known_on - timedelta(days=known_on.weekday() + 7))


def _facts(numbers: Numbers, document: Mapping[str, Json]) -> Iterator[str]:
    """The counted weeks end earlier than the report's week: outcomes of the latest leads are not known yet."""
    say, post = numbers.words.say, document["periods"]["post"]
    yield say("fact.started", day=numbers.day_in_text(document["launch"]["started_on"]))
    if post["n_weeks"]:
        yield numbers.count("fact.counted", post["n_weeks"], span=numbers.span(post["start"], post["end"]))
    else:
        yield say("fact.nothing_counted")
    yield say("fact.as_of", moment=sentences.data_as_of(numbers, document))
    if document["known_on"] != document["as_of"][:10]:
        yield say("fact.known_on", day=numbers.day(document["known_on"]))


def _verdict(numbers: Numbers, document: Mapping[str, Json]) -> Verdict:
    code = document["verdict"]["code"]
    details = [sentences.return_on_each(numbers, document)]
    if document["verdict"]["reason"]["code"] in sentences.UNDECIDED:
        details.append(sentences.power(numbers, document, is_undecided=True))
    details += [costing.uncounted(numbers, document), costing.turned(numbers, document)]
    details.append(sentences.next_step(numbers, document))
    return Verdict(
        code,
        sentences.verdict_word(numbers, document),
        sentences.verdict_reason(numbers, document),
        numbers.words.say("page.why", rule=sentences.verdict_rule(numbers, document)),
        tuple(detail for detail in details if detail),
    )


def _drawn(document: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    """The rows of the series that are drawn: the last half year before the launch, and everything since."""
    rows = document["weekly"]
    launch = document["periods"]["washout"]["start"]
    pre = [row for row in rows if row["week"] < launch]
    return [*pre[-N_PRE_WEEKS_DRAWN:], *(row for row in rows if row["week"] >= launch)]


def _weeks(numbers: Numbers, document: Mapping[str, Json]) -> Iterator[Week]:
    for row in _drawn(document):
        bounds = row["expected"]
        expected = (bounds["estimate"], bounds["low"], bounds["high"]) if bounds else None
        yield Week(numbers.short_day(row["week"]), row["side"], row["visited"], expected)


def _week_rows(numbers: Numbers, document: Mapping[str, Json]) -> Table:
    say = numbers.words.say
    rows = []
    for row in _drawn(document):
        bounds = row["expected"]
        expected = ends = "—"  # nothing was to be expected before the launch
        if bounds:
            expected = numbers.whole(bounds["estimate"])
            ends = numbers.interval(numbers.whole(bounds["low"]), numbers.whole(bounds["high"]))
        end = date.fromisoformat(row["week"]) + timedelta(days=7)
        cells = (numbers.span(row["week"], end), say(f"side.{row['side']}"), numbers.whole(row["leads"]))
        rows.append((*cells, numbers.whole(row["visited"]), expected, ends))
    columns = ("column.week", "column.side", "column.leads", "column.visits", "column.expected", "column.interval")
    title = say("table.weeks")
    return Table("weeks", title, "", tuple(map(say, columns)), tuple(rows), len(rows))


def _weeks_caption(numbers: Numbers, document: Mapping[str, Json]) -> str:
    n_pre = sum(row["week"] < document["periods"]["washout"]["start"] for row in document["weekly"])
    if n_pre > N_PRE_WEEKS_DRAWN:
        shown = numbers.whole(N_PRE_WEEKS_DRAWN)
        return numbers.count("chart.cut", n_pre, shown=shown)
    return numbers.words.say("chart.whole")


def _finding(numbers: Numbers, found: Mapping[str, Json]) -> FindingLine:
    text, detail = sentences.finding(numbers, found), sentences.finding_detail(numbers, found)
    return FindingLine(found["severity"], text, detail, sentences.finding_points(numbers, found))


def _unclosed(numbers: Numbers, document: Mapping[str, Json]) -> Table | None:
    """Visits nobody closed, by manager: they spoil every rate until somebody says how they ended."""
    found = document.get("unclosed")
    if not found:
        return None
    say = numbers.words.say
    name, comma = numbers.words.name, say("format.comma")
    rows = tuple(
        (name("owner", row["title"] or row["key"]), numbers.whole(row["n"]), comma.join(map(plain, row["examples"])))
        for row in found
    )
    columns = tuple(map(say, ("column.owner", "column.unclosed", "column.examples")))
    return Table("unclosed", say("section.unclosed"), say("unclosed.note"), columns, rows)


def _method(numbers: Numbers, document: Mapping[str, Json]) -> Iterator[str]:
    """Periods, horizon, what was left out, and the reason for every rule of the ladder that fired."""
    say, periods = numbers.words.say, document["periods"]
    for side in ("pre", "washout", "post"):
        found = periods[side]
        if not found["n_weeks"]:
            yield say(f"method.no_{side}")
            continue
        yield numbers.count(f"method.{side}", found["n_weeks"], span=numbers.span(found["start"], found["end"]))
    if periods["left_out"]:
        weeks = numbers.words.listed(numbers.short_day(week["week"]) for week in periods["left_out"])
        yield numbers.count("method.left_out", len(periods["left_out"]), weeks=weeks)
    yield sentences.horizon(numbers, document)
    yield say("method.rung", code=document["rung"]["code"])
    yield from (sentences.reason(numbers, reason) for reason in document["rung"]["reasons"])
    if document["claims"]:
        yield say("method.estimator")
    power = sentences.power(numbers, document)
    if power:
        yield power


def _definitions(numbers: Numbers, document: Mapping[str, Json]) -> Iterator[tuple[str, str, str]]:
    english = numbers.words.english
    for name, found in document["definitions"].items():
        yield tables.metric_title(numbers, document, name), english(found["definition"]), found["sql"].removesuffix(".sql")
    yield from beside.definitions(numbers, document)
    for name in ("net", "roi", "payback"):
        yield numbers.words.say(f"money.{name}"), numbers.words.say(f"definition.{name}"), ""


def _sources(numbers: Numbers, document: Mapping[str, Json]) -> Table:
    say = numbers.words.say
    rows = []
    for source in document["provenance"]["sources"]:
        first_on, last_on = (say("none") if source[end] is None else numbers.day(source[end]) for end in ("first_on", "last_on"))
        counts = (numbers.whole(source[name]) for name in ("n_leads", "n_deals", "n_stage_changes"))
        rows.append((plain(source["source"]), *counts, f"{first_on} – {last_on}", numbers.moment(source["last_seen_at"])))
    columns = ("column.source", "column.leads", "column.deals", "column.stage_changes", "column.days", "column.last_seen")
    return Table("sources", say("table.sources"), "", tuple(map(say, columns)), tuple(rows), len(rows))


def _provenance(numbers: Numbers, document: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    say, found = numbers.words.say, document["provenance"]
    yield say("provenance.launch"), plain(document["launch"]["name"])
    yield say("provenance.as_of"), document["as_of"]
    yield say("provenance.n_leads"), numbers.whole(found["n_leads"])
    for name in ("config_hash", "sql_hash", "code_version"):
        yield say(f"provenance.{name}"), plain(found[name])
