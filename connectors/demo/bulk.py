"""Hundreds of thousands of leads for benchmarks, rendered on demand from numpy columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .columns import MISSING, Choices, Column, Moments, Money, Multifield, Numbers, Texts
from .directory import LEAD_STAGES, OWNER_IDS
from .funnel import DAY, MINUTE, Ints
from .people import CAMPAIGNS, CHANNELS, FIRST_NAMES, LAST_NAMES, phone
from .schema import BRANCH, DEAL_HISTORY, LEAD_HISTORY
from .store import Store, contact_table, deal_table, history_table, lead_table

# Ways through the stages (indexes into LEAD_STAGES) and how common they are.
_PATHS = ((0, 1, 4, 5), (0, 1, 6), (0, 2), (0, 1), (0, 1, 2, 4), (0, 1, 4))
_SHARES = (0.3, 0.2, 0.1, 0.15, 0.1, 0.15)
_YEARS = 2
_CODES = [each.code for each in LEAD_STAGES]
_SEMANTICS = np.array(["PSF".index(each.semantic) for each in LEAD_STAGES], np.int16)


def build(n: int = 500_000, seed: int = 7, gap_share: float = 0.0, now: int = 1_794_776_400) -> Store:
    """n leads with about three stage moves each, spread over two years before `now` (UTC seconds).

    `gap_share`: share of ids that were never given or deleted long ago. No deals and no contacts.
    """
    rng = np.random.default_rng(seed)
    gaps = rng.geometric(1 - gap_share, n) if gap_share else np.ones(n, np.int64)
    ids = np.cumsum(gaps).astype(np.int64)
    created = np.sort(rng.integers(now - _YEARS * 365 * DAY, now - DAY, n))
    path = rng.choice(len(_PATHS), n, p=_SHARES)
    longest = max(map(len, _PATHS))
    stages = np.array([each + (-1,) * (longest - len(each)) for each in _PATHS], np.int16)[path]
    waits = rng.integers(1, 3 * DAY // longest, (n, longest), np.int64)
    waits[:, 0] = 0
    moved_at = np.minimum(created[:, None] + np.cumsum(waits, axis=1), now)
    n_moves = np.array([len(each) for each in _PATHS])[path]
    history = _history(ids, stages, moved_at, n_moves)
    last = (np.arange(n), n_moves - 1)
    leads = _leads(rng, ids, created, stages[last], moved_at[last], now)
    return Store(
        leads=lead_table(leads, n),
        deals=deal_table({}, 0),
        contacts=contact_table({}, 0),
        lead_history=history_table(LEAD_HISTORY, history),
        deal_history=history_table(DEAL_HISTORY, {}),
        now=now,
        seed=seed,
    )


def _leads(
    rng: np.random.Generator, ids: Ints, created: Ints, stage: NDArray[np.int16], moved: Ints, now: int
) -> dict[str, Column]:
    n = len(ids)
    modified = np.minimum(moved + rng.integers(0, 30 * MINUTE, n), now)
    channel = rng.choice(len(CHANNELS), n, p=[each.share for each in CHANNELS]).astype(np.int16)
    return {
        "ID": Numbers(ids),
        "TITLE": Texts(lambda rows: [f"Лид #{ids[row]}" for row in rows], n),
        "NAME": Choices(rng.integers(0, len(FIRST_NAMES), n).astype(np.int16), FIRST_NAMES),
        "LAST_NAME": Choices(rng.integers(0, len(LAST_NAMES), n).astype(np.int16), LAST_NAMES),
        "SOURCE_ID": Choices(channel, [each.source for each in CHANNELS]),
        "STATUS_ID": Choices(stage, _CODES),
        "STATUS_SEMANTIC_ID": Choices(_SEMANTICS[stage], ["P", "S", "F"]),
        "OPPORTUNITY": Money(np.round(rng.lognormal(7.6, 0.67, n), -1).astype(np.float64)),
        "ASSIGNED_BY_ID": Numbers(np.array(OWNER_IDS, np.int32)[rng.integers(0, len(OWNER_IDS), n)]),
        "DATE_CREATE": Moments(created),
        "DATE_MODIFY": Moments(modified),
        "MOVED_TIME": Moments(moved),
        "DATE_CLOSED": Moments(np.where(_SEMANTICS[stage] > 0, moved, MISSING)),
        "LAST_ACTIVITY_TIME": Moments(modified.copy()),
        "UTM_SOURCE": Choices(channel.copy(), [each.utm_source or None for each in CHANNELS]),
        "UTM_MEDIUM": Choices(channel.copy(), [each.utm_medium or None for each in CHANNELS]),
        "UTM_CAMPAIGN": Choices(rng.integers(0, len(CAMPAIGNS) + 1, n).astype(np.int16), [None, *CAMPAIGNS]),
        BRANCH: Choices(rng.integers(0, 3, n).astype(np.int16), ["Тверская", "Сокол", "Митино"]),
        "PHONE": Multifield(_phones, n),
        "FM": Multifield(_phones, n, is_fm=True),
    }


def _phones(rows: list[int]) -> list[str | None]:
    return [phone(row, row) for row in rows]


def _history(ids: Ints, stages: NDArray[np.int16], moved_at: Ints, n_moves: Ints) -> dict[str, Column]:
    """Stage moves of all leads in order of time; `stages` (-1 = no more) and `moved_at` are leads x moves."""
    has_come = stages >= 0
    at, lead = moved_at[has_come], np.repeat(np.arange(len(ids)), n_moves)
    is_first = np.zeros(len(at), bool)
    is_first[np.cumsum(n_moves) - n_moves] = True
    order = np.argsort(at, kind="stable")
    stage = stages[has_come][order]
    kind = np.where(is_first[order], 1, np.where(_SEMANTICS[stage] > 0, 3, 2))
    return {
        "ID": Numbers(np.arange(1, len(at) + 1)),
        "TYPE_ID": Numbers(kind.astype(np.int32)),
        "OWNER_ID": Numbers(ids[lead[order]]),
        "CREATED_TIME": Moments(at[order]),
        "STATUS_SEMANTIC_ID": Choices(_SEMANTICS[stage], ["P", "S", "F"]),
        "STATUS_ID": Choices(stage, _CODES),
    }
