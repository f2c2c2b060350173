"""The contribution split: exact, fair, and indifferent to signs and order."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.shapley import split_product, split_segments

numbers = st.floats(-1e3, 1e3, allow_nan=False, width=32)
factor_pairs = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=8)


def average_over_orders(before, after):
    """Shapley by its definition: change the factors one by one, in every order, and average."""
    shares = np.zeros(len(before))
    orders = list(permutations(range(len(before))))
    for order in orders:
        now = list(before)
        for factor in order:
            old = np.prod(now)
            now[factor] = after[factor]
            shares[factor] += np.prod(now) - old
    return shares / len(orders)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(factor_pairs)
def test_parts_sum_to_the_change(pairs):
    before, after = np.array(pairs).T
    size = np.prod(np.maximum(np.abs(before), np.abs(after)))
    assert abs(split_product(before, after).sum() - (np.prod(after) - np.prod(before))) <= 1e-12 * size


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5))
def test_equals_the_average_over_all_orders(pairs):
    before, after = np.array(pairs).T
    size = np.prod(np.maximum(np.abs(before), np.abs(after)))
    assert split_product(before, after) == pytest.approx(average_over_orders(before, after), abs=1e-9 * size + 1e-300)


def test_salon_waterfall():
    # 200 leads at 10 % become 250 at 15 %, check 1 500: leads 7 500, conversion 15 000, joint 3 750 shared by the two.
    leads, conversion, check = split_product([200, 0.10, 1500], [250, 0.15, 1500])
    joint = 50 * 0.05 * 1500
    assert leads == pytest.approx(50 * 0.10 * 1500 + joint / 2)
    assert conversion == pytest.approx(200 * 0.05 * 1500 + joint / 2)
    assert check == 0
    assert leads + conversion + check == pytest.approx(26_250)


def test_draws_are_split_one_by_one():
    rng = np.random.default_rng(6)
    before, after = rng.normal(0, 5, (2, 5, 1000))
    shares = split_product(before, after)
    assert shares.sum(axis=0) == pytest.approx(after.prod(axis=0) - before.prod(axis=0), rel=1e-9, abs=1e-9)
    assert shares[:, 17] == pytest.approx(split_product(before[:, 17], after[:, 17]))


def test_a_moving_mix_lands_in_the_leads():
    # Neither segment changes its rate; leads move from the one that converts at 30 % to the one at 10 %.
    before = np.array([[100.0, 100.0], [0.30, 0.10]])
    after = np.array([[50.0, 150.0], [0.30, 0.10]])
    leads, rate = split_segments(before, after)
    assert rate == 0
    assert leads == pytest.approx(50 * 0.3 + 150 * 0.1 - 100 * 0.3 - 100 * 0.1)
    pooled = split_product([200, 0.20], [200, 0.15])
    assert pooled[1] == pytest.approx(-10)  # without segments the same change looks like a worse rate


def test_no_factor_is_refused():
    with pytest.raises(ValueError, match="at least one factor"):
        split_product([], [])
