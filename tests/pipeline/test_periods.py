"""Periods: whole weeks, maturity, washout, closures, the horizon; every boundary by hand on a calendar.

2026-06-01 is a Monday.
"""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import NothingToMeasure
from pipeline.periods import (
    HORIZONS,
    AsOf,
    Span,
    choose_horizon,
    horizon_hours,
    known_until,
    last_gap,
    split_periods,
)

MONDAY = date(2026, 6, 1)


def test_launch_week_belongs_to_neither_side_and_post_ends_with_the_last_mature_week():
    periods = split_periods(date(2026, 6, 3), date(2026, 4, 1), date(2026, 7, 20), 14)
    assert periods.pre == Span(date(2026, 4, 6), MONDAY)  # 1 April is a Wednesday: that week is not whole
    assert periods.washout == Span(MONDAY, date(2026, 6, 8))
    # Leads up to Sunday 5 July have had 14 days by the start of 20 July, those of 6 July have not.
    assert periods.post == Span(date(2026, 6, 8), date(2026, 7, 6))
    assert len(periods.post_weeks) == 4


def test_a_week_becomes_mature_on_the_very_day():
    day_before = split_periods(MONDAY, date(2026, 1, 5), date(2026, 6, 28), 14)
    that_day = split_periods(MONDAY, date(2026, 1, 5), date(2026, 6, 29), 14)
    assert day_before.post_weeks == ()
    assert that_day.post_weeks == (date(2026, 6, 8),)


def test_pre_weeks_must_be_mature_too():
    periods = split_periods(date(2026, 6, 3), date(2026, 1, 5), date(2026, 6, 10), 30)
    assert periods.pre.end == date(2026, 5, 11)  # leads of the week from 11 May have not had 30 days by 10 June
    assert periods.post.n_days == 0


@pytest.mark.parametrize(
    ("started_on", "washout_days", "post_start"),
    [
        (date(2026, 6, 1), 0, date(2026, 6, 8)),
        (date(2026, 6, 7), 1, date(2026, 6, 8)),
        (date(2026, 6, 7), 2, date(2026, 6, 15)),
        (date(2026, 6, 3), 14, date(2026, 6, 22)),
    ],
)
def test_washout_drops_whole_weeks(started_on, washout_days, post_start):
    assert split_periods(started_on, date(2026, 1, 5), date(2026, 12, 1), 14, washout_days).post.start == post_start


def test_weeks_with_a_closure_are_left_out_on_both_sides():
    closures = [date(2026, 5, 9), date(2026, 6, 12), date(2026, 6, 3)]  # a Saturday, a Friday, and the launch week itself
    periods = split_periods(date(2026, 6, 3), date(2026, 4, 6), date(2026, 8, 3), 14, closures=closures)
    assert [week.week for week in periods.left_out] == [date(2026, 5, 4), date(2026, 6, 8)]
    assert date(2026, 5, 4) not in periods.pre_weeks
    assert date(2026, 6, 8) not in periods.post_weeks
    assert date(2026, 5, 4) in periods.weeks  # the series keeps its rhythm


def test_history_is_cut_to_two_years():
    periods = split_periods(MONDAY, date(2020, 1, 1), date(2026, 12, 1), 14)
    assert len(periods.pre_weeks) == 104


@pytest.mark.parametrize(
    ("started_on", "first_lead_on", "as_of_on", "says"),
    [
        (date(2026, 6, 2), date(2026, 1, 5), date(2026, 6, 1), "starts on 2026-06-02"),
        (MONDAY, None, date(2026, 12, 1), "no leads"),
        (MONDAY, date(2026, 5, 26), date(2026, 12, 1), "no whole week before"),
        (MONDAY, date(2026, 5, 4), date(2026, 6, 2), "no whole week before"),  # none has had 30 days
    ],
)
def test_nothing_to_measure_says_why_and_what_to_do(started_on, first_lead_on, as_of_on, says):
    with pytest.raises(NothingToMeasure, match=says) as caught:
        split_periods(started_on, first_lead_on, as_of_on, 30)
    assert caught.value.hint


@given(
    st.dates(date(2025, 1, 1), date(2026, 12, 31)),
    st.integers(0, 60),
    st.sampled_from(HORIZONS),
    st.integers(0, 400),
    st.lists(st.dates(date(2024, 6, 1), date(2027, 6, 1)), max_size=5),
)
def test_periods_hold_their_promises_on_any_date(started_on, washout_days, horizon_days, age, closures):
    as_of_on = started_on + timedelta(days=age)
    periods = split_periods(started_on, date(2024, 1, 3), as_of_on, horizon_days, washout_days, closures)
    assert all(week.weekday() == 0 for week in periods.weeks)
    counted = {*periods.pre_weeks, *periods.post_weeks}
    assert all(week + timedelta(days=7 + horizon_days) <= as_of_on for week in counted)
    assert all(week + timedelta(days=7) <= started_on or week > started_on for week in counted)
    assert all(week >= started_on + timedelta(days=washout_days) for week in periods.post_weeks)
    assert not any(week <= day < week + timedelta(days=7) for week in counted for day in closures)


