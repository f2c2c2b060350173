"""What is secret of an address is masked, and nothing else: holes in ordinary words hide nothing but faults."""

import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from connectors.secrets import Secret, mask, mask_values, masked_json
from pipeline.errors import Exit
from pipeline.recipients import Alerts
from pipeline.strict import MissableSecret
from tests.pipeline.shop_made import Shop

PAGE = Path(__file__).parents[2] / "docs" / "alerts.md"
TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
PUSHED = ["qwertyqwertyqwertyqwertyqwerty", "asdfghasdfghasdfghasdfghasdfgh"]
FILLED = {"BOT-TOKEN": TOKEN, "CHAT-ID": "-1001234567890", "USER": "robot", "PASSWORD": "very%21secretpw", "=...": "=a@ex.ru"}
ORDINARY = """payback: config/payback.toml and sources.portal of mail.example.ru, example.ru/path: verify the owner's address
owner@example.ru, payback@example.ru, a@ex.ru or robot; see services, sources, portal, payback-state.sqlite3, jsons, mailtos,
127.0.0.1:25, owner2026@mail24.ru"""


def examples() -> list[str]:
    """The addresses that docs/alerts.md shows, filled in."""
    shown = re.findall(r"`(\w+://[^` ]+)`", PAGE.read_text(encoding="utf-8"))
    assert {address.partition("://")[0] for address in shown} == {"tgram", "mailtos", "jsons", "mailto"}
    for placeholder, value in FILLED.items():
        shown = [address.replace(placeholder, value) for address in shown]
    return shown


def secrets_of(address: str) -> list[Secret]:
    return Alerts(to=(MissableSecret(address),)).secrets()


@pytest.mark.parametrize(
    "address",
    [
        *examples(),
        "mailtos://robot:verysecretpw1@mail.example.ru?from=payback@example.ru&to=owner2026@mail24.ru&verify=no",
        "jsons://example.invalid/sources/portal",
        "mailtos://payback@mail.example.ru?to=owner@example.ru",
    ],
)
def test_nothing_of_an_ordinary_text_is_masked_for_an_address(address: str) -> None:
    assert mask(ORDINARY, secrets_of(address)) == ORDINARY
    assert address not in mask(f"refused: {address}", secrets_of(address))


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        *((address, [TOKEN, "-1001234567890"]) for address in examples() if address.startswith("tgram")),
        *((address, ["very%21secretpw", "very!secretpw"]) for address in examples() if address.startswith("mailtos")),
        ("mailtos://robot:verysecretpw1@mail.example.ru?from=payback@example.ru&to=owner@example.ru", ["verysecretpw1"]),
        ("mailtos://mail.example.ru?user=robot&pass=onlyletters&to=owner@example.ru", ["onlyletters"]),
        ("jsons://name:plain%40word@example.ru/hooks/a1b2c3d4?key=k%2Fe1234567", ["plain@word", "a1b2c3d4", "k/e1234567"]),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#payback", ["T1JJ3T3L2", "A1BRTD4JD", "TIiajkdnlazkcOXrIdevi7FQ"]),
        ("gotifys://push.example.ru/AbcdefGhijKlmnO", ["AbcdefGhijKlmnO"]),
        (f"pover://{PUSHED[0]}@{PUSHED[1]}", PUSHED),
    ],
)
def test_the_secret_parts_of_an_address_are_masked_wherever_they_stand(address: str, parts: list[str]) -> None:
    for part in parts:
        said = mask(f"POST https://api.example/bot{part}/send ({part})", secrets_of(address))
        assert part not in said
        assert unquote(part) not in said
        assert said.startswith("POST https://api.example/")


def test_values_of_json_are_masked_and_its_keys_are_not() -> None:
    secrets = [Secret("sources"), Secret('pass"word')]
    document = {"sources": [{"error": 'sources: pass"word', "n": 7, "is_full": False, "none": None}], "bidi": "a\u202eb"}
    masked = {"sources": [{"error": "***: ***", "n": 7, "is_full": False, "none": None}], "bidi": "a\u202eb"}
    assert mask_values(document, secrets) == masked
    assert json.loads(masked_json(document, secrets)) == masked
    assert "\u202e" not in masked_json(document, secrets)


def test_commands_speak_of_their_files_and_sources_whatever_the_alert_addresses_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = Shop.made(tmp_path / "shop", more='\n[alerts]\nto = ["env:MAIL", "env:HOOK"]\n')
    shop.environ["MAIL"] = "mailtos://robot:verysecretpw1@127.0.0.1:9?from=payback@example.ru&to=owner@example.ru"
    shop.environ["HOOK"] = "jsons://127.0.0.1:9/sources/crm"
    assert shop.payback("sync", "--json") == Exit.OK
    told = json.loads(capsys.readouterr().out)
    assert [source["source"] for source in told["sources"]] == ["crm"]
    assert shop.payback("status", "--json") == Exit.OK
    printed = capsys.readouterr().out
    assert [source["source"] for source in json.loads(printed)["sources"]] == ["crm"]
    assert shop.payback("measure", "none") == Exit.CONFIG
    printed += capsys.readouterr().err
    assert "config/launches.toml" in printed
    assert "***" not in printed
