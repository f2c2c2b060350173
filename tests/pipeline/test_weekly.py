"""Weekly statistics refuse what cannot be, naming the week."""

import numpy as np
import pytest

from pipeline.weekly import WeeklyCheck, WeeklyCounts, WeeklyRate, Weeks


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_a_count_that_is_no_count_is_refused_with_its_week(value):
    counts = np.full(12, 5.0)
    counts[6] = value
    with pytest.raises(ValueError, match="week 7 of the series"):
        WeeklyCounts(counts)


def test_a_broken_week_of_money_is_refused_but_a_refund_is_not():
    n, total, total_sq = np.full(4, 2.0), np.array([10.0, -10.0, 10.0, 10.0]), np.full(4, 100.0)
    assert WeeklyCheck(n, total, total_sq).n_weeks == 4
    with pytest.raises(ValueError, match="revenue: week 3"):
        WeeklyCheck(n, np.array([10.0, -10.0, np.nan, 10.0]), total_sq)


def test_more_reached_than_could_is_refused():
    with pytest.raises(ValueError, match="week 2 of the series: more reached"):
        WeeklyRate(np.array([1.0, 4.0]), np.array([3.0, 3.0]))


def test_a_sum_of_squares_over_other_rows_is_refused():
    with pytest.raises(ValueError, match=r"week 2 .* sum of squares"):
        WeeklyCheck(np.array([2.0, 2.0]), np.array([10.0, 10.0]), np.array([60.0, 40.0]))


@pytest.mark.parametrize("reached", [0.0, 3.0])
def test_0_and_100_percent_keep_a_sampling_variance(reached):
    rate = WeeklyRate(np.full(8, reached), np.full(8, 3.0))
    # (a + .5) / (b + 1) with 12 leads a side: .5 / 13 away from the edge, in units of the pre rate.
    share = (4 * reached + 0.5) / 13
    expected = (1 - share) / share / 3
    assert rate.standard(*Weeks(4).split(8)).variances == pytest.approx(np.full(8, expected))


def test_series_of_different_length_are_refused():
    with pytest.raises(ValueError, match="differ in length"):
        WeeklyRate(np.ones(3), np.ones(4))


def test_weeks_split_into_pre_and_post():
    left_out = np.zeros(12, dtype=bool)
    left_out[[1, 9]] = True
    pre, post = Weeks(5, n_washout=2, left_out=left_out, max_post=3).split(12)
    assert pre.tolist() == [0, 2, 3, 4]
    assert post.tolist() == [7, 8, 10]


@pytest.mark.parametrize(("weeks", "side"), [(Weeks(0), "pre"), (Weeks(6), "post"), (Weeks(4, n_washout=2), "post")])
def test_an_empty_side_is_refused(weeks, side):
    with pytest.raises(ValueError, match=f"the {side} period has no week left"):
        weeks.split(6)


def test_left_out_flags_must_cover_the_series():
    with pytest.raises(ValueError, match="left_out has 3 weeks, the series has 12"):
        Weeks(6, left_out=np.zeros(3, dtype=bool)).split(12)
