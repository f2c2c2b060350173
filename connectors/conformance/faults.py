"""What can go wrong on the way: faults of single requests and calls, and deaths of the reader at a commit."""

import random
from dataclasses import dataclass, field
from enum import Enum


class Fault(Enum):
    """One way for a request, or a call inside a pack, to fail."""

    SLOW = "too many requests"
    BUDGET = "the method's budget is used up"
    BROKEN = "server error, as JSON"
    HTML_ERROR = "server error, as a page"
    HTML_OK = "a page instead of JSON, with status 200"
    TRUNCATED = "JSON that ends in the middle"
    GATEWAY = "the gateway gave up waiting"
    LOST = "the connection broke before the request arrived"
    CUT = "the connection broke before the answer arrived"
    ABSENT = "no answer to one call of a pack"
    EXPIRED = "the credentials are no longer valid"
    MOVED = "the portal has a new address"


PASSING = (Fault.SLOW, Fault.BROKEN, Fault.HTML_ERROR, Fault.HTML_OK, Fault.TRUNCATED, Fault.GATEWAY, Fault.LOST, Fault.CUT)
PASSING_INNER = (Fault.SLOW, Fault.BROKEN, Fault.BUDGET, Fault.ABSENT)
LASTING = (Fault.EXPIRED, Fault.MOVED)


@dataclass(slots=True)
class FaultPlan:
    """Which requests (`outer`) and which calls inside packs (`inner_at`) fail, counted from 0, each number once."""

    outer: dict[int, Fault] = field(default_factory=dict)
    inner_at: dict[int, Fault] = field(default_factory=dict)
    lasting: Fault | None = None  # from request `lasting_from` on
    lasting_from: int = 0
    n_requests: int = 0
    n_calls: int = 0
    met: list[Fault] = field(default_factory=list)

    def request(self) -> Fault | None:
        """The fault of the request that is being sent now."""
        number, self.n_requests = self.n_requests, self.n_requests + 1
        fault = self.outer.get(number)
        if self.lasting is not None and number >= self.lasting_from:
            fault = self.lasting
        if fault is not None:
            self.met.append(fault)
        return fault

    def inner(self) -> Fault | None:
        """The fault of the call inside a pack that is being answered now."""
        number, self.n_calls = self.n_calls, self.n_calls + 1
        fault = self.inner_at.get(number)
        if fault is not None:
            self.met.append(fault)
        return fault


def scattered(rng: random.Random, kinds: tuple[Fault, ...], *, share: float, span: int) -> dict[int, Fault]:
    """Faults of `kinds` at about `share` of `span` numbers, never more than three in a row: passing faults pass."""
    plan: dict[int, Fault] = {}
    for number in range(span):
        in_a_row = all(number - back in plan for back in (1, 2, 3))
        if rng.random() < share and not in_a_row:
            plan[number] = rng.choice(kinds)
    return plan


class Crash(BaseException):
    """The reader's process dies here. Not an Exception: nothing that cleans up may catch it."""
