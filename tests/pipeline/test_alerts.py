"""Messages really arrive, over real sockets: once when something needs a person, once when it is over."""

import socket
import subprocess
import sys
import threading
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as Mailbox

from pipeline import alerts
from pipeline.errors import ConfigError, Exit
from pipeline.incidents import MOST_TRIES, Incidents
from pipeline.readiness import inspect
from pipeline.state import State
from tests.pipeline.shop_made import Letterbox, Shop

ROOT = Path(__file__).parents[2]
TO = '\n[alerts]\nto = ["env:ALERT"]\n'


def broken(shop: Shop) -> None:
    """One good run, then one that cannot read the source."""
    assert shop.payback("sync") == Exit.OK
    shop.lose_exports()
    assert shop.payback("sync") == Exit.CONFIG


def test_told_once_and_once_when_it_is_over(shop: Shop, box: Letterbox) -> None:
    broken(shop)
    assert len(box.messages()) == 1
    assert "Ромашка" in box.messages()[0]
    assert "«crm» не удалось прочитать" in box.messages()[0]
    assert shop.payback("sync") == Exit.CONFIG  # the same trouble, one more night
    alerts.look(shop.settings())
    assert len(box.messages()) == 1
    shop.find_exports()
    assert shop.payback("sync") == Exit.OK
    assert len(box.messages()) == 2
    assert "снова читается" in box.messages()[1]
    assert alerts.look(shop.settings()) == []
    assert len(box.messages()) == 2
    shop.lose_exports()
    shop.payback("sync")
    assert len(box.messages()) == 3  # a new incident


def test_every_recipient_is_told_and_one_that_is_away_later(shop: Shop, box: Letterbox) -> None:
    other = Letterbox()
    try:
        config = shop.home / "config" / "payback.toml"
        config.write_text(config.read_text(encoding="utf-8").replace('"env:ALERT"', '"env:ALERT", "env:OTHER"'), encoding="utf-8")
        shop.environ["OTHER"] = f"json://127.0.0.1:{other.port}/"
        box.answer = lambda path: (503, {})
        broken(shop)
        assert (len(box.received), len(other.messages())) == (0, 1)
        box.answer = lambda path: (200, {})
        alerts.look(shop.settings())
        assert box.messages() == []  # it is given a minute
        with time_machine.travel(datetime.now(UTC) + timedelta(seconds=61), tick=False):
            alerts.look(shop.settings())
        assert (len(box.messages()), len(other.messages())) == (1, 1)
    finally:
        other.close()


def test_gives_up_loudly_after_many_tries(shop: Shop, box: Letterbox, capsys: pytest.CaptureFixture[str]) -> None:
    config = shop.home / "config" / "payback.toml"
    config.write_text(config.read_text(encoding="utf-8") + "stale_hours = 999\n", encoding="utf-8")
    box.answer = lambda path: (500, {})
    broken(shop)
    at = datetime.now(UTC)
    for _ in range(MOST_TRIES - 1):
        assert "alert_given_up" not in capsys.readouterr().err
        at += timedelta(hours=6, minutes=1)
        with time_machine.travel(at, tick=False):
            alerts.look(shop.settings())
    assert "error alert_given_up" in capsys.readouterr().err
    assert shop.payback("status") == Exit.FINDINGS
    assert "alert given up" in capsys.readouterr().out
    box.answer = lambda path: (200, {})
    with time_machine.travel(at + timedelta(hours=7), tick=False):
        alerts.look(shop.settings())
    assert box.received == []


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline import alerts
from pipeline.incidents import Incidents
from pipeline.settings import load_settings
Incidents.told = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
alerts.look(load_settings(Path(sys.argv[1]) / "config", dict(os.environ)))
"""


def test_a_crash_between_sending_and_recording_does_not_tell_twice(
    shop: Shop, box: Letterbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:  # the run itself tells nobody, the process that is killed does
        patched.setattr(alerts, "look_after_run", lambda settings: None)
        broken(shop)
    command = [sys.executable, "-c", KILLED, str(shop.home)]
    done = subprocess.run(command, cwd=ROOT, env=shop.environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == -9, done.stderr
    assert len(box.messages()) == 1
    for _ in range(2):
        alerts.look(shop.settings())
    assert len(box.messages()) == 1
    assert "error alert_in_doubt" in capsys.readouterr().err
    assert shop.payback("status") == Exit.FINDINGS
    assert "in doubt" in capsys.readouterr().out
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=25), tick=False):  # it still is wrong: better twice than never
        alerts.look(shop.settings())
        alerts.look(shop.settings())
    assert len(box.messages()) == 2
    shop.find_exports()
    shop.payback("sync")
    assert [message.split("\n")[1] for message in box.messages()][2:] == ["Источник «crm» снова читается."]


def test_two_processes_that_look_at_once_tell_once(shop: Shop, box: Letterbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(alerts, "look_after_run", lambda settings: None)
        broken(shop)
    settings = shop.settings()
    threads = [threading.Thread(target=alerts.look, args=(settings,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(box.messages()) == 1


def test_a_mail_arrives(tmp_path: Path) -> None:
    mails: list[str] = []

    class Kept(Mailbox):
        def handle_message(self, message):
            parts = [part.get_payload(decode=True).decode() for part in message.walk() if not part.is_multipart()]
            mails.append(str(message["Subject"]) + "\n" + "\n".join(parts))

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Controller(Kept(), hostname="127.0.0.1", port=port)
    server.start()
    try:
        shop = Shop.made(tmp_path / "shop", name="<b>Rose</b>", language="en", more=TO)
        shop.environ["ALERT"] = f"mailto://127.0.0.1:{port}?from=payback@example.com&to=owner@example.com"
        broken(shop)
        shop.find_exports()
        shop.payback("sync")
    finally:
        server.stop()
    assert len(mails) == 2
    assert "Source “crm” could not be read" in mails[0]
    assert "can be read again" in mails[1]
    assert "&lt;b&gt;Rose" in mails[0] or "<b>Rose" in mails[0].partition("\n")[0]  # in the subject as it is, in HTML escaped
    assert "<b>Rose" not in mails[0].partition("\n")[2]


PORTAL = """
[sources.portal]
kind = "bitrix24"
webhook = "env:WEBHOOK"

