"""The only sockets: JSON over HTTP, with timeouts, without redirects, never showing an address: it may be a password.

https only (plain http to this machine itself), certificates checked, public addresses only unless the source says otherwise. A
proxy named in the environment is used; a login for the host in ~/.netrc is not.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec
import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from connectors.connections import Adapter, Cut, is_loopback
from connectors.contract import Answer, Call, Endpoint
from connectors.errors import AccessError, OptionError, TemporaryError, Unanswered
from connectors.secrets import mask

CONNECT_TIMEOUT = 10.0
LARGEST = 64 * 1024 * 1024
MOST_VALUES = 2_000_000  # of one answer: 2 500 rows of 100 columns are a quarter of a million
_BULKY = 8 * 1024 * 1024  # no smaller answer can fill the memory, whatever it holds
_CHUNK = 256 * 1024
_LONGEST_REST = 600.0  # seconds
_BROKEN, _MOST_BROKEN = "\ufffd", 3  # what stands for bytes that are no UTF-8, and how many of them are an accident of a field
_BROKE = "the connection broke"
_HOST = re.compile(r"[\w.-]+|\[[0-9A-Fa-f:.]+\]")


@dataclass(frozen=True, slots=True)
class Received:
    """An answer as it came."""

    status: int
    raw: bytes
    content_type: str
    location_host: str | None
    retry_after: float | None

    def opened(self) -> Answer:
        """The decoded answer. The content type is not believed: error pages come as JSON and JSON as text."""
        is_json, body = True, None
        try:
            body = _decoded(self.raw)
        except (ValueError, RecursionError):
            is_json = False
        return Answer(
            status=self.status,
            body=body,
            is_json=is_json,
            content_type=self.content_type,
            length=len(self.raw),
            location_host=self.location_host,
            retry_after=self.retry_after,
        )


class HttpWire:
    """Sends calls to one endpoint; `pool` threads may send at once.

    Raises OptionError for an address that is neither https nor plain http to this machine itself, or that holds a user name.
    """

    def __init__(self, endpoint: Endpoint, pool: int = 1) -> None:
        base = _address(endpoint.base.reveal())
        self.host = base.hostname or ""
        self._endpoint = endpoint
        self._secrets = (endpoint.base, *endpoint.headers.values())
        is_local = is_loopback(self.host)
        if not self.host or base.scheme not in ("https", "http") or (base.scheme == "http" and not is_local):
            raise OptionError(
                f"the address of {self.host or 'the source'} must begin with https://",
                hint="copy the whole address as the CRM shows it; it is a password and travels encrypted only",
            )
        session = requests.Session()
        session.trust_env = not is_local  # a proxy set for the world must not see calls to this machine
        session.auth = _as_it_is  # or requests would send the login that ~/.netrc has for the host, or for any host
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # no state: threads share the session
        session.mount(f"{base.scheme}://", Adapter(pool, is_public_only=not (is_local or endpoint.private_network)))
        session.headers["User-Agent"] = f"payback/{_version()}"
        session.headers["Accept"] = "application/json"
        for name, secret in endpoint.headers.items():
            session.headers[name] = secret.reveal()
        self._session = session

    def send(self, call: Call, timeout: float) -> Received:
        """What one call was answered within 10 + `timeout` seconds, all in all. Raises TemporaryError for network faults and
        answers over 64 MB, AccessError when the server's certificate is not valid, OptionError for a private address; of the
        temporary ones Unanswered when the call may have arrived."""
        if call.verb == "POST":
            return self.upload(call.method, msgspec.json.encode(dict(call.params)), "application/json", timeout)
        return self._timed(call.verb, call.method, timeout, params=dict(call.params))

    def upload(
        self, method: str, body: bytes, content_type: str, timeout: float, *, headers: Mapping[str, str] | None = None
    ) -> Received:
        """What a POST of that body was answered; raises as `send` does."""
        return self._timed("POST", method, timeout, data=body, headers={**(headers or {}), "Content-Type": content_type})

    def _timed(self, verb: str, method: str, timeout: float, **sent: Any) -> Received:
        with Cut(CONNECT_TIMEOUT + timeout) as cut:
            try:
                received = self._exchange(verb, method, timeout, **sent)
            except TemporaryError:
                if not cut.is_due:
                    raise
        if cut.is_due:  # also when all seemed well: an answer without a length ends where the connection does
            raise self._fault("the answer came too slowly", Unanswered)
        return received

    def _exchange(self, verb: str, method: str, timeout: float, **sent: Any) -> Received:
        url = f"{self._endpoint.base.reveal()}{method}{self._endpoint.suffix}"
        try:
            response = self._session.request(
                verb,
                url,
                **sent,
                timeout=(CONNECT_TIMEOUT, timeout),
                allow_redirects=False,  # a POST would become a GET, and the path with the password would go to another host
                stream=True,
            )
            with response:
                return _received(response, self._body(response))
        # `from None`: the texts of requests' errors show the address, which is the password.
        except requests.exceptions.SSLError as error:
            text = mask(str(error), self._secrets).lower()
            if "certificate" in text:
                raise AccessError(
                    f"the certificate of {self.host} is not valid",
                    hint="check the address and this machine's clock; a company proxy's certificate goes into REQUESTS_CA_BUNDLE",
                ) from None
            raise self._fault("the encrypted connection broke", Unanswered) from None
        except requests.exceptions.ConnectTimeout:
            raise self._fault(f"no answer within {timeout:.0f} s") from None
        except requests.exceptions.Timeout:
            raise self._fault(f"no answer within {timeout:.0f} s", Unanswered) from None
        except requests.exceptions.ProxyError:
            raise self._fault("the proxy refused the connection") from None
        except requests.exceptions.ConnectionError as error:
            what = _words(error)
            raise self._fault(what, Unanswered if what == _BROKE else TemporaryError) from None
        except ReadTimeoutError:
            raise self._fault(f"no answer within {timeout:.0f} s", Unanswered) from None
        except (requests.exceptions.RequestException, HTTPError, OSError):
            raise self._fault("the connection broke while the answer was read", Unanswered) from None

    def close(self) -> None:
        """Give back the sockets."""
        self._session.close()

    def _body(self, response: requests.Response) -> bytes:
        pieces: list[bytes] = []
        length = 0
        # read1 gives what is there; iter_content would wait for a full chunk, for hours when a server drips.
        while piece := response.raw.read1(_CHUNK, decode_content=True):
            length += len(piece)
            if length > LARGEST:
                raise self._fault(f"the answer is larger than {LARGEST >> 20} MB", Unanswered)
            pieces.append(piece)
        raw = b"".join(pieces)
        # Decoded, `{},` takes thirty times the memory.
        if length > _BULKY and sum(map(raw.count, (b",", b"[", b"{"))) > MOST_VALUES:
            raise self._fault(f"the answer holds more than {MOST_VALUES} values", Unanswered)
        return raw

    def _fault(self, what: str, kind: type[TemporaryError] = TemporaryError) -> TemporaryError:
        return kind(
            f"{self.host}: {what}", hint="check the network and that the address opens in a browser, then run again: it resumes"
        )


def _received(response: requests.Response, raw: bytes) -> Received:
    location = response.headers.get("Location") if 300 <= response.status_code < 400 else None
    return Received(
        response.status_code,
        raw,
        response.headers.get("Content-Type", "").split(";")[0].strip().lower(),
        _host(location) if location else None,
        _seconds(response.headers),
    )


def _host(location: str) -> str | None:
    try:
        return urlsplit(location).hostname
    except ValueError:
        return None


def _seconds(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds, at most ten minutes: a night must not end there. The CRMs we know do not use the date form."""
    value = headers.get("Retry-After", "")
    return min(float(value), _LONGEST_REST) if value.isascii() and value.isdigit() and len(value) < 6 else None


