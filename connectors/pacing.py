"""How fast requests may go: a bucket that mirrors the CRM's own, and the server time each method has left."""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from connectors.contract import Limits, Meter

_SLOWEST = 0.05  # share of the CRM's rate below which we never cut
_HARDLY = 1e-9  # float dust: a token that lacks this much is a token
_CAUTION, _STOP = 0.8, 0.99  # shares of a budget where pauses begin and where the method stops (475 of 480 s)
_LONGEST_PAUSE = 7.0
_SHORT_TRIES = 2


class Clock(Protocol):
    """Time as the engine sees it; tests put a virtual one here."""

    def now(self) -> datetime:
        """UTC without zone."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC).replace(tzinfo=None)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class TokenBucket:
    """The CRM's leaky bucket seen from our side; shared by all threads that send.

    One token less than theirs: their drain ticks once a second, ours is continuous, and the difference is at most one request.
    A rejection means that somebody else spends from the same bucket: no bursts then, and less and less until it is accepted.
    """

    def __init__(self, rate: float, burst: int, clock: Clock) -> None:
        self._full_rate = rate
        self._rate = rate
        self._capacity = max(1.0, burst - 1.0)
        self._tokens = self._capacity
        self._clock = clock
        self._filled_at = clock.monotonic()
        self._cut_at = float("-inf")
        self._held_until = float("-inf")
        self._lock = threading.Lock()

    def take(self) -> float:
        """Wait for the right to send one request; the seconds waited."""
        waited = 0.0
        while True:
            with self._lock:
                self._fill()
                now = self._clock.monotonic()
                if now >= self._held_until and self._tokens >= 1.0 - _HARDLY:
                    self._tokens -= 1.0
                    return waited
                pause = max((1.0 - self._tokens) / self._rate, self._held_until - now, 0.001)
            self._clock.sleep(pause)
            waited += pause

    def spare(self) -> float:
        """Tokens left now."""
        with self._lock:
            self._fill()
            return self._tokens

    def slow(self, sent_at: float, retry_after: float | None = None) -> None:
        """A request sent at `sent_at` (monotonic) was rejected as too fast. Rejections of one burst count once."""
        with self._lock:
            self._fill()
            now = self._clock.monotonic()
            self._tokens = 0.0
            self._held_until = max(self._held_until, now + (retry_after or 0.0))
            if sent_at >= self._cut_at:
                self._cut_at = now
                self._rate = max(self._rate * 0.6, self._full_rate * _SLOWEST)

    def quicken(self) -> None:
        """A request was accepted: climb back towards the full rate."""
        with self._lock:
            self._fill()
            self._rate = min(self._full_rate, self._rate * 1.1)

    def _fill(self) -> None:
        now = self._clock.monotonic()
        most = self._capacity if self._rate >= self._full_rate else 1.0
        self._tokens = min(max(most, self._tokens), self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now


class Budgets:
    """Server time spent per method in the sliding window, as the server's own meter tells it; not thread-safe.

    After the vendor's JavaScript SDK: from 80 % of the budget on pauses grow to 7 s, at 99 % the method rests until the
    meter's reset. Refused nevertheless: two short tries, then a rest; other methods go on meanwhile.
    """

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._budget = limits.budget_s
        self._window = limits.budget_window
        self._clock = clock
        self._ready_at: dict[str, float] = {}
        self._reset_at: dict[str, float] = {}
        self._refusals: dict[str, int] = {}
        self._refused_at: dict[str, float] = {}
        self._refused_since: dict[str, float] = {}

    def ready_at(self, method: str) -> float:
        """Monotonic time before which the method should not be called."""
        return self._ready_at.get(method, float("-inf"))

    def note(self, method: str, meter: Meter) -> None:
        """What the server said of the method's spending."""
        if self._budget is None or meter.spent_s is None:
            return
        now = self._clock.monotonic()
        if meter.reset_at is not None:
            self._reset_at[method] = now + self._seconds_until(meter.reset_at, meter.now)
        share = meter.spent_s / self._budget
        if share >= _STOP:
            self._rest(method, self._reset(method, now))
        elif share >= _CAUTION:
            self._rest(method, now + _LONGEST_PAUSE * (share - _CAUTION) / (_STOP - _CAUTION))

    def accepted(self, method: str) -> None:
        """The method answered."""
        self._refusals.pop(method, None)
        self._refused_since.pop(method, None)

    def refused(self, method: str, sent_at: float, until: datetime | None = None) -> float:
        """The method's budget is used up; requests sent before the last refusal count once with it.

        Returns for how many seconds the method has been refused without any answer between.
        """
        now = self._clock.monotonic()
        since = self._refused_since.setdefault(method, now)
        if sent_at >= self._refused_at.get(method, float("-inf")):
            self._refused_at[method] = now
            tries = self._refusals[method] = self._refusals.get(method, 0) + 1
            if until is not None:
                self._rest(method, now + self._seconds_until(until, None) + 1.0)
            elif tries <= _SHORT_TRIES:
                self._rest(method, now + tries)
            else:
                self._rest(method, self._reset(method, now))
        return now - since

    def _rest(self, method: str, until: float) -> None:
        self._ready_at[method] = max(until, self.ready_at(method))

    def _reset(self, method: str, now: float) -> float:
        """When the budget frees: a second after the reset last seen, or one bucket of the window from now."""
        reset = self._reset_at.get(method, float("-inf")) + 1.0
        return reset if reset > now else now + self._window / 10

    def _seconds_until(self, moment: datetime, server_now: datetime | None) -> float:
        ahead = (moment - (server_now or self._clock.now())) / timedelta(seconds=1)
        # A reset cannot lie beyond the window: anything else is two clocks that disagree.
        return min(max(0.0, ahead), self._window)
