"""Whom the wire speaks to and for how long, against real servers: private addresses, certificates, bombs, drips."""

import gzip
import json
import re
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
import trustme

from connectors import connections, transport
from connectors.connections import is_public
from connectors.contract import Call, Endpoint
from connectors.errors import AccessError, OptionError, SourceError, TemporaryError
from connectors.secrets import Secret
from connectors.transport import HttpWire, Received

CODE = "c0de7canary"
Talk = Callable[[socket.socket], None]
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "NO_PROXY", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own proxies are no part of these tests."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)


class Listener:
    """A server that hands every connection to `talk` after reading a request, and counts who came."""

    def __init__(self, talk: Talk, context: ssl.SSLContext | None = None) -> None:
        self._talk, self._context = talk, context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.n_connections = 0
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._socket.accept()
                self.n_connections += 1
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with suppress(OSError), closing(peer):
            if self._context is not None:
                peer = self._context.wrap_socket(peer, server_side=True)
            with closing(peer):
                if request := read_request(peer):
                    self.requests.append(request)
                    self._talk(peer)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


def read_request(peer: socket.socket) -> bytes:
    """One whole request: what is left unread when a socket closes would reset the connection under the answer."""
    raw, n_missing = b"", 1
    while n_missing > 0 and (piece := peer.recv(65536)):
        raw += piece
        head, found, body = raw.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        n_missing = (int(length[1]) if length else 0) - len(body) if found else 1
    return raw


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    opened: list[Listener] = []

    def start(talk: Talk, context: ssl.SSLContext | None = None) -> Listener:
        opened.append(Listener(talk, context))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def wire_to(listener: Listener, host: str = "127.0.0.1", scheme: str = "http", *, private_network: bool = False) -> HttpWire:
    base = Secret(f"{scheme}://{host}:{listener.port}/rest/1/{CODE}/")
    return HttpWire(Endpoint(base, private_network=private_network))


def answer(body: bytes, *headers: str) -> Talk:
    lines = "".join(f"{line}\r\n" for line in (*headers, f"Content-Length: {len(body)}", "Connection: close"))
    return lambda peer: peer.sendall(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + body)


def fine(peer: socket.socket) -> None:
    answer(b'{"result": []}')(peer)


def refused(wire: HttpWire, error: type[SourceError], what: str, timeout: float = 5) -> SourceError:
    with closing(wire), pytest.raises(error, match=what) as caught:
        wire.send(Call("fine"), timeout)
    assert CODE not in f"{caught.value} {caught.value.hint}"
    return caught.value


