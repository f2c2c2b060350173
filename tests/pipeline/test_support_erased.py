"""Requests to support of an erased person go with them, by hash and by what they name in their CRM, and do not come back."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from connectors.contract import Landing, Reject, Stream
from connectors.records import SupportRequest
from pipeline import retention
from pipeline.backups import back_up, restore
from pipeline.erasure import Request, erase, look_up
from pipeline.state import State
from pipeline.tombstones import Key
from pipeline.warehouse import Warehouse, open_database
from tests.pipeline.records_made import lead
from tests.pipeline.support_made import request

PERSON, OTHER = "a" * 32, "b" * 32
AT = datetime(2026, 1, 6, 9)
REQUESTS = Stream("support_requests", SupportRequest)
ASKED = Request(frozenset([PERSON]), frozenset())
MINE = [
    request(1, AT, customer_hash=PERSON),
    request(2, AT, crm="crm", lead_id="1"),
    request(3, AT, crm="crm", contact_id="31"),
]
OTHERS = [
    request(4, AT, customer_hash=OTHER),
    request(5, AT, lead_id="1"),  # number 1 of the help desk itself is nobody's lead
    request(6, AT, crm="other", lead_id="1"),
    request(7, AT),
]


def fill(url: str) -> None:
    Warehouse(url).append(
        [lead(1, customer_hash=PERSON, contact_id="31"), lead(2, customer_hash=OTHER, contact_id="40")], "crm", "r1"
    )
    Warehouse(url).sink("desk", "r1").commit([Landing(REQUESTS, [*MINE, *OTHERS], [Reject("1", "not a number", "csat")])])


def kept(url: str) -> set[str]:
    with open_database(url).reading() as connection:
        return {number for (number,) in connection.execute(text("SELECT request_id FROM support_requests"))}


def test_they_go_with_the_person_and_do_not_come_back(warehouse_url: str, tmp_path: Path) -> None:
    fill(warehouse_url)
    state = State(tmp_path)
    assert look_up(warehouse_url, ASKED).rows["support_requests"] == 3
    erase(warehouse_url, state, ASKED)
    assert kept(warehouse_url) == {"4", "5", "6", "7"}
    with open_database(warehouse_url).reading() as connection:
        told = "SELECT month, n_rows FROM erasures WHERE table_name = 'support_requests'"
        assert [tuple(row) for row in connection.execute(text(told))] == [("2026-01", 3)]
        assert connection.execute(text("SELECT COUNT(*) FROM quarantine")).scalar_one() == 0
    late = [request(8, AT, customer_hash=PERSON), request(9, AT, crm="crm", lead_id="1"), request(10, AT)]
    sink = Warehouse(warehouse_url).sink("desk", "r2")
    sink.commit([Landing(REQUESTS, [*MINE, *OTHERS, *late])])
    assert kept(warehouse_url) == {"4", "5", "6", "7", "10"}
    assert sink.n_turned_away == 5
    sink.commit([Landing(REQUESTS, [request(9, AT)])])  # its number was buried with the person
    assert "9" not in kept(warehouse_url)


def test_a_lead_named_for_erasure_takes_its_requests(warehouse_url: str, tmp_path: Path) -> None:
    fill(warehouse_url)
    erase(warehouse_url, State(tmp_path), Request(frozenset(), frozenset([Key("crm", "leads", "", "2")])))
    assert kept(warehouse_url) == {"1", "2", "3", "5", "6", "7"}  # the person behind lead 2 wrote number 4


@pytest.mark.parametrize("engine", ["duckdb"])
def test_a_restored_backup_forgets_them_again(warehouse_url: str, tmp_path: Path, engine: str) -> None:
    fill(warehouse_url)
    state = State(tmp_path)
    backup = back_up(warehouse_url, state, tmp_path / "b.duckdb")
    assert backup.rows["support_requests"] == 7
    erase(warehouse_url, state, ASKED)
    restore(tmp_path / "b.duckdb", warehouse_url, state, replace=True)
    assert kept(warehouse_url) == {"4", "5", "6", "7"}


def test_superseded_versions_can_be_thrown_away(warehouse_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = Warehouse(warehouse_url)
    for n, reply in enumerate((None, 5.0, 7.0)):
        monkeypatch.setattr("pipeline.warehouse.utc_now", lambda n=n: AT + timedelta(days=n))
        warehouse.append([request(1, AT, reply=reply)], "desk", f"r{n}")
    assert warehouse.n_versions("support_requests") == 3
    assert retention._KEYS["support_requests"] == ("source", "request_id")
    with open_database(warehouse_url).writing() as connection:
        cut = AT + timedelta(days=1, hours=1)
        n = retention._throw_away(open_database(warehouse_url), connection, "support_requests", ("source", "request_id"), cut)
    assert n == 1
