"""What people at a CRM put right later: sums mistyped in one state of a portal and corrected in a later state of it."""

from __future__ import annotations

from datetime import date

import numpy as np

from .columns import MISSING, Moments, Money
from .funnel import DAY, OFFSET
from .store import Store

FACTOR = 10  # a zero too many
CORRECTED_DAYS = 2  # before the later state


def mistype(earlier: Store, later: Store, since: date, n: int = 2) -> int:
    """In `earlier` give the first `n` paid deals created since a local day a sum with a zero too many; in `later` they carry the
    right one, put in two days before it. Returns how many it did."""
    deals = earlier.deals
    created, sums = deals.columns["DATE_CREATE"], deals.columns["OPPORTUNITY"]
    assert isinstance(created, Moments)
    assert isinstance(sums, Money)
    first = (since - date(1970, 1, 1)).days * DAY - OFFSET
    is_recent = (created.values[: deals.n] >= first) & (created.values[: deals.n] != MISSING)
    n_done = 0
    for row in np.flatnonzero(is_recent & deals.alive[: deals.n]):
        if n_done == n:
            break
        if deals.value("STAGE_ID", int(row)).endswith("WON"):
            key, right = int(deals.ids[row]), float(sums.values[row])
            deals.put(int(row), {"OPPORTUNITY": right * FACTOR})
            later.update("deal", key, later.now - CORRECTED_DAYS * DAY, {"OPPORTUNITY": right})
            n_done += 1
    return n_done
