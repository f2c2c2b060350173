"""Forgetting a person: every row in every version, and for good; nobody else's rows; totals that say what happened."""

import io
import json
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import text

from connectors.contract import Landing, Reject, Stream
from connectors.people import customer_hash
from connectors.records import Contact, Deal
from connectors.secrets import Secret
from pipeline import erasure
from pipeline.backups import back_up, restore
from pipeline.erasure import Request, erase, look_up, request_of
from pipeline.errors import ConfigError, Exit
from pipeline.state import State
from pipeline.tombstones import Key
from pipeline.warehouse import Warehouse, open_database
from tests.pipeline.conftest import Office, build_salon
from tests.pipeline.records_made import LEAD_MOVES, LEADS, lead, move
from tests.pipeline.salon_made import settings
from tests.pipeline.shop_made import Shop
from tests.pipeline.test_backups import rows_of

PERSON, OTHER = "a" * 32, "b" * 32
CONTACTS = Stream("contacts", Contact, is_incremental=True)
DEALS = Stream("deals", Deal, is_incremental=True)
DEAL_MOVES = Stream("deal_moves", LEAD_MOVES.record, is_append_only=True, only={"entity": "deal"})
MOMENT = datetime(2026, 1, 5)
PERSONAL = ("leads", "deals", "contacts", "stage_changes")


def person(number: int, **changed: object):  # type: ignore[no-untyped-def]  # a lead of the person
    return lead(number, **{"customer_hash": PERSON, "contact_id": None, **changed})


def other(number: int, **changed: object):  # type: ignore[no-untyped-def]  # a lead of somebody else
    return lead(number, **{"customer_hash": OTHER, "contact_id": None, **changed})


def deal(number: int, *, of: int | None = None, contact: str | None = None, hashed: str | None = None) -> Deal:
    found = lead(number, contact_id=contact, customer_hash=hashed)
    values = {name: getattr(found, name) for name in found.__slots__ if name not in ("lead_id", "has_phone")}
    return Deal(deal_id=str(number), lead_id=None if of is None else str(of), is_template=False, **values)


def contact(number: int, hashed: str | None) -> Contact:
    return Contact(str(number), MOMENT, MOMENT, hashed)


def keys_left(url: str) -> dict[str, set[str]]:
    """The keys that are stored, by table."""
    key = {"leads": "lead_id", "deals": "deal_id", "contacts": "contact_id", "stage_changes": "entity, change_id"}
    with open_database(url).reading() as connection:
        selects = {table: text(f"SELECT {key[table]} FROM {table}") for table in PERSONAL}
        return {table: {" ".join(row) for row in connection.execute(select)} for table, select in selects.items()}


def fill(url: str) -> None:
    """The person: leads 1 (two versions), 2 (without a number, by contact 31), 3 (a number only once), 4, deals 11 to 13.
    Others: the rest. Contact 40 is a switchboard that both call from."""
    sink = Warehouse(url).sink("crm", "r1")
    sink.commit([Landing(CONTACTS, [contact(31, PERSON), contact(40, None), contact(50, OTHER)])])
    leads = [person(1), lead(2, customer_hash=None, contact_id="31"), lead(3, customer_hash=None, contact_id=None)]
    mixed = [person(4, contact_id="40"), other(5, contact_id="40"), other(6), other(7, contact_id="50")]
    sink.commit([Landing(LEADS, [*leads, *mixed], [Reject("1", "unreadable", "AMOUNT"), Reject("6", "unreadable", "AMOUNT")])])
    sink.commit([Landing(LEADS, [person(1, stage_id="WON"), person(3)])])
    sink.commit([Landing(LEADS, [lead(3, customer_hash=None, contact_id=None)], deleted=[2])])
    deals = [deal(11, of=1), deal(12, contact="31"), deal(13, hashed=PERSON), deal(14, of=5), deal(15, contact="40"), deal(16)]
    sink.commit([Landing(DEALS, deals)])
    moves = Landing(LEAD_MOVES, [move("lead", n, n) for n in range(1, 8)])
    sink.commit([moves, Landing(DEAL_MOVES, [move("deal", n, n + 10) for n in range(1, 7)])])


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path)


