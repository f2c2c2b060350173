"""The only sockets: JSON over HTTP, with timeouts, without redirects, never showing an address: it may be a password."""

import ipaddress
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

import msgspec
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError

from connectors.contract import Answer, Call, Endpoint
from connectors.errors import AccessError, OptionError, TemporaryError
from connectors.secrets import mask

CONNECT_TIMEOUT = 10.0
LARGEST = 64 * 1024 * 1024
_CHUNK = 256 * 1024


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
            body = msgspec.json.decode(self.raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
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

    Raises OptionError for an address that is neither https nor plain http to this machine itself.
    """

    def __init__(self, endpoint: Endpoint, pool: int = 1) -> None:
        base = urlsplit(endpoint.base.reveal())
        self.host = base.hostname or ""
        self._endpoint = endpoint
        self._secrets = (endpoint.base, *endpoint.headers.values())
        is_local = _is_loopback(self.host)
        if not self.host or base.scheme not in ("https", "http") or (base.scheme == "http" and not is_local):
            raise OptionError(
                f"the address of {self.host or 'the source'} must begin with https://",
                hint="copy the whole address as the CRM shows it; it is a password and travels encrypted only",
            )
        session = requests.Session()
        session.trust_env = not is_local  # a proxy set for the world must not see calls to this machine
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # no state: threads share the session
        session.mount(f"{base.scheme}://", HTTPAdapter(pool_connections=1, pool_maxsize=max(1, pool)))
        session.headers["User-Agent"] = f"payback/{_version()}"
        session.headers["Accept"] = "application/json"
        for name, secret in endpoint.headers.items():
            session.headers[name] = secret.reveal()
        self._session = session

    def send(self, call: Call, timeout: float) -> Received:
        """What one call was answered within `timeout` seconds. Raises TemporaryError for network faults and answers over 64 MB,
        AccessError when the server's certificate is not valid."""
        url = f"{self._endpoint.base.reveal()}{call.method}{self._endpoint.suffix}"
        deadline = time.monotonic() + CONNECT_TIMEOUT + timeout
        is_post = call.verb == "POST"
        try:
            response = self._session.request(
                call.verb,
                url,
                params=None if is_post else dict(call.params),
                data=msgspec.json.encode(dict(call.params)) if is_post else None,
                headers={"Content-Type": "application/json"} if is_post else None,
                timeout=(CONNECT_TIMEOUT, timeout),
                allow_redirects=False,  # a POST would become a GET, and the path with the password would go to another host
                stream=True,
            )
            with response:
                return _received(response, self._body(response, deadline))
        # `from None`: the texts of requests' errors show the address, which is the password.
        except requests.exceptions.SSLError as error:
            text = mask(str(error), self._secrets).lower()
            if "certificate" in text:
                raise AccessError(
                    f"the certificate of {self.host} is not valid",
                    hint="check the address and this machine's clock; a company proxy's certificate goes into REQUESTS_CA_BUNDLE",
                ) from None
            raise self._fault("the encrypted connection broke") from None
        except requests.exceptions.Timeout:
            raise self._fault(f"no answer within {timeout:.0f} s") from None
        except requests.exceptions.ProxyError:
            raise self._fault("the proxy refused the connection") from None
        except requests.exceptions.ConnectionError as error:
            raise self._fault(_words(error)) from None
        except ReadTimeoutError:
            raise self._fault(f"no answer within {timeout:.0f} s") from None
        except (requests.exceptions.RequestException, HTTPError, OSError):
            raise self._fault("the connection broke while the answer was read") from None

    def close(self) -> None:
        """Give back the sockets."""
        self._session.close()

    def _body(self, response: requests.Response, deadline: float) -> bytes:
        pieces: list[bytes] = []
        length = 0
        # read1 gives what is there; iter_content would wait for a full chunk, for hours when a server drips.
        while piece := response.raw.read1(_CHUNK, decode_content=True):
            length += len(piece)
            if length > LARGEST:
                raise self._fault(f"the answer is larger than {LARGEST >> 20} MB")
            if time.monotonic() > deadline:
                raise self._fault("the answer came too slowly")
            pieces.append(piece)
        return b"".join(pieces)

    def _fault(self, what: str) -> TemporaryError:
        return TemporaryError(
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
    """`Retry-After` in seconds; the date form is not used by the CRMs we know."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 6 else None


def _words(error: requests.exceptions.ConnectionError) -> str:
    text = str(error)
    if "NameResolution" in text or "getaddrinfo" in text or "Name or service" in text:
        return "the name is not known (no network, or the address has a typo)"
    if "Connection refused" in text:
        return "the connection was refused"
    return "the connection broke"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _version() -> str:
    try:
        return version("payback")
    except PackageNotFoundError:
        return "0"
