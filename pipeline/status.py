"""How things stand: when each source was last heard, the last runs with their hops, what is wrong, who could not be told."""

import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from connectors.secrets import mask
from pipeline.addressees import Addressees
from pipeline.alerts import headline, heard, observe
from pipeline.backups import newest
from pipeline.channels import recipients
from pipeline.deliveries import Deliveries
from pipeline.errors import WarehouseError
from pipeline.incidents import Incidents
from pipeline.logbook import Hop, Run
from pipeline.logs import escaped
from pipeline.reports.numbers import numbers_of
from pipeline.settings import Settings
from pipeline.state import State
from pipeline.troubles import Trouble, unready
from pipeline.warehouse import Warehouse, utc_now

N_RUNS = 20
N_SHOWN = 3
WIDTH = 48  # characters a phone shows without turning it
_COUNTS = ("n_received", "n_appended", "n_quarantined", "n_deleted", "n_requests", "n_retries")


def status_document(settings: Settings, *, next_run: datetime | None = None) -> dict[str, Any]:
    """JSON-able; times are UTC. `next_run` (aware) is the schedule's word. Raises WarehouseError before the first run."""
    warehouse = Warehouse(settings.warehouse_url.reveal())
    runs, wrong, fault = observe(settings)
    if not runs and fault is None:
        warehouse.check_schema()  # there is nothing at all: it says so and what to do
    now = utc_now()
    last = heard(settings, warehouse, runs, fault)
    untold = _untold(settings)
    reasons = [] if fault is not None else [one.text for one in unready(runs, last)]
    made_at = newest(settings.home)
    document = {
        "schema_version": 2,
        "at": _stamp(now),
        "is_healthy": not wrong and not reasons and fault is None and not any(one["state"] == "given up" for one in untold),
        "reasons": reasons,
        "next_run": None if next_run is None else _stamp(next_run.astimezone(UTC).replace(tzinfo=None)),
        "last_backup": _stamp(made_at),
        "sources": [
            {"source": one.name, "kind": one.kind, "last_seen": _stamp(last[one.name]), "hours": _hours(last[one.name], now)}
            for one in settings.sources
        ],
        "runs": [_run_facts(run) for run in runs[:N_RUNS]],
        "incidents": [_incident_facts(settings, trouble) for trouble in wrong],
        "untold": untold,
        "deliveries": _deliveries(settings),
        "warehouse": None if fault is None else _fault(fault),
    }
    return {**document, "is_without_recipients": not any(settings.alerts.to) and settings.alerts.bitrix24 is None}


def status_lines(document: Mapping[str, Any], settings: Settings) -> list[str]:
    """The document for people: no line longer than a phone's."""
    zone = settings.business.zone

    def local(text: str) -> str:
        return f"{datetime.fromisoformat(text).astimezone(zone):%a %d.%m. %H:%M}"

    lines = ["all well" if document["is_healthy"] else "NEEDS ATTENTION"]
    if document["warehouse"]:
        lines += _wrapped(f"! {document['warehouse']['error']}") + _wrapped(f"  -> {document['warehouse']['hint']}")
    for reason in document["reasons"] if not document["incidents"] else ():  # they say the same, and what to do
        lines += _wrapped(f"! {reason}")
    for incident in document["incidents"]:
        lines += _wrapped(f"! {incident['text']}")
        lines += _wrapped(f"  {incident['error']}") if incident["error"] else []
        lines += _wrapped(f"  -> {incident['hint']}") if incident["hint"] else []
    for one in document["untold"]:
        lines += _wrapped(f"! alert {one['state']}: {one['kind']} {one['subject']} to {one['recipient']}")
    lines += ["", "sources"]
    for source in document["sources"]:
        told = f"heard {_ago(source['hours'])}" if source["last_seen"] else "never heard"
        lines += _wrapped(f"  {source['source']}: {told}")
    if document["last_backup"]:
        made_at = datetime.fromisoformat(document["last_backup"])
        hours = (datetime.fromisoformat(document["at"]) - made_at).total_seconds() / 3600
        lines += _wrapped(f"newest backup {_ago(max(0.0, hours))}")
    if document["deliveries"]:
        lines += ["", "weekly reports"]
    for one in document["deliveries"]:
        lines += _wrapped(f"  {one['launch']} to {one['to']}, week of {one['week']}: {one['state']}{_tries(one)}")
        lines += _wrapped(f"    {one['error']}", "      ") if one["error"] else []
    lines += ["", "runs"]
    for run in document["runs"][:N_SHOWN]:
        lines += _wrapped(f"  {local(run['started_at'])} {run['kind']}: {run['outcome']}{_took(run)}")
        for hop in run["hops"]:
            lines += _wrapped(f"    {_hop_line(hop)}", "      ")
    if not document["runs"]:
        lines.append("  none yet")
    lines.append("")
    if document["next_run"]:  # nothing here knows whether serve, a timer or cron is there
        lines += _wrapped(f"next run {local(document['next_run'])}, as [schedule] asks: serve, a timer or cron has to run it")
    if document["is_without_recipients"]:
        lines += _wrapped("nobody is told: [alerts] in payback.toml names no recipient")
    return lines


