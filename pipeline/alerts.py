"""Tells the right person once when something needs one, and once when it is over.

Looked at the end of every run and by the timer of `payback serve`; only one process looks at a time.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from connectors.secrets import mask
from pipeline import lease, troubles
from pipeline.addressees import Addressees
from pipeline.channels import Message, Recipient, Undelivered, recipients
from pipeline.deliveries import Deliveries, Delivery, delivery_troubles, subject_of
from pipeline.errors import ConfigError, PipelineError, WarehouseError
from pipeline.incidents import OPENED, Incident, Incidents, Telling
from pipeline.logbook import Run, last_runs, not_begun
from pipeline.logs import log
from pipeline.reports.message import untied
from pipeline.reports.numbers import Numbers, numbers_of
from pipeline.reports.words import plain
from pipeline.settings import Settings
from pipeline.state import State, damaged
from pipeline.troubles import Scene, Trouble
from pipeline.warehouse import Warehouse, utc_now

LONGEST = 600  # characters of an error or a hint in a message
PATIENCE = 30.0  # seconds for another process that looks just now


def look(settings: Settings) -> list[Incident]:
    """Notice what is wrong and what is over, tell whom it concerns, and try again what could not be told. What is open now.

    Raises WarehouseError when the state file cannot be used; a warehouse that is away is no error here.
    """
    home = settings.home
    incidents = Incidents(State(home))
    with lease.lock(home / lease.ALERTS, PATIENCE) as is_held:
        if is_held:
            people = recipients(settings)
            _recover(incidents, people)
            _settle(settings, incidents, people)
            _tell(settings, incidents, people)
    return incidents.open_ones()


def look_after_run(settings: Settings) -> None:
    """`look`, whose own faults must not change how the run ended: they go into the log."""
    try:
        look(settings)
    except Exception as error:
        log.error("alerts_failed", error=mask(str(error), settings.secrets()), error_type=type(error).__name__)


def observe(settings: Settings) -> tuple[list[Run], list[Trouble], WarehouseError | None]:
    """The last runs, what is wrong by them, and why the warehouse could not be asked. Changes and tells nothing."""
    warehouse = Warehouse(settings.warehouse_url.reveal())
    runs, fault = last_runs(settings, warehouse)
    scene = Scene(
        runs=runs,
        sources=heard(settings, warehouse, runs, fault),
        launches=list(settings.titles),
        stale_after=timedelta(hours=settings.alerts.stale_hours),
        now=utc_now(),
        open={(one.kind, one.subject): one.facts for one in Incidents(State(settings.home)).open_ones()},
        not_begun=not_begun(settings.home),
        damaged=damaged(settings.home),
    )
    return runs, [*troubles.detect(scene), *_undelivered(settings)], fault


def _undelivered(settings: Settings) -> list[Trouble]:
    """Weekly reports that did not reach a subscriber, or of which nobody knows."""
    if not settings.deliveries:
        return []
    people = Addressees(settings)
    newest = Deliveries(State(settings.home)).newest()
    return delivery_troubles(newest, _titles(settings), lambda one: people.of(one) is not None, utc_now())


def _titles(settings: Settings) -> dict[str, str]:
    return {name: plain(title) for name, title in settings.titles.items()}


def _owed(settings: Settings) -> list[tuple[str, Delivery]]:
    """The newest delivery of each launch to each subscriber who still wants it, with what a trouble with it is about."""
    if not settings.deliveries:
        return []
    people, titles = Addressees(settings), _titles(settings)
    newest = Deliveries(State(settings.home)).newest()
    wanted = (one for one in newest if one.launch in titles and people.of(one) is not None)
    return [(subject_of(titles[one.launch], one.name), one) for one in wanted]


def heard(
    settings: Settings, warehouse: Warehouse, runs: Sequence[Run], fault: WarehouseError | None
) -> dict[str, datetime | None]:
    """When each source was last heard (UTC): of the warehouse, and of the runs when it cannot be asked."""
    found: dict[str, datetime | None] = {}
    for source in settings.sources:
        stored = None
        if fault is None and runs:
            try:
                stored = warehouse.last_seen(source.name)
            except WarehouseError:
                fault = None
        found[source.name] = troubles.last_heard(runs, source.name, stored)
    return found


def send_test(settings: Settings) -> list[tuple[Recipient, PipelineError | None]]:
    """Send everybody a test message; what came of it."""
    say = _numbers(settings).words.say
    message = Message(say("alert.test.title", business=plain(settings.business.name)), say("alert.test"), "test")
    outcomes: list[tuple[Recipient, PipelineError | None]] = []
    for recipient in recipients(settings):
        try:
            recipient.send(message)
            outcomes.append((recipient, None))
        except (Undelivered, ConfigError) as error:
            outcomes.append((recipient, error))
    return outcomes


def _settle(settings: Settings, incidents: Incidents, people: Sequence[Recipient]) -> None:
    _, wrong, fault = observe(settings)
    owed = _owed(settings)  # asked here: while the incidents are settled the state file is being written
    missing = {subject for subject, one in owed if one.state != "delivered"}

    def may_close(incident: Incident) -> bool:
        """Who knows what is over without the warehouse; or what else is configured, when files changed since they were read."""
        if incident.kind in troubles.DELIVERIES and incident.subject in missing:
            return False  # that it is tried again, or that a week has passed, is no arrival
        return fault is None and (_is_known(settings, incident, owed) or settings.is_current)

    opened, closed = incidents.settle(wrong, [one.key for one in people], utc_now(), may_close)
    for incident in opened:
        log.warning("incident_opened", kind=incident.kind, subject=incident.subject, **_logged(incident))
    for incident in closed:
        log.info("incident_over", kind=incident.kind, subject=incident.subject)


def _is_known(settings: Settings, incident: Incident, owed: Sequence[tuple[str, Delivery]]) -> bool:
    """Whether by this configuration there can be such an incident."""
    if incident.kind in troubles.DELIVERIES:
        titles = _titles(settings)
        wanted = ((titles[launch], one.name) for one in settings.deliveries for launch in titles if one.wants(launch))
        return incident.subject in {*(subject_of(*pair) for pair in wanted), *(subject for subject, _ in owed)}
    named = {*(source.name for source in settings.sources), *settings.titles, *troubles.RUNS}
    return incident.kind == troubles.DAMAGED or incident.subject in named


def _logged(incident: Incident) -> dict[str, object]:
    return {key: value for key, value in incident.facts.items() if key not in ("hint", "kind", "subject", "event")}


def _recover(incidents: Incidents, people: Sequence[Recipient]) -> None:
    for telling in incidents.recover([one.key for one in people if one.is_repeatable], utc_now()):
        named = _named(telling, people)
        log.error("alert_in_doubt", **named, reason="a process ended while it was sending; it may have arrived")


def _tell(settings: Settings, incidents: Incidents, people: Sequence[Recipient]) -> None:
    known = {one.key: one for one in people}
    for telling in incidents.due(utc_now()):
        recipient = known.get(telling.recipient)
        named = _named(telling, people)
        if recipient is None:  # nobody's address any more
            incidents.told(telling, utc_now())
            continue
        incidents.begin(telling, utc_now())
        try:
            recipient.send(message(settings, telling.incident, telling.part))
        except Exception as error:  # whatever a library raises: the others have to be told too
            is_last = incidents.failed(telling, utc_now())
            why = mask(str(error), settings.secrets())
            say = log.error if is_last else log.warning
            say("alert_given_up" if is_last else "alert_not_told", **named, error=why, n_tries=telling.n_tries + 1)
        else:
            incidents.told(telling, utc_now())
            log.info("alert_told", **named)


def _named(telling: Telling, people: Sequence[Recipient]) -> dict[str, str]:
    label = next((one.label for one in people if one.key == telling.recipient), "nobody any more")
    return {"kind": telling.incident.kind, "subject": telling.incident.subject, "part": telling.part, "recipient": label}


# --- words ------------------------------------------------------------------------------------------------------------


def message(settings: Settings, incident: Incident, part: str) -> Message:
    """The message about an incident, or that it is over, in the language of `[alerts]`."""
    numbers = _numbers(settings)
    say = numbers.words.say
    business = plain(settings.business.name)
    tag = f"{incident.incident_id}-{part}"
    if part != OPENED:
        over = (
            headline(numbers, settings, incident.kind, incident.subject, incident.facts, ".over")
            if _is_known(settings, incident, _owed(settings))
            else say("alert.removed.over", subject=plain(incident.subject))
        )
        body = f"{over}\n" + say(
            "alert.lasted", since=numbers.moment(incident.opened_at.isoformat()), until=_until(numbers, incident)
        )
        return Message(say("alert.title.over", business=business), body, tag)
    lines = [headline(numbers, settings, incident.kind, incident.subject, incident.facts)]
    if error := _why(numbers, incident):
        lines.append(_line(error))
    if hint := incident.facts.get("hint"):
        lines.append(say("alert.hint", hint=_line(hint)))
    elif numbers.words.has(f"alert.{incident.kind}.hint"):
        lines.append(say("alert.hint", hint=say(f"alert.{incident.kind}.hint")))
    return Message(say("alert.title", business=business), "\n".join(lines), tag)


def _why(numbers: Numbers, incident: Incident) -> object:
    """The reason in the reader's language where it is one that Payback foresaw; else the error as it is."""
    reason = incident.facts.get("reason") or {}
    key = f"delivery.why.{reason.get('code')}"
    if not numbers.words.has(key):
        return incident.facts.get("error")
    return untied(numbers.words.say(key, **{name: str(figure) for name, figure in reason.items() if name != "code"}))


