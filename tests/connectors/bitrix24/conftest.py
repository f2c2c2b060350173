"""One portal's connector, rows as the documentation shows them, and the documented answers when they are at hand."""

import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.bitrix24 import Bitrix24, Options
from connectors.contract import Surroundings
from connectors.secrets import Secret

WEBHOOK = "https://salon.bitrix24.ru/rest/1/s3cr3tc0de/"
SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "bitrix24" / "samples"


@pytest.fixture
def surroundings():
    return Surroundings(ZoneInfo("Europe/Moscow"), Secret("a key of this house"))


@pytest.fixture
def connect(surroundings):
    """Makes a connector: options as keywords, `answers` of the probes to adapt it."""

    def connect(answers=None, **options):
        connector = Bitrix24.open(Options(webhook=Secret(WEBHOOK), **options), surroundings)
        return connector if answers is None else connector.adapted(answers)

    return connect


@pytest.fixture
def stream():
    """A stream of a connector by name."""
    return lambda connector, name: next(one for one in connector.streams() if one.name == name)


@pytest.fixture
def sample():
    """A documented answer by file name; skips the test where the samples are absent."""

    def sample(name):
        path = SAMPLES / name
        if not path.exists():
            pytest.skip("the documented samples (shared/bitrix24/samples) are not here")
        return json.loads(path.read_text(encoding="utf-8"))

    return sample


@pytest.fixture
def answers():
    """What a classic portal answers to the probes."""

    def field(title, kind="string", **more):
        return {"type": kind, "isDynamic": True, "title": "UF", "listLabel": title, "formLabel": title, **more}

    standard = {"ID": {"type": "integer", "isDynamic": False, "title": "ID"}, "NAME": {"type": "string", "title": "Имя"}}
    branches = [{"ID": "45", "VALUE": "Центр"}, {"ID": "46", "VALUE": "Север"}]
    return {
        "profile": {"result": {"ID": "1", "ADMIN": True}},
        "scope": {"result": ["crm", "user_brief"]},
        "mode": {"result": 1},
        "time": {"result": "2026-11-16T03:00:00+03:00"},
        "lead_fields": {
            "result": standard
            | {
                "UF_CRM_1": field("Филиал", "enumeration", items=branches),
                "UF_CRM_2": field("Услуга", isMultiple=True),
                "UF_CRM_3": field("Дата визита", "date"),
                "UF_CRM_4": field("Тёплый", "boolean"),
                "UF_CRM_5": field("Сумма"),
                "UF_CRM_6": field("сумма "),
            }
        },
        "deal_fields": {"result": standard | {"UF_CRM_7": field("Филиал")}},
        "pipelines": {
            "result": {
                "categories": [
                    {"id": 0, "name": "Общая", "entityTypeId": 2, "isDefault": "Y"},
                    {"id": 3, "name": " Клиника  на\tЛенина ", "entityTypeId": 2, "isDefault": "N"},
                ]
            }
        },
    }


@pytest.fixture
def lead_row():
    return {
        "ID": "5",
        "DATE_CREATE": "2026-10-01T00:30:00+03:00",
        "DATE_MODIFY": "2026-10-03T10:00:00+03:00",
        "MOVED_TIME": "2026-10-02T09:00:00+03:00",
        "ASSIGNED_BY_ID": "7",
        "SOURCE_ID": "WEBFORM",
        "UTM_SOURCE": " Yandex ",
        "UTM_MEDIUM": "CPC",
        "UTM_CAMPAIGN": None,
        "UTM_CONTENT": "",
        "UTM_TERM": "Запись  к Врачу",
        "OPPORTUNITY": "15000.00",
        "CURRENCY_ID": "RUB",
        "CONTACT_ID": "2069",
        "IS_RETURN_CUSTOMER": "N",
        "STATUS_ID": "IN_PROCESS",
        "STATUS_SEMANTIC_ID": "P",
        "HAS_PHONE": "Y",
        "PHONE": [{"ID": "1", "VALUE_TYPE": "WORK", "VALUE": "8 (916) 123-45-67", "TYPE_ID": "PHONE"}],
    }


@pytest.fixture
def deal_row():
    return {
        "ID": "37",
        "LEAD_ID": "5",
        "DATE_CREATE": "2026-10-02T09:00:00+03:00",
        "DATE_MODIFY": "2026-10-03T10:00:00+03:00",
        "MOVED_TIME": "",
        "ASSIGNED_BY_ID": "7",
        "SOURCE_ID": None,
        "OPPORTUNITY": "19999.99",
        "CURRENCY_ID": "RUB",
        "CONTACT_ID": "0",
        "IS_RETURN_CUSTOMER": "Y",
        "STAGE_ID": "C3:WON",
        "STAGE_SEMANTIC_ID": "S",
        "CATEGORY_ID": "3",
        "IS_RECURRING": "N",
    }
