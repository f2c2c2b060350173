"""Who a recipient is: the same chat, mailbox or webhook after a new password, also for what an earlier program planned."""

import hashlib
import hmac
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine

from pipeline import deliver
from pipeline.deliveries import Deliveries
from pipeline.errors import ConfigError, Exit
from pipeline.state import State
from pipeline.strict import MissableSecret
from pipeline.subscribers import Subscriber, place_of
from pipeline.warehouse import Warehouse
from tests.pipeline.deliveries.delivering import AS_OF, LAUNCHES, sent, states
from tests.pipeline.deliveries.postoffice import ROBOT, TOKEN, PostOffice
from tests.pipeline.shop_made import KEY, Shop

OTHER = f"987654321:{TOKEN.partition(':')[2]}"


def test_a_wrong_password_costs_no_week_and_a_new_one_no_second_report(made: Any, office: PostOffice) -> None:
    shop = made("webhook")
    good = shop.environ["OWNER"]
    office.trouble = lambda path, n: None if "hush-hush-7" in path else (401, {}, {})
    shop.environ["OWNER"] = good.replace("hush-hush-7", "slip-of-the-pen-1")
    assert sent(shop) == ["given up"]
    assert sent(shop) == []
    shop.environ["OWNER"] = good
    with time_machine.travel(datetime.now(UTC) + timedelta(days=1), tick=False):
        deliver.deliver_due(shop.settings())  # the timer is enough
    assert states(shop) == ["delivered"]
    office.trouble = lambda path, n: None
    shop.environ["OWNER"] = good.replace("hush-hush-7", "rotated-secret-8")
    assert sent(shop) == []
    assert len(office.received) == 1


def test_a_new_bot_writes_to_the_same_chat(made: Any, office: PostOffice) -> None:
    shop = made("telegram", "files = []")
    shop.environ["OWNER"] = f"tgram://{OTHER}/-100123"
    assert sent(shop) == ["given up"]  # 401
    shop.environ["OWNER"] = f"tgram://{TOKEN}/-100123/"
    assert sent(shop) == ["delivered"]
    shop.environ["OWNER"] = f"tgram://{OTHER}/-100123"
    assert sent(shop) == []
    assert len(office.received) == 1


def test_what_failed_follows_its_name_to_another_chat_what_arrived_does_not(made: Any, office: PostOffice) -> None:
    shop = made("telegram", "files = []", weekday="monday")

    def night(day: int, chat: str) -> list[str]:
        shop.environ["OWNER"] = f"tgram://{TOKEN}/{chat}"
        with time_machine.travel(datetime(2026, 11, day, 9, 30, tzinfo=UTC), tick=False):
            return sent(shop)

    office.trouble = lambda path, n: (400, {}, {"ok": False, "description": "Bad Request: chat not found"}) if n == 1 else None
    assert night(9, "-100666") == ["given up"]  # a Monday
    assert night(10, "-100123") == ["delivered"]
    assert night(11, "-100777") == []
    assert [one.fields["chat_id"] for one in office.received] == ["-100123"]


