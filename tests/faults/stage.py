"""What a fault may touch: the portal, both clocks, dice; and a portal that lives meanwhile."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connectors.demo.store import Entity
from tests.faults.portal import BentPortal

if TYPE_CHECKING:
    from tests.faults.nights import HastyClock

_STAGES = {
    "lead": ("STATUS_ID", ("NEW", "IN_PROCESS", "PROCESSED", "JUNK", "CONVERTED")),
    "deal": ("STAGE_ID", ("NEW", "PREPARATION", "EXECUTING", "WON", "LOSE")),
}


@dataclass
class Stage:
    """Handed to `Kind.begin`. `set_clocks_right` undoes what a fault did to a clock."""

    portal: BentPortal
    clock: HastyClock
    rng: random.Random
    portal_wrong_s: float = 0.0
    our_wrong_s: float = 0.0
    _endings: list[Callable[[], object]] = field(default_factory=list)

    def when_over(self, change: Callable[[], object]) -> None:
        """What happens in the portal when the night of the fault is over."""
        self._endings.append(change)

    def end(self) -> None:
        """The faults are over, but for the clocks."""
        self.portal.heal()
        while self._endings:
            self._endings.pop()()

    def shift_portal_clock(self, seconds: float) -> None:
        self.portal.ahead_s += seconds
        self.portal_wrong_s += seconds

    def shift_our_clock(self, seconds: float) -> None:
        self.clock.ahead_s += seconds
        self.our_wrong_s += seconds

    def set_clocks_right(self) -> None:
        self.portal.ahead_s -= self.portal_wrong_s
        self.clock.ahead_s -= self.our_wrong_s
        self.portal_wrong_s = self.our_wrong_s = 0.0

    @property
    def are_clocks_right(self) -> bool:
        return self.portal_wrong_s == self.our_wrong_s == 0.0

    def live(self, n: int) -> None:
        """`n` things happen in the portal now: mostly moves, some new rows, few deletions."""
        for _ in range(n):
            self.happen()

    def happen(self) -> None:
        entity: Entity = self.rng.choice(("lead", "lead", "deal"))
        what = self.rng.choices(("update", "insert", "delete"), (12, 4, 1))[0]
        column, stages = _STAGES[entity]
        if what == "insert":
            self.portal.insert(entity, **{column: stages[0], "OPPORTUNITY": float(self.rng.randrange(1, 9_000))})
        elif what == "delete":
            self.portal.delete(entity, self.any_id(entity))
        else:
            fields = {column: self.rng.choice(stages), "OPPORTUNITY": float(self.rng.randrange(1, 9_000))}
            self.portal.update(entity, self.any_id(entity), **fields)

    def come_and_go(self) -> None:
        """One row of each kind is deleted and one made; nothing else is touched, so that what is stale stays so."""
        entities: tuple[Entity, ...] = ("lead", "deal")
        for entity in entities:
            self.portal.delete(entity, self.any_id(entity))
            self.portal.insert(entity, OPPORTUNITY=1.0)

    def any_id(self, entity: Entity) -> int:
        return self.rng.choice(self.ids(entity))

    def ids(self, entity: Entity) -> list[int]:
        """Ids of living rows."""
        table = self.portal.store.table(entity)
        return [int(one) for one in table.ids[table.alive[: table.n]]]
