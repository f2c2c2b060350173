"""Customers who come back at a known rate and leave after a visit with a known chance."""

import numpy as np

from pipeline.repeats import MONTH, History


def payments(n=600, months=18.0, *, rate=0.6, churn=0.25, later=12.0, seed=3, check=1500.0):
    """Code, day and amount of every payment in `months` and the `later` ones; the first payments fall into the `months`."""
    rng = np.random.default_rng(seed)
    end = (months + later) * MONTH
    code, day = [], []
    for number in range(n):
        t = rng.uniform(0, months * MONTH)
        own = rng.gamma(1.0, rate)
        while t < end:
            code.append(number)
            day.append(int(t))
            if rng.random() < churn:
                break
            t += 1 + rng.exponential(MONTH / max(own, 1e-3))
    amount = check * rng.lognormal(0.0, 0.4, len(code))
    return np.array(code), np.array(day), amount


def history(n=600, months=18.0, **fields) -> History:
    """What is known of them at the end of the months."""
    code, day, amount = payments(n, months, **fields)
    known = int(months * MONTH)
    kept = day < known
    return History.of(code[kept], day[kept], amount[kept], known)
