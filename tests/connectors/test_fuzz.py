"""Answers and files that nobody would write: the readers raise their own errors or none, and take nothing for what it is not."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.bitrix24 import Bitrix24, Options
from connectors.contract import Answer, Call, Page, Ruling, Slice
from connectors.demo import DemoPortal, PortalOptions
from connectors.errors import SourceError
from connectors.secrets import Secret
from connectors.transport import HttpWire, Received
from tests.connectors.demo.portal_client import small_salon
from tests.connectors.files.exports import surroundings

N_MUTATED = 400
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 1e308, 10**30, "", " ", "0", "Y", "x" * 5000, "\x00", "\u202e", "2026-13-45T99:99:99+03:00",
    "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "-0", "1e5", "NaN", [], {}, [[]], [None], {"ID": []}, [{"ID": "1"}],
)  # fmt: skip

words = st.text(max_size=8) | st.sampled_from(["result", "error", "ID"])
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(scope="module")
def talk() -> dict[str, tuple[Call, bytes]]:
    """Real calls of a sync and what a portal answers, by name; `batch` holds a page of every walked stream."""
    with DemoPortal(small_salon(), PortalOptions(has_limits=False)) as portal:
        connector = Bitrix24.open(Options(webhook=Secret(portal.webhook_url)), surroundings())
        wire = HttpWire(connector.endpoint)
        calls = dict(connector.probes())
        streams = {stream.name: stream for stream in connector.streams()}
        calls |= {name: connector.call(stream, Slice()) for name, stream in streams.items()}
        calls["batch"] = connector.pack({f"c{i}": call for i, call in enumerate(list(calls.values()))})
        talk = {name: (call, wire.send(call, 20.0).raw) for name, call in calls.items()}
        wire.close()
    return talk


@pytest.fixture(scope="module")
def connector(talk: dict[str, tuple[Call, bytes]]) -> Bitrix24:
    made = Bitrix24.open(Options(webhook=Secret("https://salon.bitrix24.ru/rest/1/s3cr3tc0de/")), surroundings())
    return made.adapted({name: json.loads(talk[name][1]) for name in made.probes()})


def complaint(ask: Callable[[], object]) -> str:
    """The words of our own error, "" when there was none; any other error goes on."""
    try:
        ask()
    except SourceError as error:
        return f"{error} -> {error.hint or '?'}"
    return ""


def check(connector: Bitrix24, body: Any) -> None:
    """Ask everything the engine asks of an answer; only our own errors may come."""
    assert isinstance(connector.verdict(Answer(200, body)), Ruling)
    assert isinstance(connector.verdict(Answer(500, body)), Ruling)
    connector.meter(body)
    questions: list[Callable[[], object]] = [lambda: connector.unpack(body, ["c0", "c1", "c2"])]
    for stream in connector.streams():
        questions.append(lambda stream=stream: read(connector.page(stream, body)))
        questions.append(lambda stream=stream: connector.count(stream, body))
        questions.append(lambda stream=stream: connector.fate(stream, Answer(200, body)))
    questions.append(lambda: connector.adapted(dict.fromkeys(connector.probes(), body)))
    for ask in questions:
        said = complaint(ask)
        assert "s3cr3tc0de" not in said
        assert len(said) < 300


def read(page: Page) -> None:
    """A page is made of what its types say."""
    assert all(isinstance(key, int) and key >= 0 for key in page.keys)
    assert all(isinstance(reject.reason, str) and reject.reason for reject in page.rejects)


@given(anything)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_any_json_is_an_answer_or_an_error_of_ours(body: Any) -> None:
    check(FRESH, body)
    check(FRESH, {"result": body})
    check(FRESH, {"result": {"result": body, "result_error": body, "result_total": body, "result_time": body}})


FRESH = Bitrix24.open(Options(webhook=Secret("https://salon.bitrix24.ru/rest/1/s3cr3tc0de/")), surroundings())


def places(node: Any) -> list[tuple[Any, Any]]:
    """All (container, key) in a decoded document."""
    found: list[tuple[Any, Any]] = []
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inner:
        found.append((node, key))
        found += places(value)
    return found


def test_real_answers_with_odd_values_in_them(connector: Bitrix24, talk: dict[str, tuple[Call, bytes]]) -> None:
    rng = random.Random(11)
    names = [name for name in talk if name != "batch"]
    streams = {stream.name: stream for stream in connector.streams()}
    for _ in range(N_MUTATED):
        name = rng.choice(names)
        body = json.loads(talk[name][1])
        for _ in range(rng.choice((1, 1, 2, 5))):
            container, key = rng.choice(places(body))
            if rng.random() < 0.2:
                del container[key]
                break
            container[key] = rng.choice(ODD)
        if name in streams:
            said = complaint(lambda: read(connector.page(streams[name], body)))  # noqa: B023
            said += complaint(lambda: connector.count(streams[name], body))  # noqa: B023
        else:
            answers = {one: json.loads(talk[one][1]) for one in connector.probes()} | {name: body}
            said = complaint(lambda: connector.adapted(answers))  # noqa: B023
        assert "-> ?" not in said
        assert isinstance(connector.verdict(Answer(200, body)), Ruling)


def test_bytes_of_answers_that_were_cut_swapped_and_overwritten(connector: Bitrix24, talk: dict[str, tuple[Call, bytes]]) -> None:
    rng = random.Random(12)
    for _ in range(N_MUTATED):
        name, (_, raw) = rng.choice(list(talk.items()))
        damaged = bytearray(raw)
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(damaged))
            how = rng.randrange(4)
            if how == 0:
                del damaged[at:]
            elif how == 1:
                damaged[at] = rng.randrange(256)
            elif how == 2:
                damaged[at:at] = rng.choice((b"[", b"{", b'"', b"\xff\xfe", b"\\u0000", b"1e999", b"\xd0"))
            else:
                del damaged[at : at + rng.randrange(1, 40)]
            if not damaged:
                break
        answer = Received(200, bytes(damaged), "application/json", None, None).opened()
        assert isinstance(connector.verdict(answer), Ruling)
        said = complaint(lambda: connector.unpack(answer.body, ["c0", "c1"])) if name == "batch" else ""  # noqa: B023
        for stream in connector.streams():
            if stream.name == name:
                said += complaint(lambda: read(connector.page(stream, answer.body)))  # noqa: B023
        assert "-> ?" not in said


@given(st.binary(max_size=60))
@settings(max_examples=150, derandomize=True)
def test_any_bytes_are_json_or_not(raw: bytes) -> None:
    answer = Received(200, raw, "text/html", None, None).opened()
    assert answer.is_json or answer.body is None
    assert answer.length == len(raw)
