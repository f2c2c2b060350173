"""BG/NBD and Gamma-Gamma against the published figures of the CDNOW customers.

cdnow.csv: Fader's and Hardie's 2 357 customers of CDNOW, weeks, as the package lifetimes 0.11.3 (MIT) ships them.
"""

from pathlib import Path

import numpy as np
import pytest

from pipeline.bgnbd import expected_next, expected_repeats, fit_bgnbd, fit_gamma_gamma

X, LAST, AGE, WORTH = np.loadtxt(Path(__file__).with_name("cdnow.csv"), delimiter=",", skiprows=1).T


@pytest.fixture(scope="module")
def fitted():
    found = fit_bgnbd(X, LAST, AGE)
    assert found is not None
    return found


def test_parameters_are_those_of_the_paper(fitted):
    # Fader, Hardie, Lee (2005), table 2
    assert (fitted.r, fitted.alpha, fitted.a, fitted.b) == pytest.approx((0.243, 4.414, 0.793, 2.426), rel=2e-3)


def test_standard_errors_are_of_the_right_size(fitted):
    # lifetimes 0.11.3 prints .0126, .3782, .1857, .7054 for the same data
    errors = np.exp(fitted.logs) * np.sqrt(np.diag(fitted.covariance))
    assert errors == pytest.approx([0.0126, 0.378, 0.186, 0.705], rel=0.02)


def test_a_customer_of_the_paper_is_expected_as_published(fitted):
    # Fader, Hardie, Lee (2005), Excel note: x = 2, t_x = 30.43, T = 38.86: 1.226 visits in the next 39 weeks
    found = expected_next(np.exp(fitted.logs), np.array([2.0]), np.array([30.43]), np.array([38.86]), 39.0)
    assert found[0] == pytest.approx(1.226, abs=0.001)


def test_visits_of_a_new_customer_agree_with_a_simulation(fitted):
    rng = np.random.default_rng(1)
    n, end = 60_000, 52.0
    rate = rng.gamma(fitted.r, 1 / fitted.alpha, n)
    leaves = rng.beta(fitted.a, fitted.b, n)
    at, visits, alive = np.zeros(n), np.zeros(n), np.arange(n)
    while alive.size:
        at[alive] += rng.exponential(1 / rate[alive])
        alive = alive[at[alive] < end]
        visits[alive] += 1
        alive = alive[rng.random(alive.size) >= leaves[alive]]
    assert expected_repeats(np.exp(fitted.logs), np.array([end]))[0] == pytest.approx(visits.mean(), rel=0.02)


def test_rows_may_stand_for_several_customers_and_time_may_have_any_unit(fitted):
    rows, n = np.unique(np.stack([X, LAST, AGE]), axis=1, return_counts=True)
    days = fit_bgnbd(rows[0], rows[1] * 7, rows[2] * 7, n.astype(float))
    assert days is not None
    assert (days.r, days.alpha / 7, days.a, days.b) == pytest.approx((fitted.r, fitted.alpha, fitted.a, fitted.b), rel=1e-4)


def test_worth_of_a_visit_is_as_published():
    # Fader, Hardie (2013): p 6.25, q 3.74, v 15.44
    found = fit_gamma_gamma(X[X > 0], WORTH[X > 0])
    assert found is not None
    assert (found.p, found.q, found.v) == pytest.approx((6.25, 3.74, 15.44), rel=3e-3)
    assert found.mean == pytest.approx(35.2, abs=0.1)
    roubles = fit_gamma_gamma(X[X > 0], WORTH[X > 0] * 90)
    assert roubles is not None
    assert roubles.mean == pytest.approx(found.mean * 90)


def test_what_the_customers_cannot_tell_is_not_told():
    one = np.ones(200)
    assert fit_gamma_gamma(one, one * 0) is None
    assert fit_gamma_gamma(one[:5], one[:5]) is None
