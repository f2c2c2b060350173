"""A delivery that breaks stops no other, keeps its document, and people are told why and how it ended in their language."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from pipeline import alerts, deliver
from pipeline.deliveries import MOST_TRIES, Deliveries
from pipeline.document import document_bytes
from pipeline.state import State
from pipeline.warehouse import Warehouse
from tests.pipeline.deliveries.delivering import AS_OF, LAUNCHES, sent, snapshot, states
from tests.pipeline.deliveries.postoffice import PostOffice
from tests.pipeline.shop_made import Shop

ALERTS = '[alerts]\nto = ["env:OPS"]\nstale_hours = 999\nlanguage = "{}"\n'


def store(shop: Shop, launch: str, content: bytes) -> None:
    Warehouse(shop.settings().warehouse_url.reveal()).save_snapshot(launch, AS_OF, content)


def told(office: PostOffice) -> list[str]:
    return [one.fields["message"] for one in office.received if one.path == "/ops"]


def test_a_report_that_cannot_be_made_does_not_stop_the_others(made: Any, office: PostOffice) -> None:
    shop = made("webhook", ALERTS.format("ru"))
    shop.environ["OPS"] = f"json://127.0.0.1:{office.port}/ops"
    second = LAUNCHES.format(title='"S"').replace("assistant", "broken")
    config = shop.home / "config" / "launches.toml"
    config.write_text(second + config.read_text(encoding="utf-8"), encoding="utf-8")
    store(shop, "broken", b'{"launch": {"secret name of a customer": 1}}')
    at = datetime.now(UTC)
    measured = {"broken": AS_OF, "assistant": AS_OF}
    with time_machine.travel(at, tick=False):
        found = deliver.deliver_measured(shop.settings(), measured, linger=0.0)
    assert sorted((one.launch, one.state) for one in found) == [("assistant", "delivered"), ("broken", "waiting")]
    for _ in range(MOST_TRIES):
        at += timedelta(hours=6, minutes=1)
        with time_machine.travel(at, tick=False):
            deliver.deliver_due(shop.settings())
    with time_machine.travel(at, tick=False):
        (one,) = (one for one in Deliveries(State(shop.home)).newest() if one.launch == "broken")
        assert (one.state, one.n_tries) == ("given up", MOST_TRIES)
        assert "KeyError at " in one.error
        assert "customer" not in one.error
        alerts.look(shop.settings())
    (text,) = told(office)
    assert "Непредвиденная ошибка программы (KeyError)" in text


def test_a_retry_sends_the_document_that_was_planned(made: Any, office: PostOffice) -> None:
    shop = made("webhook")
    planned = snapshot(shop)
    office.trouble = lambda path, n: (503, {}, {}) if n == 1 else None
    assert sent(shop) == ["waiting"]
    store(shop, "assistant", document_bytes({**planned, "verdict": {"code": "harms", "reason": planned["verdict"]["reason"]}}))
    assert snapshot(shop)["verdict"]["code"] == "harms"
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=2), tick=False):
        assert sent(shop) == ["delivered"]
    assert office.received[0].fields["verdict"] == planned["verdict"]


def test_a_delivery_planned_while_the_warehouse_is_away_keeps_what_it_found_first(made: Any, office: PostOffice) -> None:
    shop = made("webhook")
    planned = snapshot(shop)
    file = shop.home / "payback.duckdb"
    file.rename(file.with_suffix(".away"))
    assert sent(shop) == ["waiting"]
    file.with_suffix(".away").rename(file)
    at = datetime.now(UTC) + timedelta(minutes=2)
    office.trouble = lambda path, n: (503, {}, {}) if n == 1 else None
    with time_machine.travel(at, tick=False):
        assert sent(shop) == ["waiting"]
    store(shop, "assistant", document_bytes({**planned, "currency": "EUR"}))
    with time_machine.travel(at + timedelta(minutes=20), tick=False):
        assert sent(shop) == ["delivered"]
    assert office.received[0].fields["currency"] == planned["currency"]


@pytest.mark.parametrize("way", ["telegram", "wecom", "bitrix24"])
def test_an_answer_that_is_none_is_a_doubt(made: Any, office: PostOffice, way: str) -> None:
    shop = made(way, "files = []" if way == "telegram" else "")
    office.trouble = lambda path, n: (200, {"Content-Type": "text/html"}, "<html>") if n == 1 else None
    assert sent(shop) == ["waiting" if way == "bitrix24" else "in doubt"]  # that dialog can be read
    assert "not what its interface promises" in Deliveries(State(shop.home)).newest()[0].error
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=2), tick=False):
        assert sent(shop) == (["delivered"] if way == "bitrix24" else [])


def test_by_hand_after_a_broken_answer_the_dialog_is_looked_through(made: Any, office: PostOffice) -> None:
    shop = made("bitrix24")
    office.after = lambda path, n: "message.add" in path and len(office.dialog) == 1
    assert sent(shop) == ["waiting"]
    settings = shop.settings()
    for _ in range(2):
        (outcome,) = deliver.deliver_now(settings, "assistant", AS_OF, settings.deliveries, is_named=True)
        assert outcome.state in ("delivered", "already delivered")
    assert len(office.dialog) == 1


def test_by_hand_it_is_the_report_of_this_calendar_week(made: Any, office: PostOffice) -> None:
    shop = made("webhook", weekday="friday")
    with time_machine.travel(datetime(2026, 11, 12, 9, tzinfo=UTC), tick=False):
        assert sent(shop) == []

    def at(day: int) -> Any:
        return time_machine.travel(datetime(2026, 11, day, 9, tzinfo=UTC), tick=False)

    def by_hand() -> list[str]:
        settings = shop.settings()
        return [one.state for one in deliver.deliver_now(settings, "assistant", AS_OF, settings.deliveries, is_named=False)]

    with at(13):
        assert sent(shop) == ["delivered"]  # a Friday
    with at(17):
        assert by_hand() == ["delivered"]  # a Tuesday
        assert by_hand() == ["already delivered"]
        assert sent(shop) == []
    with at(20):
        assert sent(shop) == []  # this week's has arrived
    with at(27):
        assert sent(shop) == ["delivered"]
    with at(30):  # Monday: the Friday before was sent, nothing older is
        assert by_hand() == ["delivered"]
        assert sent(shop) == []


def test_a_week_that_was_missed_is_not_caught_up_after_a_later_one(made: Any, office: PostOffice) -> None:
    shop = made("webhook", weekday="friday")
    with time_machine.travel(datetime(2026, 11, 12, 9, tzinfo=UTC), tick=False):
        sent(shop)
    with time_machine.travel(datetime(2026, 11, 17, 9, tzinfo=UTC), tick=False):  # the machine was off on Friday 13
        settings = shop.settings()
        deliver.deliver_now(settings, "assistant", AS_OF, settings.deliveries, is_named=False)
        assert sent(shop) == []
    assert len(office.received) == 1


@pytest.mark.parametrize(
    ("language", "why", "over"),
    [
        ("ru", "Ответ другой стороны: HTTP 401.", "снова доставляется"),
        ("en", "The other side answered HTTP 401.", "is delivered again"),
        ("zh", "对方答复：HTTP 401。", "已恢复送达"),
    ],
)
def test_an_alert_says_why_in_its_language_and_is_over_when_a_report_arrived(
    made: Any, office: PostOffice, language: str, why: str, over: str
) -> None:
    shop = made("webhook", ALERTS.format(language))
    shop.environ["OPS"] = f"json://127.0.0.1:{office.port}/ops"
    office.trouble = lambda path, n: (401, {}, {"error": "x"}) if "hook" in path else None
    assert sent(shop) == ["given up"]
    alerts.look(shop.settings())
    (text,) = told(office)
    assert why in text
    assert "the other side" not in text
    with time_machine.travel(datetime.now(UTC) + timedelta(days=9), tick=False):  # nobody acted, the next week's fails, too
        assert sent(shop) == ["given up"]
        with time_machine.travel(datetime.now(UTC) + timedelta(days=9), tick=False):
            alerts.look(shop.settings())
            assert len(told(office)) == 1  # that time passes is no all-clear
        office.trouble = lambda path, n: None
        settings = shop.settings()
        deliver.deliver_now(settings, "assistant", AS_OF, settings.deliveries, is_named=True)
        alerts.look(shop.settings())
        alerts.look(shop.settings())
    assert len(told(office)) == 2
    assert over in told(office)[1]


def test_a_doubt_is_over_when_the_report_arrived_and_a_recipient_who_is_gone_is_said_to_be(made: Any, office: PostOffice) -> None:
    shop = made("telegram", "files = []\n" + ALERTS.format("en"))
    shop.environ["OPS"] = f"json://127.0.0.1:{office.port}/ops"
    office.after = lambda path, n: n == 1
    assert sent(shop) == ["in doubt"]
    alerts.look(shop.settings())
    assert "no confirmation came" in told(office)[0]
    saved = shop.home.with_name("saved")
    shutil.copytree(shop.home, saved)
    settings = shop.settings()
    deliver.deliver_now(settings, "assistant", AS_OF, settings.deliveries, is_named=True)
    alerts.look(settings)
    assert "is settled" in told(office)[1]
    gone = Shop(saved, shop.environ)
    config = saved / "config" / "payback.toml"
    config.write_text(config.read_text(encoding="utf-8").replace('name = "owner"', 'name = "other"').replace("OWNER", "NEW"))
    gone.environ = {**shop.environ, "NEW": shop.environ["OWNER"].replace("100123", "100777")}
    alerts.look(gone.settings())
    assert "is no longer configured" in told(office)[2]
    assert json.dumps(told(office)).count("Nobody knows") == 1


def test_states_of_launches_nobody_wants_any_more_stay_where_they_are(made: Any, office: PostOffice) -> None:
    shop = made("webhook")
    office.trouble = lambda path, n: (503, {}, {})
    assert sent(shop) == ["waiting"]
    config = shop.home / "config" / "payback.toml"
    config.write_text(config.read_text(encoding="utf-8").replace('to = "env:OWNER"', 'to = "env:OWNER"\nlaunches = ["other"]'))
    launches = shop.home / "config" / "launches.toml"
    launches.write_text(launches.read_text(encoding="utf-8") + LAUNCHES.format(title='"S"').replace("assistant", "other"))
    office.trouble = lambda path, n: None
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=2), tick=False):
        assert sent(shop) == []
    assert states(shop) == ["waiting"]
    assert office.received == []


def test_a_clock_that_was_wrong_once_costs_no_later_week(made: Any, office: PostOffice) -> None:
    shop = made("webhook", weekday="monday")
    for year, state in ((2031, "delivered"), (2026, "delivered")):
        with time_machine.travel(datetime(year, 11, 16 if year == 2026 else 17, 9, tzinfo=UTC), tick=False):
            if year == 2026:  # known since then
                Deliveries(State(shop.home)).since([], datetime.now(UTC).date())
                with State(shop.home).writing() as connection:
                    connection.execute("update subscribers set since = '2026-01-01'")
            assert sent(shop) == [state]
    assert len(office.received) == 2
