"""The demo portal: a local HTTP server that speaks the classic REST of Bitrix24."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import TracebackType
from typing import Any, Literal, Self

from .columns import json_text
from .errors import RestError
from .exchange import Costs, Exchange
from .faults import Fault, FaultScript
from .limits import Bucket, Budget
from .outgoing import Outgoing
from .rest import Rest
from .server import Server, Wire
from .store import Entity, Store
from .wire import read_address

_HTML = b"<html><head><title>%s</title></head><body><h1>%s</h1><hr><center>nginx</center></body></html>"


@dataclass(frozen=True, slots=True)
class PortalOptions:
    """How the portal behaves; the defaults are the documented cloud.

    bucket, drain                  requests: size, and how many leave a second
    budget_seconds, budget_window  execution seconds of one method over a sliding window of so many seconds
    has_limits                     False switches both limits off
    costs                          what a page costs and who pays for a batch
    bad_secret_status              401, or 403 as documents of August 2026 say
    history_types                  stage history in strings (as captured) or integers (as documented)
    has_jitter                     now and then odd `time` objects
    is_dated                       the portal's clock is that of its store, also when it lies in the past
    """

    user_id: int = 1
    secret: str = "demo0secret0"
    scopes: tuple[str, ...] = ("crm", "user_brief")
    bucket: int = 50
    drain: float = 2.0
    budget_seconds: float = 480.0
    budget_window: float = 600.0
    has_limits: bool = True
    costs: Costs = field(default_factory=Costs)
    bad_secret_status: int = 401
    history_types: Literal["string", "integer"] = "string"
    has_jitter: bool = True
    is_dated: bool = False


@dataclass(slots=True)
class _Hook:
    """A change that happens after so many more requests or pages."""

    unit: Literal["requests", "pages"]
    left: int
    change: Callable[[], object]


class DemoPortal:
    """Serves a store on 127.0.0.1 while used as a context manager."""

    def __init__(self, store: Store, options: PortalOptions | None = None, port: int = 0) -> None:
        self.store, self.options = store, options or PortalOptions()
        # A store dated ahead of the real clock takes the clock with it, so that changes are always the newest.
        ahead = store.now - time.time()
        self._ahead = ahead if self.options.is_dated else max(0.0, ahead)
        self._stopping = threading.Event()
        self._faults, self._hooks = FaultScript(), list[_Hook]()
        self._bucket = Bucket(self.options.bucket, self.options.drain, time.monotonic())
        rest = Rest(store, self.now, self.options.scopes, self.options.history_types)
        budget = Budget(self.options.budget_seconds, self.options.budget_window) if self.options.has_limits else None
        self._exchange = Exchange(
            rest, self._faults, budget, self.options.costs, self.now, self.options.has_jitter,
            lambda: self._run_hooks("pages"), self._stopping,
        )  # fmt: skip
        self._lock = threading.Lock()
        self._n_in_flight, self._max_in_flight = 0, 0
        self._server = Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.outgoing = Outgoing(f"127.0.0.1:{self._server.server_port}", self.now)  # off until a test turns it on

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def webhook_url(self) -> str:
        return f"{self.base_url}/rest/{self.options.user_id}/{self.options.secret}/"

    def start(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        self._stopping.set()
        self.outgoing.close()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def now(self) -> float:
        """The portal's clock, Unix seconds."""
        return time.time() + self._ahead

    def counters(self) -> dict[str, Any]:
        """What was served so far: HTTP requests, rejected (503) ones, commands, list pages and rows, by method."""
        counts = self._exchange.counts
        names = ("requests", "rejected", "commands", "pages", "rows", "failures")
        return {name: counts[name] for name in names} | {
            "faults": self._faults.n_hit,
            "max_in_flight": self._max_in_flight,
            "by_method": dict(self._exchange.by_method),
        }

    def fail(self, *faults: Fault) -> None:
        """Script faults; the first that matches a call is spent on it."""
        for fault in faults:
            self._faults.add(fault)

    def heal(self) -> None:
        """Forget all scripted faults."""
        self._faults.clear()

    def after(self, n: int, change: Callable[[], object], unit: Literal["requests", "pages"] = "requests") -> None:
        """Run `change` once, when n more HTTP requests (or list pages, also inside a batch) have been served."""
        with self._lock:
            self._hooks.append(_Hook(unit, n, change))

    def insert(self, entity: Entity, **fields: Any) -> int:
        """Create a record now; returns its id."""
        id_ = self.store.insert(entity, int(self.now()), fields)
        self.outgoing.tell(entity, "ADD", id_)
        return id_

    def update(self, entity: Entity, id_: int, **fields: Any) -> None:
        """Change a record now: DATE_MODIFY moves, and a new stage is written to the stage history."""
        self.store.update(entity, id_, int(self.now()), fields)
        self.outgoing.tell(entity, "UPDATE", id_)

    def delete(self, entity: Entity, id_: int) -> None:
        self.store.delete(entity, id_)
        self.outgoing.tell(entity, "DELETE", id_)

    def restore(self, entity: Entity, id_: int) -> None:
        self.store.restore(entity, id_, int(self.now()))

    def insert_lead(self, **fields: Any) -> int:
        return self.insert("lead", **fields)

    def update_lead(self, id_: int, **fields: Any) -> None:
        self.update("lead", id_, **fields)

    def delete_lead(self, id_: int) -> None:
        self.delete("lead", id_)

    def insert_deal(self, **fields: Any) -> int:
        return self.insert("deal", **fields)

    def update_deal(self, id_: int, **fields: Any) -> None:
        self.update("deal", id_, **fields)

    def delete_deal(self, id_: int) -> None:
        self.delete("deal", id_)

    def mutate(self, change: Mapping[str, Any]) -> int | None:
        """One scripted change: {"do": insert | update | delete | restore, "entity", "id", "fields"}."""
        entity, fields, do = change.get("entity", "lead"), dict(change.get("fields") or {}), change.get("do")
        if do == "insert":
            return self.insert(entity, **fields)
        if do not in ("update", "delete", "restore"):
            raise ValueError(f"unknown change {do!r}; known: insert, update, delete, restore")
        id_ = int(change["id"])
        if do == "update":
            self.update(entity, id_, **fields)
        elif do == "delete":
            self.delete(entity, id_)
        else:
            self.restore(entity, id_)
        return id_

    def _run_hooks(self, unit: Literal["requests", "pages"]) -> None:
        if not self._hooks:
            return
        due = []
        with self._lock:
            for hook in self._hooks:
                hook.left -= hook.unit == unit
                if hook.left <= 0:
                    due.append(hook)
            self._hooks = [hook for hook in self._hooks if hook not in due]
        for hook in due:
            hook.change()

    # --- what the wire calls -------------------------------------------------------------------

    def serve(self, wire: Wire, path: str, params: Mapping[str, Any]) -> None:
        """Answer one REST request."""
        address = read_address(path)
        self._exchange.count(requests=1)
        with self._lock:
            self._n_in_flight += 1
            self._max_in_flight = max(self._max_in_flight, self._n_in_flight)
        try:
            method = address[2].lower() if address else ""
            fault = self._faults.for_request(method)
            if fault and self._spoil(wire, fault, path):
                return
            self._check(address)
            body = self._exchange.respond(method, params).encode()
            is_spoiled = fault is not None and fault.action in ("truncated", "cut")
            if is_spoiled and fault and fault.action == "cut":
                wire.cut(body)
            else:
                wire.send(200, body[: len(body) // 2] if is_spoiled else body)
        except RestError as error:
            wire.send(error.status, json_text(error.body()).encode())
        finally:
            with self._lock:
                self._n_in_flight -= 1
            self._run_hooks("requests")

    def _check(self, address: tuple[str, str, str] | None) -> None:
        """Limit and credentials, in this order. Raises RestError."""
        if self.options.has_limits and not self._bucket.admit(time.monotonic()):
            self._exchange.count(rejected=1)
            raise RestError(503, "QUERY_LIMIT_EXCEEDED", "Too many requests")
        if address is None:
            raise RestError(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")
        user_id, secret, _ = address
        if not secret:
            raise RestError(401, "NO_AUTH_FOUND", "Wrong authorization data")
        if (user_id, secret) != (str(self.options.user_id), self.options.secret):
            raise RestError(self.options.bad_secret_status, "INVALID_CREDENTIALS", "Invalid request credentials")

    def _spoil(self, wire: Wire, fault: Fault, path: str) -> bool:
        """Carry out a request fault; False when the true answer is still to be sent."""
        if fault.error:
            raise fault.error
        if fault.action == "slow":
            self._stopping.wait(float(fault.value or 61))
        elif fault.action == "close":
            wire.hang_up()
            return True
        elif fault.action == "redirect":
            base = str(fault.value or "https://renamed.bitrix24.example").rstrip("/")
            wire.send(fault.status or 302, _HTML % (b"302 Found", b"302 Found"), "text/html", {"Location": base + path})
            return True
        elif fault.action.startswith("html"):
            title = {"html200": b"Bitrix24", "html502": b"502 Bad Gateway", "html503": b"503 Service Unavailable"}
            page = _HTML % (title[fault.action], title[fault.action])
            wire.send(int(fault.action.removeprefix("html")), page, "text/html")
            return True
        return False

    def side(self, path: str, given: Any) -> Any:
        """The side door for tests of another process; LookupError for an unknown path, ValueError for bad input."""
        if path == "/_counters":
            return self.counters()
        if path == "/_faults":
            if isinstance(given, Mapping) and given.get("clear"):
                self.heal()
            else:
                self.fail(*[Fault.from_json(each) for each in (given if isinstance(given, list) else [given])])
            return {"ok": True}
        if path == "/_outgoing":
            self.outgoing.turn_on(str(given["url"]), str(given["token"]))
            return {"ok": True}
        if path == "/_mutate":
            changes = given["changes"] if isinstance(given, Mapping) and "changes" in given else given
            changes = changes if isinstance(changes, list) else [changes]
            for unit in ("requests", "pages"):
                if isinstance(given, Mapping) and f"after_{unit}" in given:
                    self.after(int(given[f"after_{unit}"]), lambda: [self.mutate(each) for each in changes], unit)
                    return {"ids": []}
            return {"ids": [self.mutate(each) for each in changes]}
        if path == "/_truth" and self.store.truth:
            return self._truth_document(given)
        raise LookupError(path)

    def _truth_document(self, given: Any) -> dict[str, Any]:
        truth = self.store.truth
        assert truth is not None
        if not given:
            return truth.to_json()
        window = (date.fromisoformat(given["start"]), date.fromisoformat(given["end"]), int(given["horizon_days"]))
        names = ("with_launch", "without_launch")
        outcomes = truth.window(*window)
        return {
            name: {key: getattr(outcome, key) for key in outcome.__dataclass_fields__}
            for name, outcome in zip(names, outcomes, strict=True)
        }

    def bug(self) -> None:
        """A fault of the portal itself: counted and printed, so that no test mistakes it for a scripted one."""
        self._exchange.count(failures=1)
        traceback.print_exc(file=sys.stderr)