def _words(error: requests.exceptions.ConnectionError) -> str:
    text = str(error)
    if "NameResolution" in text or "getaddrinfo" in text or "Name or service" in text:
        return "the name is not known (no network, or the address has a typo)"
    if "Connection refused" in text:
        return "the connection was refused"
    return _BROKE


def _address(text: str) -> SplitResult:
    """The parts of an address. Raises OptionError for one that two programs could read in two ways, or that holds a login."""
    try:
        base = urlsplit(text)
        host = base.netloc.rpartition(":")[0] if base.port is not None else base.netloc
    except ValueError:
        base, host = SplitResult("", "", "", "", ""), ""
    if "@" in base.netloc:
        raise OptionError(
            "the address holds a user name or a password before its host: https://USER:PASSWORD@HOST",
            hint="take that part out: logins go into options of their own",
        )
    if host and _HOST.fullmatch(host) is None:
        raise OptionError("the address has a host that is no host name", hint="copy the whole address as the CRM shows it")
    return base


def _decoded(raw: bytes) -> Any:
    """JSON as it is meant. One number beyond all bounds or half a character in one field must not cost the whole answer: such
    a value stays text, and the row's reader refuses it. Many are another charset than JSON's: read on, every text of the answer
    would be stored as question marks. Raises ValueError, RecursionError (nested too deep)."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = raw.decode("utf-8-sig", "replace")
        if text.count(_BROKEN) - raw.count(_BROKEN.encode()) > _MOST_BROKEN:
            raise ValueError("another charset") from None
        return json.loads(text, parse_int=_whole, parse_float=_fraction, parse_constant=str)


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) < 20 else digits[:40]


def _fraction(digits: str) -> float | str:
    number = float(digits)
    return digits[:40] if number in (float("inf"), float("-inf")) else number


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _version() -> str:
    try:
        return version("payback")
    except PackageNotFoundError:
        return "0"