def earlier(shop: Shop, state: str, address: str, *, n_tries: int) -> str:
    """A state file as an earlier program left it: recipients by their whole address, no notes. The recipient."""
    recipient = hmac.new(KEY.encode(), address.encode(), hashlib.sha256).hexdigest()[:16]
    now = datetime.now(UTC).replace(tzinfo=None)
    today = now.date()
    week = (today - timedelta(days=today.weekday())).isoformat()
    with sqlite3.connect(shop.home / "payback-state.sqlite3") as connection:
        connection.execute("create table subscribers (recipient text primary key, since text not null) without rowid")
        connection.execute("insert into subscribers values (?, '2026-01-01')", (recipient,))
        connection.execute(
            "create table deliveries (launch text not null, week text not null, recipient text not null, name text not null, "
            "as_of text not null, planned_at text not null, n_tries integer not null, not_before text not null, "
            "state text not null, settled_at text, error text not null, primary key (launch, week, recipient)) without rowid"
        )
        at = now.isoformat()
        values = ("assistant", week, recipient, "owner", AS_OF, at, n_tries, at, state, at, "x")
        connection.execute("insert into deliveries values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
    connection.close()
    return recipient


@pytest.mark.parametrize("way", ["telegram", "wecom", "webhook"])
def test_what_an_earlier_program_delivered_is_not_sent_again(made: Any, office: PostOffice, way: str) -> None:
    shop = made(way, "files = []" if way == "telegram" else "")
    earlier(shop, "delivered", shop.environ["OWNER"], n_tries=1)
    assert sent(shop) == []
    shop.environ["OWNER"] = shop.environ["OWNER"].replace("hush-hush-7", "rotated-8").replace(TOKEN, OTHER)
    assert sent(shop) == []
    assert office.n_asked == 0
    assert states(shop) == ["delivered"]


def test_a_repeat_of_what_an_earlier_program_began_carries_its_number(made: Any, office: PostOffice) -> None:
    shop = made("webhook")
    recipient = earlier(shop, "begun", shop.environ["OWNER"], n_tries=1)
    (one,) = Deliveries(State(shop.home)).newest()
    assert sent(shop) == ["delivered"]
    number = hmac.new(KEY.encode(), f"assistant|{one.week}|{recipient}".encode(), hashlib.sha256).hexdigest()[:16]
    assert office.received[0].headers["Idempotency-Key"] == number


def test_what_an_earlier_program_gave_up_follows_a_new_password_only(made: Any, office: PostOffice) -> None:
    shop = made("webhook")
    earlier(shop, "given up", shop.environ["OWNER"].replace("hush-hush-7", "hush-hush-6"), n_tries=1)
    assert sent(shop) == ["delivered"]
    shop.home.rename(shop.home.with_name("old"))
    shop = made("webhook")
    earlier(shop, "given up", shop.environ["OWNER"], n_tries=1)
    assert sent(shop) == []


def test_one_place_gets_each_launch_that_a_table_asks_for(made: Any, office: PostOffice) -> None:
    shop = made("wecom", 'launches = ["assistant"]\n[[deliveries]]\nname = "b"\nto = "env:B"\nlaunches = ["second"]')
    config = shop.home / "config"
    (config / "launches.toml").write_text(
        LAUNCHES.format(title='"T"') + LAUNCHES.format(title='"S"').replace("assistant", "second"), encoding="utf-8"
    )
    text = (config / "payback.toml").read_text(encoding="utf-8")
    day = text.partition("weekday = ")[2].partition("\n")[0]
    (config / "payback.toml").write_text(f"{text}\nweekday = {day}\n", encoding="utf-8")
    shop.environ["B"] = f"wecombot://{ROBOT.upper()}/"
    warehouse = Warehouse(shop.settings().warehouse_url.reveal())
    content = warehouse.snapshot("assistant", AS_OF)
    assert content is not None
    warehouse.save_snapshot("second", AS_OF, content)
    found = deliver.deliver_measured(shop.settings(), {"assistant": AS_OF, "second": AS_OF}, linger=0.0)
    assert sorted((one.launch, one.state) for one in found) == [("assistant", "delivered"), ("second", "delivered")]
    assert len({one.recipient for one in Deliveries(State(shop.home)).newest()}) == 1  # so what it takes in a minute counts once


def test_two_spellings_of_one_place_are_refused_two_missing_variables_are_not(tmp_path: Path) -> None:
    tables = '\n[[deliveries]]\nname = "a"\nto = "env:A"\n[[deliveries]]\nname = "b"\nto = "env:B"\n'
    shop = Shop.made(tmp_path / "shop", more=tables)
    assert len(shop.settings().deliveries) == 2  # what is missing must not cost the night
    mail = "mailtos://me:{}@mail.example.org?from=p@example.org&to={}"
    for first, second in (
        (f"tgram://{TOKEN}/-100123", f"tgram://{OTHER}/-100123/"),
        (mail.format("one-password", "a@example.org"), mail.format("other-password", "A@Example.org")),
    ):
        shop.environ |= {"A": first, "B": second}
        with pytest.raises(ConfigError, match="same address"):
            shop.settings()


def test_a_place_tells_nothing_that_lets_anybody_in() -> None:
    for address in (f"tgram://{TOKEN}/1", "mailtos://me:pass-word-1@h.example?from=a@h.example&to=b@h.example", "jsons://h.example/se-cret-1"):
        place = place_of(Subscriber("owner", MissableSecret(address)))
        assert not {TOKEN, "pass-word-1", "se-cret-1"} & set(place.split())


def test_an_address_that_cannot_be_used_is_final_at_once_until_it_is_another(
    made: Any, office: PostOffice, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = made("telegram", "files = []")
    good = shop.environ["OWNER"]
    for wrong in ("", "tgram://12345:short/-100123", "tgramm://x"):
        shop.environ["OWNER"] = wrong
        assert sent(shop) == ["given up"], wrong
        assert sent(shop) == [], wrong
    shop.environ["OWNER"] = good
    assert sent(shop) == ["delivered"]
    shop.environ["OWNER"] = ""  # the variable is missing tonight
    assert sent(shop) == []
    assert shop.payback("status", "--json") == Exit.FINDINGS  # nothing ever ran here
    (shown,) = json.loads(capsys.readouterr().out)["deliveries"]
    assert (shown["to"], shown["state"]) == ("owner", "delivered")


def test_a_name_whose_variable_is_missing_is_not_taken_for_who_has_its_chat_now(made: Any, office: PostOffice) -> None:
    shop = made("telegram", "files = []", weekday="monday")
    with time_machine.travel(datetime(2026, 11, 9, 9, tzinfo=UTC), tick=False):
        assert sent(shop) == ["delivered"]
    config = shop.home / "config" / "payback.toml"
    boss = '[[deliveries]]\nname = "boss"\nto = "env:BOSS"\nfiles = []\n'
    config.write_text(config.read_text(encoding="utf-8") + boss, encoding="utf-8")
    shop.environ |= {"BOSS": shop.environ["OWNER"], "OWNER": ""}
    with time_machine.travel(datetime(2026, 11, 16, 9, tzinfo=UTC), tick=False):
        found = deliver.deliver_measured(shop.settings(), {"assistant": AS_OF}, linger=0.0)
    assert ("boss", "delivered") in {(one.name, one.state) for one in found}


def test_a_webhook_that_takes_over_an_address_is_a_recipient_of_its_own(made: Any, office: PostOffice) -> None:
    shop = made("webhook", 'launches = ["assistant"]', weekday="monday")
    first, second = shop.environ["OWNER"], shop.environ["OWNER"].replace("hook", "other")
    earlier(shop, "delivered", first, n_tries=1)
    with time_machine.travel(datetime(2026, 11, 23, 9, tzinfo=UTC), tick=False):
        sent(shop)  # by the key of the earlier program
    office.received.clear()
    config = shop.home / "config" / "payback.toml"
    config.write_text(f'{config.read_text(encoding="utf-8")}\n[[deliveries]]\nname = "b"\nto = "env:B"\n', encoding="utf-8")
    shop.environ |= {"OWNER": second, "B": first}
    with time_machine.travel(datetime(2026, 11, 30, 9, tzinfo=UTC), tick=False):
        assert sent(shop) == ["delivered", "delivered"]
    assert sorted(one.path.partition("-")[0] for one in office.received) == ["/hook", "/other"]


def test_two_webhooks_that_once_had_one_address_get_each_its_own(made: Any, office: PostOffice) -> None:
    tables = 'launches = ["assistant"]\n[[deliveries]]\nname = "b"\nto = "env:B"\nlaunches = ["b"]'
    shop = made("webhook", tables, weekday="monday")
    launches = shop.home / "config" / "launches.toml"
    launches.write_text(launches.read_text(encoding="utf-8") + LAUNCHES.format(title='"B"').replace("assistant", "b"))
    shop.environ["B"] = shop.environ["OWNER"]
    earlier(shop, "delivered", shop.environ["OWNER"], n_tries=1)
    with time_machine.travel(datetime(2026, 11, 23, 9, tzinfo=UTC), tick=False):
        sent(shop)
    office.received.clear()
    shop.environ["B"] = shop.environ["OWNER"].replace("hook", "other")
    config = shop.home / "config" / "payback.toml"
    config.write_text(config.read_text(encoding="utf-8").replace('launches = ["b"]', ""), encoding="utf-8")
    with time_machine.travel(datetime(2026, 11, 30, 9, tzinfo=UTC), tick=False):
        assert sent(shop) == ["delivered", "delivered"]
    assert sorted(one.path.partition("-")[0] for one in office.received) == ["/hook", "/other"]
