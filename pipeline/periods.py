"""Which days count: whole Monday-Sunday weeks of the business's calendar, before and after a launch. Pure.

Ranges are half-open. A week counts only when every lead of it is mature: its last day plus the horizon has passed. The
week of the launch belongs to neither side; the washout drops whole weeks after it; a week with a closure is left out on
both sides.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise

from pipeline.errors import NothingToMeasure

HORIZONS = (7, 14, 21, 30, 45, 60)
HORIZON_SHARE = 0.9
DEFAULT_HORIZON = 30
# So many empty weeks in a row are a gap in the records: what lies before it is another time, or a stray row.
GAP_WEEKS = 4
# A horizon chosen from a handful of outcomes would be chance.
MIN_OUTCOMES = 20
MAX_PRE_WEEKS = 104
WEEK = timedelta(days=7)


def horizon_hours(days: int) -> int:
    """The horizon as metrics compare it. One hour of grace: a source that knows only days turns local midnights into UTC,
    and across the end of summer time day `days` starts an hour late."""
    return 24 * days + 1


def monday_of(day: date) -> date:
    """The Monday of the day's week."""
    return day - timedelta(days=day.weekday())


def monday_after(day: date) -> date:
    """The day itself when it is a Monday, else the next one."""
    return monday_of(day + timedelta(days=6))


@dataclass(frozen=True, slots=True)
class AsOf:
    """What a measurement may know: rows seen up to `seen_until` (UTC, inclusive), maturity counted to the start of `on`."""

    on: date
    seen_until: datetime
    text: str

    @classmethod
    def day(cls, on: date, zone: tzinfo) -> "AsOf":
        """Knowledge up to the end of the local day."""
        next_midnight = datetime.combine(on + timedelta(days=1), time(), zone).astimezone(UTC).replace(tzinfo=None)
        return cls(on, next_midnight - timedelta(microseconds=1), on.isoformat())

    @classmethod
    def instant(cls, at: datetime, zone: tzinfo) -> "AsOf":
        """Knowledge up to an exact time (UTC naive)."""
        return cls(at.replace(tzinfo=UTC).astimezone(zone).date(), at, at.isoformat(timespec="microseconds"))