ASKED = Request(frozenset([PERSON]), frozenset())


def test_all_rows_of_the_person_go_and_nobody_elses(warehouse_url: str, state: State) -> None:
    fill(warehouse_url)
    before = rows_of(warehouse_url)
    told = look_up(warehouse_url, ASKED)
    assert rows_of(warehouse_url) == before  # asking changes nothing
    done = erase(warehouse_url, state, ASKED)
    assert (done.rows, done.versions) == (told.rows, told.versions)
    assert done.rows == {"contacts": 1, "leads": 4, "deals": 3, "stage_changes": 7}
    assert done.versions["leads"] == 8
    assert keys_left(warehouse_url) == {
        "leads": {"5", "6", "7"},
        "deals": {"14", "15", "16"},
        "contacts": {"40", "50"},  # 40 is not the person's: somebody else's lead names it
        "stage_changes": {"lead 5", "lead 6", "lead 7", "deal 4", "deal 5", "deal 6"},  # of deals 14, 15, 16
    }
    after = rows_of(warehouse_url)
    for table in PERSONAL:  # what is left is as it was, seen_at and all
        assert set(after[table]) < set(before[table])
    assert {row[2] for row in after["quarantine"]} == {"6"}
    assert after["snapshots"] == before["snapshots"]
    assert after["commits"] == before["commits"]
    with open_database(warehouse_url).reading() as connection:
        rows = connection.execute(text("SELECT source, table_name, month, n_rows, n_versions FROM erasures")).fetchall()
        assert {row.table_name: (row.month, row.n_rows, row.n_versions) for row in rows} == {
            "contacts": (None, 1, 1),
            "leads": ("2026-01", 4, 8),
            "deals": ("2026-01", 3, 3),
            "stage_changes": ("2026-01", 7, 7),
        }
        everything = str(connection.execute(text("SELECT * FROM erasures")).fetchall())
    assert PERSON not in everything  # how many, and not who


def test_the_person_stays_out_when_the_source_tells_of_them_again(warehouse_url: str, state: State) -> None:
    fill(warehouse_url)
    sink = Warehouse(warehouse_url).sink("crm", "r2")
    known = {stream.name: sink.keys(stream, 0, 10**9) for stream in (LEADS, CONTACTS, DEALS, LEAD_MOVES, DEAL_MOVES)}
    erase(warehouse_url, state, ASKED)
    left = keys_left(warehouse_url)
    fill(warehouse_url)  # a full export: everything comes again
    assert keys_left(warehouse_url) == left
    sink = Warehouse(warehouse_url).sink("crm", "r3")
    now = {stream.name: sink.keys(stream, 0, 10**9) for stream in (LEADS, CONTACTS, DEALS, LEAD_MOVES, DEAL_MOVES)}
    assert now == known  # the closing count misses nothing: the source has them, we know that we may not
    n = sink.commit([Landing(LEADS, [person(1), other(6, stage_id="WON")], [Reject("2", "unreadable", "AMOUNT")])])
    assert (n, sink.n_turned_away) == ([1], 1)
    assert {row[2] for row in rows_of(warehouse_url)["quarantine"] if not row[-1]} == {"6"}


