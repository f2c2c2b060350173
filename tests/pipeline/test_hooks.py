"""The receiver of webhooks, by real sockets: what it takes, what it refuses, and that nobody can hold it up."""

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
import uvicorn
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from connectors.bitrix24 import Options
from connectors.bitrix24.events import Event, is_genuine
from pipeline.errors import WarehouseError
from pipeline.inbox import Inbox
from pipeline.settings import Settings, load_settings
from pipeline.state import FILE, State
from pipeline.web import hooks

TOKEN = "f0e1d2c3b4a5968778695a4b3c2d1e0f"
MEMBER = "d897063e1ce7c5eb9f04b9751eef5915"
ENVIRON = {
    "PAYBACK_HASH_KEY": "0123456789abcdef0123",
    "WEBHOOK": "https://salon.bitrix24.ru/rest/1/s3cr3tc0de/",
    "TOKEN": TOKEN,
    "OTHER": "1" * 32,
}
CONFIG = f"""
[sources.salon]
kind = "bitrix24"
webhook = "env:WEBHOOK"
application_token = "env:TOKEN"
[sources.strict]
kind = "bitrix24"
webhook = "env:WEBHOOK"
application_token = "env:OTHER"
member_id = "{MEMBER}"
domain = "salon.bitrix24.ru"
[sources.silent]
kind = "bitrix24"
webhook = "env:WEBHOOK"
"""