def _hop_line(hop: Mapping[str, Any]) -> str:
    named = f"{hop['kind']} {hop['subject']}: {hop['outcome']}"
    if hop["kind"] == "sync" and hop["n_received"]:
        named += f", {hop['n_received']} rows, {hop['n_appended']} new"
    for key in ("n_quarantined", "n_deleted", "n_retries"):
        named += f", {hop[key]} {key[2:]}" if hop[key] else ""
    return named + (f": {hop['error']}" if hop["error"] else "")


def _untold(settings: Settings) -> list[dict[str, str]]:
    labels = {one.key: one.label for one in recipients(settings)}
    return [
        {
            "kind": telling.incident.kind,
            "subject": telling.incident.subject,
            "part": telling.part,
            "recipient": labels.get(telling.recipient, "somebody no longer configured"),
            "state": state,
        }
        for telling, state in Incidents(State(settings.home)).untold()
    ]


def _deliveries(settings: Settings) -> list[dict[str, Any]]:
    """The newest weekly report of each launch to each subscriber that is configured now."""
    people = Addressees(settings)
    return [
        {
            "launch": one.launch,
            "week": one.week.isoformat(),
            "to": to.name,
            "as_of": one.as_of,
            "state": one.state,
            "at": _stamp(one.settled_at),
            "n_tries": one.n_tries,
            "error": one.error or None,
        }
        for one in Deliveries(State(settings.home)).newest()
        if (to := people.of(one)) is not None
    ]


def _tries(one: Mapping[str, Any]) -> str:
    is_shown = one["n_tries"] > 1 or (one["state"] == "waiting" and one["n_tries"])
    return f", tries: {one['n_tries']}" if is_shown else ""


def _run_facts(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "kind": run.kind,
        "started_at": _stamp(run.started_at),
        "ended_at": _stamp(run.ended_at),
        "outcome": run.outcome,
        "error": run.detail.get("error"),
        "hint": run.detail.get("hint"),
        "hops": [_hop_facts(hop) for hop in run.hops],
    }


def _hop_facts(hop: Hop) -> dict[str, Any]:
    facts = asdict(hop)
    return {
        **{key: facts[key] for key in ("kind", "subject", "outcome", *_COUNTS)},
        "started_at": _stamp(hop.started_at),
        "ended_at": _stamp(hop.ended_at),
        "error": hop.detail.get("error"),
        "hint": hop.detail.get("hint"),
    }


def _incident_facts(settings: Settings, trouble: Trouble) -> dict[str, Any]:
    numbers = numbers_of("en", settings.business.currency, settings.business.timezone)  # as all of the command line
    since = trouble.since.isoformat()
    return {
        "kind": trouble.kind,
        "subject": trouble.subject,
        "since": _stamp(trouble.since),
        "text": headline(numbers, settings, trouble.kind, trouble.subject, {**trouble.facts, "since": since}),
        "error": trouble.facts.get("error"),
        "hint": trouble.facts.get("hint"),
    }


def _fault(error: WarehouseError) -> dict[str, str]:
    return {"error": mask(str(error)), "hint": mask(error.hint)}


def _wrapped(text: str, deeper: str = "    ") -> list[str]:
    return textwrap.wrap(escaped(text), WIDTH, subsequent_indent=deeper, break_long_words=True) or [""]


def _took(run: Mapping[str, Any]) -> str:
    if not run["ended_at"]:
        return ""
    seconds = (datetime.fromisoformat(run["ended_at"]) - datetime.fromisoformat(run["started_at"])).total_seconds()
    return f" ({seconds / 60:.0f} min)" if seconds >= 90 else f" ({seconds:.0f} s)"


def _ago(hours: float) -> str:
    return "just now" if hours < 0.1 else f"{hours:.0f} h ago" if hours >= 1.5 else f"{hours * 60:.0f} min ago"


def _hours(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else round((now - at).total_seconds() / 3600, 2)


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds") + "Z"
