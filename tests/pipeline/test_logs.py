"""The log: one line an event whatever the values hold, and no secret in any of them."""

import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.secrets import Secret
from pipeline.logs import LONGEST, escaped, log, safe
from pipeline.recipients import secret_parts

WEBHOOK = "https://shop.bitrix24.ru/rest/1/abcdefgh12345678/"


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    yield
    log.configure(level="warning")


def test_text_is_one_line_an_event_that_no_value_can_forge(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("text", "info")
    log.info("hop_ended", subject='x" outcome=ok\n2026-11-22T03:00:00Z info run_ended outcome=ok\u202e\x1b[2J\u2028', n=3)
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert printed.rstrip("\n").isprintable()
    assert printed.count(" outcome=ok") == 2  # both inside of the quotes
    assert '"x\\" outcome=ok\\\\n2026' in printed
    assert printed.endswith(" n=3\n")


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json", "info")
    log.info("run_started", kind="ночь\n{}", n=1, is_full=False, at=None)
    log.debug("hop_started")
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["event"], said["level"], said["n"], said["is_full"], said["at"]) == ("run_started", "info", 1, False, None)
    assert said["kind"] == "ночь\\n{}"
    assert said["timestamp"].endswith("Z")


def test_secrets_and_whatever_looks_like_a_webhook_are_masked(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json", "info", [Secret("hunter2hunter2")])
    log.info("said", text=f"{WEBHOOK}crm.lead.list failed for hunter2hunter2", secret=Secret("another"), many=["hunter2hunter2"])
    printed = capsys.readouterr().err
    assert "abcdefgh12345678" not in printed
    assert "hunter2" not in printed
    assert "another" not in printed
    assert "crm.lead.list" in printed


def test_the_parts_of_an_alert_address_are_secret_too() -> None:
    token = "123456789:abcdefghijklmnopqrstuvwxyzabcdefghi"
    parts = list(secret_parts(Secret(f"tgram://{token}/471100")))
    assert safe(f"POST https://api.telegram.org/bot{token}/sendMessage", parts) == "POST https://api.telegram.org/bot***/sendMessage"
    mail = list(secret_parts(Secret("mailtos://me:pass%21word@mail.example.org:587?to=you@example.com")))
    assert safe("login me pass!word pass%21word", mail) == "login me *** ***"


def test_what_libraries_say_comes_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json", "warning")
    logging.getLogger("apprise").warning("Failed to send to %s\nnext", WEBHOOK)
    logging.getLogger("apprise").info("Loaded")
    said = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(one["event"], one["logger"], one["level"]) for one in said] == [("library_said", "apprise", "warning")]
    assert "abcdefgh" not in said[0]["message"]


def test_a_level_keeps_the_rest_away_and_silence_is_the_default_of_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("text", "error")
    log.warning("unheard")
    log.error("heard")
    assert [line.split()[1:] for line in capsys.readouterr().err.splitlines()] == [["error", "heard"]]


@given(st.text(max_size=200))
def test_any_text_becomes_one_printable_line(text: str) -> None:
    assert escaped(text).isprintable()
    assert escaped(escaped(text)) == escaped(text)


def test_a_huge_value_is_cut() -> None:
    assert len(safe("x" * 10_000_000)) < LONGEST + 50
