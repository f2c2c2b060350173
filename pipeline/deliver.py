"""Sends the weekly report to its subscribers: each launch and week once to each, retried when it was not taken.

What is owed is planned after a measurement and sent at once; what could not be sent is tried again at the next look: by the timer
of `payback serve`, or at the end of the next run.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from connectors.secrets import mask
from pipeline import lease
from pipeline.addressees import Addressees, hashed
from pipeline.couriers import Courier, Doubtful, NotTaken, Parcel, unforeseen
from pipeline.deliveries import Deliveries, Delivery
from pipeline.errors import Busy, ConfigError, PipelineError, WarehouseError, in_words
from pipeline.logs import log
from pipeline.parcels import courier_of, name_of, parcel_of
from pipeline.settings import Settings
from pipeline.state import State
from pipeline.strict import nearest
from pipeline.subscribers import Subscriber
from pipeline.warehouse import Warehouse, utc_now

PATIENCE = 60.0  # seconds for another process that is sending just now
LINGER = 90.0  # seconds a run that nobody follows waits for what may be tried again soon
LONGEST_ERROR = 400
QUIET_FROM, QUIET_UNTIL = 22, 8  # hours of the business's clock in which no telephone rings

Json = Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one delivery; `state` as in `Delivery`."""

    name: str
    launch: str
    state: str
    error: str = ""

    def line(self) -> str:
        """For people."""
        return f"{self.launch} -> {self.name}: {self.state}" + (f": {self.error}" if self.error else "")


def due_week(one: Subscriber, today: date) -> tuple[date, date]:
    """The newest day the report was due for this subscriber, and the Monday of that week."""
    due = today - timedelta(days=(today.weekday() - one.weekday_number) % 7)
    return due, due - timedelta(days=due.weekday())


def plan(settings: Settings, measured: Mapping[str, str]) -> int:
    """Plan what is owed of these launches (`as_of` by name) by now; how many. A day before somebody subscribed is not owed."""
    if not settings.deliveries:
        return 0
    ledger, today = Deliveries(State(settings.home)), _today(settings)
    people = _known(settings, ledger)
    since = ledger.since(people.keys, today)
    hashes = {launch: _hash_of(settings, launch, as_of) for launch, as_of in measured.items()}
    n_planned = 0
    for key, one in people:
        due, week = due_week(one, today)
        for launch, as_of in measured.items():
            if one.wants(launch) and due >= since[key]:
                n_planned += ledger.plan(launch, week, key, one.name, as_of, utc_now(), hashes[launch])
    return n_planned


def look(settings: Settings, *, linger: float = 0.0, only: Sequence[str] | None = None) -> list[Outcome]:
    """Send what is due; what became of it. Waits up to `linger` seconds for what may be tried again soon. `only`: these keys.

    Raises WarehouseError when the state file cannot be used, Busy when another process is sending all the while.
    """
    ledger = Deliveries(State(settings.home))
    if not settings.deliveries or not (ledger.open_ones() or _has_renewed(settings, ledger)):
        return []
    with lease.lock(settings.home / lease.DELIVERIES, PATIENCE) as is_held:
        if not is_held:
            raise Busy("another process is sending reports", hint="wait until it has ended; what it does not send is sent later")
        return _Round(settings, ledger).run(linger, only)


def deliver_measured(settings: Settings, measured: Mapping[str, str], *, linger: float = LINGER) -> list[Outcome]:
    """Plan and send at the end of a run. Own faults must not change how the run ended: they go into the log."""
    try:
        plan(settings, measured)
        return look(settings, linger=linger)
    except Busy:
        log.info("deliveries_left", reason="another process is sending reports")
    except Exception as error:
        log.error("deliveries_failed", error=mask(in_words(error), settings.secrets()), error_type=type(error).__name__)
    return []


def deliver_due(settings: Settings) -> None:
    """What the timer of `payback serve` calls: try again what could not be sent."""
    deliver_measured(settings, {}, linger=0.0)


def deliver_now(settings: Settings, launch: str, as_of: str, people: Sequence[Subscriber], *, is_named: bool) -> list[Outcome]:
    """Send this calendar week's report to these subscribers who have not got it, by the wish of a person.

    Somebody who was named is sent what failed or is in doubt once more; what was delivered is never sent again. Whoever has got
    the week's report this way does not get it on the weekday, too.
    """
    ledger, today = Deliveries(State(settings.home)), _today(settings)
    week, document_hash = today - timedelta(days=today.weekday()), _hash_of(settings, launch, as_of)
    known = _known(settings, ledger)
    chosen = [known.key_of(one) for one in people]
    for key, one in zip(chosen, people, strict=True):
        ledger.plan(launch, week, key, one.name, as_of, utc_now(), document_hash)
        if is_named:
            ledger.again(launch, week, key, as_of, utc_now(), document_hash)
    sent = {(one.name, one.launch): one for one in look(settings, only=chosen)}
    states = {(one.name, one.launch): one for one in ledger.newest() if one.launch == launch and one.recipient in chosen}
    return [
        sent.get(key) or Outcome(*key, state="already delivered" if one.state == "delivered" else one.state, error=one.error)
        for key, one in sorted(states.items())
    ]


