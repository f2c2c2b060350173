"""docs/connectors.md is true: its example is a file that runs, and the kit proves it."""

import re
from datetime import date, datetime
from decimal import Decimal
from importlib.metadata import EntryPoint
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors import registry
from connectors.conformance.suite import ConformanceSuite
from connectors.contract import Answer, Slice, Surroundings, Verdict
from connectors.errors import OptionError, PayloadError
from connectors.people import customer_hash
from connectors.secrets import Secret
from tests.connectors.example_crm import INQUIRIES, Tideline, TidelineOptions
from tests.connectors.example_wire import TidelineWire

HERE = Path(__file__).resolve().parent
DOC = HERE.parents[1] / "docs" / "connectors.md"


class TestTideline(ConformanceSuite):
    proves = Tideline
    fake = TidelineWire


@pytest.mark.parametrize("name", ["example_crm.py", "example_wire.py"])
def test_the_document_shows_the_very_files(name):
    blocks = re.findall(r"```python\n(.*?)```", DOC.read_text(encoding="utf-8"), re.DOTALL)
    assert (HERE / name).read_text(encoding="utf-8") in blocks


@pytest.fixture
def tideline():
    house = Surroundings(ZoneInfo("Europe/Moscow"), Secret("a key of this house"))
    return Tideline.open(TidelineOptions("https://salon.tideline.example/", Secret("t0ken")), house)


def test_a_row_becomes_a_lead(tideline):
    row = {
        "id": 5, "created": "2026-10-01T00:30:00+03:00", "changed": "2026-10-02T00:00:00Z", "stage": "Запись", "manager": 3,
        "source": " VK ", "amount": "1500.00", "phone": "8 916 123-45-67",
    }  # fmt: skip
    page = tideline.page(INQUIRIES, {"rows": [row, row | {"id": 6, "amount": "много"}, {"id": 7}], "total": 3, "more": False})
    (lead,) = page.records
    assert (lead.lead_id, lead.created_on, lead.modified_at) == ("5", date(2026, 10, 1), datetime(2026, 10, 2))
    assert (lead.crm_source, lead.amount, lead.owner_id) == ("vk", Decimal("1500.00"), "3")
    assert lead.customer_hash == customer_hash(Secret("a key of this house"), phone="+79161234567")
    assert page.keys == [5, 6, 7]
    assert [reject.key for reject in page.rejects] == ["6", "7"]
    assert "много" not in repr(page.rejects)


def test_a_request_says_what_is_wanted(tideline):
    call = tideline.call(INQUIRIES, Slice(after=7, since=datetime(2026, 10, 1)))
    assert (call.method, call.verb) == ("inquiries", "GET")
    assert call.params == {"limit": 100, "sort": "id", "after": 7, "changed_since": "2026-10-01T00:00:00Z"}
    assert tideline.endpoint.headers == {"Authorization": Secret("Bearer t0ken")}


def test_bad_addresses_and_answers_are_refused(tideline):
    with pytest.raises(OptionError, match="address"):
        Tideline.open(TidelineOptions("salon", Secret("t0ken")), Surroundings(ZoneInfo("UTC"), Secret("k")))
    for body in ({"message": "oops"}, {"rows": [{"title": "no id"}], "total": 1, "more": False}):
        with pytest.raises(PayloadError, match="inquiries"):
            tideline.page(INQUIRIES, body)
    assert tideline.verdict(Answer(status=401)).verdict is Verdict.REAUTH


def test_an_entry_point_makes_it_a_kind(monkeypatch):
    point = EntryPoint("tideline", "tests.connectors.example_crm:Tideline", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == registry.GROUP else [])
    assert registry.kind("tideline") is Tideline
