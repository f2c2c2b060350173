"""Weekly reports really arrive, over real sockets: each launch and week once to each subscriber, whatever dies in between."""

import shutil
import ssl
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
import trustme

from connectors.secrets import MASK
from pipeline import deliver
from pipeline.deliveries import Deliveries
from pipeline.errors import Exit
from pipeline.readiness import inspect
from pipeline.state import State
from pipeline.warehouse import Warehouse
from tests.pipeline.deliveries.delivering import ADDRESSES, AS_OF, HOSTILE, LAUNCHES, TODAY, said, sent, snapshot
from tests.pipeline.deliveries.postoffice import ROBOT, TOKEN, PostOffice
from tests.pipeline.shop_made import Shop


@pytest.mark.parametrize("way", sorted(ADDRESSES))
def test_arrives_once_and_names_stay_text(made: Any, office: PostOffice, way: str) -> None:
    shop = made(way)
    assert sent(shop) == ["delivered"]
    assert sent(shop) == []  # a second run the same day, or a night later
    (text,) = said(office)
    assert text.startswith("ROI за неделю 31 (27.07–02.08.2026)")
    assert "Вывод: Окупается." in text
    assert "evil.example" not in text  # no messenger sees an address in it
    assert "evil" in text
    assert not {"@all", "#tag"} & set(text.replace(">", " ").replace("<", " ").replace("‹", " ").replace("›", " ").split())
    if way == "bitrix24":
        assert not set("[]<>") & set(text)


def test_telegram_gets_the_report_as_a_file_under_its_caption(made: Any, office: PostOffice) -> None:
    assert sent(made("telegram", 'language = "en"')) == ["delivered"]
    (one,) = office.received
    assert one.path == f"/bot{TOKEN}/sendDocument"
    assert one.fields["chat_id"] == "-100123"
    assert one.fields["caption"].startswith("ROI for week 31")
    assert "parse_mode" not in one.fields
    name, content = one.files["document"]
    assert name == "assistant-2026-08-03.html"
    assert content.lower().startswith(b"<!doctype html>")


def test_telegram_gets_files_as_one_album_and_the_text_alone_when_files_are_refused(made: Any, office: PostOffice) -> None:
    shop = made("telegram", 'files = ["html", "json"]')
    assert sent(shop) == ["delivered"]
    (album,) = office.received
    assert album.path.endswith("/sendMediaGroup")
    assert sorted(name for name, _ in album.files.values()) == ["assistant-2026-08-03.html", "assistant-2026-08-03.json"]
    refused = (413, {}, {"ok": False, "description": "Request Entity Too Large"})
    office.trouble = lambda path, n: refused if "Media" in path else None
    assert shop.payback("deliver", "assistant", "--to", "owner") == Exit.NOTHING  # the source holds nothing to measure
    outcomes = deliver.send_test(shop.settings(), snapshot(shop), shop.settings().deliveries)
    assert [one.state for one in outcomes] == ["sent"]
    assert office.received[-1].path.endswith("/sendMessage")
    assert "проверочное" in office.received[-1].fields["text"]


def test_a_webhook_gets_figures_and_which_report_it_is(made: Any, office: PostOffice) -> None:
    shop = made("webhook")
    assert sent(shop) == ["delivered"]
    (one,) = office.received
    figures = snapshot(shop)
    assert one.path == "/hook-of-the-owner?key=hush-hush-7"
    assert one.headers["Idempotency-Key"] == one.fields["id"]
    assert one.fields["verdict"] == figures["verdict"]
    assert one.fields["money"]["roi"] == figures["money"]["roi"]
    assert one.fields["figures"]["leads"]["post"] == figures["metrics"]["leads"]["a_week"]["post"]
    assert one.fields["week"] == "2026-07-27"
    assert one.fields["launch"] == {"name": "assistant", "title": HOSTILE}


def test_on_its_weekday_a_missed_one_is_caught_up_once(made: Any, office: PostOffice) -> None:
    shop = made("webhook", weekday="monday")

    def night(day: int) -> list[str]:
        with time_machine.travel(datetime(2026, 11, day, 3, 30, tzinfo=UTC), tick=False):
            return sent(shop)

    assert night(6) == []  # a Friday: who subscribes then has not missed Monday's
    assert night(8) == []
    assert night(9) == ["delivered"]  # Monday
    assert night(10) == []
    assert night(15) == []
    assert night(18) == ["delivered"]  # Monday 16 was missed
    assert night(19) == []
    assert night(23) == ["delivered"]
    assert len({one.fields["id"] for one in office.received}) == len(office.received) == 3


