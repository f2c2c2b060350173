"""A wish to stop is heard while a request is on its way, also one that is never answered; the next sync goes on."""

import threading
import time
from zoneinfo import ZoneInfo

import pytest

from connectors import engine
from connectors.bitrix24 import Bitrix24, Options
from connectors.contract import Stream, Surroundings
from connectors.demo import ALWAYS, DemoPortal, Fault, PortalOptions, bulk
from connectors.memory import MemorySink
from connectors.records import Lead
from connectors.secrets import Secret

N = 4_000
LEADS = Stream("leads", Lead)


def pull(portal: DemoPortal, sink: MemorySink, stop: threading.Event) -> set[str]:
    """Codes of the findings."""
    options = Options(webhook=Secret(portal.webhook_url), entities=("leads",), contacts=False)
    connector = Bitrix24.open(options, Surroundings(ZoneInfo("Europe/Moscow"), Secret("a key of this house")))
    report = engine.pull(connector, sink, stop=stop.is_set, only=lambda stream: stream.name == "leads")
    return {finding.code for finding in report.findings}


@pytest.mark.parametrize("n_answered", [0, 3])
def test_a_request_that_is_never_answered_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch, n_answered: int) -> None:
    monkeypatch.setattr("connectors.dispatch._LAST_CALL", 0.3)
    stop = threading.Event()
    sink = MemorySink()
    with DemoPortal(bulk.build(n=N, seed=3, gap_share=0.1), PortalOptions(has_limits=False)) as portal:
        portal.fail(Fault("*", "slow", ALWAYS, after=n_answered, value=60.0))
        threading.Timer(0.5, stop.set).start()
        began = time.monotonic()
        assert pull(portal, sink, stop) == {"stopped"}
        assert 0.5 < time.monotonic() - began < 5.0
        assert len(sink.rows(LEADS)) < N
        portal.heal()
        assert "stopped" not in pull(portal, sink, threading.Event())
        assert len(sink.rows(LEADS)) == N


def test_answers_that_still_come_are_stored() -> None:
    stop = threading.Event()
    sink = MemorySink()
    with DemoPortal(bulk.build(n=N, seed=3, gap_share=0.1), PortalOptions(has_limits=False)) as portal:
        portal.fail(Fault("*", "slow", 2, after=2, value=1.0))

        def stop_when_two_are_on_their_way() -> None:
            while portal.counters()["faults"] < 2:
                time.sleep(0.01)
            stop.set()

        threading.Thread(target=stop_when_two_are_on_their_way, daemon=True).start()
        assert pull(portal, sink, stop) == {"stopped"}
        n_stored = len(sink.rows(LEADS))
        before = portal.counters()["rows"]
        pull(portal, sink, threading.Event())
        assert len(sink.rows(LEADS)) == N
        assert portal.counters()["rows"] - before < N + 100
        assert n_stored > 1_000  # not only the first page, which was asked for before
