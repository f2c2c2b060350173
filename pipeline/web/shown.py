"""What stands on the pages, made of stored snapshots and of the standing; nothing is measured in a request."""

import functools
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pipeline.reports import render
from pipeline.reports.numbers import Numbers
from pipeline.reports.words import plain
from pipeline.settings import Settings
from pipeline.web import comparison, figures, health, programmes
from pipeline.web.archive import Archive, Entry, by_week
from pipeline.web.board import Board
from pipeline.web.figures import SERIES, Digest, Range, digest_of
from pipeline.web.history import NARROW, WIDE, Week, draw, spark
from pipeline.web.page import Press, Viewer, finding_line, report_policy

MOST_WEEKS = 104  # drawn and listed
MOST_LISTED = 200
N_RENDERED = 24  # reports kept as they were written
_FILES = {"report.html": "text/html; charset=utf-8", "document.json": "application/json"}
_KEY = re.compile(r"[0-9a-f]{16}")


class Shown:
    """One method a page; all of them block, so they are called on a thread."""

    def __init__(self, settings: Settings, board: Board, archive: Archive, press: Press) -> None:
        self._settings, self._board, self._archive, self._press = settings, board, archive, press
        self._writing = threading.Lock()  # a report takes a second of a core: one at a time
        self._written = functools.lru_cache(N_RENDERED)(self._write)

    def overview(self, request: Request, viewer: Viewer) -> Response:
        numbers = self._press.numbers(viewer.language)
        cards = [self._card(name, title, numbers) for name, title in self._launches().items()]
        pulse = health.pulse(self._board.standing(), self._settings, numbers)
        title = numbers.words.say("dash.nav.overview")
        return self._answer(request, viewer, "overview", title=title, section="overview", cards=cards, pulse=pulse)

    def sync(self, request: Request, viewer: Viewer) -> Response:
        numbers = self._press.numbers(viewer.language)
        facts = health.sync_facts(self._board.standing(), self._settings, numbers)
        return HTMLResponse(
            self._press.page("sync", viewer, request, title=numbers.words.say("dash.nav.sync"), section="sync", **facts)
        )

    def quality(self, request: Request, viewer: Viewer) -> Response:
        numbers = self._press.numbers(viewer.language)
        parts = []
        for n, (name, title) in enumerate(self._launches().items()):
            weeks = self._weeks(name)
            if weeks and not weeks[-1][1].is_programme:  # its leads are those of its launches, which have their own parts
                parts.append(self._quality(f"trust-{n}", title, weeks, numbers, is_linked=viewer.role == "owner"))
        title = numbers.words.say("dash.nav.quality")
        return self._answer(request, viewer, "quality", title=title, section="quality", parts=parts)

    def launch(self, request: Request, viewer: Viewer) -> Response:
        name = request.path_params["launch"]
        known = self._launches()
        if name not in known:
            return self.missing(request, viewer)
        numbers, entries, weeks = self._press.numbers(viewer.language), self._archive.snapshots(name), self._weeks(name)
        address = _address(name)
        if not weeks:
            return self._answer(request, viewer, "launch", title=known[name], section="overview", newest=None)
        digests = [digest for _, digest in weeks]
        if digests[-1].is_programme:
            return self._programme(request, viewer, known[name], *weeks[-1])
        possible = [one for one in SERIES if any(figures.in_series(digest, one) for digest in digests)] or ["trust"]
        wished = request.query_params.get("series", "")
        shown = wished if wished in possible else possible[0]
        drawn = [self._week(entry, digest, shown, numbers) for entry, digest in weeks]
        own = figures.numbers_for(numbers, digests[-1])
        return self._answer(
            request, viewer, "launch", title=known[name] or digests[-1].title, section="overview", address=address,
            newest=self._newest(*weeks[-1], own), facts=self._facts(digests[-1], numbers),
            series=[(one, f"{address}?series={one}") for one in possible], shown=shown,
            drawings=_drawings(drawn, shown, own, "history"), chart_label=_chart_label(len(drawn), shown, numbers),
            weeks=[_row(week, digest, shown, numbers) for week, (_, digest) in reversed(list(zip(drawn, weeks, strict=True)))],
            options=[(entry.key, numbers.moment(entry.as_of)) for entry in reversed(entries[-MOST_LISTED:])],
            n_all=len(entries), compare=f"{address}/compare",
        )  # fmt: skip

    def compare(self, request: Request, viewer: Viewer) -> Response:
        name = request.path_params["launch"]
        chosen = [self._entry(name, request.query_params.get(side, "")) for side in ("older", "newer")]
        found = sorted((one for one in chosen if one is not None), key=lambda one: (one.week, one.as_of, one.seen_at))
        if len(found) < len(chosen):
            return self.missing(request, viewer)
        older, newer = found  # whichever way round they were asked for
        numbers = self._press.numbers(viewer.language)
        was, now = self._archive.digests([older, newer], digest_of)
        if was.is_programme or now.is_programme:
            say = numbers.words.say
            links = [(_snapshot(entry), f"{say('dash.launch.open')}: {numbers.moment(entry.as_of)}") for entry in (older, newer)]
            return self._notice(request, viewer, "programme", 200, [*links, (_address(name), self._back(newer, numbers))])
        sides = [{"moment": numbers.moment(entry.as_of), "address": _snapshot(entry)} for entry in (older, newer)]
        return self._answer(
            request, viewer, "compare", title=numbers.words.say("dash.compare.title"), section="overview", address=_address(name),
            launch_title=self._launches().get(name) or now.title, older=sides[0], newer=sides[1],
            lines=comparison.lines(was, now, numbers), reasons=comparison.reasons(was, now, numbers),
            changes=comparison.changes(now, numbers), changes_since=comparison.changes_since(now, numbers),
            appeared=comparison.findings_only_in(now, was, numbers),
            vanished=comparison.findings_only_in(was, now, numbers),
        )  # fmt: skip

    def _programme(self, request: Request, viewer: Viewer, title: str, entry: Entry, newest: Digest) -> Response:
        """The newest figures of a programme, and every report of it."""
        numbers, entries = self._press.numbers(viewer.language), self._archive.snapshots(entry.launch)
        found = newest.programme
        return self._answer(
            request, viewer, "programme", title=title, section="overview", newest=_snapshot(entry),
            facts=[*programmes.facts(newest, numbers), *self._facts(newest, numbers)],
            told=programmes.sentence(newest, found, numbers) if found else "",
            card=programmes.card(newest, found, numbers) if found else None,
            reports=[(_snapshot(one), numbers.moment(one.as_of)) for one in reversed(entries[-MOST_LISTED:])],
            n_all=len(entries),
        )  # fmt: skip

    def snapshot(self, request: Request, viewer: Viewer) -> Response:
        """The stored document as the report's own writer lays it out, under a strip that leads back."""
        entry = self._entry(request.path_params["launch"], request.path_params["key"])
        if entry is None:
            return self.missing(request, viewer)
        page = self._written(entry, viewer.language)
        if page is None:
            return self._too_old(request, viewer, entry)
        numbers = self._press.numbers(viewer.language)
        strip = self._press.strip(viewer, numbers.moment(entry.as_of), _address(entry.launch), self._back(entry, numbers),
                                  _snapshot(entry))  # fmt: skip
        return HTMLResponse(page.replace("<body>", f"<body>{strip}", 1), headers={"Content-Security-Policy": report_policy(page)})

    def file(self, request: Request, viewer: Viewer) -> Response:
        """The report's very bytes, or the document's, to keep."""
        entry, name = self._entry(request.path_params["launch"], request.path_params["key"]), request.path_params["file"]
        if entry is None or name not in _FILES:
            return self.missing(request, viewer)
        text = self._archive.text(entry) if name == "document.json" else self._written(entry, viewer.language)
        if text is None:
            return self._too_old(request, viewer, entry)
        saved = re.sub(r"[^\w-]", "_", f"{entry.launch}-{entry.as_of}") + f".{name.rpartition('.')[2]}"
        kept = f"attachment; filename*=UTF-8''{quote(saved)}"
        return Response(text, media_type=_FILES[name], headers={"Content-Disposition": kept})

    def missing(self, request: Request, viewer: Viewer) -> Response:
        return self._notice(request, viewer, "missing", 404)

    def forbidden(self, request: Request, viewer: Viewer) -> Response:
        """Signed in but not allowed to; or nobody can sign in yet."""
        return self._notice(request, viewer, "forbidden" if viewer.name else "no_users", 403)

    def away(self, request: Request, viewer: Viewer) -> Response:
        return self._notice(request, viewer, "away", 503)

    def _too_old(self, request: Request, viewer: Viewer, entry: Entry) -> Response:
        (found,) = self._archive.digests([entry], digest_of)
        version = {"version": plain(found.code_version), "schema": plain(found.schema_version)}
        say = self._press.numbers(viewer.language).words.say
        file = (f"{_snapshot(entry)}/document.json", say("dash.snapshot.json"))
        back = (_address(entry.launch), say("dash.snapshot.back"))
        return self._notice(request, viewer, "old", 200, (file, back), **version)

    def _back(self, entry: Entry, numbers: Numbers) -> str:
        """What the way back from a stored report is called."""
        (found,) = self._archive.digests([entry], digest_of)
        return numbers.words.say("dash.programme.back" if found.is_programme else "dash.snapshot.back")

    def _notice(self, request: Request, viewer: Viewer, code: str, status: int,
                links: Sequence[tuple[str, str]] | None = None, **told: str) -> Response:  # fmt: skip
        say = self._press.numbers(viewer.language).words.say
        links = (("/", say("dash.notice.back")),) if links is None else links
        text = say(f"dash.notice.{code}.text", **told)
        page = self._press.page("notice", viewer, request, title=say(f"dash.notice.{code}"), text=text, links=links)
        return HTMLResponse(page, status)

    def _answer(self, request: Request, viewer: Viewer, template: str, **facts: Any) -> Response:
        return HTMLResponse(self._press.page(template, viewer, request, is_stale=self._archive.is_stale, **facts))

    def _launches(self) -> dict[str, str]:
        """Every launch and programme of the configuration, then those that only the warehouse remembers, with their titles."""
        known = {name: plain(title) for name, title in self._settings.titles.items()}
        for name in self._archive.launches():
            known.setdefault(name, plain(name))
        return known

    def _weeks(self, name: str) -> list[tuple[Entry, Digest]]:
        """The newest snapshot of each week, oldest first; not those of a programme (or a launch) that had the name before."""
        entries = by_week(self._archive.snapshots(name))[-MOST_WEEKS:]
        found = list(zip(entries, self._archive.digests(entries, digest_of), strict=True))
        return [one for one in found if one[1].is_programme == found[-1][1].is_programme]

    def _entry(self, launch: str, key: str) -> Entry | None:
        return self._archive.entry(launch, key) if _KEY.fullmatch(key) else None

    def _write(self, entry: Entry, language: str) -> str | None:
        """The report of a stored document; None when its form is one that the writer no longer knows."""
        document = self._archive.document(entry)
        with self._writing:
            try:
                return render(document, "html", language).decode()
            except (KeyError, TypeError, ValueError, AttributeError, IndexError):
                return None

    def _card(self, name: str, title: str, numbers: Numbers) -> dict[str, Any]:
        weeks, say = self._weeks(name), numbers.words.say
        started = {launch.name: launch.started_on.isoformat() for launch in self._settings.launches}.get(name)
        card: dict[str, Any] = {"address": _address(name), "title": title, "facts": [], "verdict": "", "code": "", "spark": None,
                                "note": say("dash.overview.unmeasured"), "modules": []}  # fmt: skip
        if not weeks:
            return {**card, "facts": [say("dash.started", day=numbers.day(started))] if started else []}
        newest, digests = weeks[-1][1], [digest for _, digest in weeks]
        facts = [*programmes.facts(newest, numbers), *self._facts(newest, numbers)]
        if name not in self._settings.titles:
            facts.append(say("dash.overview.past"))
        if not figures.is_readable(newest):
            return {**card, "facts": facts, "note": say("dash.overview.unreadable")}
        if newest.programme is not None:
            return {**card, "facts": facts, "note": "", **programmes.card(newest, newest.programme, numbers)}
        own = figures.numbers_for(numbers, newest)
        series = next((one for one in SERIES if figures.in_series(newest, one)), "trust")
        found = [figures.in_series(digest, series) for digest in digests]
        ends = [figures.value(own, series, one.estimate) for one in found if one is not None]
        drawn = spark(found)
        return {
            **card, "facts": facts, "code": newest.verdict,
            "verdict": figures.verdict_word(own, newest), "figures": list(_figures(newest, own)),
            "spark": drawn if drawn[0] else None, "spark_of": say(f"dash.launch.series.{series}"),
            "spark_label": say("dash.spark", first=ends[0], last=ends[-1]) if ends else "",
        }  # fmt: skip

    def _facts(self, digest: Digest, numbers: Numbers) -> list[str]:
        say = numbers.words.say
        facts = [say("dash.as_of", moment=_said(numbers.moment, digest.as_of))]
        return [say("dash.started", day=_said(numbers.day, digest.started_on)), *facts] if digest.started_on else facts

    def _newest(self, entry: Entry, digest: Digest, numbers: Numbers) -> dict[str, Any]:
        words = figures.verdict_word(numbers, digest), figures.verdict_reason(numbers, digest)
        return {"code": digest.verdict, "verdict": words[0], "reason": words[1], "address": _snapshot(entry),
                "is_readable": figures.is_readable(digest)}  # fmt: skip

    def _week(self, entry: Entry, digest: Digest, series: str, numbers: Numbers) -> Week:
        score = numbers.words.say("dash.out_of_100", score=numbers.whole(digest.trust)) if digest.trust is not None else "—"
        found, verdict = figures.in_series(digest, series), figures.verdict_word(numbers, digest)
        return Week(numbers.moment(entry.as_of), numbers.short_day(entry.week), found, verdict, score, _snapshot(entry))

    def _quality(
        self, mark: str, title: str, weeks: list[tuple[Entry, Digest]], numbers: Numbers, *, is_linked: bool
    ) -> dict[str, Any]:
        """No verdict, no money, and links to reports only for those who may open them."""
        newest = weeks[-1][1]
        drawn = [
            replace(self._week(entry, digest, "trust", numbers), verdict="", address=_snapshot(entry) if is_linked else "")
            for entry, digest in weeks
        ]
        marks = [replace(week, trust="") for week in drawn]  # the value says it
        lines = [finding_line(figures.finding_words(numbers, one), one.severity, numbers) for one in newest.findings]
        chart_label = numbers.words.say("dash.quality.chart", weeks=numbers.count("dash.launch.n_weeks", len(drawn)))
        return {
            "title": title, "facts": self._facts(newest, numbers), "score": newest.trust,
            "score_words": numbers.whole(newest.trust or 0), "findings": lines,
            "unclosed": [
                (one.title or numbers.words.name("owner", one.key), numbers.whole(one.n), one.ids) for one in newest.unclosed
            ],
            "drawings": _drawings(marks, "trust", numbers, mark) if len(drawn) > 1 else None, "chart_label": chart_label,
            "weeks": list(reversed(drawn)),
        }  # fmt: skip


