"""When a night is due, and that it is run once: APScheduler wakes us, the stored runs decide.

A night counts as done when a run was stored that began after it was due. So nothing is lost when this process was away, nothing
is run twice when it starts again or somebody ran the night by hand, and a clock that was set back does not repeat a night.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger

from pipeline.errors import ConfigError, Exit, exit_code, in_words
from pipeline.logbook import error_kind
from pipeline.logs import log
from pipeline.settings import Settings
from pipeline.warehouse import utc_now

TICK = timedelta(seconds=30)  # how late a host that was asleep, or whose clock was set, notices
LOOKS = tuple(timedelta(hours=hours) for hours in (26, 24 * 40, 24 * 400, 24 * 1500))  # the last one holds a 29 February
LARGEST_JUMP = timedelta(hours=3)  # of a wall clock; the real ones are of 30 minutes to 2 hours
SET_BACK = timedelta(days=1)  # a run further ahead of the clock than this was stored under a wrong clock
RETRY_SECONDS = 15 * 60.0  # after a night that could not even be stored: a warehouse that is away, a broken configuration
MOST_DEATHS = 3  # of one night whose process died in the middle: it may be the night that kills it
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


@dataclass(frozen=True, slots=True)
class Timetable:
    """The moments the business's wall clock shows what `[schedule] run` says. Moments are aware and in UTC.

    A time that exists twice (the end of summer time) means the first, one that does not exist (its begin) the moment that many
    minutes after the jump: each runs exactly once.
    """

    text: str
    zone: ZoneInfo
    _cron: Any  # CronTrigger in UTC, fed with what the wall clock shows

    def between(self, start: datetime, end: datetime) -> list[datetime]:
        """All moments in (start, end], ascending."""
        wall = self._wall(start) - LARGEST_JUMP
        until = self._wall(end) + LARGEST_JUMP
        found = set()
        while (shown := self._cron.get_next_fire_time(None, wall)) is not None and shown <= until:
            moment = shown.replace(tzinfo=self.zone, fold=0).astimezone(UTC)
            if start < moment <= end:
                found.add(moment)
            wall = shown + timedelta(minutes=1)
        return sorted(found)

    def after(self, moment: datetime, n: int = 1) -> list[datetime]:
        """The next `n` moments after this one; fewer when there are no more within four years."""
        found: list[datetime] = []
        while len(found) < n:
            start = found[-1] if found else moment
            following = next((known for look in LOOKS if (known := self.between(start, start + look))), [])
            if not following:
                break
            found += following
        return found[:n]

    def local(self, moment: datetime) -> datetime:
        """The moment by the business's clock."""
        return moment.astimezone(self.zone)

    def last(self, moment: datetime) -> datetime | None:
        """The newest moment that is not after this one; None when there was none within four years."""
        for look in LOOKS:
            if known := self.between(moment - look, moment):
                return known[-1]
        return None

    def _wall(self, moment: datetime) -> datetime:
        """What the wall clock shows, written as if it were UTC: so a day of the cron trigger always has 24 hours."""
        return moment.astimezone(self.zone).replace(tzinfo=UTC, fold=0)


def timetable(settings: Settings) -> Timetable:
    """The timetable of `[schedule] run`: a time of the day, or a cron expression of five fields. Raises ConfigError."""
    text = settings.schedule.run.strip()
    place = f"{settings.folder / 'payback.toml'}: [schedule.run]"
    cron = _cron(text, place)
    if cron.get_next_fire_time(None, datetime.now(UTC)) is None:
        raise ConfigError(f"{place}: {text!r} never comes", hint="no month has that day")
    return Timetable(text, settings.business.zone, cron)


def _cron(text: str, place: str) -> Any:
    hint = 'a time of the day such as "03:30", or a cron expression such as "30 3 * * mon-fri"'
    if clock := re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text):
        return CronTrigger(hour=int(clock[1]), minute=int(clock[2]), timezone=UTC)
    fields = text.lower().split()
    if len(fields) != 5:
        raise ConfigError(f"{place}: {text!r} is neither a time nor a cron expression of five fields", hint=hint)
    minute, hour, day, month, weekday = fields
    if not (day.startswith("*") or weekday.startswith("*")):
        # cron means "one or the other" there, and nobody who writes it does.
        raise ConfigError(f"{place}: {text!r} names days of the month and of the week at once", hint="name either")
    try:
        return CronTrigger(
            minute=minute, hour=hour, day=day, month=month, day_of_week=cron_weekdays(weekday), timezone=UTC
        )
    except (ValueError, IndexError) as error:
        raise ConfigError(f"{place}: {text!r} is no cron expression: {error}", hint=hint) from None


