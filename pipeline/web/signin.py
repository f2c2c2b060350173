"""Signing in and out: who asks, whether he may try, and the answers that set or clear the cookie.

A wrong name costs the same time as a wrong password and is told in the same words. Failures are limited per user and address, per
address, and per user over all addresses; a right password is refused too while a limit lasts, so that it tells nothing.
"""

import asyncio
import ipaddress
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pipeline.passwords import is_right
from pipeline.users import LONGEST_NAME, User
from pipeline.web.sessions import IDLE, LONGEST, Session, Sessions

COOKIE, FORM_COOKIE = "payback-session", "payback-form"
PATH = "/sign-in"
MOST_BYTES = 8 * 1024  # of a form
MOST_KEPT = 10_000  # names and addresses whose failures are remembered
MOST_WAITING = 8  # passwords compared or waiting for it: the others are told to wait, so that threads are left for the pages
BUSY_SECONDS = 5.0
FORM_SECONDS = 10.0  # for a form to arrive
# failures borne at once, and seconds until one more is borne
PAIR, ADDRESS, USER = (5, 60.0), (20, 30.0), (60, 30.0)


class Limits:
    """Failures that are still borne, by key; forgets the oldest keys when there are too many."""

    def __init__(self) -> None:
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, user: str, address: str) -> float:
        """Seconds until one more try is borne; 0 when it is now, and then it is counted."""
        now, address = time.monotonic(), block_of(address)
        keys = {("pair", user, address): PAIR, ("address", address): ADDRESS, ("user", user): USER}
        with self._lock:
            left = {key: self._standing(key, *bounds, now) for key, bounds in keys.items()}
            missing = max((1.0 - left[key]) * bounds[1] for key, bounds in keys.items())
            if missing > 0:
                return missing
            for key in keys:
                self._left[key] = (left[key] - 1.0, now)
                self._left.move_to_end(key)
            while len(self._left) > MOST_KEPT:
                self._left.popitem(last=False)
        return 0.0

    def forgive(self, user: str, address: str) -> None:
        """The try was right after all."""
        address = block_of(address)
        with self._lock:
            self._left.pop(("pair", user, address), None)
            for key, bounds in ((("address", address), ADDRESS), (("user", user), USER)):
                left, at = self._left.get(key, (float(bounds[0]), 0.0))
                self._left[key] = (min(float(bounds[0]), left + 1.0), at)

    def _standing(self, key: Hashable, burst: int, seconds: float, now: float) -> float:
        left, at = self._left.get(key, (float(burst), now))
        return min(float(burst), left + (now - at) / seconds)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a try: a session's id, or a code that the page has words for, and seconds to wait."""

    session_id: str = ""
    code: str = ""
    wait: float = 0.0


