"""The wire against real sockets: a small HTTP server on this machine."""

import gzip
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
import requests
import responses

from connectors import transport
from connectors.contract import Call, Endpoint
from connectors.errors import AccessError, OptionError, SourceError, TemporaryError
from connectors.secrets import Secret
from connectors.transport import HttpWire

CODE = "c0de7canary"
TOKEN = "t0ken7canary"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: ClassVar[list[tuple[str, str, dict[str, str], bytes]]] = []
    release: ClassVar[threading.Event] = threading.Event()

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        Handler.seen.append((self.command, self.path, dict(self.headers), raw))
        getattr(self, "say_" + self.path.split("?")[0].rsplit("/", 1)[-1].removesuffix(".json"))()

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None: ...

    def _reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def say_fine(self) -> None:
        body = json.dumps({"result": ["Иван", 1.5, None]}).encode()
        self._reply(200, body, Content_Type="text/html; charset=x", Set_Cookie="a=b")

    def say_refused(self) -> None:
        self._reply(503, b'{"error": "QUERY_LIMIT_EXCEEDED"}', Content_Type="application/json", Retry_After="7")

    def say_page(self) -> None:
        self._reply(502, b"<html>" + CODE.encode() + b"</html>", Content_Type="text/html")

    def say_cut(self) -> None:
        self._reply(200, b'{"result": [1, 2', Content_Type="application/json")

    def say_moved(self) -> None:
        self._reply(302, b"", Location=f"https://renamed.example/rest/1/{CODE}/moved")

    def say_broken(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b'{"result"')
        self.wfile.flush()
        self.close_connection = True

    def say_silent(self) -> None:
        Handler.release.wait(5)
        self.close_connection = True

    def say_dripping(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while not Handler.release.wait(0.02):
            try:
                self.wfile.write(b" ")
                self.wfile.flush()
            except OSError:
                break
        self.close_connection = True

    def say_zipped(self) -> None:
        body = gzip.compress(json.dumps({"result": list(range(200_000))}).encode())
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for i in range(0, len(body), 7000):
            piece = body[i : i + 7000]
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def say_bomb(self) -> None:
        self._reply(200, gzip.compress(b" " * 5_000_000), Content_Encoding="gzip")

    def say_huge(self) -> None:
        self._reply(200, b"[" + b"1," * 100_000 + b"1]")


@pytest.fixture
def server() -> Iterator[str]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    Handler.seen.clear()
    Handler.release.clear()
    yield f"http://127.0.0.1:{httpd.server_port}/rest/1/{CODE}/"
    Handler.release.set()
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def wire(server: str) -> Iterator[HttpWire]:
    wire = HttpWire(Endpoint(Secret(server), {"Authorization": Secret(f"Bearer {TOKEN}")}, ".json"), pool=2)
    yield wire
    wire.close()


def test_a_call_is_posted_as_json_and_its_answer_decoded_whatever_its_type_says(wire: HttpWire) -> None:
    answer = wire.send(Call("fine", {"filter": {">ID": 5}, "name": "Ёж"}), 5).opened()
    assert (answer.status, answer.body, answer.is_json) == (200, {"result": ["Иван", 1.5, None]}, True)
    assert answer.content_type == "text/html"
    method, path, headers, raw = Handler.seen[0]
    assert (method, path, json.loads(raw)) == ("POST", f"/rest/1/{CODE}/fine.json", {"filter": {">ID": 5}, "name": "Ёж"})
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["User-Agent"].startswith("payback/")


def test_get_sends_parameters_as_query_and_cookies_are_not_kept(wire: HttpWire) -> None:
    wire.send(Call("fine"), 5)
    wire.send(Call("fine", {"page": 2}, verb="GET"), 5)
    method, path, headers, raw = Handler.seen[1]
    assert (method, path.split("/")[-1], raw) == ("GET", "fine.json?page=2", b"")
    assert "Cookie" not in headers


def test_error_bodies_are_read_too(wire: HttpWire) -> None:
    answer = wire.send(Call("refused"), 5).opened()
    assert (answer.status, answer.body, answer.retry_after) == (503, {"error": "QUERY_LIMIT_EXCEEDED"}, 7.0)


@pytest.mark.parametrize(("method", "status", "length"), [("page", 502, 13 + len(CODE)), ("cut", 200, 16)])
def test_what_is_no_json_is_told_by_type_and_length_only(wire: HttpWire, method: str, status: int, length: int) -> None:
    answer = wire.send(Call(method), 5).opened()
    assert (answer.status, answer.is_json, answer.body, answer.length) == (status, False, None, length)


def test_a_redirect_is_not_followed_and_only_its_host_is_told(wire: HttpWire) -> None:
    answer = wire.send(Call("moved"), 5).opened()
    assert (answer.status, answer.location_host) == (302, "renamed.example")
    assert CODE not in repr(answer)
    assert len(Handler.seen) == 1


@pytest.mark.parametrize(
    ("method", "timeout", "what"), [("broken", 5, "broke"), ("silent", 0.2, "no answer within"), ("dripping", 0.2, "too slowly")]
)
def test_network_faults_are_temporary(
    wire: HttpWire, method: str, timeout: float, what: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(transport, "CONNECT_TIMEOUT", 0.2)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(TemporaryError, match=f"127.0.0.1: .*{what}") as caught:
        wire.send(Call(method), timeout)
    _is_discreet(caught.value, "")
    assert TOKEN not in caplog.text


def test_an_answer_without_end_is_refused(wire: HttpWire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LARGEST", 100_000)
    for method in ("huge", "bomb"):
        with pytest.raises(TemporaryError, match="larger than"):
            wire.send(Call(method), 5)


def test_a_packed_answer_in_chunks_is_read_completely(wire: HttpWire) -> None:
    assert wire.send(Call("zipped"), 5).opened().body == {"result": list(range(200_000))}


def test_nobody_at_home_is_temporary() -> None:
    wire = HttpWire(Endpoint(Secret(f"http://127.0.0.1:9/rest/1/{CODE}/")))
    with pytest.raises(TemporaryError, match="refused") as caught:
        wire.send(Call("fine"), 1)
    _is_discreet(caught.value, "")


def test_a_name_nobody_knows_is_temporary() -> None:
    wire = HttpWire(Endpoint(Secret(f"https://nobody.invalid/rest/1/{CODE}/")))
    with pytest.raises(TemporaryError, match=r"nobody\.invalid") as caught:
        wire.send(Call("fine"), 1)
    _is_discreet(caught.value, "")


@pytest.mark.parametrize("base", ["http://portal.example/rest/1/{}/", "ftp://127.0.0.1/{}/", "{}", "http://10.0.0.1/rest/1/{}/"])
def test_other_than_https_is_refused_outside_this_machine(base: str) -> None:
    with pytest.raises(OptionError, match="https://") as caught:
        HttpWire(Endpoint(Secret(base.format(CODE))))
    _is_discreet(caught.value, "")


def _is_discreet(error: SourceError, log: str) -> None:
    assert CODE not in f"{error} {error!r} {error.hint} {log}"
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None
    assert error.hint


# --- over https, where no server on this machine can stand in ---------------------------------------------------------

PORTAL = f"https://salon.bitrix24.ru/rest/1/{CODE}/"


@pytest.fixture
def portal() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def secure(portal: responses.RequestsMock) -> Iterator[HttpWire]:
    wire = HttpWire(Endpoint(Secret(PORTAL), {"Authorization": Secret(f"Bearer {TOKEN}")}))
    yield wire
    wire.close()


def test_https_carries_the_headers_and_checks_certificates(portal: responses.RequestsMock, secure: HttpWire) -> None:
    portal.post(f"{PORTAL}profile", json={"result": {"ID": "1"}})
    assert secure.send(Call("profile", {"a": 1}), 5).opened().body == {"result": {"ID": "1"}}
    (call,) = portal.calls
    headers = call.request.headers
    assert (headers["Authorization"], headers["Content-Type"]) == (f"Bearer {TOKEN}", "application/json")
    assert headers["User-Agent"].startswith("payback/")
    sent = call.request.req_kwargs  # type: ignore[attr-defined]  # added by the library that plays the server
    assert sent["verify"] is not False
    assert sent["timeout"] == (transport.CONNECT_TIMEOUT, 5)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_of_https_is_not_followed(portal: responses.RequestsMock, secure: HttpWire, status: int) -> None:
    portal.post(f"{PORTAL}profile", status=status, headers={"Location": f"https://renamed.example/rest/1/{CODE}/profile"})
    answer = secure.send(Call("profile"), 5)
    assert (answer.status, answer.location_host) == (status, "renamed.example")
    assert CODE not in repr(answer)
    assert len(portal.calls) == 1  # the password in the path went nowhere else


@pytest.mark.parametrize(
    ("fault", "error", "what"),
    [
        (requests.exceptions.SSLError("certificate verify failed: {}"), AccessError, r"certificate of salon\.bitrix24\.ru"),
        (requests.exceptions.SSLError("UNEXPECTED_EOF_WHILE_READING {}"), TemporaryError, "encrypted connection broke"),
        (requests.exceptions.ProxyError("cannot connect to proxy {}"), TemporaryError, "proxy refused"),
        (requests.exceptions.ConnectTimeout("timed out: {}"), TemporaryError, "no answer within 5 s"),
        (requests.exceptions.ConnectionError("Connection refused {}"), TemporaryError, "refused"),
    ],
)
def test_faults_of_https_show_no_address(
    portal: responses.RequestsMock, secure: HttpWire, fault: Exception, error: type[SourceError], what: str
) -> None:
    portal.post(f"{PORTAL}profile", body=type(fault)(str(fault).format(f"{PORTAL}profile {TOKEN}")))
    with pytest.raises(error, match=what) as caught:
        secure.send(Call("profile"), 5)
    _is_discreet(caught.value, "")
    assert TOKEN not in f"{caught.value} {caught.value.hint}"
