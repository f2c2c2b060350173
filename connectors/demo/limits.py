"""The two limits of a portal: requests a second, and execution seconds a method (reference 2.1, 2.3)."""

from __future__ import annotations

import math
import threading
from collections import deque

_FREE_SECONDS = 0.1  # shorter calls are reported, and here billed, as 0 (observed)


class Bucket:
    """Leaky bucket: +1 a request, `drain` less once a second, a request above `size` is rejected."""

    def __init__(self, size: int, drain: float, now: float) -> None:
        self._size, self._drain, self._started = size, drain, now
        self._level, self._ticks = 0.0, 0
        self._lock = threading.Lock()

    def admit(self, now: float) -> bool:
        """Whether a request at `now` (monotonic seconds) is served. A rejected one does not raise the level."""
        with self._lock:
            ticks = int(now - self._started)
            self._level = max(0.0, self._level - self._drain * (ticks - self._ticks))
            self._ticks = ticks
            if self._level + 1 > self._size:
                return False
            self._level += 1
            return True


class Budget:
    """Execution seconds of each method over a sliding window of ten buckets. Times are Unix seconds."""

    def __init__(self, seconds: float, window: float) -> None:
        self._seconds, self._window = seconds, window
        self._spent: dict[str, deque[tuple[int, float, float]]] = {}  # (bucket, its first call, seconds)
        self._lock = threading.Lock()

    def is_blocked(self, method: str, now: float) -> bool:
        """The call that crosses the limit still completes; the next is refused."""
        return self.state(method, now)[0] > self._seconds

    def bill(self, method: str, seconds: float, now: float) -> None:
        if seconds < _FREE_SECONDS:
            return
        with self._lock:
            buckets = self._spent.setdefault(method, deque())
            number = int(now / (self._window / 10))
            if buckets and buckets[-1][0] == number:
                _, first, spent = buckets.pop()
                buckets.append((number, first, spent + seconds))
            else:
                buckets.append((number, now, seconds))

    def state(self, method: str, now: float) -> tuple[float, int]:
        """(`operating`, `operating_reset_at`): the sum so far and when its oldest bucket leaves."""
        with self._lock:
            buckets = self._spent.get(method, deque())
            while buckets and buckets[0][1] + self._window <= now:
                buckets.popleft()
            oldest = buckets[0][1] if buckets else now
            return sum(spent for _, _, spent in buckets), math.ceil(oldest + self._window)
