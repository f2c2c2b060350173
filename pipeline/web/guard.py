"""Who may ask, and what a browser may do with the answer."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import ipaddress
from collections.abc import MutableMapping, Sequence
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connectors.secrets import Secret

WRONG_PASSWORD_SECONDS = 1.0  # what a wrong password costs who guesses


class Guard:
    """Stands before the application: asks for the password, refuses foreign host names, adds the security headers.

    Where people sign in, the pages look after themselves, and only the addresses for machines are guarded here: by the password
    alone, because a proxy may make every request look as if it came from this machine.
    """

    def __init__(
        self, app: ASGIApp, open_paths: Sequence[str], password: Secret | None, *, policy: str,
        machine_paths: Sequence[str] | None,
    ) -> None:  # fmt: skip
        """`open_paths` are open to everybody: whole addresses, or beginnings that end with a slash. `machine_paths`: what is
        guarded where people sign in, None where nobody can. `policy`: the Content-Security-Policy of what has none of its own."""
        self._app = app
        self._open = tuple(open_paths)
        self._machines = None if machine_paths is None else tuple(machine_paths)
        self._digest = _digest(password.reveal().encode()) if password else None
        self._headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        refusal = None if self._is_open(scope["path"]) else await self._refusal(Headers(scope=scope))
        await (refusal or self._app)(scope, receive, self._adding_headers(send))

    def _is_open(self, path: str) -> bool:
        if self._machines is not None and path not in self._machines:
            return True
        return any(path == open_path or (open_path.endswith("/") and path.startswith(open_path)) for open_path in self._open)

    async def _refusal(self, headers: Headers) -> ASGIApp | None:
        if self._digest is None and self._machines is not None:
            return PlainTextResponse("where people sign in, this address needs [serve] password\n", 403)
        if self._digest is None:
            if names_this_machine(headers.get("host", "")):
                return None
            # A page somewhere may have its own name point at 127.0.0.1 and read what the browser brings back.
            said = "without a password Payback answers only as localhost or 127.0.0.1: use that name, or set [serve] password\n"
            return PlainTextResponse(said, 421)
        given = headers.get("authorization", "")
        if given and hmac.compare_digest(_digest(_password(given)), self._digest):
            return None
        if given:
            await asyncio.sleep(WRONG_PASSWORD_SECONDS)
        return PlainTextResponse(
            "the password of [serve] is needed\n", 401, {"WWW-Authenticate": 'Basic realm="payback", charset="UTF-8"'}
        )

    def _adding_headers(self, send: Send) -> Send:
        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                _set(message, self._headers)
            await send(message)

        return adding


def names_this_machine(host: str) -> bool:
    """Whether a Host header (`name`, `name:port`, `[::1]:port`) or a bare address means the loopback interface."""
    name = host.partition("]")[0].removeprefix("[") if host.startswith("[") else host
    if name.count(":") == 1:
        name = name.partition(":")[0]
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _set(message: MutableMapping[str, Any], headers: MutableMapping[str, str]) -> None:
    given = MutableHeaders(raw=message.setdefault("headers", []))
    for name, value in headers.items():
        given.setdefault(name, value)


def _password(authorization: str) -> bytes:
    """The password of basic auth, whatever the user name; empty when there is none."""
    scheme, _, code = authorization.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(code, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


def _digest(password: bytes) -> bytes:
    """Of the same length for every password, so that comparing tells not even that."""
    return hashlib.sha256(password).digest()
