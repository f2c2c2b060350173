"""The virtual line to the CRM: a clock that moves when somebody waits, a wire that enforces limits and injects faults."""

import threading
from datetime import datetime, timedelta

from connectors.conformance.crm import FakeCrm
from connectors.conformance.fake import FakeWire, Violation
from connectors.conformance.faults import Fault
from connectors.contract import Answer, Call, Limits
from connectors.errors import TemporaryError

_PAGE_OF_HTML = Answer(status=502, is_json=False, content_type="text/html", length=312)


class VirtualClock:
    """Our clock and the server's: `skew` is how far ours is ahead."""

    def __init__(self, start: datetime, skew: timedelta) -> None:
        self._start = start
        self._skew = skew
        self._elapsed = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self.server() + self._skew

    def monotonic(self) -> float:
        return self._elapsed

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._elapsed += max(0.0, seconds)

    def server(self) -> datetime:
        """The server's time, in whole seconds as CRMs write it (UTC)."""
        return self._start + timedelta(seconds=int(self._elapsed))


class VirtualWire:
    """Sends calls to the fake: one bucket for all requests, billed methods, planted faults, and a guard against endless loops."""

    def __init__(self, fake: FakeWire, crm: FakeCrm, clock: VirtualClock, limits: Limits, pack_method: str | None) -> None:
        self._fake = fake
        self._crm = crm
        self._clock = clock
        self._limits = limits
        self._pack_method = pack_method
        self._lock = threading.Lock()
        self._level, self._drained_at = 0.0, 0.0
        self.n_requests = 0
        self.n_rejected = 0  # requests beyond the limits: our pacing failed
        self.most_requests = 1_500
        self.latency = (0.05, 0.4)

    def send(self, call: Call, timeout: float) -> Answer:
        """The answer, or TemporaryError where a network would fail. One request at a time: trials are deterministic."""
        with self._lock:
            self.n_requests += 1
            if self.n_requests > self.most_requests:
                raise Violation("ends", f"more than {self.most_requests} requests: the walk does not end")
            self._clock.sleep(self._crm.rng.uniform(*self.latency))
            self._crm.now = self._clock.server()
            return self._answered(call)

    def _answered(self, call: Call) -> Answer:
        if self._is_overflowing():
            self.n_rejected += 1
            return self._fake.refuse(Fault.SLOW, self._crm)
        fault = self._crm.plan.request()
        if fault is Fault.LOST:
            raise TemporaryError("the connection was refused")
        self._crm.stir()
        if fault is None and call.method != self._pack_method:
            fault = self._crm.spend(call.method)
        match fault:
            case None:
                answer = self._fake.answer(call, self._crm)
                assert answer is not None, f"the fake wire has no answer to {call.method}"
                return answer
            case Fault.CUT:
                self._fake.answer(call, self._crm)
                raise TemporaryError("the connection was reset")
            case Fault.HTML_ERROR:
                return _PAGE_OF_HTML
            case Fault.HTML_OK:
                return Answer(status=200, is_json=False, content_type="text/html", length=4096)
            case Fault.TRUNCATED:
                return Answer(status=200, is_json=False, content_type="application/json", length=977)
            case Fault.GATEWAY:
                return Answer(status=504, is_json=False, content_type="text/html", length=160)
            case Fault.MOVED:
                return Answer(status=302, is_json=False, content_type="text/html", location_host="renamed.example")
            case _:
                return self._fake.refuse(fault, self._crm)

    def _is_overflowing(self) -> bool:
        """The CRM's leaky bucket: drains `rate` a second, holds `burst`; a rejected request does not fill it."""
        passed = self._clock.monotonic() - self._drained_at
        self._drained_at += passed
        self._level = max(0.0, self._level - passed * self._limits.rate)
        if self._level + 1 > self._limits.burst:
            return True
        self._level += 1
        return False
