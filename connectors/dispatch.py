"""Requests on their way: fills them with turns, keeps several in flight, and does what the verdicts say."""

import queue
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from connectors.contract import Call, Connector, Ruling, SyncReport, Verdict
from connectors.crew import Crew, Letter, Parcel
from connectors.errors import AccessError, PayloadError, SourceError, TemporaryError
from connectors.pacing import Budgets, Clock, TokenBucket
from connectors.turns import Reply, Settled, Turn

_MOST_TRIES = 5
_FIRST_PAUSE = 1.0  # seconds before the second try; doubles with each
_MOST_REJECTIONS = 60  # in a row: with the growing pauses that is about ten minutes
_MOST_WINDOWS = 3.0  # of the operating budget: refused for so long without one answer
_NAP = 5.0  # a long rest is slept in naps, so that a wish to stop is heard
_GLANCE = 0.25  # a portal that takes longer than this to answer can use more requests at once
_LAST_CALL = 10.0  # seconds that requests in flight have left after a wish to stop; the next sync asks again for what they bring
_HEARING = 0.5  # how often a wish to stop is looked for while an answer is awaited
_PATIENCE = 10  # accepted requests before more is asked at once again


class Wire(Protocol):
    """What carries requests; `connectors.transport.HttpWire` in earnest, something virtual in tests."""

    def send(self, call: Call, timeout: float) -> Letter:
        """The answer, sealed. Raises TemporaryError for network faults."""
        ...