class Desk:
    """Lets people in and out."""

    def __init__(self, sessions: Sessions, limits: Limits) -> None:
        """`limits` outlive a change of the configuration."""
        self.sessions = sessions
        self._limits = limits
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)
        self._one_at_a_time = threading.Lock()  # 32 MB and a core each

    def session(self, request: Request) -> Session | None:
        """Who asks."""
        return self.sessions.find(request.cookies.get(_name(request, COOKIE), ""))

    def try_password(self, name: str, password: str, address: str) -> Outcome:
        """Blocks for the time of one comparison. Raises WarehouseError when the session cannot be stored."""
        if not self._waiting.acquire(blocking=False):
            return Outcome(code="limited", wait=BUSY_SECONDS)
        try:
            return self._try(name[: LONGEST_NAME + 1], password, address)
        finally:
            self._waiting.release()

    def _try(self, known: str, password: str, address: str) -> Outcome:
        wait = self._limits.wait(known, address)
        if wait:
            return Outcome(code="limited", wait=wait)
        user: User | None = self.sessions.user(known)
        with self._one_at_a_time:
            is_let_in = is_right(password, user.password_hash.reveal() if user else None)
        if not is_let_in or user is None:
            return Outcome(code="wrong")
        self._limits.forgive(known, address)
        return Outcome(self.sessions.open(user))

    def page_token(self, request: Request) -> str:
        """What the forms of a page carry for whoever is signed in."""
        return self.sessions.form_token(request.cookies.get(_name(request, COOKIE), ""))

    def door_token(self, request: Request) -> tuple[str, str]:
        """(what the sign-in form carries, the cookie value it belongs to)."""
        cookie = request.cookies.get(_name(request, FORM_COOKIE), "") or secrets.token_urlsafe(16)
        return self.sessions.form_token(cookie), cookie

    def is_own_form(self, request: Request, fields: Mapping[str, str]) -> bool:
        """Whether the form came from a page of ours that this browser was given."""
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return False
        origin = request.headers.get("origin", "null")  # "null" of our own pages too: they send no referrer
        if origin != "null" and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower():
            return False
        cookies = (request.cookies.get(_name(request, name), "") for name in (COOKIE, FORM_COOKIE))
        return any(self.sessions.is_form_token(cookie, fields.get("token", "")) for cookie in cookies)

    def let_in(self, request: Request, session_id: str, target: str) -> Response:
        answer = RedirectResponse(target, 303)
        _set(request, answer, COOKIE, session_id, int(LONGEST.total_seconds()))
        _set(request, answer, FORM_COOKIE, "", 0)
        return answer

    def let_out(self, request: Request) -> Response:
        """Raises WarehouseError when it could not be written down."""
        self.sessions.end(request.cookies.get(_name(request, COOKIE), ""))
        answer = RedirectResponse(PATH, 303)
        _set(request, answer, COOKIE, "", 0)
        return answer

    def give_form_cookie(self, request: Request, answer: Response, cookie: str) -> None:
        """The value that the sign-in form's token belongs to."""
        _set(request, answer, FORM_COOKIE, cookie, int(IDLE.total_seconds()))


async def fields_of(request: Request) -> dict[str, str] | None:
    """The fields of a posted form, each once; None when it is no form, too large or too slow."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return None
    body = bytearray()
    try:
        async with asyncio.timeout(FORM_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MOST_BYTES:
                    return None
    except TimeoutError:
        return None
    try:
        found = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        return None
    return {name: values[0] for name, values in found.items()}


def address_of(request: Request) -> str:
    """Where the request comes from; a proxy on this machine is believed about whom it speaks for."""
    peer = request.client.host if request.client else ""
    told = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    try:
        return str(ipaddress.ip_address(told)) if told and ipaddress.ip_address(peer).is_loopback else peer
    except ValueError:
        return peer


def block_of(address: str) -> str:
    """What the limits take for one address: of IPv6 the whole /64, which is what one customer has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))


def is_encrypted(request: Request) -> bool:
    """Whether the browser speaks https, to us or to a proxy. Told wrongly, only the liar's own cookie is lost."""
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower())


def query(**fields: str) -> str:
    """Fields as the query of an address."""
    return urlencode(fields)


def own_path(target: str) -> str:
    """A place of ours to go on to; the front page for anything else."""
    is_plain = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable() and len(target) < 1000
    return target if is_plain and "\\" not in target else "/"


def here(request: Request, query: str) -> str:
    """The address of the page, for links and for coming back: `//host` or `/\\host` asked for by mistake or malice is not one."""
    path = own_path(quote(request.scope["path"]))
    return f"{path}?{query}" if query else path


def _name(request: Request, name: str) -> str:
    """`__Host-` binds a cookie to this host and to https; browsers refuse it without."""
    return f"__Host-{name}" if is_encrypted(request) else name


def _set(request: Request, answer: Response, name: str, value: str, seconds: int) -> None:
    answer.set_cookie(
        _name(request, name), value, max_age=seconds, path="/", httponly=True, samesite="strict", secure=is_encrypted(request)
    )