def cron_weekdays(field: str) -> str:
    """The weekdays of a cron field by name, because the library counts from Monday and cron from Sunday. Raises ValueError."""
    if field == "*":
        return "*"
    found = []
    for item in field.split(","):
        span = re.fullmatch(r"(\*|[0-7]|[a-z]{3})(?:-([0-7]|[a-z]{3}))?(?:/(\d+))?", item)
        if span is None:
            raise ValueError(f"{item!r} is no weekday")
        first, last, step = span.groups()
        low = 0 if first == "*" else _weekday(first)
        high = 6 if first == "*" else low if last is None else _weekday(last)
        high += 7 * (high < low)  # sat-mon, and 5-7
        found += [WEEKDAYS[number % 7] for number in range(low, high + 1, max(1, int(step or 1)))]
    return ",".join(dict.fromkeys(found))


def _weekday(name: str) -> int:
    if name.isdigit():
        return int(name) % 7
    if name not in WEEKDAYS:
        raise ValueError(f"{name!r} is no weekday")
    return WEEKDAYS.index(name)


class Nights:
    """Runs every night that is owed, once. `look()` may be called at any time and as often as one likes, on one thread."""

    def __init__(
        self,
        table: Timetable,
        stored: Callable[[datetime], Sequence[Mapping[str, Any]]],
        run: Callable[[], None],
        note: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        """`stored` gives the nightly runs that began since a moment (UTC without zone), `run` does a night and stores it, `note`
        is told why one could not be run."""
        self.table = table
        self.is_running = False
        self.problem = ""  # why the night that is owed could not be run or decided
        self.problem_kind = ""  # of the error, as `pipeline.logbook.error_kind` names it
        self._stored = stored
        self._run = run
        self._note = note
        self._settled: datetime | None = None  # the newest due moment that needs nothing more
        self._not_before = float("-inf")  # monotonic

    def look(self) -> bool:
        """Run the night that is due and not done; whether it was run."""
        due = self.table.last(datetime.now(UTC))
        if due is None or due == self._settled or time.monotonic() < self._not_before:
            return False
        try:
            is_due = is_owed(due, self._stored(due.replace(tzinfo=None)), utc_now())
            if is_due:
                log.info("night_begins", due=due.isoformat())
                self.is_running = True
                self._run()
        except Exception as error:
            if exit_code(error) == Exit.TEMPORARY:  # somebody else runs it: the next look sees whether that was this night
                return False
            self.problem, self.problem_kind = in_words(error), error_kind(error)
            self._not_before = time.monotonic() + RETRY_SECONDS
            log.error("night_not_run", due=due.isoformat(), error=self.problem, again_in_seconds=RETRY_SECONDS)
            self._note(error)
            return False
        finally:
            self.is_running = False
        self._settled = due
        self.problem = self.problem_kind = ""
        return is_due


def is_owed(due: datetime, runs: Sequence[Mapping[str, Any]], now: datetime) -> bool:
    """Whether the night due then (aware) still has to be run, by the nightly runs that began since; `now` is UTC without zone."""
    tries = [run for run in runs if due.replace(tzinfo=None) <= run["started_at"] <= now + SET_BACK]
    ended = [run for run in tries if run["ended_at"] is not None]
    is_done = any(not run["detail"].get("is_interrupted") for run in ended)
    return not is_done and len(tries) - len(ended) < MOST_DEATHS


class _Wake(BaseTrigger):  # type: ignore[misc]  # the library has no types
    """At every due moment, and every `TICK` in between: a host that slept or a clock that was set is noticed then."""

    def __init__(self, table: Timetable) -> None:
        self._table = table

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        if previous_fire_time is None:
            return now
        return min([now + TICK, *self._table.after(now)])


def start_scheduler(nights: Nights) -> BackgroundScheduler:
    """A running scheduler that looks after the nights, one look at a time; the first one now."""
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it warns of every tick that comes while a night is running
    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.add_job(nights.look, _Wake(nights.table), max_instances=1, coalesce=True, misfire_grace_time=None)
    scheduler.start()
    return scheduler