def test_a_group_robot_takes_twenty_a_minute(made: Any, office: PostOffice) -> None:
    shop = made("wecom")
    names = ["assistant", *(f"launch{n}" for n in range(24))]
    config = shop.home / "config" / "launches.toml"
    config.write_text("".join(LAUNCHES.format(title='"T"').replace("assistant", name) for name in names), encoding="utf-8")
    content = Warehouse(shop.settings().warehouse_url.reveal()).snapshot("assistant", AS_OF)
    assert content is not None
    for name in names[1:]:
        Warehouse(shop.settings().warehouse_url.reveal()).save_snapshot(name, AS_OF, content)
    slept: list[float] = []
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            clock.shift(seconds)
            office.received.clear()

        deliver.plan(shop.settings(), dict.fromkeys(names, AS_OF))
        outcomes = deliver._Round(shop.settings(), Deliveries(State(shop.home)), sleep).run(0.0, None)
    assert [one.state for one in outcomes] == ["delivered"] * 25
    assert slept == [pytest.approx(60, abs=1)]
    assert len(office.received) == 5


def test_no_secret_in_any_output(made: Any, office: PostOffice, capsys: pytest.CaptureFixture[str]) -> None:
    for n, (way, secret) in enumerate((("telegram", TOKEN), ("wecom", ROBOT), ("webhook", "hush-hush-7"))):
        shop = made(way)
        for words in ("/%s/", "Unauthorized %s"):  # in words that are shown, too
            office.trouble = lambda path, n, told=words % secret: (500, {}, {"description": told, "errmsg": told})
            settings = shop.settings()
            (outcome,) = deliver.deliver_now(settings, "assistant", AS_OF, settings.deliveries, is_named=True)
            assert outcome.state == "waiting"
        shop.payback("status")
        shop.payback("status", "--json")
        printed = capsys.readouterr()
        assert secret not in printed.out + printed.err, way
        assert secret not in (shop.home / "payback-state.sqlite3").read_bytes().decode("latin-1")
        assert all(secret not in str(part) for part in (shop.settings(), shop.settings().deliveries))
        shutil.move(shop.home, shop.home.with_name(f"old{n}"))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('name = "a"\nto = "tgram://1:a/2"', "must not stand in this file"),
        ('name = "a"', "either to or bitrix24"),
        ('to = "env:OWNER"', "'name' is missing"),
        ('name = "a"\nto = "env:OWNER"\nweekdy = "monday"', "did you mean 'weekday'?"),
        ('name = "a"\nto = "env:OWNER"\nweekday = "mondey"', "did you mean 'monday'?"),
        ('name = "a"\nto = "env:OWNER"\nlaunches = ["asistant"]', "did you mean 'assistant'?"),
        ('name = "a"\nto = "env:OWNER"\nfiles = ["html"]', "only Telegram and e-mail take files"),
        ('name = "a"\nto = "env:OWNER"\n[[deliveries]]\nname = "a"\nto = "env:OTHER"', "two of them are named 'a'"),
        ('name = "a"\nto = "env:OWNER"\n[[deliveries]]\nname = "b"\nto = "env:OWNER"', "the same address"),
        ('name = "a"\nbitrix24 = { source = "crn", dialog_id = "1" }', "no source of the kind bitrix24"),
    ],
)
def test_a_wrong_table_is_refused_by_name(tmp_path: Path, table: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    shop = Shop.made(tmp_path / "shop", more=f"\n[[deliveries]]\n{table}\n")
    (shop.home / "config" / "launches.toml").write_text(LAUNCHES.format(title='"T"'), encoding="utf-8")
    shop.environ |= {"OWNER": "jsons://hooks.example.com/secretpath1", "OTHER": "jsons://hooks.example.com/secretpath2"}
    assert shop.payback("status") == Exit.CONFIG
    printed = capsys.readouterr().err
    assert words in printed
    assert "secretpath" not in printed


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("json://example.com/hook", "unencrypted"),
        ("jsons://example.com/hook?verify=no", "verify=no"),
        ("slack://example/token", "not an address"),
        ("tgram://123456:short/4711", "bot token"),
        (f"tgram://{TOKEN}/", "bot token"),
        ("wecombot://short", "group robot"),
        ("mailto://me:pass@mail.example.org?to=a@example.org", "unencrypted"),
        ("mailtos://me:pass@mail.example.org?to=a@example.org,b@example.org&from=a@example.org", "not one mail address"),
        ("mailtos://me:pass@mail.example.org?from=a@example.org", "not one mail address"),
        ("mailtos://me:pass@mail.example.org?from=a@example.org&to=a@example.org&to=b@example.org", "stands twice"),
        ("jsons://[::1/hook", "not readable"),
    ],
)
def test_addresses_that_cannot_be_used_are_found_by_day_without_being_shown(tmp_path: Path, address: str, words: str) -> None:
    shop = Shop.made(tmp_path / "shop", more='\n[[deliveries]]\nname = "owner"\nto = "env:OWNER"\n')
    shop.environ["OWNER"] = address
    (line,) = [line for line in inspect(shop.settings()) if "deliveries" in line.text]
    assert line.severity == "error"
    assert words in line.text
    assert address.partition("://")[2][:12] not in line.text


