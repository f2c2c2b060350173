"""Every night is run once: by wall clocks that jump, on hosts that sleep, after restarts, beside other runs."""

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import time_machine
from sqlalchemy import text

from connectors.secrets import Secret
from pipeline import schedule
from pipeline.errors import Busy, ConfigError, WarehouseError
from pipeline.schedule import Nights, Timetable, cron_weekdays, timetable
from pipeline.settings import Business, Settings
from pipeline.unattended import Schedule
from pipeline.warehouse import Warehouse, utc_now

BERLIN = ZoneInfo("Europe/Berlin")


def settings_of(run: str, zone: str = "Europe/Berlin") -> Settings:
    business = Business(timezone=zone)
    return Settings(Path("config"), business, Secret("duckdb:///x"), (), (), (), (), Secret("k" * 32), schedule=Schedule(run))


def table_of(run: str, zone: str = "Europe/Berlin") -> Timetable:
    return timetable(settings_of(run, zone))


def local(day: str, clock: str, *, fold: int = 0, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=zone, fold=fold).astimezone(UTC)


# --- two years ----------------------------------------------------------------------------------------------------------


class Host:
    """A machine with a clock of its own, on which the nights of a business are run and stored, as `payback serve` does it."""

    def __init__(self, warehouse: Warehouse, traveller: time_machine.Traveller) -> None:
        self.table = table_of("02:30")
        self.began: list[datetime] = []  # of every run, by the clock of then
        self._warehouse = warehouse
        self._traveller = traveller
        self.restart()

    def restart(self) -> None:
        """A new process, which knows only what is stored."""
        self._nights = Nights(self.table, lambda moment: self._warehouse.runs_since("night", moment), self._run)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC)

    def set_clock(self, moment: datetime) -> None:
        self._traveller.move_to(moment)

    def look(self) -> None:
        self._nights.look()

    def awake_until(self, end: datetime, rng: random.Random) -> None:
        """The process looks when a night is due, shortly before and after, and some hours on; now and then it is started anew."""
        while self.now < end:
            due = self.table.after(self.now)[0]
            looks = [due - timedelta(seconds=1), due, due + timedelta(seconds=29), due + timedelta(hours=rng.uniform(1, 20))]
            for moment in (moment for moment in looks if self.now <= moment < end):
                self.set_clock(moment)
                self.look()
                if rng.random() < 0.05:
                    self.restart()
            if looks[-1] >= end:
                self.set_clock(end)

    def _run(self) -> None:
        self._traveller.shift(timedelta(seconds=0.4))
        began = utc_now()
        self.began.append(began.replace(tzinfo=UTC))
        self._traveller.shift(timedelta(seconds=20))
        self._warehouse.record_run(f"night-{began:%Y%m%dT%H%M%S}", "night", began, utc_now(), "ok", {})


@pytest.fixture
def kept_open(migrated_file: Path, tmp_path: Path) -> Iterator[Warehouse]:
    """A DuckDB warehouse whose file stays attached, on one thread: else 1 500 tiny transactions would take half a minute."""
    path = tmp_path / "nights.duckdb"
    path.write_bytes(migrated_file.read_bytes())
    warehouse = Warehouse(f"duckdb:///{path}")
    with ExitStack() as stack:
        with warehouse._database.writing() as connection:
            connection.execute(text("SET threads = 1"))
            stack.enter_context(warehouse.reading())
        yield warehouse
        with warehouse._database.writing() as connection:
            connection.execute(text("RESET threads"))