def test_new_rows_of_the_person_are_turned_away_with_what_belongs_to_them(warehouse_url: str, state: State) -> None:
    fill(warehouse_url)
    erase(warehouse_url, state, ASKED)
    left = keys_left(warehouse_url)
    sink = Warehouse(warehouse_url).sink("crm", "r2")
    # Lead 100 has no number yet, deal 101 names a contact that nobody has seen: both are stored, with their moves ...
    sink.commit([Landing(LEADS, [lead(100, customer_hash=None, contact_id=None)]), Landing(DEALS, [deal(101, contact="131")])])
    sink.commit([Landing(LEAD_MOVES, [move("lead", 100, 100)]), Landing(DEAL_MOVES, [move("deal", 101, 101)])])
    assert keys_left(warehouse_url)["leads"] == {*left["leads"], "100"}
    # ... until they turn out to be the person's.
    sink.commit([Landing(LEADS, [person(100), person(102)]), Landing(LEAD_MOVES, [move("lead", 103, 102)])])
    sink.commit([Landing(CONTACTS, [contact(131, PERSON)]), Landing(DEALS, [deal(104, of=102)])])
    assert keys_left(warehouse_url) == left
    assert sink.n_turned_away == 5
    assert sink.keys(LEADS, 99, 10**9) == [100, 102]
    assert sink.keys(DEALS, 99, 10**9) == [101, 104]
    assert sink.keys(LEAD_MOVES, 99, 10**9) == [100, 103]


def test_an_erased_row_that_the_source_deletes_and_restores_is_counted_as_it_is(warehouse_url: str, state: State) -> None:
    fill(warehouse_url)
    erase(warehouse_url, state, ASKED)
    sink = Warehouse(warehouse_url).sink("crm", "r2")
    assert sink.keys(LEADS, 0, 3) == [1, 3]  # 2 was deleted before
    assert sink.keys(LEAD_MOVES, 0, 3) == [1, 3]
    sink.commit([Landing(LEADS, deleted=[1])])
    assert sink.keys(LEADS, 0, 3) == [3]
    assert sink.keys(LEAD_MOVES, 0, 3) == [3]  # its stage history went with it
    sink.commit([Landing(LEADS, [person(1)]), Landing(LEAD_MOVES, [move("lead", 1, 1)])])
    assert sink.keys(LEADS, 0, 3) == [1, 3]
    assert sink.keys(LEAD_MOVES, 0, 3) == [1, 3]
    assert "1" not in keys_left(warehouse_url)["leads"]


def test_a_lead_stands_for_its_person(warehouse_url: str, state: State) -> None:
    fill(warehouse_url)
    by_lead = look_up(warehouse_url, Request(frozenset(), frozenset([Key("crm", "leads", "", "2")])))
    assert by_lead.rows == look_up(warehouse_url, ASKED).rows  # its contact tells who it is
    alone = Request(frozenset(), frozenset([Key("crm", "leads", "", "9000")]))
    assert look_up(warehouse_url, alone).rows == {}
    assert erase(warehouse_url, state, alone).rows == {}
    assert rows_of(warehouse_url)["tombstones"] == []


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_sources_of_the_same_numbers_do_not_mix(warehouse_url: str, state: State) -> None:
    fill(warehouse_url)
    Warehouse(warehouse_url).append([other(1), other(2)], "shop", "r1")
    erase(warehouse_url, state, ASKED)
    assert keys_left(warehouse_url)["leads"] == {"5", "6", "7", "1", "2"}
    assert Warehouse(warehouse_url).append([other(1, stage_id="WON"), person(3)], "shop", "r2") == 1


