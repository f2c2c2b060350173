"""Medians and slow tails by week: quantiles by hand, what has not ended, and laws that hold for any durations."""

from datetime import date, timedelta
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import spread
from pipeline.effects import Interval
from pipeline.spread import Durations, Side
from pipeline.support import Automation, Retained, support_money

FIRST = date(2026, 1, 5)


def side(weeks: list[list[float]]) -> Side:
    """A side whose weeks hold these durations."""
    rows = [(week, value) for week, values in enumerate(weeks) for value in values]
    return Side(np.array([week for week, _ in rows], dtype=np.int64), np.array([value for _, value in rows], dtype=np.float64),
                np.ones(len(rows)), len(weeks))  # fmt: skip


@pytest.mark.parametrize(
    ("values", "median", "p90"),
    [([5.0], 5, 5), ([1.0, 2.0, 3.0], 2, 3), ([1.0, 2.0, 3.0, 4.0], 2, 4), ([*range(1, 11)], 5, 9), ([1.0, 2.0, inf], 2, inf),
     ([1.0, inf, inf], inf, inf)],
)  # fmt: skip
def test_quantiles_by_hand(values: list[float], median: float, p90: float) -> None:
    assert (side([values]).quantile(0.5), side([values]).quantile(0.9)) == (median, p90)
    assert side([[]]).quantile(0.5) is None


def test_days_fall_into_the_weeks_that_count() -> None:
    days = [FIRST + timedelta(days=n) for n in (-1, 0, 6, 7, 14, 20, 21)]
    found = Durations(np.array([(day - date(1970, 1, 1)).days for day in days]), np.arange(7.0), np.ones(7))
    taken = found.side([FIRST, FIRST + timedelta(days=14)])
    assert taken.week.tolist() == [0, 0, 1, 1]
    assert taken.value.tolist() == [1, 2, 4, 5]
    assert found.side([]).count == 0


weeks_of = st.lists(st.lists(st.integers(0, 500).map(float), min_size=1, max_size=12), min_size=4, max_size=8)


@given(before=weeks_of, after=weeks_of)
@settings(max_examples=40, deadline=None)
def test_the_interval_holds_the_change_and_swapping_flips_it(before: list[list[float]], after: list[list[float]]) -> None:
    pre, post = side(before), side(after)
    change, back = spread.change(pre, post, 0.5), spread.change(post, pre, 0.5)
    assert change is not None
    assert back is not None
    assert change.low <= change.estimate <= change.high
    assert change.estimate == -back.estimate
    assert change == spread.change(pre, post, 0.5)  # the same figures in, the same out


def test_too_few_weeks_and_medians_without_end_have_no_interval() -> None:
    many, few = side([[1.0, 2.0]] * 6), side([[1.0, 2.0]] * 3)
    assert spread.change(few, many, 0.5) is None
    assert spread.change(many, side([[1.0, inf, inf]] * 6), 0.5) is None
    assert spread.change(many, side([[3.0, 4.0, inf]] * 6), 0.5) is not None


def test_many_different_durations_are_pooled_and_still_tell_the_change() -> None:
    rng = np.random.default_rng(1)
    pre, post = (side([list(rng.uniform(shift, shift + 10_000, 800)) for _ in range(8)]) for shift in (0, 2000))
    change = spread.change(pre, post, 0.5)
    assert change is not None
    assert change.low < 2000 < change.high
    assert change.high - change.low < 1500


amounts = st.floats(-1e6, 1e6)


@given(estimate=amounts, half=st.floats(0, 1e5), saving=amounts, cost=st.floats(1, 1e6), factor=st.floats(0.01, 100))
@settings(max_examples=60, deadline=None)
def test_money_scales_and_its_parts_sum(estimate: float, half: float, saving: float, cost: float, factor: float) -> None:
    def money(times: float) -> tuple[Interval, Interval, Interval]:
        profit = Interval(estimate * times, (estimate - half) * times, (estimate + half) * times)
        saved = Automation(1, 1, True, 1, saving * times, True, None)
        found = support_money(Retained(1, 1, profit, profit, None), saved, (cost * times, ()))
        assert found.benefit and found.net and found.roi  # noqa: PT018  # for the type checker
        return found.benefit, found.net, found.roi

    benefit, net, roi = money(1.0)
    assert benefit.estimate == pytest.approx(estimate + saving)
    assert net.estimate == pytest.approx(benefit.estimate - cost, abs=1e-6)
    assert (roi.estimate > 0) == (net.estimate > 0)
    scaled = money(factor)
    assert scaled[1].estimate == pytest.approx(net.estimate * factor, abs=1e-4)
    assert scaled[2].estimate == pytest.approx(roi.estimate, abs=1e-6)


def test_freed_time_never_enters_money() -> None:
    profit = Interval(100.0, 50.0, 150.0)
    saved = Automation(10, 10, True, 5, 2500.0, False, None)
    found = support_money(Retained(1, 1, profit, profit, None), saved, (40.0, ()))
    assert found.benefit == profit
    assert found.not_counted == ("automation_capacity",)