@pytest.mark.thorough
def test_24_months_of_nights_run_once_each(kept_open: Warehouse) -> None:
    rng = random.Random(4)
    asleep = [("2026-05-10", "2026-05-14"), ("2026-10-24", "2026-10-26"), ("2027-03-27", "2027-04-09")]
    set_back = [("2026-07-07", timedelta(hours=3)), ("2026-12-12", timedelta(days=2)), ("2027-06-06", timedelta(minutes=90))]
    with time_machine.travel(local("2026-01-01", "12:00"), tick=False) as traveller:
        host = Host(kept_open, traveller)
        host.look()  # nothing is stored yet: the first night is run at once
        assert len(host.began) == 1
        for day, detail in sorted([*asleep, *set_back], key=lambda one: one[0]):
            if isinstance(detail, str):
                host.awake_until(local(day, "22:00"), rng)
                host.set_clock(local(detail, "15:00"))
            else:
                host.awake_until(local(day, "04:00"), rng)
                host.set_clock(host.now - detail)
                host.restart()
            host.look()
        host.awake_until(local("2028-01-01", "12:00"), rng)
    slept = {night for begin, end in asleep for night in days(begin, end)}
    woken = {date.fromisoformat(end) for _, end in asleep}
    expected = {date(2026, 1, 1) + timedelta(days=n) for n in range(731)} - slept | woken
    began = Counter(moment.astimezone(BERLIN).date() for moment in host.began)
    assert set(began) == expected
    assert {night: n for night, n in began.items() if n != 1} == {}
    on_time = [moment for moment in host.began[1:] if moment.astimezone(BERLIN).date() not in woken]
    clocks = Counter(f"{moment.astimezone(BERLIN):%H:%M:%S}" for moment in on_time)
    # No drift over two years. 02:30 did not exist on 2026-03-29 (nor on 2027-03-28, slept through); it came twice on 2027-10-31.
    assert clocks == {"02:30:00": len(on_time) - 1, "03:30:00": 1}
    assert local("2027-10-31", "02:30", fold=0) + timedelta(seconds=0.4) in host.began
    assert len(host.began) == len(kept_open.runs_since("night", datetime(2020, 1, 1)))


def days(after: str, upto: str) -> list[date]:
    first, last = date.fromisoformat(after), date.fromisoformat(upto)
    return [first + timedelta(days=n) for n in range(1, (last - first).days + 1)]


def test_clock_that_was_years_ahead_does_not_silence_the_nights(kept_open: Warehouse) -> None:
    with time_machine.travel(local("2026-02-10", "04:00"), tick=False) as traveller:
        host = Host(kept_open, traveller)
        host.look()
        host.set_clock(local("2031-02-10", "04:00"))
        host.look()
        host.set_clock(local("2026-02-10", "05:00"))
        host.restart()
        host.look()
        assert len(host.began) == 2
        host.set_clock(local("2026-02-11", "02:30"))
        host.look()
        assert len(host.began) == 3


# --- nights that do not end well ----------------------------------------------------------------------------------------


class Attempts:
    """Nights against a warehouse, each of which does the next thing in a list."""

    def __init__(self, warehouse: Warehouse, *what: BaseException | dict[str, object] | None) -> None:
        self.n = 0
        self._what = list(what)
        self._warehouse = warehouse
        self.nights = Nights(table_of("02:30"), lambda moment: warehouse.runs_since("night", moment), self._run)

    def _run(self) -> None:
        self.n += 1
        what = self._what.pop(0) if self._what else {}
        if isinstance(what, BaseException):
            raise what
        began = utc_now()
        self._warehouse.record_run(f"night-{self.n}", "night", began, None, "running", {})
        if what is not None:
            self._warehouse.record_run(f"night-{self.n}", "night", began, utc_now(), "ok", what)


def test_night_waits_for_another_run_and_takes_it_for_its_own(warehouse: Warehouse) -> None:
    attempts = Attempts(warehouse, Busy("another run is under way"))
    assert not attempts.nights.look()
    now = utc_now()
    warehouse.record_run("night-by-hand", "night", now, now, "ok", {})
    assert not attempts.nights.look()
    assert attempts.n == 1
    assert attempts.nights.problem == ""