[alerts]
bitrix24 = { source = "portal", users = [1, 17] }
"""


def test_people_of_the_portal_are_notified_by_its_rest(tmp_path: Path, box: Letterbox) -> None:
    shop = Shop.made(tmp_path / "shop", name="[URL=https://evil.example]win[/URL]", more=PORTAL)
    shop.environ["WEBHOOK"] = f"http://127.0.0.1:{box.port}/rest/1/secretcode/"
    missing = (404, {"error": "ERROR_METHOD_NOT_FOUND"})
    box.answer = lambda path: missing if "system.add" in path else (200, {"result": 5})  # older portals have the other one only
    assert [error for _, error in alerts.send_test(shop.settings())] == [None, None]
    assert [body["USER_ID"] for _, body in box.received] == [1, 17]
    assert {path for path, _ in box.received} == {"/rest/1/secretcode/im.notify"}
    assert "[" not in box.received[0][1]["MESSAGE"]
    assert box.received[0][1]["TAG"] == "payback|test"


def test_telegram_gets_text_that_is_no_markup(tmp_path: Path, box: Letterbox, monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as pipeline.channels imports it
        from apprise.plugins.telegram import NotifyTelegram

    monkeypatch.setattr(NotifyTelegram, "notify_url", f"http://127.0.0.1:{box.port}/bot")
    shop = Shop.made(tmp_path / "shop", name="<a href='https://evil.example'>x</a>", more=TO)
    shop.environ["ALERT"] = "tgram://123456789:abcdefghijklmnopqrstuvwxyzabcdefghi/4711"
    assert [error for _, error in alerts.send_test(shop.settings())] == [None]
    (path, body), *_ = box.received
    assert path == "/bot123456789:abcdefghijklmnopqrstuvwxyzabcdefghi/sendMessage"
    assert "<a " not in body["text"]
    assert "evil.example" in body["text"]


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("json://example.com/hook", "unencrypted"),
        ("mailto://me:passwordpassword@mail.example.org", "unencrypted"),
        ("jsons://example.com/hook?verify=no", "verify=no"),
        ("nonsense", "not an address"),
        ("https://example.com/secret-path-of-mine", "not an address"),
    ],
)
def test_addresses_that_cannot_be_used_are_refused_without_being_shown(tmp_path: Path, address: str, words: str) -> None:
    shop = Shop.made(tmp_path / "shop", more=TO)
    shop.environ["ALERT"] = address
    ((_, error),) = alerts.send_test(shop.settings())
    assert isinstance(error, ConfigError)
    assert words in str(error)
    assert "example" not in str(error) + error.hint
    (line,) = [line for line in inspect(shop.settings()) if "alerts.to" in line.text]  # by day, before the first alert
    assert line.severity == "error"
    assert words in line.text
    assert "example" not in line.text


def test_redirects_are_not_followed(shop: Shop, box: Letterbox) -> None:
    box.answer = lambda path: (200 if "elsewhere" in path else 307, {})
    ((_, error),) = alerts.send_test(shop.settings())
    assert error is not None
    assert box.received == []


def test_the_command_says_who_was_reached(shop: Shop, box: Letterbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert shop.payback("alerts", "test") == Exit.OK
    assert "alerts.to[1] (json): sent" in capsys.readouterr().out
    box.answer = lambda path: (500, {})
    assert shop.payback("alerts", "test") == Exit.ACCESS
    printed = capsys.readouterr()
    assert "not taken" in printed.err
    assert "hook-of-the-owner" not in printed.err + printed.out


def test_an_address_that_is_missing_does_not_cost_the_night(
    shop: Shop, box: Letterbox, capsys: pytest.CaptureFixture[str]
) -> None:
    config = shop.home / "config" / "payback.toml"
    config.write_text(config.read_text(encoding="utf-8").replace('"env:ALERT"', '"env:GONE", "env:ALERT"'), encoding="utf-8")
    (shop.home / ".env").write_text("GONE=\n", encoding="utf-8")
    broken(shop)
    assert len(box.messages()) == 1  # the other one is told
    said = capsys.readouterr().err
    assert "warning alert_address_missing variable=GONE" in said
    assert "the variable GONE is not set" in said
    (line,) = [line for line in inspect(shop.settings()) if "GONE" in line.text]
    assert line.severity == "error"
    assert shop.payback("alerts", "test") == Exit.ACCESS
    shop.find_exports()
    assert shop.payback("run", "--out", str(shop.home / "out")) == Exit.OK


def test_nobody_to_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shop = Shop.made(tmp_path / "shop")
    assert shop.payback("alerts", "test") == Exit.CONFIG
    assert "docs/alerts.md" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('to = ["tgram://1:a/2"]', "must not stand in this file"),
        ('to = ["tgram://1:a/2"]', 'write "env:PAYBACK_ALERTS_TO" here and PAYBACK_ALERTS_TO=... into the .env'),
        ("stale_hours = 0", "stale_hours"),
        ('bitrix24 = { source = "crm", users = [1] }', "no source of the kind bitrix24"),
    ],
)
def test_a_wrong_table_is_refused_by_name(
    tmp_path: Path, table: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop.made(tmp_path / "shop", more=f"\n[alerts]\n{table}\n")
    assert shop.payback("status") == Exit.CONFIG
    assert words in capsys.readouterr().err


def test_a_dead_webhook_is_told_as_such(tmp_path: Path, box: Letterbox) -> None:
    box_of_owner = Letterbox()
    try:
        shop = Shop.made(tmp_path / "shop", more='\n[sources.portal]\nkind = "bitrix24"\nwebhook = "env:WEBHOOK"\n' + TO)
        shop.environ["WEBHOOK"] = f"http://127.0.0.1:{box.port}/rest/1/secretcode/"
        shop.environ["ALERT"] = f"json://127.0.0.1:{box_of_owner.port}/"
        box.answer = lambda path: (401, {"error": "INVALID_CREDENTIALS", "error_description": "Invalid request credentials"})
        assert shop.payback("sync") == Exit.PARTIAL
        assert len(box_of_owner.messages()) == 1
        assert "«portal» не пускает нас" in box_of_owner.messages()[0]
        assert "secretcode" not in box_of_owner.messages()[0]
    finally:
        box_of_owner.close()


def test_a_warehouse_that_is_away_is_told_from_the_state_file(shop: Shop, box: Letterbox) -> None:
    assert shop.payback("sync") == Exit.OK
    shop.environ["PAYBACK_WAREHOUSE"] = f"duckdb:///{shop.home}/no/such/folder/w.duckdb"
    assert shop.payback("sync") == Exit.WAREHOUSE
    assert len(box.messages()) == 1
    assert "no/such/folder" in box.messages()[0]
    del shop.environ["PAYBACK_WAREHOUSE"]
    assert shop.payback("sync") == Exit.OK
    assert "снова завершился успешно" in box.messages()[1]
    assert Incidents(State(shop.home)).open_ones() == []