def test_a_certificate_nobody_vouches_for_is_refused(made: Any) -> None:
    other = PostOffice()
    try:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
        other._server.socket = tls.wrap_socket(other._server.socket, server_side=True)
        shop = made("webhook")
        shop.environ["OWNER"] = f"jsons://127.0.0.1:{other.port}/hook"
        assert sent(shop) == ["waiting"]
        (one,) = Deliveries(State(shop.home)).newest()
        assert "certificate" in one.error
        assert other.received == []
    finally:
        other.close()


def test_a_run_delivers_after_measuring_and_says_so(
    tmp_path: Path, office: PostOffice, capsys: pytest.CaptureFixture[str], migrated_file: Path
) -> None:
    rows = "".join(
        f"{n};{day:%d.%m.%Y} 12:30:00;{'Визит' if n % 3 else 'Новая'}\n"
        for n, day in enumerate(date.today() - timedelta(days=300 - k // 4) for k in range(1200))
    )
    table = f'\n[[deliveries]]\nname = "owner"\nto = "env:OWNER"\nweekday = "{TODAY}"\n'
    shop = Shop.made(tmp_path / "shop", more=table)
    (shop.exports / "leads.csv").write_text("ID;Дата создания;Стадия\n" + rows, encoding="utf-8")
    launched = f"[assistant]\ntitle = 'AI'\nstarted_on = {date.today() - timedelta(days=100)}\nmargin = 0.5\n"
    (shop.home / "config" / "launches.toml").write_text(launched, encoding="utf-8")
    shutil.copy(migrated_file, shop.home / "payback.duckdb")
    shop.environ["OWNER"] = f"json://127.0.0.1:{office.port}/hook-of-the-owner"
    out = str(tmp_path / "out")
    yesterday = (date.today() - timedelta(days=1)).isoformat()
    assert shop.payback("run", "--out", out, "--as-of", yesterday) in (Exit.OK, Exit.PARTIAL, Exit.NOTHING)
    assert office.received == []  # a report of the past is nobody's weekly one
    capsys.readouterr()
    assert shop.payback("run", "--out", out) == Exit.OK
    assert "assistant -> owner: delivered" in capsys.readouterr().out
    assert shop.payback("run", "--out", out) == Exit.OK
    assert "delivered" not in capsys.readouterr().out
    assert len(office.received) == 1
    stored = Warehouse(shop.settings().warehouse_url.reveal()).snapshot_hash("assistant", date.today().isoformat())
    config = shop.home / "config" / "launches.toml"
    config.write_text(config.read_text(encoding="utf-8").replace("margin = 0.5", "margin = 0.3"), encoding="utf-8")
    assert shop.payback("deliver", "assistant", "--dry-run") == Exit.OK
    printed = capsys.readouterr().out
    assert "nothing was sent" in printed
    assert "Вывод:" in printed
    assert shop.payback("deliver", "assistant", "--to", "ownr") == Exit.CONFIG
    assert "did you mean 'owner'?" in capsys.readouterr().err
    assert len(office.received) == 1
    assert shop.payback("deliver", "assistant", "--test") == Exit.OK
    assert Warehouse(shop.settings().warehouse_url.reveal()).snapshot_hash("assistant", date.today().isoformat()) == stored
    assert stored is not None
    assert office.received[-1].fields["kind"] == "test"
    assert "проверочное" in office.received[-1].fields["text"]
    assert MASK not in office.received[-1].fields["text"]