# --- which addresses ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "240.0.0.1",
     "::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::10.0.0.1",
     "2002:0a00:0001::1"],
)  # fmt: skip
def test_addresses_that_are_nobody_elses_business(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "91.215.36.1", "2a00:1450:4010::8a", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"])
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public(address)


def test_a_name_that_leads_into_the_private_network_is_not_connected_to(
    listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = listen(fine)
    _names(monkeypatch, {"portal.example": ["127.0.0.1", "10.0.0.1"]})
    error = refused(wire_to(inside, "portal.example", "https"), OptionError, r"portal\.example .* private network")
    assert "private_network = true" in error.hint
    assert inside.n_connections == 0


def test_an_address_written_as_a_number_is_looked_at_too(listen: Callable[..., Listener]) -> None:
    inside = listen(fine)
    refused(wire_to(inside, "2130706433", "https"), OptionError, "private network")
    refused(wire_to(inside, "0x7f000001", "https"), OptionError, "private network")
    assert inside.n_connections == 0


def test_the_address_that_was_checked_is_the_one_connected_to(
    listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the name server says something else when asked again."""
    inside = listen(fine)
    asked = _names(monkeypatch, {"portal.example": ["203.0.113.9"]}, then={"portal.example": ["127.0.0.1"]})
    monkeypatch.setattr(connections, "is_public", lambda address: address == "203.0.113.9")
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT", 0.3)
    refused(wire_to(inside, "portal.example", "https"), TemporaryError, r"portal\.example", 0.3)
    assert asked.count("portal.example") == 1
    assert inside.n_connections == 0


def _names(monkeypatch: pytest.MonkeyPatch, known: dict[str, list[str]], then: dict[str, list[str]] | None = None) -> list[str]:
    """A name server for these names, which answers otherwise (`then`) the second time; the names it was asked for."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: str, port: int, *rest: object, **options: object) -> object:
        addresses = (then if then and host in asked else known).get(host)
        asked.append(host)
        if addresses is None:
            return real(host, port, *rest, **options)  # type: ignore[arg-type, call-overload]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


@pytest.mark.parametrize(
    "base",
    ["https://user:{}@portal.example/rest/1/x/", "https://portal.example\\@evil.example/{}/", "https://[::1/{}/",
     "https://portal.example:99999/{}/", "https://portal.example:x/{}/", "https://por tal.example/{}/",
     "https://portal.example%2eevil.example/{}/", "https:///{}/", "file:///etc/{}/", "gopher://127.0.0.1/{}/",
     "http://localhost.evil.example/{}/", "http://127.0.0.1.evil.example/{}/", "http://2130706433/{}/"],
)  # fmt: skip
def test_addresses_with_logins_or_two_meanings_are_refused(base: str) -> None:
    with pytest.raises(OptionError) as caught:
        HttpWire(Endpoint(Secret(base.format(CODE))))
    assert CODE not in f"{caught.value} {caught.value.hint}"
    assert caught.value.hint


# --- certificates ---------------------------------------------------------------------------------------------------


def _tls(*names: str, authority: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (authority or trustme.CA()).issue_cert(*names).configure_cert(context)
    return context


def test_a_certificate_nobody_vouches_for_is_refused(listen: Callable[..., Listener]) -> None:
    server = listen(fine, _tls("localhost"))
    refused(wire_to(server, "localhost", "https"), AccessError, "certificate of localhost is not valid")
    assert not server.requests  # the address with the password was never sent


def test_a_certificate_counts_for_its_own_name_only_and_a_companys_authority_can_be_named(
    listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    _names(monkeypatch, {"portal.example": ["127.0.0.1"]})
    fit, unfit = (listen(fine, _tls(name, authority=authority)) for name in ("portal.example", "other.example"))
    with closing(wire_to(fit, "portal.example", "https", private_network=True)) as wire:
        assert wire.send(Call("fine"), 5).opened().body == {"result": []}
    refused(wire_to(unfit, "portal.example", "https", private_network=True), AccessError, "certificate of portal.example")


def test_a_certificate_whose_time_is_over_is_refused(
    listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from datetime import UTC, datetime

    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    _names(monkeypatch, {"portal.example": ["127.0.0.1"]})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("portal.example", not_after=datetime(2020, 1, 1, tzinfo=UTC)).configure_cert(context)
    server = listen(fine, context)
    refused(wire_to(server, "portal.example", "https", private_network=True), AccessError, "certificate")
    assert not server.requests


# --- what the environment adds ----------------------------------------------------------------------------------------


def test_a_proxy_of_the_environment_sees_a_tunnel_and_never_the_address(
    listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = listen(lambda peer: peer.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"))
    monkeypatch.setenv("HTTPS_PROXY", f"http://name:pa55word@127.0.0.1:{proxy.port}")
    with closing(HttpWire(Endpoint(Secret(f"https://portal.example/rest/1/{CODE}/")))) as wire:
        error = refused(wire, TemporaryError, "the proxy refused")
    assert "pa55word" not in f"{error} {error.hint}"
    (request,) = proxy.requests
    assert request.startswith(b"CONNECT portal.example:443 ")
    assert CODE.encode() not in request


def test_calls_to_this_machine_go_past_proxies(listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch) -> None:
    server, proxy = listen(fine), listen(fine)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    with closing(wire_to(server)) as wire:
        wire.send(Call("fine"), 5)
    assert (server.n_connections, proxy.n_connections) == (1, 0)


def test_a_login_in_netrc_goes_nowhere(listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    (tmp_path / "netrc").write_text("default login me password n3trc\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    _names(monkeypatch, {"portal.example": ["127.0.0.1"]})
    server = listen(fine, _tls("portal.example", authority=authority))
    with closing(wire_to(server, "portal.example", "https", private_network=True)) as wire:
        wire.send(Call("fine"), 5)
    assert b"authorization" not in server.requests[0].lower()


# --- how much and how long --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_layers", [1, 3])
def test_a_packed_bomb_stays_small_in_memory(listen: Callable[..., Listener], n_layers: int) -> None:
    body = b" " * (transport.LARGEST * 2)
    for _ in range(n_layers):
        body = gzip.compress(body, 9 if len(body) < 1e6 else 1)
    server = listen(answer(body, f"Content-Encoding: {', '.join(['gzip'] * n_layers)}"))
    tracemalloc.start()
    try:
        refused(wire_to(server), TemporaryError, "larger than 64 MB", 20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * transport.LARGEST


def test_more_layers_than_anybody_packs_are_refused(listen: Callable[..., Listener]) -> None:
    server = listen(answer(b"x", "Content-Encoding: " + ", ".join(["gzip"] * 1000)))
    refused(wire_to(server), TemporaryError, "broke")


def test_an_answer_of_nothing_but_brackets_is_refused_before_it_is_decoded(
    listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_BULKY", 100_000)
    monkeypatch.setattr(transport, "MOST_VALUES", 50_000)
    server = listen(answer(b"[" + b"{}," * 60_000 + b"{}]"))
    refused(wire_to(server), TemporaryError, "more than 50000 values")
    plain = listen(answer(json.dumps({"result": "x" * 200_000}).encode()))
    with closing(wire_to(plain)) as wire:
        assert wire.send(Call("fine"), 5).opened().is_json


def _drip(start: bytes, drop: bytes) -> Talk:
    """Sends `drop` again and again, often enough for every read timeout."""

    def talk(peer: socket.socket) -> None:
        peer.sendall(start)
        for _ in range(500):
            peer.sendall(drop)
            time.sleep(0.02)

    return talk


DRIPS = {
    "status": (b"HTTP/1.1 2", b"0"),
    "headers": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
    "chunk size": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
    "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "packed nothing": (b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: 9999\r\n\r\n", b"\x00\x00\x00\xff\xff"),
    "no length": (b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"result": []}', b" "),
}


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("where", DRIPS)
def test_a_server_that_drips_is_cut_off_in_time(
    listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str, secure: bool
) -> None:
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT", 0.2)
    host, context = "127.0.0.1", None
    if secure:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(tmp_path / "authority.pem")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
        _names(monkeypatch, {"portal.example": ["127.0.0.1"]})
        host, context = "portal.example", _tls("portal.example", authority=authority)
    server = listen(_drip(*DRIPS[where]), context)
    started = time.monotonic()
    scheme = "https" if secure else "http"
    refused(wire_to(server, host, scheme, private_network=True), TemporaryError, "came too slowly|broke", 0.3)
    assert time.monotonic() - started < 3


def test_a_deadline_that_has_passed_does_not_reach_the_next_call(
    listen: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket of a finished call goes back to the pool and serves the next one: the old deadline must not cut it."""
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT", 0.1)

    def twice(peer: socket.socket) -> None:
        for _ in range(2):
            peer.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"result": []}')
            if read_request(peer):
                time.sleep(0.25)

    server = listen(twice)
    with closing(wire_to(server)) as wire:
        for timeout in (0.1, 5.0):
            assert wire.send(Call("fine"), timeout).status == 200
    assert server.n_connections == 1


# --- what an answer may hold --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b'{"a": 1e400, "b": [1, ' + b"9" * 5000 + b"]}", {"a": "1e400", "b": [1, "9" * 40]}),
        (rb'["\ud800", "fine"]', ["\ud800", "fine"]),
        (b'["\xff\xd0", 2.5]', ["\ufffd\ufffd", 2.5]),
        (b'\xef\xbb\xbf{"a": NaN}', {"a": "NaN"}),
        (b"[12345678901234567890, -1]", [12345678901234567890, -1]),
    ],
)
def test_one_impossible_value_does_not_cost_the_answer(raw: bytes, body: object) -> None:
    opened = Received(200, raw, "application/json", None, None).opened()
    assert (opened.is_json, opened.body) == (True, body)


@pytest.mark.parametrize("raw", [b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000, b'{"a": [1,', b"", b"\xff\xfe", b"<html>"])
def test_what_is_no_json_or_has_no_floor_is_not_decoded(raw: bytes) -> None:
    opened = Received(200, raw, "application/json", None, None).opened()
    assert (opened.is_json, opened.body) == (False, None)
