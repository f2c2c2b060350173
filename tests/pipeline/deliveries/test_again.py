"""A delivery that failed, died in the middle or was never answered: sent again only where it cannot arrive twice."""

import json
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from pipeline import alerts, deliver
from pipeline.deliveries import MOST_TRIES, Deliveries
from pipeline.errors import Exit
from pipeline.logs import log
from pipeline.state import State
from tests.pipeline.deliveries.delivering import (
    ADDRESSES,
    AS_OF,
    IS_REPEATABLE,
    sent,
    states,
)
from tests.pipeline.deliveries.postoffice import PostOffice
from tests.variants import first

ROOT = Path(__file__).parents[3]


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline import couriers, deliver
from pipeline.deliveries import Deliveries
from pipeline.settings import load_settings
couriers.TELEGRAM, couriers.WECOM = sys.argv[2], sys.argv[2] + "cgi-bin/webhook/"
Deliveries.delivered = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
deliver.deliver_measured(load_settings(Path(sys.argv[1]) / "config", dict(os.environ)), {"assistant": "2026-08-03"}, linger=0)
"""


@pytest.mark.parametrize("way", first(2, sorted(ADDRESSES)))
def test_killed_between_sending_and_recording_it_is_one_delivery(
    made: Any, office: PostOffice, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = made(way, "files = []" if way == "telegram" else "")  # drawing the file takes two seconds of this process
    command = [sys.executable, "-c", KILLED, str(shop.home), office.url]
    done = subprocess.run(command, cwd=ROOT, env=shop.environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(office.received) == 1
    log.configure(level="info")
    for _ in range(2):
        sent(shop)
    if way == "webhook":  # sent again with the same key: the other side knows it
        assert len({one.headers["Idempotency-Key"] for one in office.received}) == 1
        assert len({json.dumps(one.fields) for one in office.received}) == 1
    else:
        assert len(office.received) == 1
    assert states(shop) == ["delivered" if IS_REPEATABLE[way] else "in doubt"]
    assert "delivery_in_doubt" in capsys.readouterr().err
    if not IS_REPEATABLE[way]:
        shop.payback("status")
        assert "in doubt" in " ".join(capsys.readouterr().out.split())


def test_two_processes_at_once_send_once(made: Any, office: PostOffice) -> None:
    shop = made("wecom")
    script = KILLED.replace("Deliveries.delivered = lambda *_: os.kill(os.getpid(), signal.SIGKILL)", "")
    command = [sys.executable, "-c", script, str(shop.home), office.url]
    running = [subprocess.Popen(command, cwd=ROOT, env=shop.environ, stderr=subprocess.PIPE) for _ in range(2)]
    threads = [threading.Thread(target=sent, args=(shop,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for process in running:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert len(office.received) == 1
    assert states(shop) == ["delivered"]


def test_an_answer_that_never_came_is_a_doubt_and_told(made: Any, office: PostOffice, capsys: pytest.CaptureFixture[str]) -> None:
    shop = made("telegram")
    office.after = lambda path, n: n == 1
    assert sent(shop) == ["in doubt"]
    assert sent(shop) == []
    assert len(office.received) == 1
    assert shop.payback("status") == Exit.FINDINGS
    assert "Nobody knows whether" in " ".join(capsys.readouterr().out.split())
    settings = shop.settings()
    (outcome,) = deliver.deliver_now(settings, "assistant", AS_OF, settings.deliveries, is_named=False)
    assert outcome.state == "in doubt"
    assert len(office.received) == 1
    (outcome,) = deliver.deliver_now(settings, "assistant", AS_OF, settings.deliveries, is_named=True)  # a person decides
    assert outcome.state == "delivered"
    assert len(office.received) == 2
    (outcome,) = deliver.deliver_now(settings, "assistant", AS_OF, settings.deliveries, is_named=True)
    assert outcome.state == "already delivered"
    assert len(office.received) == 2
    shop.payback("status")
    assert "delivered" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("way", "answer"),
    [
        ("telegram", (429, {}, {"ok": False, "description": "Too Many Requests", "parameters": {"retry_after": 600}})),
        ("webhook", (503, {"Retry-After": "600"}, {})),
        ("webhook", (500, {}, {})),
        ("wecom", (200, {}, {"errcode": 45009, "errmsg": "api freq out of limit"})),
        ("bitrix24", (503, {}, {"error": "QUERY_LIMIT_EXCEEDED"})),
    ],
)
def test_tried_again_after_the_time_that_was_asked_for(made: Any, office: PostOffice, way: str, answer: Any) -> None:
    shop = made(way)
    office.trouble = lambda path, n: answer if n == 1 else None
    assert sent(shop) == ["waiting"]
    assert sent(shop) == []  # not at once
    (one,) = Deliveries(State(shop.home)).newest()
    is_long = "600" in json.dumps(answer)
    assert timedelta(seconds=590 if is_long else 50) < one.not_before - one.planned_at < timedelta(seconds=610 if is_long else 70)
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=610), tick=False):
        assert sent(shop) == ["delivered"]
    assert len(office.received) == 1


def test_a_run_waits_for_what_may_be_tried_soon(made: Any, office: PostOffice) -> None:
    shop = made("telegram")
    office.trouble = lambda path, n: (500, {}, {}) if n == 1 else None
    slept: list[float] = []
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            clock.shift(seconds)

        deliver.plan(shop.settings(), {"assistant": AS_OF})
        round_ = deliver._Round(shop.settings(), Deliveries(State(shop.home)), sleep)
        assert [one.state for one in round_.run(90.0, None)] == ["waiting", "delivered"]
    assert slept == [pytest.approx(60, abs=1)]


def test_gives_up_after_many_tries_and_an_alert_says_so(made: Any, office: PostOffice) -> None:
    shop = made("webhook", '[alerts]\nto = ["env:OPS"]\nstale_hours = 999\n')
    shop.environ["OPS"] = f"json://127.0.0.1:{office.port}/ops"
    office.trouble = lambda path, n: (500, {}, {}) if "hook" in path else None
    at = datetime.now(UTC)
    for _ in range(MOST_TRIES):
        with time_machine.travel(at, tick=False):
            sent(shop)
        at += timedelta(hours=6, minutes=1)
    assert states(shop) == ["given up"]
    with time_machine.travel(at, tick=False):
        assert sent(shop) == []
        alerts.look(shop.settings())
        alerts.look(shop.settings())
    told = [one.fields["message"] for one in office.received if one.path == "/ops"]
    assert [text for text in told if "не доставлен" in text and "payback deliver" in text] != []
    assert len([text for text in told if "не доставлен" in text]) == 1
    assert "hush-hush" not in json.dumps(told)


@pytest.mark.parametrize(
    ("way", "answer"),
    [
        ("telegram", (403, {}, {"ok": False, "description": "Forbidden: bot was blocked by the user"})),
        ("webhook", (307, {"Location": "http://127.0.0.1:1/"}, {})),
        ("wecom", (200, {}, {"errcode": 93000, "errmsg": "invalid webhook url"})),
        ("bitrix24", (403, {}, {"error": "ACCESS_ERROR"})),
    ],
)
def test_what_will_never_be_taken_is_not_tried_again(made: Any, office: PostOffice, way: str, answer: Any) -> None:
    shop = made(way)
    office.trouble = lambda path, n: answer
    assert sent(shop) == ["given up"]
    assert office.n_asked == 1
    (one,) = Deliveries(State(shop.home)).newest()
    assert "answered" in one.error
