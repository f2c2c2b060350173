"""A year of weekly looks at launches that changed nothing: how many are ever called proven."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from bench import product
from bench.simulator import Business, Launches, Lift, simulate
from bench.validate_claims import Results
from bench.validate_tables import Cell, Section, alarms, shown
from pipeline.effects import Effect
from pipeline.weekly import FloatArray, Weeks

YEAR_LOOKS = 52
NEVER = -1.0


@dataclass(frozen=True, slots=True)
class Watched:
    """One claim on one kind of business, read every Monday."""

    name: str
    business: Business
    n_pre: int
    claim: str = "process"


WATCHED = (
    Watched("process, 200 a month, 8 weeks before", Business(leads_a_month=200), 8),
    Watched("process, 1 500 a month, 26 weeks before", Business(), 26),
    Watched("control, 1 500 a month, 26 weeks before", Business(season=0.2, growth=0.01, control=1.0), 26, "control"),
    Watched("total, 1 500 a month, 104 weeks before, season", Business(season=0.2), 104, "total"),
)


def keys() -> list[str]:
    """One a kind of business."""
    return [watched.name for watched in WATCHED]


def run(key: str, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Which look was the first false proof, and whether the last look alone was one."""
    watched = next(watched for watched in WATCHED if watched.name == key)
    launches = simulate(watched.business, n, watched.n_pre, YEAR_LOOKS, Lift(), rng)
    rows = []
    for at in range(n):
        effects = list(_readings(watched.claim, launches, at))
        first = product.first_false_proof(effects)
        last = effects[-1]
        rows.append([NEVER if first is None else float(first), float(last is not None and last.excludes_zero)])
    return {"looks": np.array(rows)}


def tables(results: Mapping[str, Results]) -> list[Section]:
    """The table of this group."""
    section = Section(
        "looks", "A year of weekly looks",
        "Share (%) of launches that changed nothing and were called proven (a gain or a loss) on any of 52 Mondays; target at "
        "most 5 % plus two Monte-Carlo errors. The last column looks once, at the end of the year.",
        ["claim", "launches", "ever proven", "median week of the first", "one look after a year"])
    for key in keys():
        if key in results:
            looks = results[key]["looks"]
            first = looks[looks[:, 0] != NEVER, 0]
            median = Cell(float(np.median(first)) + 1, float("nan")) if first.size else Cell(float("nan"), float("nan"))
            section.rows.append([key, str(len(looks)), alarms(looks[:, 0] != NEVER), median, shown(looks[:, 1])])
    return [section]


def _readings(claim: str, launches: Launches, at: int) -> Iterator[Effect | None]:
    """The effect on visits as read on each Monday of the year after the launch week."""
    funnel = launches.funnel(at, has_money=False)
    for look in range(1, YEAR_LOOKS + 1):
        end = launches.n_pre + 1 + look
        left_out = launches.left_out[at, :end]
        if left_out[launches.n_pre + 1 :].all():
            yield None
            continue
        seen = type(funnel)(funnel.leads[:end], funnel.visited[:end], None if funnel.booked is None else funnel.booked[:end])
        weeks = Weeks(launches.n_pre, 1, left_out)
        control = None if launches.control is None else launches.control[at, :end]
        told = product.process(seen, weeks, {}) if claim == "process" else product.total(seen, weeks, control=control)
        yield told.effect.visits if told.effect else None
