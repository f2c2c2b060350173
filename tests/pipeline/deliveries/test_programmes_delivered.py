"""The report of a programme goes out like that of a launch: once a week to each subscriber, and its parts sum to the whole."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline import deliver
from pipeline.accounting import measure_programme
from pipeline.accounting_document import programme_document
from pipeline.errors import ConfigError
from pipeline.languages import LANGUAGES
from pipeline.programmes import Programme
from pipeline.reports.message import CAPTION, ROBOT
from pipeline.reports.programme_message import mail_of, message_of
from pipeline.warehouse import Warehouse
from tests.pipeline.deliveries.delivering import AS_OF, HOSTILE, said, stored
from tests.pipeline.deliveries.postoffice import PostOffice
from tests.pipeline.salon_made import launch, settings
from tests.pipeline.shop_made import Shop

TABLES = '\n[twin]\nstarted_on = 2026-05-04\n[programme.ai]\ntitle = "AI"\nmodules = ["assistant", "twin"]\n'


@pytest.fixture(scope="module")
def warehouse_file(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Path:
    """A warehouse with one snapshot of one programme, whose modules cannot be told apart."""
    configured = settings(launches=(launch(title=HOSTILE), launch(name="twin", title="Twin")))
    programme = Programme("ai", "AI", ("assistant", "twin"))
    return stored(
        tmp_path_factory.mktemp("snapshot"), migrated_file, "ai",
        lambda reading, as_of: programme_document(measure_programme(reading, programme, configured, as_of)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(warehouse_file: Path) -> Any:
    stored = Warehouse(f"duckdb:///{warehouse_file}").snapshot("ai", AS_OF)
    assert stored is not None
    return json.loads(stored)


def with_programme(shop: Shop) -> Shop:
    path = shop.home / "config" / "launches.toml"
    path.write_text(path.read_text(encoding="utf-8") + TABLES, encoding="utf-8")
    return shop


def sent(shop: Shop) -> list[str]:
    return [one.state for one in deliver.deliver_measured(shop.settings(), {"ai": AS_OF}, linger=0.0)]


def test_who_names_a_programme_gets_its_text_and_file_once(made: Any, office: PostOffice) -> None:
    shop = with_programme(made("telegram", 'launches = ["ai"]'))
    assert sent(shop) == ["delivered"]
    assert sent(shop) == []
    (one,) = office.received
    name, content = one.files["document"]
    assert name == "ai-2026-08-03.html"
    assert content.lower().startswith(b"<!doctype html>")
    (text,) = said(office)
    assert text.startswith("ROI за неделю 31 (27.07–02.08.2026)")
    assert "Программа: AI" in text
    assert "Вместе, не отделить:" in text
    assert "evil.example" not in text  # no messenger sees an address in it
    launches = (shop.home / "config" / "payback.toml").read_text(encoding="utf-8").replace('["ai"]', '["aj"]')
    (shop.home / "config" / "payback.toml").write_text(launches, encoding="utf-8")
    with pytest.raises(ConfigError, match="no launch or programme 'aj', did you mean 'ai'"):
        shop.settings()


def test_a_webhook_gets_parts_that_sum_to_the_whole(made: Any, office: PostOffice) -> None:
    assert sent(with_programme(made("webhook"))) == ["delivered"]  # who names nothing gets everything
    (one,) = office.received
    fields = one.fields
    assert (fields["kind"], fields["programme"]) == ("programme", {"name": "ai", "title": "AI"})
    parts = [part["amount"]["estimate"] for part in (*fields["modules"], *fields["joint"]) if part["amount"]]
    assert sum(parts) + fields["rest"]["estimate"] == pytest.approx(fields["money"]["amount"]["estimate"], abs=0.01)


@pytest.mark.parametrize("language", LANGUAGES)
def test_messages_fit_and_mails_stay_text(found: Any, language: str) -> None:
    crowded = copy.deepcopy(found)
    crowded["joint"] = []
    amounts = {"estimate": found["joint"][0]["amount"]["estimate"] / 12, "low": -1.0, "high": 9e6}
    told = {**found["modules"][0], "amount": amounts, "state": "told"}
    crowded["modules"] = [{**told, "name": f"m{n}", "title": f"{n} {HOSTILE * 3}"} for n in range(12)]
    crowded["pairs"] = [{"modules": ["m0", "m1"], "code": "joint", "n_weeks_apart": 5}]
    crowded["steps"] = []
    for limit in (CAPTION, ROBOT):
        text = message_of(crowded, language, limit, note="the end")
        assert limit.size(text) <= limit.most
        assert text.endswith("the end")
        assert found["programme"]["title"] in text
    html = mail_of(found, language).html
    assert "<a " not in html
    assert "evil.example" not in html
    rows = re.findall(r'<td align="right"[^>]*>(?:<b>)?([^<]*)', html)
    sizes = [int(re.sub(r"[^\d-]", "", row.replace("−", "-"))) for row in rows]
    assert sum(sizes[:-1]) == sizes[-1] == round(found["money"]["amount"]["estimate"])