def test_as_of_a_day_knows_the_whole_local_day_across_summer_time():
    riga = AsOf.day(date(2026, 3, 29), ZoneInfo("Europe/Riga"))  # 23 hours long: ends at 21:00 UTC
    assert riga.seen_until == datetime(2026, 3, 29, 20, 59, 59, 999999)
    assert riga.text == "2026-03-29"
    moscow = AsOf.instant(datetime(2026, 3, 29, 21, 30), ZoneInfo("Europe/Moscow"))
    assert moscow.on == date(2026, 3, 30)  # half past midnight there


def test_horizon_reaches_over_a_day_that_has_25_hours():
    riga = ZoneInfo("Europe/Riga")
    created = datetime(2026, 10, 20, tzinfo=riga)
    visited = datetime(2026, 11, 3, tzinfo=riga)  # 14 local midnights later, summer time ended in between
    assert (visited.timestamp() - created.timestamp()) / 3600 == 337
    assert horizon_hours(14) == 337


def test_horizon_is_the_smallest_that_holds_nine_tenths():
    within = {7: 500, 14: 899, 21: 900, 30: 950, 45: 990, 60: 1000}
    chosen = choose_horizon("paid", within, 1000)
    assert (chosen.days, chosen.share, chosen.chosen_from) == (21, 0.9, "data")


def test_horizon_is_the_longest_when_outcomes_come_very_late_and_a_default_when_there_are_few():
    late = choose_horizon("visited", dict.fromkeys(HORIZONS, 40), 100)
    assert (late.days, late.share) == (60, 0.4)
    few = choose_horizon("visited", dict.fromkeys(HORIZONS, 19), 19)
    assert (few.days, few.chosen_from, few.share) == (30, "default", None)


def test_days_after_the_end_of_an_export_are_not_days_without_leads():
    launch, today = date(2026, 6, 1), date(2026, 11, 16)
    assert known_until(today, launch, [(date(2026, 8, 31), today)]) == date(2026, 9, 1)
    assert known_until(today, launch, [(date(2026, 11, 10), today)]) == today  # a quiet week is no end
    # Last year's archive binds nobody.
    assert known_until(today, launch, [(date(2026, 11, 15), today), (date(2025, 12, 31), date(2026, 1, 2))]) == today
    assert known_until(today, launch, []) == today


def test_days_since_a_source_was_last_heard_are_not_days_without_leads():
    launch, today = date(2026, 6, 1), date(2026, 11, 16)
    assert known_until(today, launch, [(date(2026, 11, 12), date(2026, 11, 13))]) == date(2026, 11, 13)
    assert known_until(today, launch, [(date(2026, 11, 1), date(2026, 11, 1))]) == date(2026, 11, 1)
    two = [(date(2026, 11, 15), today), (date(2026, 11, 13), date(2026, 11, 14))]
    assert known_until(today, launch, two) == date(2026, 11, 14)
    assert known_until(today, launch, [(date(2026, 5, 29), date(2026, 5, 30))]) == date(2026, 5, 30)  # nothing since the launch


def days_of(*weeks):
    return [week + timedelta(days=day) for week in weeks for day in (0, 3)]


def test_history_starts_after_the_last_gap_of_four_empty_weeks():
    def weeks(*numbers):
        return [MONDAY - timedelta(weeks=number) for number in numbers]

    assert last_gap(days_of(*weeks(9, 8, 4, 3, 2, 1)), MONDAY) is None  # three empty weeks are a holiday
    gap = last_gap(days_of(*weeks(90, 20, 9, 4, 3, 2, 1)), MONDAY)
    assert (gap.last_on, gap.first_on, gap.n_weeks) == (weeks(9)[0] + timedelta(days=3), weeks(4)[0], 4)
    # Closed, not empty.
    assert last_gap(days_of(*weeks(9, 4, 3, 2, 1)), MONDAY, weeks(8)) is None
    # Nothing whole is left after the gap: the older weeks are all there is.
    assert last_gap([*days_of(*weeks(9, 8)), weeks(1)[0] + timedelta(days=1)], MONDAY) is None
    assert last_gap([], MONDAY) is None
