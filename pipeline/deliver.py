"""Sends the weekly report to its subscribers: each launch and week once to each, retried when it was not taken.

What is owed is planned after a measurement and sent at once; what could not be sent is tried again at the next look: by the timer
of `payback serve`, or at the end of the next run.
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from connectors.secrets import mask
from pipeline import lease
from pipeline.couriers import Courier, Doubtful, NotTaken, Parcel
from pipeline.deliveries import Deliveries, Delivery
from pipeline.errors import Busy, ConfigError, PipelineError, in_words
from pipeline.logs import log
from pipeline.parcels import courier_of, parcel_of
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


def keys_of(settings: Settings) -> dict[str, Subscriber]:
    """The subscribers by what the state file knows them by: the same as long as the address is, and tells nothing of it."""
    return {_key(settings, one): one for one in settings.deliveries}


def due_week(one: Subscriber, today: date) -> tuple[date, date]:
    """The newest day the report was due for this subscriber, and the Monday of that week."""
    due = today - timedelta(days=(today.weekday() - one.weekday_number) % 7)
    return due, due - timedelta(days=due.weekday())


def plan(settings: Settings, measured: Mapping[str, str]) -> int:
    """Plan what is owed of these launches (`as_of` by name) by now; how many. A day before somebody subscribed is not owed."""
    if not settings.deliveries:
        return 0
    ledger, today = Deliveries(State(settings.home)), _today(settings)
    people = keys_of(settings)
    since = ledger.since(people, today)
    n_planned = 0
    for key, one in people.items():
        due, week = due_week(one, today)
        for launch, as_of in measured.items():
            if one.wants(launch) and due >= since[key]:
                n_planned += ledger.plan(launch, week, key, one.name, as_of, utc_now())
    return n_planned


def look(settings: Settings, *, linger: float = 0.0, only: Sequence[str] | None = None) -> list[Outcome]:
    """Send what is due; what became of it. Waits up to `linger` seconds for what may be tried again soon. `only`: these keys.

    Raises WarehouseError when the state file cannot be used, Busy when another process is sending all the while.
    """
    ledger = Deliveries(State(settings.home))
    if not settings.deliveries or not ledger.open_ones():
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
    """Send this week's report to these subscribers who have not got it, by the wish of a person.

    Somebody who was named is sent what failed or is in doubt once more; what was delivered is never sent again.
    """
    ledger, today = Deliveries(State(settings.home)), _today(settings)
    known = {one.name: key for key, one in keys_of(settings).items()}
    for one in people:
        _, week = due_week(one, today)
        ledger.plan(launch, week, known[one.name], one.name, as_of, utc_now())
        if is_named:
            ledger.again(launch, week, [known[one.name]], as_of, utc_now())
    chosen = [known[one.name] for one in people]
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
            outcomes.append(Outcome(one.name, document["launch"]["name"], "sent"))
        except (NotTaken, Doubtful, ConfigError) as error:
            outcomes.append(Outcome(one.name, document["launch"]["name"], "not sent", _words(settings, error)))
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


class _Unreadable(PipelineError):
    """The other side does not say whether it has got the report already."""


class _Round:
    """One look, with the lock held."""

    def __init__(self, settings: Settings, ledger: Deliveries, sleep: Callable[[float], None] = time.sleep) -> None:
        self._settings = settings
        self._ledger = ledger
        self._people = keys_of(settings)
        self._sleep = sleep

    def run(self, linger: float, only: Sequence[str] | None) -> list[Outcome]:
        repeatable = [key for key, one in self._people.items() if one.way in ("bitrix24", "webhook")]
        for one in self._ledger.recover(repeatable, utc_now()):
            log.error("delivery_in_doubt", **_named(one), reason="a process ended while it was sending; it may have arrived")
        deadline = time.monotonic() + linger
        outcomes: list[Outcome] = []
        while True:
            for one in self._ledger.due(utc_now()):
                if one.recipient in self._people and (only is None or one.recipient in only):
                    outcomes.append(self._deliver(one, self._people[one.recipient]))
            ours = [one.not_before for one in self._ledger.open_ones() if one.recipient in (only or self._people)]
            wait = (min(ours) - utc_now()).total_seconds() if ours else linger + 1
            if time.monotonic() + wait > deadline:
                return outcomes
            self._sleep(max(0.0, wait) + 0.01)

    def _deliver(self, one: Delivery, to: Subscriber) -> Outcome:
        try:
            document = self._document(one)
            courier = courier_of(to, self._settings)
            parcel = parcel_of(to, self._settings, document, identity_of(self._settings, one), is_quiet=_is_night(self._settings))
        except PipelineError as error:  # nothing was sent: a warehouse that is away, an address that cannot be used
            return self._failed(one, NotTaken(str(error), hint=error.hint))
        self._pace(one.recipient, courier)
        try:
            if not self._was_taken(one, courier, parcel):
                self._ledger.begin(one, utc_now())
                courier.send(parcel)
        except NotTaken as error:
            return self._failed(one, error)
        except Exception as error:  # no answer, or whatever a library raises in the middle
            why = _words(self._settings, error)
            if courier.is_repeatable and not isinstance(error, _Unreadable):
                return self._failed(one, NotTaken(why))
            self._ledger.doubt(one, why, utc_now())
            log.error("delivery_in_doubt", **_named(one), error=why)
            return Outcome(one.name, one.launch, "in doubt", why)
        self._ledger.delivered(one, utc_now())
        log.info("delivered", **_named(one))
        return Outcome(one.name, one.launch, "delivered")

    @staticmethod
    def _was_taken(one: Delivery, courier: Courier, parcel: Parcel) -> bool:
        """Whether an earlier try arrived after all, where that can be asked."""
        if not one.n_tries or courier.was_taken is None:
            return False
        try:
            return courier.was_taken(parcel)
        except NotTaken as error:
            if error.is_final:
                raise _Unreadable(f"whether an earlier try arrived cannot be asked: {error}") from None
            raise

    def _failed(self, one: Delivery, error: NotTaken) -> Outcome:
        why = _words(self._settings, error)
        is_last = self._ledger.failed(one, why, utc_now(), pause=error.pause, is_final=error.is_final)
        say = log.error if is_last else log.warning
        say("delivery_given_up" if is_last else "not_delivered", **_named(one), error=why, n_tries=one.n_tries + 1)
        return Outcome(one.name, one.launch, "given up" if is_last else "waiting", why)

    def _document(self, one: Delivery) -> Mapping[str, Json]:
        stored = Warehouse(self._settings.warehouse_url.reveal()).snapshot(one.launch, one.as_of)
        if stored is None:
            raise PipelineError(f"there is no snapshot of {one.launch} as of {one.as_of}", hint="run `payback measure`")
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
    return _hashed(settings, f"{one.launch}|{one.week}|{one.recipient}")


def _key(settings: Settings, one: Subscriber) -> str:
    if one.bitrix24 is not None:
        return _hashed(settings, f"bitrix24 dialog {one.bitrix24.source} {one.bitrix24.dialog_id}")
    assert one.to is not None
    return _hashed(settings, one.to.reveal())


def _hashed(settings: Settings, text: str) -> str:
    return hmac.new(settings.hash_key.reveal().encode(), text.encode(), hashlib.sha256).hexdigest()[:16]


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