class Desk:
    """A running receiver and what it wrote."""

    def __init__(self, url: str, settings: Settings, registry: CollectorRegistry) -> None:
        self.url, self.port, self.registry = url, int(url.rsplit(":", 1)[1]), registry
        self.inbox = Inbox(State(settings.home))
        self.session = requests.Session()
        self.session.trust_env = False

    def post(self, source: str = "salon", body: Any = None, kind: str = hooks.FORM, **changed: str) -> requests.Response:
        sent = form(**changed) if body is None else body
        return self.session.post(f"{self.url}/hooks/bitrix24/{source}", sent, headers={"Content-Type": kind}, timeout=20)

    def waiting(self, source: str = "salon") -> set[tuple[str, int]]:
        return {(entry.stream, entry.key) for entry in self.inbox.entries(source, 100_000)}

    def n(self, outcome: str, source: str = "salon") -> float:
        return self.registry.get_sample_value("payback_webhook_events_total", {"source": source, "outcome": outcome}) or 0.0

    def raw(self, *parts: bytes, pause: float = 0.0) -> bytes:
        """What comes back for bytes sent as they are, piece by piece, until the server hangs up or has answered."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
            return connection.recv(65536)


def form(**changed: str) -> bytes:
    given = {"event": "ONCRMLEADUPDATE", "id": "77", "token": TOKEN, "member": MEMBER, "domain": "salon.bitrix24.ru", **changed}
    names = {
        "event": "event",
        "id": "data[FIELDS][ID]",
        "token": "auth[application_token]",
        "member": "auth[member_id]",
        "domain": "auth[domain]",
    }
    more = {"event_handler_id": "975", "ts": "1766047124"}
    return urlencode(more | {names[name]: text for name, text in given.items()}).encode()


def head_of(length: int, source: str = "salon") -> bytes:
    """A request up to its body."""
    first = f"POST /hooks/bitrix24/{source} HTTP/1.1"
    lines = (first, "Host: x", f"Content-Type: {hooks.FORM}", f"Content-Length: {length}", "", "")
    return "\r\n".join(lines).encode()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "payback.toml").write_text(CONFIG, encoding="utf-8")
    return load_settings(tmp_path / "config", ENVIRON)


@pytest.fixture
def desk(settings: Settings) -> Iterator[Desk]:
    registry = CollectorRegistry(auto_describe=False)
    with serving(Starlette(routes=list(hooks.routes(lambda: settings, registry)))) as url:
        desk = Desk(url, settings, registry)
        yield desk
        desk.session.close()


class serving:
    """A web application on a free port of this machine, as `payback serve` runs it."""

    def __init__(self, app: Starlette) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()


# --- what is taken ----------------------------------------------------------------------------------------------------


def test_a_genuine_event_is_on_disk_before_it_is_answered(desk: Desk) -> None:
    assert desk.post(id="77").status_code == 200
    assert desk.post(event="ONCRMDEALDELETE", id="78").status_code == 200
    assert desk.waiting() == {("leads", 77), ("deals", 78)}
    assert desk.n("stored") == 2
    assert desk.registry.get_sample_value("payback_webhook_rows_waiting") == 2


def test_nothing_of_an_event_is_kept_but_the_row_it_names(desk: Desk, settings: Settings) -> None:
    secrets = {"auth[access_token]": "s3cr3t-access", "auth[refresh_token]": "s3cr3t-refresh"}
    assert desk.post(body=form() + b"&" + urlencode(secrets).encode()).status_code == 200
    stored = b"".join(path.read_bytes() for path in settings.home.glob(f"{FILE}*"))
    assert b"leads" in stored
    assert not any(text in stored for text in (b"s3cr3t", TOKEN.encode(), MEMBER.encode()))


def test_a_replay_is_harmless(desk: Desk) -> None:
    body = form(id="5")
    assert [desk.post(body=body).status_code for _ in range(20)] == [200] * 20
    assert desk.waiting() == {("leads", 5)}


@pytest.mark.parametrize("event", ["ONCRMCONTACTADD", "ONCRMDEALMOVETOCATEGORY", "ONAPPTEST", "", "<script>"])
def test_an_event_of_no_interest_is_answered_and_ignored(desk: Desk, event: str) -> None:
    assert desk.post(event=event).status_code == 200
    assert desk.waiting() == set()
    assert desk.n("ignored") == 1


def test_an_event_without_a_usable_id_is_told(desk: Desk) -> None:
    assert desk.post(id="abc").status_code == 400
    assert desk.waiting() == set()


def test_two_hundred_senders_at_once_share_transactions_and_all_are_stored(desk: Desk) -> None:
    rng = random.Random(1)
    keys = rng.sample(range(1, 10**9), 200)
    with ThreadPoolExecutor(16) as pool:
        codes = list(pool.map(lambda key: desk.post(id=str(key)).status_code, keys))
    assert codes == [200] * 200
    assert desk.waiting() == {("leads", key) for key in keys}


def test_a_sender_that_does_not_wait_for_the_answer_harms_nobody(desk: Desk) -> None:
    body = form(id="9")
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", desk.port), timeout=5) as connection:
            connection.sendall(head_of(len(body)) + body)
    assert desk.post(id="10").status_code == 200
    assert {("leads", 9), ("leads", 10)} >= desk.waiting() >= {("leads", 10)}


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed", [{"token": ""}, {"token": TOKEN[:-1]}, {"token": TOKEN.upper()}, {"token": "1" * 32}, {"token": "é" * 32}], ids=str
)
def test_a_wrong_token_is_refused_without_a_hint(desk: Desk, changed: dict[str, str]) -> None:
    answer = desk.post(**changed)
    assert (answer.status_code, answer.text) == (403, "forbidden\n")
    assert desk.post(body=b"nothing").text == answer.text
    assert desk.waiting() == set()


@pytest.mark.parametrize("changed", [{"member": "0" * 32}, {"domain": "evil.bitrix24.ru"}, {"member": ""}], ids=str)
def test_member_and_domain_are_checked_where_they_are_configured(desk: Desk, changed: dict[str, str]) -> None:
    assert desk.post("strict", token="1" * 32, **changed).status_code == 403
    assert desk.post("salon", **changed).status_code == 200
    assert desk.post("strict", token="1" * 32).status_code == 200


@pytest.mark.parametrize("source", ["nobody", "silent", "..%2fsalon", "salon%00", "%F0%9F%98%80"])
def test_a_source_that_takes_no_events_is_not_found(desk: Desk, source: str) -> None:
    assert desk.post(source).status_code == 404
    assert desk.post(source, token="").status_code == 404
    assert desk.n("stored") == 0


def test_an_unknown_source_goes_the_whole_way_of_a_known_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by the clock, which is not to be trusted here: the body is read and the token compared for both."""
    compared: list[str] = []

    def watched(event: Event, options: Options | None) -> bool:
        compared.append(event.token)
        return is_genuine(event, options)

    monkeypatch.setattr(hooks, "is_genuine", watched)
    for source in ("salon", "nobody"):
        assert desk.raw(head_of(hooks.MOST_BYTES + 1, source)).startswith(b"HTTP/1.1 413")
        assert desk.post(source, kind="text/plain").status_code == 415
        desk.post(source, token="0" * 32)
    assert compared == ["0" * 32] * 2