def test_night_that_could_not_be_run_is_tried_again_later(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts = Attempts(warehouse, WarehouseError("the warehouse is away"), WarehouseError("still away"))
    assert not attempts.nights.look()
    assert "away" in attempts.nights.problem
    assert not attempts.nights.look()
    assert attempts.n == 1  # not at every look
    monkeypatch.setattr(attempts.nights, "_not_before", float("-inf"))
    assert not attempts.nights.look()
    monkeypatch.setattr(attempts.nights, "_not_before", float("-inf"))
    assert attempts.nights.look()
    assert attempts.nights.problem == ""
    assert not attempts.nights.look()
    assert attempts.n == 3


def test_night_that_was_interrupted_is_run_again_after_a_restart(warehouse: Warehouse) -> None:
    assert Attempts(warehouse, {"is_interrupted": True}).nights.look()
    assert Attempts(warehouse).nights.look()
    assert not Attempts(warehouse).nights.look()


def test_night_that_kills_its_process_is_given_up(warehouse: Warehouse) -> None:
    tried = [Attempts(warehouse, None).nights.look() for _ in range(5)]
    assert tried == [True] * schedule.MOST_DEATHS + [False] * (5 - schedule.MOST_DEATHS)


def test_first_night_needs_no_warehouse(tmp_path: Path) -> None:
    warehouse = Warehouse(f"duckdb:///{tmp_path / 'not_there_yet.duckdb'}")
    ran = []
    nights = Nights(table_of("02:30"), lambda moment: warehouse.runs_since("night", moment), lambda: ran.append(1))
    assert nights.look()
    assert ran == [1]


# --- when ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("run", "start", "expected"),
    [
        ("02:30", ("2026-03-28", "12:00"), ["03-29 03:30", "03-30 02:30"]),  # does not exist on the 29th
        ("02:30", ("2026-03-29", "03:10"), ["03-29 03:30", "03-30 02:30"]),  # nor has it been after the jump
        ("02:30", ("2026-10-24", "12:00"), ["10-25 02:30", "10-26 02:30"]),  # exists twice on the 25th
        ("0 2,3 * * *", ("2026-03-28", "12:00"), ["03-29 03:00", "03-30 02:00"]),  # both of the 29th are one moment
        ("30 3 * * 0", ("2026-11-16", "00:00"), ["11-22 03:30", "11-29 03:30"]),  # 0 is a Sunday
        ("30 3 * * 7", ("2026-11-16", "00:00"), ["11-22 03:30", "11-29 03:30"]),
        ("30 3 * * 1-5", ("2026-11-20", "12:00"), ["11-23 03:30", "11-24 03:30"]),
        ("0 */12 * * *", ("2026-11-16", "00:00"), ["11-16 12:00", "11-17 00:00"]),
        ("15 4 1 * *", ("2026-11-16", "00:00"), ["12-01 04:15", "01-01 04:15"]),
        ("3:05", ("2026-11-16", "03:05"), ["11-17 03:05", "11-18 03:05"]),
    ],
)
def test_due_moments(run: str, start: tuple[str, str], expected: list[str]) -> None:
    table = table_of(run)
    moments = table.after(local(*start), 2)
    assert [f"{moment.astimezone(BERLIN):%m-%d %H:%M}" for moment in moments] == expected
    assert table.last(moments[0]) == moments[0]
    assert table.last(moments[1] - timedelta(microseconds=1)) == moments[0]


def test_every_quarter_of_an_hour_of_any_zone_comes_once_a_day() -> None:
    """A zone that jumps by half an hour, one that jumps at midnight, one 14 hours ahead: a moment for every day, ascending."""
    for zone in ("Australia/Lord_Howe", "America/Havana", "Pacific/Kiritimati", "Africa/Casablanca"):
        for run in ("00:00", "00:15", "01:45", "02:00", "02:30"):
            table = table_of(run, zone)
            start = local("2026-01-01", "12:00", zone=table.zone)
            moments = table.between(start, local("2027-01-01", "12:00", zone=table.zone))
            assert len(moments) == 365
            apart = [later - earlier for earlier, later in pairwise(moments)]
            assert timedelta(hours=22) < min(apart) <= max(apart) < timedelta(hours=26)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ("25:00", "neither a time nor a cron"),
        ("nightly", "neither a time nor a cron"),
        ("30 3 * * funday", "no weekday"),
        ("61 3 * * *", "no cron expression"),
        ("30 3 1 * 1", "month and of the week at once"),
        ("0 0 30 2 *", "never comes"),
    ],
)
def test_wrong_schedule_is_said(run: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        table_of(run)
    assert "payback.toml: [schedule.run]" in str(caught.value)
    assert caught.value.hint


def test_weekdays_of_cron_begin_on_sunday() -> None:
    assert cron_weekdays("0") == cron_weekdays("7") == cron_weekdays("SUN".lower()) == "sun"
    assert cron_weekdays("5-7") == "fri,sat,sun"
    assert cron_weekdays("sat-mon") == "sat,sun,mon"
    assert cron_weekdays("*/3") == "sun,wed,sat"
