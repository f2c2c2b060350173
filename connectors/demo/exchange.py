"""One method call with everything that surrounds it on a portal: budget, cost, faults, timings; and `batch`."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from .columns import iso, json_text
from .errors import RestError
from .faults import ERRORS, FaultScript
from .limits import Budget
from .rest import Answer, Params, Rest
from .wire import read_query

MAX_COMMANDS = 50
_REFERENCE = re.compile(r"\$result((?:\[[^\[\]]*\])+)")
_BATCH = "batch"
_NO_PROCESSING = ("crm.settings.mode.get",)  # as in its official sample; lists and batches always carry it


@dataclass(frozen=True, slots=True)
class Costs:
    """What a list page costs. `page_ms`, `count_ms` (when rows are counted) are slept; `operating` is only billed.

    `operating`: seconds billed per page, None for the real duration. `billing`: who is charged for a batch, the
    nested methods (documentation) or the outer one (measured by an SDK's maintainers).
    """

    page_ms: float = 0.0
    count_ms: float = 0.0
    operating: float | None = None
    billing: Literal["nested", "outer"] = "nested"


@dataclass(frozen=True, slots=True)
class Done:
    """A served call and when it ran (Unix seconds)."""

    method: str
    answer: Answer
    started: float
    finished: float


class Exchange:
    def __init__(
        self, rest: Rest, faults: FaultScript, budget: Budget | None, costs: Costs, now: Callable[[], float],
        has_jitter: bool, on_page: Callable[[], None], stopping: threading.Event,
    ) -> None:  # fmt: skip
        self._rest, self._faults, self._budget, self._costs, self._now = rest, faults, budget, costs, now
        self._has_jitter, self._on_page, self._stopping = has_jitter, on_page, stopping
        self.counts: Counter[str] = Counter()
        self.by_method: Counter[str] = Counter()
        self._lock = threading.Lock()

    def count(self, **more: int) -> None:
        with self._lock:
            self.counts.update(more)

    def respond(self, method: str, params: Params) -> str:
        """JSON body of a successful HTTP request. Raises RestError."""
        if method == _BATCH:
            return self._batch(params)
        done = self._call(method, params, None)
        answer = done.answer
        tail = (f',"next":{answer.next}' if answer.next is not None else "") + (
            f',"total":{answer.total}' if answer.total is not None else ""
        )
        return f'{{"result":{answer.text}{tail},"time":{self._time(done.started, done.finished, method)}}}'

    def _call(self, method: str, params: Params, number: int | None) -> Done:
        """`number`: place of the command in its batch."""
        started = self._now()
        is_nested = number is not None
        if number is not None:
            fault = self._faults.for_command(method, number)
            if fault and fault.error:
                raise fault.error
        is_billed = not (is_nested and self._costs.billing == "outer")
        if is_billed and self._budget and self._budget.is_blocked(method, started):
            raise blocked()
        with self._lock:
            self.counts["commands"] += 1
            self.by_method[method] += 1
        answer = self._rest.call(method, params, self._faults.for_listing(method, number))
        if answer.is_page:
            self.count(pages=1, rows=answer.n_rows)
            pause = self._costs.page_ms + self._costs.count_ms * answer.is_counted
            if pause:
                self._stopping.wait(pause / 1000)
            self._on_page()
        finished = self._now()
        if is_billed and self._budget:
            self._budget.bill(method, self._cost([answer], finished - started), finished)
        return Done(method, answer, started, finished)

    def _cost(self, answers: list[Answer], elapsed: float) -> float:
        per_page = self._costs.operating
        return elapsed if per_page is None else per_page * sum(answer.is_page for answer in answers)

    def _batch(self, params: Params) -> str:
        given = {key.lower(): value for key, value in params.items()}
        commands = given.get("cmd") or {}
        if isinstance(commands, list):
            commands = {str(place): command for place, command in enumerate(commands)}
        if not isinstance(commands, Mapping):
            raise RestError(400, "", "Parameter 'cmd' must be array.")
        is_halting = str(given.get("halt", 0)).lower() in ("1", "true", "y")
        started = self._now()
        if self._costs.billing == "outer" and self._budget and self._budget.is_blocked(_BATCH, started):
            raise blocked()
        done: dict[str, Done] = {}
        errors: dict[str, RestError] = {}
        for number, (name, command) in enumerate(commands.items()):
            try:
                done[name] = self._command(number, str(command), done)
            except RestError as error:
                errors[name] = error
                if is_halting:
                    break
        finished = self._now()
        if self._costs.billing == "outer" and self._budget:
            answers = [each.answer for each in done.values()]
            self._budget.bill(_BATCH, self._cost(answers, finished - started), finished)
        return self._batch_text(done, errors, started, finished)

    def _command(self, number: int, command: str, done: Mapping[str, Done]) -> Done:
        if number >= MAX_COMMANDS:
            raise RestError(400, "ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded")
        shown, _, query = command.partition("?")
        method = shown.strip("/").removesuffix(".json").lower()
        if method == _BATCH:
            raise RestError(405, "ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage")

        def resolve(match: re.Match[str]) -> str:
            name, *path = match.group(1)[1:-1].split("][")
            return done[name].answer.look(path) if name in done else ""

        # Both encodings of vendor SDKs work in production: decode first, resolve references afterwards.
        params = read_query(query, lambda value: _REFERENCE.sub(resolve, value) if "$" in value else value)
        return self._call(method, params, number)

    def _batch_text(
        self, done: Mapping[str, Done], errors: Mapping[str, RestError], started: float, finished: float
    ) -> str:
        is_outer = self._costs.billing == "outer"
        members = {
            "result": shaped({name: each.answer.text for name, each in done.items()}),
            "result_error": shaped({name: json_text(error.body()) for name, error in errors.items()}, is_error=True),
            "result_total": shaped({n: str(d.answer.total) for n, d in done.items() if d.answer.total is not None}),
            "result_next": shaped({n: str(d.answer.next) for n, d in done.items() if d.answer.next is not None}),
            "result_time": shaped(
                {n: self._time(d.started, d.finished, _BATCH if is_outer else d.method) for n, d in done.items()}
            ),
        }
        body = ",".join(f'"{name}":{text}' for name, text in members.items())
        return f'{{"result":{{{body}}},"time":{self._time(started, finished, _BATCH)}}}'

    def _time(self, started: float, finished: float, method: str) -> str:
        """The `time` object, with the oddities of 2026 answers now and then (reference 1.4)."""
        self.count(times=1)
        oddity = self.counts["times"] % 7 if self._has_jitter else 0
        members = {
            "start": int(started) if oddity == 2 else round(started, 6),
            "finish": round(finished, 6),
            "duration": finished - started,
            "processing": 0 if oddity == 4 else finished - started,
            "date_start": iso(started),
            "date_finish": iso(finished),
        }
        if method in _NO_PROCESSING:
            del members["processing"]
        if self._budget and (oddity != 5 or method == _BATCH):
            spent, reset_at = self._budget.state(method, finished)
            members |= {"operating_reset_at": reset_at, "operating": spent or 0}
        return json_text(members)


def blocked() -> RestError:
    return RestError(*ERRORS["operating"])


def shaped(texts: Mapping[str, str], is_error: bool = False) -> str:
    """A member of a batch answer: [] when empty, a list for keys 0..n-1, else a map (reference 2.7).

    Failed commands with numeric names always come as a list and lose their names.
    """
    names = list(texts)
    is_list = names == [str(place) for place in range(len(names))]
    if is_list or (is_error and all(name.isdigit() for name in names)):
        return "[" + ",".join(texts.values()) + "]"
    return "{" + ",".join(f"{json_text(name)}:{text}" for name, text in texts.items()) + "}"