def send_test(settings: Settings, document: Mapping[str, Json], people: Sequence[Subscriber]) -> list[Outcome]:
    """Send a report marked as a test; the state file does not know of it."""
    outcomes = []
    for one in people:
        try:
            identity = hashlib.sha256(f"test {one.name} {utc_now().isoformat()}".encode()).hexdigest()[:16]
            courier_of(one, settings).send(parcel_of(one, settings, document, identity, is_test=True))
            outcomes.append(Outcome(one.name, name_of(document), "sent"))
        except Exception as error:  # the others are to be sent theirs
            why = error if isinstance(error, PipelineError) else unforeseen(error)
            outcomes.append(Outcome(one.name, name_of(document), "not sent", _words(settings, why)))
    return outcomes


def subscribers(settings: Settings, launch: str, name: str | None) -> list[Subscriber]:
    """Who gets the report of that launch, or the one of that name. Raises ConfigError naming the nearest one."""
    if name is None:
        found = [one for one in settings.deliveries if one.wants(launch)]
        if not found:
            hint = "docs/deliveries.md shows what to write there"
            raise ConfigError(f"no [[deliveries]] in {settings.folder / 'payback.toml'} for the launch {launch!r}", hint=hint)
        return found
    names = [one.name for one in settings.deliveries]
    for one in settings.deliveries:
        if one.name == name:
            return [one]
    raise ConfigError(f"no [[deliveries]] named {name!r}{nearest(name, names)}", hint=f"known: {', '.join(names) or 'none'}")


class _Unreadable(Doubtful):
    """The other side does not say whether it has got the report already."""


