"""Which factor earned what: the exact Shapley split of a change of a product.

The change of leads x booking rate x show rate x check is shared out so that every factor gets its average marginal
contribution over all orders in which the factors could have changed. The parts sum to the change with no remainder,
whatever the signs, zeros included (log-mean methods fail there; changing factors one by one depends on the order).
"""

from __future__ import annotations

from math import comb

import numpy as np
import numpy.typing as npt

from pipeline.weekly import FloatArray


def split_product(before: npt.ArrayLike, after: npt.ArrayLike) -> FloatArray:
    """Shares of `prod(after) - prod(before)` over the first axis, in its unit.

    Both are (factors, ...): any trailing axes (draws, segments) broadcast, and each element is split on its own.
    Source: Shapley (1953); for a product the sum over subsets collapses to one polynomial a factor.
    """
    old, new = np.broadcast_arrays(np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64))
    if old.ndim == 0 or old.shape[0] == 0:
        raise ValueError("a product needs at least one factor")
    n_factors = old.shape[0]
    shares = np.empty(old.shape)
    for factor in range(n_factors):
        # by_size[s]: sum, over the subsets of s other factors that have changed already, of the product of the others.
        by_size = [np.ones(old.shape[1:])]
        for other in range(n_factors):
            if other != factor:
                stayed = [old[other] * term for term in by_size] + [np.zeros(old.shape[1:])]
                changed = [np.zeros(old.shape[1:])] + [new[other] * term for term in by_size]
                by_size = [s + c for s, c in zip(stayed, changed, strict=True)]
        average = sum((term / comb(n_factors - 1, size) for size, term in enumerate(by_size)), np.zeros(old.shape[1:]))
        shares[factor] = (new[factor] - old[factor]) * average / n_factors
    return shares


def split_segments(before: npt.ArrayLike, after: npt.ArrayLike) -> FloatArray:
    """Shares summed over segments (channels, branches): (factors, segments, ...) in, (factors, ...) out.

    Splitting within each segment first keeps a change of the mix out of the rates: it lands in the leads.
    """
    total: FloatArray = split_product(before, after).sum(axis=1)
    return total
