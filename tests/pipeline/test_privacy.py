"""Nothing that tells who a customer is gets into the warehouse, the state, the reports or the log."""

import sqlite3

import pytest

from connectors.demo import Store
from pipeline.tables import METADATA
from tests.pipeline.conftest import Office, build_salon
from tests.pipeline.test_backups import rows_of

PERSONAL = {
    "TITLE": "Canarytitle from Anna",
    "NAME": "Canaryname",
    "LAST_NAME": "Canarysurname",
    "COMMENTS": "Canarycomment: call after six",
    "SOURCE_DESCRIPTION": "Canarydescription",
    "PHONE": "+7 911 222-33-44",
    "UTM_TERM": "canary.person@mail.example",
    "UTM_CONTENT": "+79112223344",
}


@pytest.fixture
def store() -> Store:
    return build_salon(weeks=12, weeks_after=5, leads_per_week=8.0)


def test_no_customer_can_be_recognised(open_office, store: Store, tmp_path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]  # conftest types it
    office: Office = open_office(f"duckdb:///{tmp_path / 'payback.duckdb'}", store)
    contact = office.portal.insert("contact", **{name: PERSONAL[name] for name in ("NAME", "LAST_NAME", "PHONE", "COMMENTS")})
    number = office.portal.insert_lead(**PERSONAL, CONTACT_ID=contact)
    office.portal.insert_deal(TITLE=PERSONAL["TITLE"], COMMENTS=PERSONAL["COMMENTS"], LEAD_ID=number, CONTACT_ID=contact)
    assert office.payback("run", "--out", str(tmp_path / "out"), "--format", "html,json") == 0
    printed = capsys.readouterr()
    rows = rows_of(office.warehouse_url)
    (mine,) = [row for row in rows["leads"] if row[1] == str(number)]
    columns = [column.name for column in METADATA.tables["leads"].columns]
    assert len(str(mine[columns.index("customer_hash")])) == 32  # it is there, and is a hash
    assert mine[columns.index("utm_term")] == "(personal)"
    with sqlite3.connect(tmp_path / "payback-state.sqlite3") as connection:
        state = "\n".join(connection.iterdump())
    connection.close()
    reports = [path.read_text(encoding="utf-8") for path in (tmp_path / "out").iterdir()]
    assert reports
    everything = "\n".join([repr(rows), state, *reports, printed.out, printed.err]).lower()
    traces = ("canary", "911222", "911 222", "2223344", "222-33-44")
    assert [trace for trace in traces if trace in everything] == []
    file = (tmp_path / "payback.duckdb").read_bytes().lower()
    assert [trace for trace in traces if trace.encode() in file] == []