def test_only_a_form_by_post_is_taken(desk: Desk) -> None:
    url = f"{desk.url}/hooks/bitrix24/salon"
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        answer = desk.session.request(method, url, data=form(), timeout=5)
        assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert desk.post(kind="application/json", body=json.dumps({"event": "ONCRMLEADADD"}).encode()).status_code == 415
    assert desk.post(kind="multipart/form-data; boundary=x").status_code == 415
    assert desk.post(kind="Application/X-WWW-Form-Urlencoded; charset=UTF-8").status_code == 200


# --- bodies that attack -----------------------------------------------------------------------------------------------


def test_a_body_over_the_limit_is_not_read(desk: Desk) -> None:
    for length in (hooks.MOST_BYTES + 1, 999_999_999_999):
        answer = desk.raw(head_of(length))  # refused before a byte of it was sent
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in answer.lower()
    assert desk.waiting() == set()
    just = form() + b"&x="
    assert desk.post(body=just + b"a" * (hooks.MOST_BYTES - len(just))).status_code == 200


def test_a_body_without_a_length_is_counted_while_it_comes(desk: Desk) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(10_000):
            yield b"x" * 4096

    with suppress(requests.ConnectionError, requests.exceptions.ChunkedEncodingError):  # it may hang up while we are sending
        assert desk.post(body=endless()).status_code == 413
    assert desk.n("large") == 1
    sent = form(id="4")
    assert desk.post(body=(sent[at : at + 10] for at in range(0, len(sent), 10))).status_code == 200
    assert desk.waiting() == {("leads", 4)}


def test_a_slow_body_is_cut_off_and_holds_nobody_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "BODY_SECONDS", 1.0)
    head = head_of(500)
    with ThreadPoolExecutor(20) as pool:
        slow = [pool.submit(desk.raw, head, b"a", b"b", pause=0.2) for _ in range(20)]
        began = time.monotonic()
        assert desk.post(id="1").status_code == 200
        assert time.monotonic() - began < 1.0
        answers = [one.result() for one in slow]
    assert all(answer.startswith(b"HTTP/1.1 408") for answer in answers)
    assert desk.n("slow") == 20


# --- floods -----------------------------------------------------------------------------------------------------------


def test_a_flood_of_wrong_tokens_is_slowed_down_and_never_keeps_the_portal_out(desk: Desk) -> None:
    codes = []
    for key in range(1, 41):
        codes.append(desk.post(token="wrong" * 5).status_code)
        assert desk.post(id=str(key)).status_code == 200
    assert set(codes) == {403, 429}
    assert codes[:30] == [403] * 30
    assert 429 in codes
    assert desk.post("strict", token="wrong").status_code == 403  # another source has a limit of its own
    assert len(desk.waiting()) == 40


def test_a_flood_at_unknown_sources_shares_one_limit_and_leaves_no_trace_of_their_names(desk: Desk) -> None:
    codes = [desk.post(f"name{i}").status_code for i in range(40)]
    assert codes[:30] == [404] * 30
    assert 429 in codes
    names = {sample.labels["source"] for metric in desk.registry.collect() for sample in metric.samples if sample.labels}
    assert names == {""}


# --- when it cannot be stored -----------------------------------------------------------------------------------------


def test_an_event_that_cannot_be_stored_is_not_called_stored(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    hear: Callable[..., list[bool]] = Inbox.hear

    def full_disk(self: Inbox, events: object) -> list[bool]:
        raise WarehouseError("the state file cannot be used: database or disk is full")

    monkeypatch.setattr(Inbox, "hear", full_disk)
    assert desk.post().status_code == 503
    assert desk.n("not_stored") == 1
    monkeypatch.setattr(Inbox, "hear", hear)
    assert desk.post().status_code == 200
    assert desk.waiting() == {("leads", 77)}
