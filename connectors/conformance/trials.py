"""All families of trials, and the share of trials each gets."""

from collections.abc import Callable
from dataclasses import dataclass

from connectors.conformance import content, mishaps
from connectors.conformance.fake import FakeWire
from connectors.conformance.stand import Stand


@dataclass(frozen=True, slots=True)
class Trial:
    """One family: `run(fake, seed)` goes through it and returns the stand; `weight` is its share of all trials."""

    run: Callable[[FakeWire, int], Stand]
    weight: float


TRIALS: dict[str, Trial] = {
    "completeness": Trial(content.completeness, 2),
    "nightly": Trial(content.nightly, 2),
    "moving": Trial(content.moving, 3),
    "stamps": Trial(content.stamps, 1),
    "imported": Trial(content.imported, 1),
    "deletions": Trial(content.deletions, 2),
    "rights": Trial(content.rights, 1),
    "granted": Trial(content.granted, 1),
    "dirt": Trial(content.dirt, 1),
    "crashes": Trial(mishaps.crashes, 2),
    "every_commit": Trial(mishaps.every_commit, 0.1),
    "short_lives": Trial(mishaps.short_lives, 1),
    "stopped": Trial(mishaps.stopped, 1),
    "faults": Trial(mishaps.faults, 3),
    "storm": Trial(mishaps.storm, 3),
    "locked_out": Trial(mishaps.locked_out, 1),
    "liar": Trial(mishaps.liar, 2),
    "budget": Trial(mishaps.budget, 1),
    "threads": Trial(mishaps.threads, 0.5),
    "economy": Trial(mishaps.economy, 0.1),
}
