"""How the nights run, as the pages say it."""

from collections.abc import Mapping, Set
from datetime import datetime
from typing import Any

from pipeline.alerts import headline
from pipeline.incidents import Incident, Incidents
from pipeline.logbook import Hop, Run
from pipeline.reports.numbers import Numbers
from pipeline.reports.words import plain
from pipeline.settings import Settings
from pipeline.state import State
from pipeline.troubles import ACCESS, HOP_FAILED, RUN_FAILED, Lack
from pipeline.web.board import Standing, ended_last

OUTCOMES = ("ok", "partial", "failed", "interrupted", "running")
LONGEST = 400  # characters of an error on a page


def sync_facts(standing: Standing, settings: Settings, numbers: Numbers) -> dict[str, Any]:
    """Everything the template `sync` needs. Raises WarehouseError when the state file cannot be read."""
    say, newest = numbers.words.say, ended_last(standing.runs)
    launches = {name: plain(title) for name, title in settings.titles.items()}
    incidents = Incidents(State(settings.home)).open_ones()
    failed = {one.subject for one in incidents if one.kind in (ACCESS, HOP_FAILED, RUN_FAILED)}
    reasons = [one for one in standing.reasons if not _is_told(one, failed)]
    return {
        "wrong": [*(_wrong(one, settings, numbers) for one in incidents), *(_reason(one, numbers) for one in reasons)],
        "is_running": standing.is_running,
        "sources": [
            {
                "name": plain(line.source),
                "heard": numbers.moment(line.last_seen.isoformat()) if line.last_seen else say("dash.sync.never"),
                "age": numbers.duration(max(0.0, (standing.at - line.last_seen).total_seconds() / 60)) if line.last_seen else "—",
            }
            for line in standing.sources
        ],
        "runs": [_run(run, numbers) for run in standing.runs],
        "hops": [_hop(hop, launches, numbers) for hop in newest.hops] if newest else [],
        "next_runs": [numbers.moment(due.isoformat()) for due in standing.next_runs],
        "zone": say("dash.zone", zone=settings.business.timezone),
    }


def _is_told(lack: Lack, failed: Set[str]) -> bool:
    """Whether an incident says it already, and better."""
    return bool(failed) and (lack.code == "failed" or (lack.code == "never_heard" and lack.subject in failed))


def pulse(standing: Standing, settings: Settings, numbers: Numbers) -> dict[str, Any]:
    """The same in one line. Raises WarehouseError when the state file cannot be read."""
    is_ready = not standing.reasons and not Incidents(State(settings.home)).open_ones()
    say, newest = numbers.words.say, ended_last(standing.runs)
    if newest is None:
        return {"is_ready": is_ready, "line": say("dash.sync.no_line")}
    moment = numbers.moment((newest.ended_at or newest.started_at).isoformat())
    line = say("dash.sync.line", moment=moment, outcome=_outcome(newest.outcome, numbers))
    return {"is_ready": is_ready, "line": line}


def _wrong(incident: Incident, settings: Settings, numbers: Numbers) -> dict[str, Any]:
    """What the alerts would say is wrong now."""
    facts = {"since": incident.opened_at.isoformat(), **incident.facts}
    try:
        text = headline(numbers, settings, incident.kind, incident.subject, facts)
    except KeyError:  # a kind this version has no words for
        text = f"{plain(incident.kind)}: {plain(incident.subject)}"
    return {"text": text, **_cause(incident.facts, numbers)}


def _reason(lack: Lack, numbers: Numbers) -> dict[str, Any]:
    """Why nobody may rely on the runs, in the reader's words; the program's own stand beside them for operations staff."""
    since = numbers.moment(lack.since.isoformat()) if lack.since else "—"
    text = numbers.words.say(f"dash.reason.{lack.code}", source=plain(lack.subject), since=since)
    causes = [_said("fault", kind, numbers) for kind in lack.error_kinds]
    return {"text": text, "causes": causes, "original": _short(lack.text)}


def _cause(detail: Mapping[str, Any], numbers: Numbers) -> dict[str, Any]:
    """What went wrong, by the kind of the error, and the error itself, which is English and names places and commands."""
    kind, error, hint = (str(detail.get(key) or "") for key in ("error_kind", "error", "hint"))
    original = f"{error} ({hint})" if error and hint else error or hint
    is_told = kind == "killed"  # the headline says it
    return {"causes": [_said("fault", kind, numbers)] if kind and not is_told else [], "original": _short(original)}


def _short(text: str) -> str:
    """One line of bounded length."""
    line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _run(run: Run, numbers: Numbers) -> dict[str, str]:
    return {
        "began": numbers.moment(run.started_at.isoformat()),
        "kind": _kind(run.kind, numbers),
        "code": run.outcome if run.outcome in OUTCOMES else "",
        "outcome": _outcome(run.outcome, numbers),
        "took": _took(run.started_at, run.ended_at, numbers),
        "rows": numbers.whole(sum(hop.n_received for hop in run.hops)),
    }


def _hop(hop: Hop, launches: dict[str, str], numbers: Numbers) -> dict[str, Any]:
    subject = launches.get(hop.subject, plain(hop.subject)) if hop.kind == "report" else plain(hop.subject)
    is_sync = hop.kind == "sync"  # others count no rows
    return {
        **_cause(hop.detail, numbers),
        "name": f"{_kind(hop.kind, numbers)}: {subject}" if hop.subject else _kind(hop.kind, numbers),
        "code": hop.outcome if hop.outcome in OUTCOMES else "",
        "outcome": _outcome(hop.outcome, numbers),
        "took": _took(hop.started_at, hop.ended_at, numbers),
        "rows": numbers.whole(hop.n_received) if is_sync else "—",
        "new": numbers.whole(hop.n_appended) if is_sync else "—",
        "quarantined": numbers.whole(hop.n_quarantined) if is_sync else "—",
    }


def _took(began: datetime, ended: datetime | None, numbers: Numbers) -> str:
    if ended is None:
        return "—"
    seconds = max(0.0, (ended - began).total_seconds())
    if seconds < 1:
        return numbers.words.say("dash.seconds.less")
    return numbers.words.say("dash.seconds", n=numbers.whole(seconds)) if seconds < 120 else numbers.duration(seconds / 60)


def _outcome(code: str, numbers: Numbers) -> str:
    return _said("outcome", code, numbers)


def _kind(code: str, numbers: Numbers) -> str:
    return _said("kind", code, numbers)


def _said(group: str, code: str, numbers: Numbers) -> str:
    """The words of a code; the code itself where there are none."""
    key = f"dash.{group}.{code}"
    return numbers.words.say(key) if numbers.words.has(key) else plain(code)
