"""What people use instead, on the same simulated launches: each answers "did it change?" (5 %, two-sided), True or False.

statsmodels comes with the extra `bench`; a peer that cannot run here says why (`missing`) and its column says "-".
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from statistics import NormalDist

import numpy as np

from bench.simulator import Launches
from pipeline.effects import Interval
from pipeline.roi import count_difference, two_proportion_p
from pipeline.weekly import FloatArray, IndexArray

Z = NormalDist().inv_cdf(0.975)
LEVEL = 0.05
SHORT_DAYS = 30
HAC_LAGS = 4
Peer = Callable[[Launches, int], bool]


def before_after_30_days(launches: Launches, at: int) -> bool:
    """Visits of the 30 days from the launch against those of the 30 days before: two Poisson counts, what owners do."""
    day, visits = launches.launch_day, launches.daily_visits[at]
    return _excludes_zero(count_difference(visits[day - SHORT_DAYS : day].sum(), visits[day : day + SHORT_DAYS].sum()))


def before_after_poisson(launches: Launches, at: int) -> bool:
    """All visits of the post period against as many days right before the launch week, as two Poisson counts."""
    n = min(launches.n_pre, launches.n_post)
    visited = launches.visited[at]
    before, after = visited[launches.n_pre - n : launches.n_pre].sum(), _post(launches, visited)[:n].sum()
    return _excludes_zero(count_difference(before, after))


def welch_on_days(launches: Launches, at: int) -> bool:
    """Welch's t-test on daily visits."""
    from scipy.stats import ttest_ind

    days, cut = launches.daily_visits[at], launches.launch_day
    return bool(ttest_ind(days[:cut], days[cut + 7 :], equal_var=False).pvalue < LEVEL)


def two_proportions(launches: Launches, at: int) -> bool:
    """Visits per lead, pre against post: what A/B calculators do."""
    return two_proportions_p(launches.visited[at], launches.leads[at], launches.n_pre)


def two_proportions_p(reached: FloatArray, n: FloatArray, n_pre: int, n_washout: int = 1) -> bool:
    """The same on any weekly rate."""
    pre, post = slice(None, n_pre), slice(n_pre + n_washout, None)
    p = two_proportion_p(float(reached[pre].sum()), float(n[pre].sum()), float(reached[post].sum()), float(n[post].sum()))
    return p is not None and p < LEVEL


def segmented_regression(launches: Launches, at: int) -> bool:
    """Weekly visits on level, trend and a step at the launch, Newey-West errors: interrupted time series as taught."""
    visited = launches.visited[at]
    week = np.arange(visited.size)
    keep = week != launches.n_pre
    design = np.column_stack([np.ones(visited.size), week, week > launches.n_pre])[keep]
    return _hac_p(visited[keep], design) < LEVEL


def difference_in_differences(launches: Launches, at: int) -> bool:
    """Log ratio of treated to control leads on a step at the launch, Newey-West errors."""
    if launches.control is None:
        return False
    ratio = np.log((launches.leads[at] + 0.5) / (launches.control[at] + 0.5))
    week = np.arange(ratio.size)
    keep = week != launches.n_pre
    return _hac_p(ratio[keep], np.column_stack([np.ones(ratio.size), week > launches.n_pre])[keep]) < LEVEL


def local_level(launches: Launches, at: int) -> bool:
    """Local level by maximum likelihood (statsmodels) on weekly visits: what CausalImpact does without covariates."""
    from statsmodels.tsa.statespace.structural import UnobservedComponents

    visited = launches.visited[at]
    pre, post = visited[: launches.n_pre], _post(launches, visited)
    scale = pre.mean() or 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it often fails to converge, and says so each time
        fitted = UnobservedComponents(pre / scale, "llevel").fit(disp=False)
    noise, step = fitted.params
    level, variance = fitted.filtered_state[0, -1], fitted.filtered_state_cov[0, 0, -1]
    ahead: IndexArray = np.arange(post.size) + 2  # the launch week lies between
    spread = variance * post.size**2 + step * np.minimum.outer(ahead, ahead).sum() + noise * post.size
    return bool(abs(post.sum() / scale - level * post.size) > Z * np.sqrt(spread))


def pycausalimpact(launches: Launches, at: int) -> bool:
    """pycausalimpact with its defaults, on weekly visits."""
    visited = launches.visited[at]
    keep = np.arange(visited.size) != launches.n_pre
    return _causal_impact_p(visited[keep], launches.n_pre) < LEVEL


PEERS: dict[str, Peer] = {
    "30 days before/after": before_after_30_days,
    "before/after, Poisson": before_after_poisson,
    "Welch on days": welch_on_days,
    "two proportions": two_proportions,
    "segmented regression, HAC": segmented_regression,
    "local level, ML": local_level,
    "pycausalimpact": pycausalimpact,
    "ratio to control, HAC": difference_in_differences,
}
NEEDS_STATSMODELS = ("segmented regression, HAC", "local level, ML", "ratio to control, HAC")


@cache
def missing() -> dict[str, str]:
    """Peers that cannot run here, with the reason."""
    found = {}
    try:
        import statsmodels  # noqa: F401  # only whether it is there
    except ImportError:
        found = dict.fromkeys(NEEDS_STATSMODELS, "statsmodels is not installed: the extra `bench` brings it")
    try:
        _causal_impact_p(100.0 + np.arange(20.0) % 3, 14)
    except ImportError:
        version = _pandas_version()
        is_too_new = int(version.split(".")[0]) >= 3
        found["pycausalimpact"] = f"not installable here: needs pandas < 3, found {version}" if is_too_new else "not installed"
    except Exception as error:  # whatever an old package does with new libraries is its reason
        found["pycausalimpact"] = f"fails here with pandas {_pandas_version()}: {type(error).__name__}"
    return found


def ask(launches: Launches, at: int) -> list[float]:
    """The answer of every peer, NaN for those that cannot run here or do not apply."""
    absent = missing()
    return [
        float("nan") if name in absent or (peer is difference_in_differences and launches.control is None)
        else float(peer(launches, at))
        for name, peer in PEERS.items()
    ]  # fmt: skip


def _post(launches: Launches, weekly: FloatArray) -> FloatArray:
    return weekly[launches.n_pre + 1 :]


def _excludes_zero(interval: Interval) -> bool:
    return interval.low > 0 or interval.high < 0


def _hac_p(values: FloatArray, design: FloatArray) -> float:
    """P-value of the last coefficient of a least-squares fit with Newey-West errors."""
    from statsmodels.regression.linear_model import OLS

    fitted = OLS(values, design).fit(cov_type="HAC", cov_kwds={"maxlags": HAC_LAGS})
    return float(fitted.pvalues[-1])


def _causal_impact_p(values: FloatArray, n_pre: int) -> float:
    import pandas as pd
    from causalimpact import CausalImpact

    frame = pd.DataFrame({"y": values})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        impact = CausalImpact(frame, [0, n_pre - 1], [n_pre, len(values) - 1])
    return float(impact.p_value)


def _pandas_version() -> str:
    import pandas as pd

    return pd.__version__
