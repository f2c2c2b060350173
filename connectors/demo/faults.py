"""Faults a test or a benchmark scripts into the portal."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

from .errors import RestError

ALWAYS = -1
# Answers that spoil the whole HTTP exchange; they can only hit a request, not a command of a batch.
TRANSPORT = frozenset({"html502", "html503", "html200", "truncated", "cut", "close", "slow", "redirect"})
# Ways a list lies; they hit direct calls and commands alike.
LISTING = frozenset({"ignore_filter", "ignore_order", "hide", "empty_page"})
ERRORS: Mapping[str, tuple[int, Any, str]] = {
    "limit": (503, "QUERY_LIMIT_EXCEEDED", "Too many requests"),
    "operating": (429, "OPERATION_TIME_LIMIT", "Method is blocked due to operation time limit."),
    "error500": (500, "INTERNAL_SERVER_ERROR", "Internal server error"),
    "unexpected": (500, "ERROR_UNEXPECTED_ANSWER", "Server returned an unexpected response"),
    "credentials": (401, "INVALID_CREDENTIALS", "Invalid request credentials"),
    "dismissed": (401, "AUTHORIZATION_ERROR", "Unable to authorize user"),
    "scope": (401, "insufficient_scope", "The request requires higher privileges than provided by the webhook token"),
    "overload": (401, "OVERLOAD_LIMIT", "REST API is blocked due to overload"),
    "plan": (401, "ACCESS_DENIED", "REST is available only by subscription"),
    "deleted_portal": (403, "PORTAL_DELETED", "Portal was deleted"),
    "denied": (400, "", "Access denied."),
    "general": (400, "", "Failed to get list. General error."),
    "error": (400, 0, "Internal error"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, where and how often.

    match    method name or pattern; a plain method name also hits that method inside a batch, "*" hits any request
    action   a name of ERRORS, TRANSPORT or LISTING
    times    how many matching calls it spoils; ALWAYS (-1) for every one
    after    how many matching calls pass before it starts
    command  only command number k (from 0) of a batch; `match` then names the command's method
    status, code, description   override those of an error (`code` may be "", 0, "0", 1021 ...)
    value    seconds of `slow`; new base address of `redirect`; share of rows of `hide` (default 0.3)
    """

    match: str
    action: str
    times: int = 1
    after: int = 0
    command: int | None = None
    status: int | None = None
    code: Any = None
    description: str | None = None
    value: Any = None

    def __post_init__(self) -> None:
        if self.action not in TRANSPORT | LISTING | ERRORS.keys():
            known = ", ".join(sorted(TRANSPORT | LISTING | ERRORS.keys()))
            raise ValueError(f"unknown fault action {self.action!r}; known: {known}")
        if self.action in TRANSPORT and self.command is not None:
            raise ValueError(f"fault {self.action!r} spoils a whole request: leave `command` out")

    @property
    def error(self) -> RestError | None:
        if self.action not in ERRORS:
            return None
        status, code, description = ERRORS[self.action]
        code = code if self.code is None else self.code
        return RestError(self.status or status, code, self.description if self.description is not None else description)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Fault:
        unknown = set(document) - {described.name for described in fields(cls)}
        if unknown:
            raise ValueError(f"unknown key of a fault: {', '.join(sorted(unknown))}")
        return cls(**document)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class FaultScript:
    """The faults still to come, in the order they were scripted; the first that matches a call is spent on it."""

    def __init__(self) -> None:
        self._left: list[list[Any]] = []  # [fault, calls to let pass, times left]
        self._lock = threading.Lock()
        self.n_hit = 0

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._left.append([fault, fault.after, fault.times])

    def clear(self) -> None:
        with self._lock:
            self._left.clear()

    def for_request(self, method: str) -> Fault | None:
        """The fault that spoils a whole HTTP request."""
        return self._take(method, lambda f: f.command is None and f.action not in LISTING)

    def for_command(self, method: str, number: int) -> Fault | None:
        """The fault that makes command `number` of a batch fail."""
        return self._take(
            method,
            lambda f: f.action in ERRORS and (f.command == number or (f.command is None and f.match != "*")),
        )

    def for_listing(self, method: str, number: int | None) -> Fault | None:
        """The way this list call lies; `number` is that of its command in a batch."""
        return self._take(method, lambda f: f.action in LISTING and f.command in (None, number))

    def _take(self, method: str, fits: Any) -> Fault | None:
        if not self._left:
            return None
        with self._lock:
            for entry in self._left:
                fault, to_pass, times = entry
                if times == 0 or not fits(fault) or not fnmatchcase(method, fault.match.lower()):
                    continue
                if to_pass:
                    entry[1] -= 1
                    continue
                entry[2] -= times > 0
                self.n_hit += 1
                return fault if isinstance(fault, Fault) else None
        return None