def headline(
    numbers: Numbers, settings: Settings, kind: str, subject: str, facts: "dict[str, object] | object", suffix: str = ""
) -> str:
    """One sentence that says what is wrong, or with `.over` that it no longer is."""
    known = facts if isinstance(facts, dict) else {}
    shown = {key: numbers.whole(value) for key, value in known.items() if isinstance(value, int | float)}
    key = f"alert.{kind}{suffix}"
    if kind == troubles.RUN_FAILED:
        run = numbers.words.say(f"alert.run.{subject}")
        killed = ".killed" if known.get("error_kind") == "killed" and not suffix else ""
        return numbers.words.say(f"{key}{killed}", run=run, since=numbers.moment(str(known["since"])))
    if kind == troubles.STALE and known.get("is_never") and not suffix:
        key += ".never"
    if kind == troubles.HOP_FAILED:
        key = f"alert.{known.get('hop', 'sync')}_failed{suffix}"
    title = settings.titles.get(subject, subject)
    named = title if kind == troubles.TRUST or known.get("hop") == "report" else subject
    return numbers.words.say(key, **{**shown, "subject": plain(named), "since": numbers.moment(str(known["since"]))})


def _until(numbers: Numbers, incident: Incident) -> str:
    return numbers.moment((incident.closed_at or utc_now()).isoformat())


def _numbers(settings: Settings) -> Numbers:
    language = settings.alerts.language or settings.business.language
    return numbers_of(language, settings.business.currency, settings.business.timezone)


def _line(text: object) -> str:
    """Text of an error as one line without control or direction marks."""
    shown = " ".join("".join(one if one.isprintable() else " " for one in str(text)).split())
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"