@dataclass(frozen=True, slots=True)
class Span:
    """Days from `start` up to, not including, `end`."""

    start: date
    end: date

    @property
    def n_days(self) -> int:
        return max((self.end - self.start).days, 0)

    @property
    def mondays(self) -> tuple[date, ...]:
        """The Mondays of its weeks."""
        return tuple(self.start + WEEK * n for n in range(self.n_days // 7))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A week that counts on neither side, and why."""

    week: date
    reason: str


@dataclass(frozen=True, slots=True)
class Horizon:
    """Days within which outcomes count. `share` of `n_outcomes` outcomes seen came within it; None when it was not looked at."""

    days: int
    chosen_from: str  # "data" | "launch" (configured) | "default" (too few outcomes)
    outcome: str = "visited"
    share: float | None = None
    n_outcomes: int = 0


@dataclass(frozen=True, slots=True)
class Periods:
    """The periods of a launch. `left_out` weeks lie inside pre or post and count on neither side."""

    pre: Span
    washout: Span
    post: Span
    left_out: tuple[LeftOut, ...]
    horizon_days: int

    @property
    def weeks(self) -> tuple[date, ...]:
        """The Mondays of every week from the start of pre to the end of post, in order."""
        return Span(self.pre.start, max(self.post.end, self.washout.end)).mondays

    @property
    def pre_weeks(self) -> tuple[date, ...]:
        """The Mondays that count before the launch."""
        return self._counted(self.pre)

    @property
    def post_weeks(self) -> tuple[date, ...]:
        """The Mondays that count after it."""
        return self._counted(self.post)

    def _counted(self, span: Span) -> tuple[date, ...]:
        dropped = {week.week for week in self.left_out}
        return tuple(monday for monday in span.mondays if monday not in dropped)


def split_periods(
    started_on: date,
    first_lead_on: date | None,
    as_of_on: date,
    horizon_days: int,
    washout_days: int = 0,
    closures: Iterable[date] = (),
    max_pre_weeks: int = MAX_PRE_WEEKS,
) -> Periods:
    """The periods of a launch that started on `started_on`.

    `as_of_on`: outcomes are known up to the start of that day. Post may be empty, pre not.
    Raises NothingToMeasure: a launch in the future, no leads, no whole mature week before the launch.
    """
    if started_on > as_of_on:
        raise NothingToMeasure(
            f"the launch starts on {started_on}, and the data are known as of {as_of_on}",
            hint="measure it after it has started, or correct started_on in launches.toml",
        )
    if first_lead_on is None:
        raise NothingToMeasure(
            "there are no leads to measure", hint="run `payback sync`, and check sources and scope of the launch"
        )
    launch_week = monday_of(started_on)
    mature_until = monday_of(as_of_on - timedelta(days=horizon_days))
    pre_start = max(monday_after(first_lead_on), launch_week - WEEK * max_pre_weeks)
    pre_end = min(launch_week, mature_until)
    if pre_end <= pre_start:
        raise NothingToMeasure(
            f"there is no whole week before the launch of {started_on} whose leads have had {horizon_days} days to come; "
            f"the first lead is of {first_lead_on}",
            hint="load older leads (a full sync, or last year's export), or correct started_on in launches.toml",
        )
    post_start = max(launch_week + WEEK, monday_after(started_on + timedelta(days=washout_days)))
    periods = Periods(
        pre=Span(pre_start, pre_end),
        washout=Span(launch_week, post_start),
        post=Span(post_start, max(post_start, mature_until)),
        left_out=(),
        horizon_days=horizon_days,
    )
    return _without_closures(periods, closures)


def _without_closures(periods: Periods, closures: Iterable[date]) -> Periods:
    closed = sorted({monday_of(day) for day in closures})
    counted = {*periods.pre.mondays, *periods.post.mondays}
    left_out = tuple(LeftOut(week, "closure") for week in closed if week in counted)
    split = Periods(periods.pre, periods.washout, periods.post, left_out, periods.horizon_days)
    if not split.pre_weeks:
        raise NothingToMeasure(
            "every week before the launch has a day of closure in it",
            hint="load older leads, or correct closures in payback.toml",
        )
    return split


@dataclass(frozen=True, slots=True)
class Gap:
    """A run of weeks without leads: nothing between `last_on` and `first_on`, the first lead after it."""

    last_on: date
    first_on: date
    n_weeks: int


def last_gap(lead_days: Iterable[date], started_on: date, closures: Iterable[date] = ()) -> Gap | None:
    """The last run of GAP_WEEKS or more empty weeks before the launch, if a whole week with leads follows it before the launch.

    A week with a closure is no empty week: somebody said why it has no leads.
    """
    launch_week = monday_of(started_on)
    days = sorted({day for day in lead_days if day < launch_week}, reverse=True)
    closed = {monday_of(day) for day in closures}
    for later, earlier in pairwise(days):
        between = Span(monday_of(earlier) + WEEK, monday_of(later)).mondays
        n_weeks = sum(monday not in closed for monday in between)
        if n_weeks >= GAP_WEEKS and monday_after(later) < launch_week:
            return Gap(earlier, later, n_weeks)
    return None


def horizon_population(started_on: date) -> date:
    """Leads created before this day have been watched for the longest horizon when the launch starts."""
    return monday_of(started_on) - timedelta(days=max(HORIZONS))


def choose_horizon(outcome: str, n_within: Mapping[int, int], n_outcomes: int) -> Horizon:
    """The smallest horizon that holds nine tenths of the outcomes of the pre period; the longest when none does.

    `n_within`: outcomes within each of `HORIZONS` days of the lead's creation, out of `n_outcomes` seen before the launch.
    Too few outcomes: 30 days, said to be a default.
    """
    if n_outcomes < MIN_OUTCOMES:
        return Horizon(DEFAULT_HORIZON, "default", outcome, None, n_outcomes)
    days = next((days for days in HORIZONS if n_within[days] >= HORIZON_SHARE * n_outcomes), HORIZONS[-1])
    return Horizon(days, "data", outcome, n_within[days] / n_outcomes, n_outcomes)


def known_until(as_of_on: date, started_on: date, sources: Sequence[tuple[date, date]], tolerance_days: int = 7) -> date:
    """The day to whose start outcomes are known. `sources`: day of the last event and day last heard, of each.

    A source is known up to the day it was last heard; one that fell silent more than a week before `as_of_on` (an export file
    ends when it was made) up to its last event: what nobody told of is not "nothing happened". A source that ended before
    the launch is history and binds nobody, unless all did: then the one heard last counts.
    """
    ends = [
        min(heard_on, last_on + timedelta(days=1)) if (as_of_on - last_on).days > tolerance_days else heard_on
        for last_on, heard_on in sources
        if last_on >= started_on
    ]
    if not ends and sources:
        ends = [max(heard_on for _, heard_on in sources)]
    return min([as_of_on, *ends])