def test_the_bytes_are_gone_from_the_file(migrated_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    path.write_bytes(migrated_file.read_bytes())
    path.chmod(0o640)
    url, mark = f"duckdb:///{path}", b"Mark7391 of the person"
    fill(url)
    Warehouse(url).append([person(1000 + n, utm_campaign=f"{mark.decode()} {n}") for n in range(50)], "crm", "r1")
    with duckdb.connect(str(path)) as connection:
        connection.execute("CHECKPOINT")
    assert mark in path.read_bytes()
    erase(url, State(tmp_path), ASKED)
    assert mark not in path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o640
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["payback-state.sqlite3", "w.duckdb"]


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_the_rows_are_gone_from_postgresqls_pages(warehouse_url: str, state: State) -> None:
    """No dead row version is left behind either: the table's file has the size of what it holds."""
    fill(warehouse_url)
    Warehouse(warehouse_url).append([person(1000 + n, utm_campaign="x" * 500) for n in range(500)], "crm", "r1")
    size = text("SELECT pg_relation_size('leads')")
    with open_database(warehouse_url).reading() as connection:
        full = connection.execute(size).scalar_one()
    erase(warehouse_url, state, ASKED)
    with open_database(warehouse_url).reading() as connection:
        assert connection.execute(size).scalar_one() == 8192 < full


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_a_compaction_that_fails_is_caught_up(warehouse_url: str, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(warehouse_url)
    database = type(open_database(warehouse_url))
    calls: list[object] = []

    def fail(*_: object) -> None:
        calls.append(1)
        raise OSError("no room")

    monkeypatch.setattr(database, "compact", fail)
    with pytest.raises(OSError, match="no room"):
        erase(warehouse_url, state, ASKED)
    assert "1" not in keys_left(warehouse_url)["leads"]
    monkeypatch.setattr(database, "compact", lambda *_: calls.append(2))
    again = erase(warehouse_url, state, ASKED)
    assert (again.rows, again.was_erased_before, calls) == ({}, True, [1, 2])


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_a_backup_from_before_does_not_bring_the_person_back(warehouse_url: str, state: State, tmp_path: Path) -> None:
    fill(warehouse_url)
    file = back_up(warehouse_url, state, tmp_path / "b.duckdb").file
    erase(warehouse_url, state, ASKED)
    left = keys_left(warehouse_url)
    done = restore(file, warehouse_url, State(tmp_path / "lost"), replace=True)  # the warehouse itself still knows
    assert (done.n_erased, keys_left(warehouse_url)) == (19, left)
    lost = f"duckdb:///{tmp_path / 'new.duckdb'}"
    done = restore(file, lost, state, replace=False)  # the warehouse is lost: the state file knows
    assert (done.n_erased, keys_left(lost)) == (19, left)
    Warehouse(lost).append([person(1), person(500)], "crm", "r9")
    assert keys_left(lost) == left
    assert restore(back_up(lost, state, tmp_path / "c.duckdb").file, lost, state, replace=True).n_erased == 0


def test_who_is_meant(state: State) -> None:
    plain = settings()
    for phone in ("+7 900 123-45-67", "8 (900) 1234567", "9001234567"):
        asked = request_of(plain, [phone], ["Anna@Example.RU "], [])
        assert asked.people == {
            customer_hash(plain.hash_key, phone="+79001234567"),
            customer_hash(plain.hash_key, email="anna@example.ru"),
        }
    for phones, emails, leads, words in (
        (["12"], [], [], "no phone number"),
        ([], ["anna at example"], [], "no e-mail"),
        ([], [], ["1045"], "SOURCE:ID"),
        ([], [], ["salun:1045"], "no source 'salun'"),
    ):
        with pytest.raises(ConfigError, match=words) as caught:
            request_of(plain, phones, emails, leads)
        assert "anna" not in str(caught.value)


# --- with a portal and the command line -----------------------------------------------------------------------------


@pytest.fixture
def portal_office(open_office, warehouse_url: str) -> Office:  # type: ignore[no-untyped-def]  # conftest types it
    return open_office(warehouse_url, build_salon(weeks=12, weeks_after=5, leads_per_week=8.0))


def measured(office: Office, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:  # type: ignore[type-arg]  # a JSON document
    capsys.readouterr()
    assert office.payback("measure", "assistant", "--json", *arguments) == 0
    found: dict = json.loads(capsys.readouterr().out)  # type: ignore[type-arg]  # as above
    return found


def test_a_customer_of_the_portal_is_forgotten_for_good(portal_office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office, url = portal_office, portal_office.warehouse_url
    customer = office.portal.insert("contact", PHONE="+7 900 555-01-02")
    ids = [office.portal.insert_lead(PHONE="8 (900) 555 01 02", CONTACT_ID=customer, STATUS_ID="NEW") for _ in range(2)]
    sold = office.portal.insert_deal(LEAD_ID=ids[0], CONTACT_ID=customer, OPPORTUNITY="5000")
    assert office.payback("sync") == 0
    office.portal.update_lead(ids[1], STATUS_ID="JUNK")
    assert office.payback("sync") == 0
    before = measured(office, capsys)
    left = keys_left(url)

    assert office.payback("erase", "--phone", "+79005550102") == Exit.CONFIG  # nobody is there to be asked
    assert keys_left(url) == left
    assert office.payback("erase", "--phone", "+79005550102", "--yes") == 0
    printed = capsys.readouterr()
    assert "2 of leads" in printed.out
    assert "9005550102" not in printed.out + printed.err
    left["leads"] -= {str(one) for one in ids}
    left["deals"] -= {str(sold)}
    left["contacts"] -= {str(customer)}
    found = keys_left(url)
    assert {**found, "stage_changes": set()} == {**left, "stage_changes": set()}
    assert len(left["stage_changes"]) - len(found["stage_changes"]) == 4

    again = office.portal.insert_lead(PHONE="89005550102")
    for full in ([], ["--full"]):
        capsys.readouterr()
        assert office.payback("sync", "--json", *full) == 0
        source = json.loads(capsys.readouterr().out)["sources"][0]
        assert keys_left(url) == found
        assert source["appended"] == 0
        assert not any("recovered" in line or "uncounted" in line for line in source["findings"])
        assert any("erased_turned_away" in line for line in source["findings"])
    office.portal.delete_lead(again)
    office.portal.delete_lead(ids[0])
    for _ in range(2):
        assert office.payback("sync") == 0
    assert keys_left(url) == found

    after = measured(office, capsys)
    note = [finding for finding in after["trust"]["findings"] if finding["code"] == "erased_on_request"]
    assert [finding["n"] for finding in note] == [2]
    assert after["provenance"]["n_leads"] == before["provenance"]["n_leads"] - 2
    assert after["trust"]["score"] == before["trust"]["score"]
    assert office.payback("report", "assistant", "--format", "terminal", "--lang", "en") == 0
    assert "2 leads of the months looked at were erased at people’s request" in " ".join(capsys.readouterr().out.split())
    assert office.payback("erase", "--phone", "+79005550102", "--yes") == 0
    assert "nothing is left" in capsys.readouterr().out
    assert office.payback("erase", "--phone", "+79005559999", "--yes") == Exit.NOTHING


def test_a_number_comes_from_standard_input(
    office: Office, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command line stays in the shell's history."""
    Warehouse(office.warehouse_url).migrate()
    hashed = customer_hash(Secret("k" * 16), phone="+79001234567")
    asked: list[Request] = []
    monkeypatch.setattr(erasure, "look_up", lambda url, request: asked.append(request) or erasure.Erasure({}, {}, False))
    monkeypatch.setattr("sys.stdin", io.StringIO("+7 900 123 45 67\n"))
    assert office.payback("erase", "--phone", "-") == Exit.NOTHING
    assert len(asked[0].people) == 1
    assert hashed not in asked[0].people  # the office has a key of its own
    assert "nothing is known" in capsys.readouterr().out


# --- what one of the two forgot ---------------------------------------------------------------------------------------


def test_a_warehouse_made_anew_and_a_lost_state_file_remember_the_person(tmp_path: Path) -> None:
    shop = Shop.made(tmp_path / "shop")
    rows = "ID;Дата создания;Стадия;Телефон\n1;01.10.2026 12:30:00;Новая;+79001234567\n2;02.10.2026 12:30:00;Новая;+79007654321\n"
    (shop.exports / "leads.csv").write_text(rows, encoding="utf-8")
    url = shop.settings().warehouse_url.reveal()
    assert shop.payback("sync") == 0
    assert shop.payback("erase", "--phone", "+79001234567", "--yes") == 0
    state = shop.home / "payback-state.sqlite3"
    for lost in (shop.home / "payback.duckdb", state, shop.home / "payback.duckdb"):  # the one tells the other, every time
        lost.unlink()
        assert shop.payback("sync") == 0
        assert keys_left(url)["leads"] == {"2"}