class Dispatch:
    """Drives turns until none is left. Everything but sending happens on the calling thread."""

    def __init__(
        self, connector: Connector, wire: Wire, clock: Clock, report: SyncReport, stop: Callable[[], bool] | None = None
    ) -> None:
        limits = connector.limits
        self.connector = connector
        self.server_now: datetime | None = None  # the server's clock in the first answer that told it
        self.is_stopped = False
        self._limits = limits
        self._wire = wire
        self._clock = clock
        self._report = report
        self._stop = stop or (lambda: False)
        self._stopped_at = float("inf")
        self._bucket = TokenBucket(limits.rate, limits.burst, clock)
        self._budgets = Budgets(limits, clock)
        self._crew = Crew(self._send, limits.parallel)
        self._in_flight = 0
        self._window = min(2, limits.parallel)
        self._width = limits.pack  # calls a request may carry now; less after a server that could not cope
        self._n_fine = 0
        self._n_rejected = 0
        self._outer_method = ""
        self._failure: SourceError | None = None
        self._is_closed = False

    def drive(self, turns: Sequence[Turn], settled: Callable[[], None]) -> None:
        """Do the turns and all that follow from them; `settled` is called after each answered request."""
        waiting = deque(turns)
        while waiting or self._in_flight:
            if self._is_told_to_stop() and self._clock.monotonic() - self._stopped_at > _LAST_CALL:
                return
            while not self.is_stopped and self._in_flight < self._window and (parcel := self._fill(waiting)):
                self._in_flight += 1
                self._crew.man(self._in_flight)
                self._crew.post(parcel)
            if self._in_flight:
                parcel = self._receive(has_more=bool(waiting))
                if parcel is None:
                    continue
                waiting.extend(self._settle(parcel))
                settled()
                if self._failure is not None:
                    raise self._failure
            elif self.is_stopped:
                return
            else:
                self._rest(waiting)

    def close(self) -> None:
        """Send nothing more."""
        self._is_closed = True
        self._crew.dismiss()

    # --- out ----------------------------------------------------------------------------------------------------------

    def _fill(self, waiting: deque[Turn]) -> Parcel | None:
        """A request full of ready turns, streams mixed, in the order they wait; None when none is ready."""
        now = self._clock.monotonic()
        if self._budgets.ready_at(self._outer_method) > now:
            return None
        parts: list[tuple[Turn, list[str]]] = []
        passed: list[Turn] = []
        room, n_calls = max(1, self._width), 0
        while waiting and room:
            turn = waiting.popleft()
            if self._ready_at(turn) > now:
                passed.append(turn)
                continue
            size = turn.size(room)
            parts.append((turn, [f"c{n_calls + i}" for i in range(size)]))
            n_calls += size
            room -= size
        waiting.extendleft(reversed(passed))
        return self._parcel(parts) if parts else None

    def _parcel(self, parts: list[tuple[Turn, list[str]]]) -> Parcel:
        calls: dict[str, Call] = {}
        for turn, names in parts:
            calls.update(zip(names, turn.calls(names), strict=True))
        if self._limits.pack > 1:
            call = self.connector.pack(calls)
            self._outer_method = call.method
        else:
            (call,) = calls.values()
        return Parcel(parts, call, {name: one.method for name, one in calls.items()})

    def _send(self, parcel: Parcel) -> None:
        """Runs on the crew's threads: wait for the bucket, send, keep whatever comes."""
        try:
            parcel.waited_s = self._bucket.take()
            parcel.sent_at = self._clock.monotonic()
            if not self._is_closed:
                parcel.letter = self._wire.send(parcel.call, self._limits.timeout)
        except BaseException as error:  # carried over to the calling thread, which raises it
            parcel.error = error
        parcel.took_s = self._clock.monotonic() - parcel.sent_at

    def _ready_at(self, turn: Turn) -> float:
        return max(turn.not_before, self._budgets.ready_at(turn.method))

    def _rest(self, waiting: deque[Turn]) -> None:
        """Nothing is in flight and nothing may be sent yet: sleep."""
        ready_at = max(min(map(self._ready_at, waiting)), self._budgets.ready_at(self._outer_method))
        nap = min(_NAP, ready_at - self._clock.monotonic())
        if nap > 0:
            self._clock.sleep(nap)
            self._report.waited_s += nap

    # --- in -----------------------------------------------------------------------------------------------------------

    def _receive(self, *, has_more: bool) -> Parcel | None:
        """The next answered request. More go in flight while we wait and tokens are left; fewer when we are the slow one.

        None: no answer for a while and room for more; a slow portal is asked for twice as much at once. Or: we are told to stop.
        """
        n_answered = self._crew.answered.qsize()
        if n_answered == 0 and self._bucket.spare() >= 1.0:
            if has_more and self._window < self._limits.parallel:
                try:
                    parcel = self._crew.answered.get(timeout=_GLANCE)
                except queue.Empty:
                    self._window = min(self._limits.parallel, self._window * 2)
                    return None
                self._window += 1
                self._in_flight -= 1
                return parcel
        elif n_answered >= self._in_flight:
            self._window = max(min(2, self._limits.parallel), self._window - 1)
        while True:
            try:
                parcel = self._crew.answered.get(timeout=_HEARING)
            except queue.Empty:
                if self._is_told_to_stop():
                    return None
            else:
                self._in_flight -= 1
                return parcel

    def _is_told_to_stop(self) -> bool:
        if not self.is_stopped and self._stop():
            self.is_stopped = True
            self._stopped_at = self._clock.monotonic()
        return self.is_stopped

    def _settle(self, parcel: Parcel) -> list[Turn]:
        """Hand the replies to their turns and act on what failed. Raises AccessError, PayloadError, TemporaryError."""
        if parcel.error is not None and not isinstance(parcel.error, TemporaryError):
            raise parcel.error
        self._report.n_requests += 1
        self._report.n_calls += len(parcel.methods)
        self._report.waited_s += parcel.waited_s
        if parcel.letter is not None:
            parcel.answer, parcel.letter = parcel.letter.opened(), None
        replies = self._replies(parcel)
        if parcel.is_accepted:
            self._read_meters(parcel, replies)
        following: list[Turn] = []
        rejected = False
        for turn, names in parcel.parts:
            settled = turn.settle([replies[name] for name in names])
            rejected |= any(ruling.verdict is Verdict.SLOW for ruling in settled.missed)
            following += settled.turns
            try:
                self._answer_for(turn, settled, parcel)
            except SourceError as error:  # raised once the rows of the other turns are stored
                self._failure = self._failure or error
        self._learn(rejected, parcel)
        return following

    def _replies(self, parcel: Parcel) -> dict[str, Reply]:
        """Replies by call name. A call without an answer has failed."""
        names = list(parcel.methods)
        answer = parcel.answer
        if answer is None:
            error = parcel.error
            hint = error.hint if isinstance(error, TemporaryError) else ""
            # Lost late or again: it may have been too much work for the server. Lost at once, once: a torn connection.
            if parcel.took_s > self._limits.timeout / 2 or any(turn.n_failures for turn, _ in parcel.parts):
                self._narrow(parcel)
            return dict.fromkeys(names, Reply(None, Ruling(Verdict.RETRY, str(error), hint)))
        ruling = self.connector.verdict(answer)
        parcel.is_accepted = ruling.verdict is Verdict.OK
        if self._limits.pack <= 1:
            return {names[0]: Reply(answer, ruling)}
        if not parcel.is_accepted:
            return dict.fromkeys(names, Reply(None, ruling))
        absent = Reply(None, Ruling(Verdict.RETRY, "no answer in the pack"))
        inner = self.connector.unpack(answer.body, names)
        judged = {name: Reply(one, self.connector.verdict(one)) for name, one in inner.items()}
        return {name: judged.get(name, absent) for name in names}

    def _read_meters(self, parcel: Parcel, replies: dict[str, Reply]) -> None:
        """Server clock and budgets; both the outer and the inner meters, because portals bill either."""
        meters = [(parcel.call.method, parcel.answer)] if self._limits.pack > 1 else []
        meters += [(parcel.methods[name], reply.answer) for name, reply in replies.items() if reply.is_ok]
        if self.server_now is not None and self._limits.budget_s is None:
            return
        for method, answer in meters:
            meter = self.connector.meter(answer.body if answer else None)
            self.server_now = self.server_now or meter.now
            self._budgets.note(method, meter)
        for method, _ in meters:
            self._budgets.accepted(method)

    def _learn(self, rejected: bool, parcel: Parcel) -> None:
        if rejected:
            self._report.n_slowed += 1
            self._n_rejected += 1
            self._bucket.slow(parcel.sent_at, parcel.answer.retry_after if parcel.answer else None)
            if self._n_rejected >= _MOST_REJECTIONS:
                raise TemporaryError(
                    f"{self._n_rejected} requests in a row were rejected as too fast",
                    hint="another program uses up the same account's limit: run again when it is done",
                )
        elif parcel.is_accepted:
            self._n_rejected = 0
            self._bucket.quicken()
            self._n_fine += 1
            if self._n_fine >= _PATIENCE:
                self._n_fine = 0
                self._width = min(self._limits.pack, self._width + self._width // 4 + 1)

    # --- verdicts -----------------------------------------------------------------------------------------------------

    def _answer_for(self, turn: Turn, settled: Settled, parcel: Parcel) -> None:
        """Act on a turn's failures, the gravest first."""
        if settled.has_moved:
            turn.n_failures = 0
        if not settled.missed:
            return
        ruling = min(settled.missed, key=lambda one: _GRAVITY.index(one.verdict))
        where = f"{turn.method} ({turn.subject})"
        match ruling.verdict:
            case Verdict.REAUTH:
                raise AccessError(f"{where}: {ruling.reason}", hint=ruling.hint)
            case Verdict.FATAL:
                raise PayloadError(f"{where}: {ruling.reason}", hint=ruling.hint)
            case Verdict.SLOW:
                pass  # the bucket holds everybody back
            case Verdict.WAIT:
                self._pause(turn, ruling, parcel, where)
            case Verdict.SPLIT if len(parcel.methods) > 1:
                self._narrow(parcel)
                self._again(turn, 1.0)
            case _:
                turn.n_failures += 1
                if turn.n_failures >= _MOST_TRIES:
                    raise TemporaryError(
                        f"{where}: failed {turn.n_failures} times in a row: {ruling.reason}",
                        hint=ruling.hint or "run again later: it resumes where it stopped",
                    )
                self._again(turn, _FIRST_PAUSE * 2.0 ** (turn.n_failures - 1))

    def _pause(self, turn: Turn, ruling: Ruling, parcel: Parcel, where: str) -> None:
        # Portals bill the inner methods or the request that carries them: refused as a whole, all its kind has to rest.
        method = turn.method if parcel.is_accepted else parcel.call.method
        refused_s = self._budgets.refused(method, parcel.sent_at, ruling.until)
        self._report.n_retries += 1
        if refused_s > _MOST_WINDOWS * self._limits.budget_window:
            raise TemporaryError(
                f"{where}: refused for {refused_s / 60:.0f} minutes: {ruling.reason}",
                hint="another program uses up the server time of this method: run again later, it resumes",
            )

    def _again(self, turn: Turn, pause: float) -> None:
        self._report.n_retries += 1
        turn.not_before = self._clock.monotonic() + pause

    def _narrow(self, parcel: Parcel) -> None:
        self._width = max(1, min(self._width, len(parcel.methods) // 2))
        self._n_fine = 0


_GRAVITY = (Verdict.REAUTH, Verdict.FATAL, Verdict.WAIT, Verdict.SLOW, Verdict.RETRY, Verdict.SPLIT, Verdict.OK)