class _Round:
    """One look, with the lock held."""

    def __init__(self, settings: Settings, ledger: Deliveries, sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings = settings
        self._ledger = ledger
        self._people = _known(settings, ledger)
        self._sleep = sleep

    def run(self, linger: float, only: Sequence[str] | None) -> list[Outcome]:
        for one in self._ledger.recover(self._people.repeatable, utc_now()):
            log.error("delivery_in_doubt", **_named(one), reason="a process ended while it was sending; it may have arrived")
        for one in self._ledger.follow(self._people.renewed, utc_now()):
            log.info("delivery_readdressed", **_named(one))
        deadline = time.monotonic() + linger
        outcomes: list[Outcome] = []
        while True:
            for one in self._ledger.due(utc_now()):
                to = self._people.of(one)
                if to is not None and (only is None or one.recipient in only):
                    outcomes += self._deliver(one, to)
            ours = [one.not_before for one in self._ledger.open_ones() if self._is_ours(one, only)]
            wait = (min(ours) - utc_now()).total_seconds() if ours else linger + 1
            if time.monotonic() + wait > deadline:
                return outcomes
            self._sleep(max(0.0, wait) + 0.01)

    def _is_ours(self, one: Delivery, only: Sequence[str] | None) -> bool:
        return self._people.of(one) is not None and (only is None or one.recipient in only)

    def _deliver(self, one: Delivery, to: Subscriber) -> list[Outcome]:
        """What became of it; nothing when it is not owed any more."""
        try:
            courier, parcel = self._packed(one, to)
            self._pace(one.recipient, courier)
            if self._was_taken(one, courier, parcel):
                return self._arrived(one)
        except NotTaken as error:  # nothing was sent now
            return self._failed(one, to, error)
        except Doubtful as error:
            return self._doubted(one, to, courier, error)
        except Exception as error:  # drawing, a library, a damaged document: it must not keep the others waiting
            return self._failed(one, to, unforeseen(error))
        if not self._ledger.begin(one, utc_now()):
            return []
        try:
            courier.send(parcel)
        except NotTaken as error:
            return self._failed(one, to, error)
        except Doubtful as error:
            return self._doubted(one, to, courier, error)
        except Exception as error:  # whatever a library raises in the middle
            fault = unforeseen(error)
            return self._doubted(one, to, courier, Doubtful(str(fault), **fault.reason))
        return self._arrived(one)

    def _packed(self, one: Delivery, to: Subscriber) -> tuple[Courier, Parcel]:
        """The way and what goes there. Raises NotTaken for what can be foreseen."""
        try:
            courier = courier_of(to, self._settings)
        except ConfigError as error:  # also when it is tried again; a new address is tried at once
            raise NotTaken(str(error), code="address", hint=error.hint, is_final=True) from None
        try:
            document = self._document(one)
            identity = identity_of(self._settings, one)
            return courier, parcel_of(to, self._settings, document, identity, is_quiet=_is_night(self._settings))
        except WarehouseError as error:
            raise NotTaken(str(error), code="warehouse", hint=error.hint) from None
        except PipelineError as error:
            raise NotTaken(str(error), code="document", hint=error.hint) from None

    def _arrived(self, one: Delivery) -> list[Outcome]:
        self._ledger.delivered(one, utc_now())
        log.info("delivered", **_named(one))
        return [Outcome(one.name, one.launch, "delivered")]

    def _doubted(self, one: Delivery, to: Subscriber, courier: Courier, error: Doubtful) -> list[Outcome]:
        """Where a repeat does no harm it is one more try."""
        if courier.is_repeatable and not isinstance(error, _Unreadable):
            return self._failed(one, to, error)
        why = _words(self._settings, error)
        self._ledger.doubt(one, why, utc_now(), self._reason(error))
        log.error("delivery_in_doubt", **_named(one), error=why)
        return [Outcome(one.name, one.launch, "in doubt", why)]

    @staticmethod
    def _was_taken(one: Delivery, courier: Courier, parcel: Parcel) -> bool:
        """Whether an earlier try arrived after all, where that can be asked."""
        if not one.was_begun or courier.was_taken is None:
            return False
        try:
            return courier.was_taken(parcel)
        except NotTaken as error:
            if error.is_final:
                said = f"whether an earlier try arrived cannot be asked: {error}"
                raise _Unreadable(said, code="unasked") from None
            raise
        except Doubtful as error:  # asking changes nothing there
            raise NotTaken(str(error), code=error.reason["code"]) from None

    def _reason(self, error: NotTaken | Doubtful) -> dict[str, str]:
        """The other side may repeat what it was sent."""
        return {key: mask(value, self._settings.secrets()) for key, value in error.reason.items()}

    def _failed(self, one: Delivery, to: Subscriber, error: NotTaken | Doubtful) -> list[Outcome]:
        why = _words(self._settings, error)
        pause, is_final = (error.pause, error.is_final) if isinstance(error, NotTaken) else (None, False)
        is_last = self._ledger.failed(
            one, why, utc_now(), self._reason(error), address=self._people.address(to), pause=pause, is_final=is_final
        )
        say = log.error if is_last else log.warning
        say("delivery_given_up" if is_last else "not_delivered", **_named(one), error=why, n_tries=one.n_tries + 1)
        return [Outcome(one.name, one.launch, "given up" if is_last else "waiting", why)]

    def _document(self, one: Delivery) -> Mapping[str, Json]:
        """The document it stands for, which is that of its first try, or what was stored when it was planned."""
        stored = Warehouse(self._settings.warehouse_url.reveal()).snapshot(one.launch, one.as_of, one.document_hash)
        if stored is None:
            said = f"the report of {one.launch} as of {one.as_of} is not in the warehouse"
            raise PipelineError(said, hint="`payback deliver LAUNCH --to NAME` sends today's instead")
        if not one.document_hash:
            self._ledger.pin(one, hashlib.sha256(stored).hexdigest())
        found: Mapping[str, Json] = json.loads(stored)
        return found

    def _pace(self, recipient: str, courier: Courier) -> None:
        """No more than the channel takes in a minute."""
        if courier.a_minute is None:
            return
        sent = self._ledger.sent_since(recipient, utc_now() - timedelta(minutes=1))
        if len(sent) >= courier.a_minute:
            free_at = sent[-courier.a_minute] + timedelta(minutes=1)
            self._sleep(max(0.0, (free_at - utc_now()).total_seconds()))


def identity_of(settings: Settings, one: Delivery) -> str:
    """16 hex digits: the same for every repeat of a delivery."""
    return hashed(settings, f"{one.launch}|{one.week}|{one.recipient}")


def _known(settings: Settings, ledger: Deliveries) -> Addressees:
    """Who is configured; the state file remembers by which key."""
    people = Addressees(settings)
    for earlier, key in people.remember():
        ledger.adopt(earlier, key)
    return people


def _has_renewed(settings: Settings, ledger: Deliveries) -> bool:
    people = Addressees(settings)
    return any(people.renewed(one) for one in ledger.failed_lately(utc_now()))


def _hash_of(settings: Settings, launch: str, as_of: str) -> str:
    """Which document was stored last; empty where the warehouse is away just now."""
    try:
        return Warehouse(settings.warehouse_url.reveal()).snapshot_hash(launch, as_of) or ""
    except WarehouseError:
        return ""


def _today(settings: Settings) -> date:
    return _local(settings).date()


def _local(settings: Settings) -> datetime:
    return utc_now().replace(tzinfo=UTC).astimezone(settings.business.zone)


def _is_night(settings: Settings) -> bool:
    hour = _local(settings).hour
    return hour >= QUIET_FROM or hour < QUIET_UNTIL


def _named(one: Delivery) -> dict[str, str]:
    return {"launch": one.launch, "week": one.week.isoformat(), "to": one.name}


def _words(settings: Settings, error: Exception) -> str:
    return mask(in_words(error), settings.secrets())[:LONGEST_ERROR]