def _figures(digest: Digest, numbers: Numbers) -> "Sequence[dict[str, str]]":
    say = numbers.words.say
    rows: list[tuple[str, Range | None]] = [("roi", digest.roi), ("profit", digest.profit), ("payback", digest.payback)]
    if digest.roi is None and digest.profit is None:
        rows.append(("effect", digest.effect))
    found = []
    for kind, one in rows:
        text = say("none") if one is None else figures.value(numbers, kind, one.estimate)
        found.append({"title": say(f"dash.figure.{kind}"), "value": text, "interval": figures.range_text(numbers, kind, one)})
    score = say("none") if digest.trust is None else say("dash.out_of_100", score=numbers.whole(digest.trust))
    return [*found, {"title": say("dash.figure.trust"), "value": score, "interval": ""}]


def _row(week: Week, digest: Digest, series: str, numbers: Numbers) -> dict[str, str]:
    own, found = figures.numbers_for(numbers, digest), week.found
    text = numbers.words.say("none") if found is None else figures.value(own, series, found.estimate)
    return {"label": week.label, "value": text, "interval": figures.range_text(own, series, found), "verdict": week.verdict,
            "trust": week.trust, "address": week.address}  # fmt: skip


def _drawings(weeks: Sequence[Week], series: str, numbers: Numbers, name: str) -> list[Any] | None:
    drawn = [draw(weeks, series, numbers, size=size, name=f"{name}-{size[0]}") for size in (NARROW, WIDE)]
    return None if None in drawn else drawn


def _chart_label(n: int, series: str, numbers: Numbers) -> str:
    weeks = numbers.count("dash.launch.n_weeks", n)
    if series == "trust":
        return numbers.words.say("dash.quality.chart", weeks=weeks)
    return numbers.words.say("dash.launch.chart", series=numbers.words.say(f"dash.launch.series.{series}"), weeks=weeks)


def _said(write: Callable[[str], str], stamp: str) -> str:
    """A date or time of a document in words; as it stands when it is none."""
    try:
        return write(stamp)
    except ValueError:
        return plain(stamp)


def _address(launch: str) -> str:
    return f"/launches/{quote(launch, safe='')}"


def _snapshot(entry: Entry) -> str:
    return f"{_address(entry.launch)}/snapshots/{entry.key}"
