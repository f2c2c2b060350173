"""Panel estimators: published results, hand arithmetic, laws of any honest comparison, and error rates of the inference."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize

from pipeline.synthetic import (
    difference_in_differences,
    simplex_least_squares,
    synthetic_control,
    synthetic_did,
)

GEOLIFT = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "geolift"
ALL = (difference_in_differences, synthetic_control, synthetic_did)


def branches(rng, *, n_treated=1, n_donors=24, n_pre=26, n_post=8, sizes=0.8, lift=0.0):
    """Leads a week of branches that differ in size and share two slow factors; the first `n_treated` gain `lift`."""
    n_units, n_weeks = n_treated + n_donors, n_pre + n_post
    size = np.exp(rng.normal(4.5, sizes, (n_units, 1)))
    factors = np.cumsum(rng.normal(0, 0.05, (2, n_weeks)), axis=1)
    own = np.cumsum(rng.normal(0, 0.02, (n_units, n_weeks)), axis=1)
    mean = size * np.exp(np.clip(rng.normal(0.5, 0.25, (n_units, 2)) @ factors, -2, 2) + own)
    mean[:n_treated, n_pre:] *= 1 + lift
    return rng.poisson(mean).astype(float)


@pytest.fixture(scope="module")
def geolift():
    if not GEOLIFT.is_dir():
        pytest.skip("the GeoLift walkthrough data are not on this machine (../shared/data/geolift)")
    with (GEOLIFT / "GeoLift_Test.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    known = json.loads((GEOLIFT / "known_answers.json").read_text(encoding="utf-8"))
    places, days = sorted({row["location"] for row in rows}), sorted({row["date"] for row in rows})
    panel = np.full((len(places), len(days)), np.nan)
    for row in rows:
        panel[places.index(row["location"]), days.index(row["date"])] = float(row["Y"])
    return panel, [places.index(name) for name in known["treated"]], days.index("2021-04-01"), places, known


def test_geolift_walkthrough_as_published(geolift):
    panel, treated, n_pre, _, known = geolift
    found = synthetic_control(panel, treated, n_pre)
    assert found.att == pytest.approx(known["published"]["att"], abs=0.01)
    assert found.total == pytest.approx(known["published"]["incremental"], abs=1)
    assert 100 * found.relative == pytest.approx(known["sc_demeaned"]["lift_pct"], abs=0.001)
    assert found.inference.can_prove  # 38 donors could prove; whether they do is the data's business
    assert found.interval.low < found.att < found.interval.high


def test_geolift_plain_weights_ratio_and_naive_figures(geolift):
    panel, treated, n_pre, places, known = geolift
    plain = synthetic_control(panel, treated, n_pre, is_demeaned=False)
    assert 100 * plain.relative == pytest.approx(known["sc_lift_pct"], abs=0.001)
    for place, weight in known["sc_weights"].items():
        assert plain.weights[places.index(place)] == pytest.approx(weight, abs=0.001)
    ratio = difference_in_differences(panel, treated, n_pre, is_ratio=True)
    assert 100 * ratio.relative == pytest.approx(known["ratio_did_pct"], abs=1e-5)
    assert ratio.total == pytest.approx(known["ratio_did_incremental"], abs=1e-3)
    naive = ratio.observed[n_pre:].mean() / ratio.observed[:n_pre].mean() - 1
    assert 100 * naive == pytest.approx(known["naive_before_after_pct"], abs=1e-5)


def test_difference_in_differences_by_hand():
    # Treated 20 -> 30, donors 10 -> 14 and 30 -> 36, mean +5: 10 - 5 = 5 a unit and period.
    found = difference_in_differences([[20, 30], [10, 14], [30, 36]], [0], 1)
    assert found.att == pytest.approx(5)
    assert found.relative == pytest.approx(5 / 25)
    assert found.weights == pytest.approx([0, 0.5, 0.5])
    # Their sum grew from 40 to 50, by a quarter: 20 would have become 25.
    ratio = difference_in_differences([[20, 30], [10, 14], [30, 36]], [0], 1, is_ratio=True)
    assert ratio.att == pytest.approx(30 - 20 * 50 / 40)
    assert ratio.weights == pytest.approx([0, 0.25, 0.75])
    # Two treated units over two post periods: 4 cells.
    both = difference_in_differences([[20, 30, 32], [10, 12, 12], [10, 11, 11]], [0, 2], 1)
    assert both.att == pytest.approx((30 + 32 + 11 + 11) / 4 - 15 - 2)
    assert both.total == pytest.approx(4 * both.att)


def test_one_to_four_donors_give_an_estimate_but_no_inference_and_no_weights():
    panel = branches(np.random.default_rng(1), n_donors=4)
    found = difference_in_differences(panel, [0], 26)
    assert (found.interval, found.relative_interval, found.p_value) == (None, None, None)
    assert found.inference.code == "none"
    assert not found.inference.can_prove
    for estimator in (synthetic_control, synthetic_did):
        with pytest.raises(ValueError, match=r"4 donors.*plain ratio"):
            estimator(panel, [0], 26)


@pytest.mark.parametrize("seed", range(6))
def test_simplex_weights_are_optimal(seed):
    rng = np.random.default_rng(seed)
    n_rows, n_columns = rng.integers(3, 60), rng.integers(2, 60)
    scale, ridge = 10.0 ** rng.integers(-4, 10), (0.0, 0.3)[seed % 2]
    columns = rng.normal(1, 0.2, (n_rows, n_columns)) * scale
    target = rng.normal(1, 0.2, n_rows) * scale
    weights = simplex_least_squares(columns, target, ridge * scale**2)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    # A minimum on the simplex: no direction towards a corner goes down.
    slope = columns.T @ (columns @ weights - target) + ridge * scale**2 * weights
    assert (weights @ slope - slope.min()) / scale**2 < 1e-9


def test_simplex_weights_in_closed_form():
    # Two columns: the projection of the target on the segment between them.
    assert simplex_least_squares(np.array([[0.0, 4.0], [0.0, 0.0]]), np.array([1.0, 3.0])) == pytest.approx([0.75, 0.25])
    assert simplex_least_squares(np.array([[0.0, 4.0], [0.0, 0.0]]), np.array([-9.0, 3.0])) == pytest.approx([1, 0])
    # A heavy ridge wants equal weights, and so does a target that is every column.
    assert simplex_least_squares(np.eye(3), np.array([1.0, 0, 0]), 1e9) == pytest.approx(np.full(3, 1 / 3), abs=1e-6)
    assert simplex_least_squares(np.ones((4, 3)), np.ones(4)).tolist() == [1 / 3] * 3


def test_synthetic_control_recovers_a_convex_combination_and_the_effect():
    panel = branches(np.random.default_rng(2), n_donors=8, n_pre=20)
    mix = np.array([0, 0.5, 0, 0.3, 0, 0.2, 0, 0, 0])
    panel[0] = mix @ panel
    panel[0, 20:] += 11
    found = synthetic_control(panel, [0], 20, is_demeaned=False)
    assert found.weights == pytest.approx(mix, abs=1e-8)
    assert found.att == pytest.approx(11)
    assert found.counterfactual == pytest.approx(mix @ panel)
    panel[0] += 500  # a branch that moves alike at a level of its own: only the demeaned one can follow
    assert synthetic_control(panel, [0], 20).att == pytest.approx(11)
    assert synthetic_control(panel, [0], 20, is_demeaned=False).att > 100


def test_without_factors_all_methods_find_the_same_exact_effect():
    rng = np.random.default_rng(3)
    panel = rng.uniform(50, 500, (9, 1)) + rng.normal(0, 20, 30)
    panel[0, 22:] += 7
    for estimator in ALL:
        assert estimator(panel, [0], 22).att == pytest.approx(7)


def test_weights_remove_the_bias_of_a_factor_that_the_treated_load_on():
    errors = {estimator: [] for estimator in ALL}
    rng = np.random.default_rng(4)
    for _ in range(20):
        factor = np.cumsum(rng.normal(0.3, 1, 40))
        loading = rng.uniform(0, 2, (21, 1))
        loading[0] = 1.8
        panel = 100 + loading * factor + rng.normal(0, 0.5, (21, 40))
        panel[0, 30:] += 3
        for estimator in ALL:
            errors[estimator].append(estimator(panel, [0], 30).att - 3)
    did, control, both = (np.sqrt(np.mean(np.square(errors[estimator]))) for estimator in ALL)
    assert control < 0.3 * did
    assert both < 0.5 * did


def test_synthetic_did_is_the_published_program():
    """Both weight problems of Arkhangelsky et al. (2021), equations 4 to 6, by a general solver."""
    rng = np.random.default_rng(5)
    panel = rng.normal(50, 3, (9, 1)) + rng.normal(0, 1, (9, 2)) @ rng.normal(0, 2, (2, 14)) + rng.normal(0, 1, (9, 14))
    treated, n_pre, n_post = [0, 4], 10, 4
    donors = np.delete(panel, treated, axis=0)
    zeta = (len(treated) * n_post) ** 0.25 * np.diff(donors[:, :n_pre], axis=1).std(ddof=1)
    target = panel[treated].mean(axis=0)

    def solve(columns, goal, ridge):
        def loss(theta):  # an intercept, then the weights
            return ((theta[0] + columns @ theta[1:] - goal) ** 2).sum() + ridge * (theta[1:] ** 2).sum()

        n = columns.shape[1]
        solved = minimize(loss, np.concatenate([[0], np.full(n, 1 / n)]), method="SLSQP", bounds=[(None, None)] + [(0, 1)] * n,
                          constraints={"type": "eq", "fun": lambda theta: theta[1:].sum() - 1},
                          options={"ftol": 1e-15, "maxiter": 5000})
        return solved.x[1:]

    units = solve(donors[:, :n_pre].T, target[:n_pre], zeta**2 * n_pre)
    times = solve(donors[:, :n_pre], donors[:, n_pre:].mean(axis=1), 0)
    change = panel[:, n_pre:].mean(axis=1) - panel[:, :n_pre] @ times
    by_hand = change[treated].mean() - units @ np.delete(change, treated)
    found = synthetic_did(panel, treated, n_pre)
    assert found.att == pytest.approx(by_hand, abs=1e-3)
    assert np.delete(found.weights, treated) == pytest.approx(units, abs=1e-3)


def test_synthetic_did_with_equal_weights_is_difference_in_differences():
    rng = np.random.default_rng(6)
    # Donors in mirror pairs around a flat treated unit: nothing prefers one of them, and no pre period predicts better.
    waves = rng.normal(0, 1, (12, 3))
    waves = np.linalg.qr(waves - waves.mean(axis=0))[0]
    pre = np.concatenate([np.zeros((1, 12)), waves.T, -waves.T])
    panel = np.hstack([pre, np.concatenate([[9.0], rng.normal(0, 1e-9, 6)])[:, None] * np.ones(4)]) + 40
    found = synthetic_did(panel, [0], 12)
    assert found.weights == pytest.approx(difference_in_differences(panel, [0], 12).weights, abs=0.02)
    assert found.att == pytest.approx(difference_in_differences(panel, [0], 12).att, abs=1e-6)


@pytest.mark.parametrize("estimator", ALL)
def test_launches_that_changed_nothing_are_rarely_called_an_effect(estimator):
    rng = np.random.default_rng(7)
    alarms = []
    for _ in range(120):
        found = estimator(branches(rng, n_donors=20), [0], 26)
        alarms.append(not found.interval.low <= 0 <= found.interval.high)
        assert alarms[-1] <= (found.p_value <= 0.05)
    assert np.mean(alarms) <= 0.1


@pytest.mark.parametrize("estimator", ALL)
def test_a_known_effect_is_covered_and_a_large_one_is_found(estimator):
    rng = np.random.default_rng(8)
    covered, found = [], []
    for _ in range(60):
        panel = branches(rng, n_donors=20)
        panel[0, 26:] += 25
        interval = estimator(panel, [0], 26).interval
        covered.append(interval.low <= 25 <= interval.high)
        found.append(estimator(branches(rng, n_donors=20, lift=1.0), [0], 26).interval.low > 0)
    assert np.mean(covered) >= 0.88
    assert np.mean(found) >= 0.7


@pytest.mark.parametrize("estimator", ALL)
def test_a_perfect_fit_of_a_short_pre_period_proves_nothing(estimator):
    rng = np.random.default_rng(9)
    alarms = []
    for _ in range(40):
        found = estimator(branches(rng, n_donors=30, n_pre=8), [0], 8)
        alarms.append(not found.interval.low <= 0 <= found.interval.high)
    assert np.mean(alarms) <= 0.125


def test_a_perfect_fit_of_a_short_pre_period_hides_no_large_effect_either():
    rng = np.random.default_rng(17)
    found = [synthetic_control(branches(rng, n_donors=39, n_pre=8, lift=0.6), [0], 8).interval.low > 0 for _ in range(30)]
    assert np.mean(found) >= 0.6


def test_a_large_branch_is_judged_by_its_own_scatter():
    rng = np.random.default_rng(10)
    noise = rng.normal(0, 1, (250, 21, 30))
    alarms = []
    for panel in noise:
        panel[0] *= 50  # in leads its errors are larger than any donor's
        found = difference_in_differences(panel + 1000, [0], 20)
        alarms.append(found.p_value <= 0.05)
    assert 0.02 <= np.mean(alarms) <= 0.09


@pytest.mark.parametrize("estimator", ALL)
def test_fewer_than_19_donors_cannot_prove_anything(estimator):
    rng = np.random.default_rng(11)
    few = estimator(branches(rng, n_donors=18, lift=20), [0], 26)
    assert few.p_value == pytest.approx(1 / 19)
    assert few.inference.smallest_p == pytest.approx(1 / 19)
    assert not few.inference.can_prove
    enough = estimator(branches(rng, n_donors=19, lift=20), [0], 26)
    assert enough.p_value == pytest.approx(1 / 20)
    assert enough.inference.can_prove
    assert enough.interval.low > 0
    if estimator is not synthetic_did:
        assert few.interval is None


def test_synthetic_did_with_few_donors_has_an_interval_of_normal_errors():
    rng = np.random.default_rng(12)
    found = [synthetic_did(branches(rng, n_donors=6), [0], 26) for _ in range(150)]
    alarms = [not one.interval.low <= 0 <= one.interval.high for one in found]
    assert 0 < np.mean(alarms) <= 0.1
    assert not any(one.p_value <= 0.05 or one.inference.can_prove for one in found)


@pytest.mark.parametrize("estimator", ALL)
def test_laws_of_any_comparison(estimator):
    rng = np.random.default_rng(13)
    panel = branches(rng, n_treated=2, n_donors=20, lift=0.3)
    plain = estimator(panel, [0, 1], 26)

    thousand = estimator(panel * 1000, [0, 1], 26)
    assert thousand.att == pytest.approx(1000 * plain.att)
    assert thousand.interval.low == pytest.approx(1000 * plain.interval.low)
    assert (thousand.relative, thousand.p_value) == pytest.approx((plain.relative, plain.p_value))

    order = rng.permutation(22)
    mixed = estimator(panel[order], [int(np.flatnonzero(order == unit)[0]) for unit in (1, 0)], 26)
    assert (mixed.att, mixed.p_value, mixed.interval.high) == pytest.approx((plain.att, plain.p_value, plain.interval.high))
    assert mixed.weights == pytest.approx(plain.weights[order], abs=1e-8)

    holiday = estimator(panel + np.where(np.arange(34) == 30, 200, 0), [0, 1], 26)  # the same for everybody
    assert holiday.att == pytest.approx(plain.att)
    bigger = panel.copy()
    bigger[:2] += 300  # a level says nothing about an effect
    assert estimator(bigger, [0, 1], 26).att == pytest.approx(plain.att)

    assert plain.weights[:2].tolist() == [0, 0]
    assert plain.weights.sum() == pytest.approx(1)
    assert plain.total == pytest.approx(plain.att * 2 * 8)
    assert plain.att == pytest.approx((plain.observed - plain.counterfactual)[26:].mean())
    assert plain.relative_interval.low == pytest.approx(plain.interval.low / plain.counterfactual[26:].mean())


def test_swapping_pre_and_post_flips_a_plain_difference():
    panel = branches(np.random.default_rng(14), n_pre=10, n_post=10, lift=0.5)
    there = difference_in_differences(panel, [0], 10)
    back = difference_in_differences(np.hstack([panel[:, 10:], panel[:, :10]]), [0], 10)
    assert back.att == pytest.approx(-there.att)


@pytest.mark.parametrize("estimator", ALL)
@pytest.mark.parametrize("make", [
    lambda rng: rng.poisson(1e9, (25, 34)).astype(float),
    lambda rng: np.zeros((25, 34)),
    lambda rng: np.full((25, 34), 7.0),
    lambda rng: np.where(np.arange(34) == 3, 0.0, branches(rng)),
    lambda rng: np.repeat(branches(rng)[:1], 25, axis=0),
    lambda rng: rng.normal(0, 5, (25, 34)),
], ids=["10^9 leads", "zeros", "flat", "an empty week", "the treated series as every donor", "around zero"])
def test_awkward_panels_give_finite_answers_and_no_proof(estimator, make):
    found = estimator(make(np.random.default_rng(15)), [0], 26)
    assert np.isfinite([found.att, found.p_value, found.interval.low, found.interval.high, found.total]).all()
    assert found.interval.low <= 0 <= found.interval.high
    assert found.p_value > 0.05


def test_input_that_cannot_be_used_is_named():
    panel = branches(np.random.default_rng(16))
    broken = panel.copy()
    broken[3, 7] = np.nan
    with pytest.raises(ValueError, match="unit 4, period 8 is not a finite number"):
        synthetic_control(broken, [0], 26)
    with pytest.raises(ValueError, match="units x periods"):
        difference_in_differences(panel[0], [0], 26)
    for treated in ([], [25], [-1], [0, 0]):
        with pytest.raises(ValueError, match="treated must be different positions from 0 to 24"):
            difference_in_differences(panel, treated, 26)
    with pytest.raises(ValueError, match="every unit is treated"):
        difference_in_differences(panel[:2], [0, 1], 26)
    for n_pre in (0, 34):
        with pytest.raises(ValueError, match=f"{n_pre} pre periods of 34"):
            difference_in_differences(panel, [0], n_pre)
    with pytest.raises(ValueError, match="at least 8: load more history"):
        synthetic_did(panel, [0], 7)
    with pytest.raises(ValueError, match="ratio needs a pre period above zero"):
        difference_in_differences(np.where(np.arange(25)[:, None] == 0, 0, panel), [0], 26, is_ratio=True)
