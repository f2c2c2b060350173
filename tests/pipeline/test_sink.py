"""The warehouse as the engine's sink, on every engine: deletions, quarantine, states; and against the sink in memory."""

import random
from dataclasses import replace

import pytest

from connectors.contract import Landing, Reject, Stream
from connectors.memory import MemorySink
from connectors.records import Lead
from pipeline.sink import WarehouseSink
from pipeline.warehouse import Warehouse
from tests.pipeline.records_made import DEAL_MOVES, LEAD_MOVES, LEADS, STAGES, lead, move, stage

OPEN_ROWS = (
    "select record_key, column_name, reason, location from quarantine as q where not is_resolved and not exists "
    "(select 1 from quarantine as r where r.is_resolved and r.stream = q.stream and r.record_key = q.record_key "
    "and r.seen_at > q.seen_at) order by record_key, location"
)


def test_the_state_of_each_stream_is_the_last_one(warehouse: Warehouse) -> None:
    sink = warehouse.sink("crm", "r1")
    assert sink.state(LEADS) is None
    sink.commit([Landing(LEADS, [lead(1)], state={"after": 1, "ranges": [[1, 9]]}), Landing(LEAD_MOVES, state={"after": 7})])
    sink.commit([Landing(LEADS, [lead(2)])])
    assert sink.state(LEADS) == {"after": 1, "ranges": [[1, 9]]}
    sink.commit([Landing(LEADS, state={"after": 2})])
    again = warehouse.sink("crm", "r2")
    assert (again.state(LEADS), again.state(LEAD_MOVES), again.state(STAGES)) == ({"after": 2}, {"after": 7}, None)
    assert warehouse.sink("other", "r2").state(LEADS) is None


def test_the_same_page_and_state_twice_append_nothing(warehouse: Warehouse) -> None:
    page = [
        Landing(LEADS, [lead(1), lead(2)], [Reject("3", "no date", "DATE_CREATE", "page 1")], state={"after": 3}),
        Landing(STAGES, [stage("lead", "0", "NEW")], [Reject(None, "broken quote", "", "line 8")]),
    ]
    assert warehouse.sink("crm", "r1").commit(page) == [2, 1]
    tables = ("leads", "stages", "cursors", "quarantine")
    before = {table: warehouse.n_versions(table) for table in tables}
    assert before == {"leads": 2, "stages": 1, "cursors": 1, "quarantine": 2}
    again = warehouse.sink("crm", "r2")
    assert again.commit(page) == [0, 0]
    assert again.commit(page) == [0, 0]
    assert {table: warehouse.n_versions(table) for table in tables} == before


def test_a_deletion_is_one_more_version_with_the_old_content(warehouse: Warehouse) -> None:
    sink = warehouse.sink("crm", "r1")
    sink.commit([Landing(LEADS, [lead(1), lead(2), lead(3)])])
    sink.commit([Landing(LEADS, [lead(2, stage_id="BOOKED")])])
    assert sink.commit([Landing(LEADS, deleted=[2, 99])]) == [1]
    assert sink.commit([Landing(LEADS, deleted=[2])]) == [0]  # gone already
    assert sink.keys(LEADS, 0, 10) == [1, 3]
    assert sink.counts(LEADS, [(0, 1), (1, 2), (0, 10)]) == [1, 0, 2]
    with warehouse.reading() as reading:
        newest = reading.rows("select stage_id, is_deleted from leads where lead_id = '2' order by seen_at desc")
    assert [tuple(row) for row in newest] == [("BOOKED", True), ("BOOKED", False), ("NEW", False)]


def test_a_row_that_comes_back_is_a_version_though_its_content_is_known(warehouse: Warehouse) -> None:
    sink = warehouse.sink("crm", "r1")
    sink.commit([Landing(LEADS, [lead(1)])])
    sink.commit([Landing(LEADS, deleted=[1])])
    assert sink.commit([Landing(LEADS, [lead(1)])]) == [1]
    assert sink.keys(LEADS, 0, 10) == [1]


def test_a_row_and_its_deletion_in_one_commit(warehouse: Warehouse) -> None:
    sink = warehouse.sink("crm", "r1")
    assert sink.commit([Landing(LEADS, [lead(1), lead(2)], deleted=[1])]) == [3]
    assert sink.keys(LEADS, 0, 10) == [2]
    with warehouse.reading() as reading:
        times = {row.is_deleted: row.seen_at for row in reading.rows("select is_deleted, seen_at from leads where lead_id = '1'")}
    assert times[True] > times[False]  # or "the newest version" would be a matter of luck


def test_streams_that_share_a_table_do_not_delete_each_other(warehouse: Warehouse) -> None:
    sink = warehouse.sink("crm", "r1")
    sink.commit([Landing(LEAD_MOVES, [move("lead", 5, 1)]), Landing(DEAL_MOVES, [move("deal", 5, 1), move("deal", 6, 1)])])
    assert sink.commit([Landing(DEAL_MOVES, deleted=[5])]) == [1]
    assert (sink.keys(LEAD_MOVES, 0, 10), sink.keys(DEAL_MOVES, 0, 10)) == ([5], [6])


def test_names_are_full_keys_and_can_be_deleted_as_such(warehouse: Warehouse) -> None:
    sink = warehouse.sink("crm", "r1")
    sink.commit([Landing(STAGES, [stage("lead", "0", "NEW"), stage("deal", "0", "NEW"), stage("deal", "1", "NEW")])])
    assert sink.commit([Landing(STAGES, deleted=[("deal", "0", "NEW")])]) == [1]
    assert sink.names(STAGES) == {("lead", "0", "NEW"), ("deal", "1", "NEW")}
    assert warehouse.sink("other", "r1").names(STAGES) == set()


def test_keys_are_numbers_not_texts(warehouse: Warehouse) -> None:
    sink = warehouse.sink("crm", "r1")
    sink.commit([Landing(LEADS, [lead(n) for n in (9, 10, 11, 100, 2)])])
    assert sink.keys(LEADS, 2, 99) == [9, 10, 11]
    assert sink.counts(LEADS, [(0, 9), (9, 100)]) == [2, 3]


def test_a_quarantined_row_is_known_until_it_is_read(warehouse: Warehouse) -> None:
    bad = Reject("2", "is no amount", "OPPORTUNITY", "crm.lead.list")
    sink = warehouse.sink("crm", "r1")
    sink.commit([Landing(LEADS, [lead(1)], [bad])])
    assert sink.keys(LEADS, 0, 10) == [1, 2]  # or the closing count would look for it every night
    later = warehouse.sink("crm", "r2")
    assert later.counts(LEADS, [(0, 10)]) == [2]
    assert later.commit([Landing(LEADS, [lead(2)])]) == [1]
    assert later.keys(LEADS, 0, 10) == [1, 2]
    later.commit([Landing(LEADS, deleted=[2])])
    assert warehouse.sink("crm", "r3").keys(LEADS, 0, 10) == [1]
    with warehouse.reading() as reading:
        assert reading.rows(OPEN_ROWS) == []
        rows = reading.rows("select record_key, reason, is_resolved, run_id from quarantine order by seen_at")
    assert [tuple(row) for row in rows] == [("2", "is no amount", False, "r1"), ("2", "", True, "r2")]


def test_a_quarantined_row_that_is_gone_is_settled(warehouse: Warehouse) -> None:
    sink = warehouse.sink("crm", "r1")
    sink.commit([Landing(LEADS, rejects=[Reject("2", "is no amount")])])
    sink.commit([Landing(LEADS, deleted=[2])])
    assert sink.keys(LEADS, 0, 10) == []


def test_a_row_that_turns_bad_again_is_open_again(warehouse: Warehouse) -> None:
    bad = Reject("2", "is no amount")
    for number, landing in enumerate((Landing(LEADS, rejects=[bad]), Landing(LEADS, [lead(2)]), Landing(LEADS, rejects=[bad]))):
        warehouse.sink("crm", f"r{number}").commit([landing])
    with warehouse.reading() as reading:
        assert [row.record_key for row in reading.rows(OPEN_ROWS)] == ["2"]


def test_bad_rows_without_key_end_when_their_place_is_read_anew(warehouse: Warehouse) -> None:
    def bad(place: str, reason: str = "no id") -> Reject:
        return Reject(None, reason, "ID", place)

    def places() -> list[str]:
        with warehouse.reading() as reading:
            # As sql/checks/quarantined_rows.sql counts.
            newest = reading.rows(
                "select location from (select location, is_resolved, row_number() over (partition by stream, "
                "coalesce(record_key, location) order by seen_at desc) as age from quarantine) as v "
                "where age = 1 and not is_resolved order by location"
            )
        return [row.location for row in newest]

    other = Landing(LEADS, rejects=[bad("b.csv, line 2"), Reject("7", "no date", "Created", "a.csv, line 9")])
    first = Landing(LEADS, rejects=[bad("a.csv, line 2"), bad("a.csv, line 4")], reread="a.csv, ")
    warehouse.sink("crm", "r1").commit([other])
    warehouse.sink("crm", "r2").commit([first])
    n_rows = warehouse.n_versions("quarantine")
    warehouse.sink("crm", "r3").commit([first])
    assert warehouse.n_versions("quarantine") == n_rows
    still = Landing(LEADS, rejects=[bad("a.csv, line 4", "no date of creation")], reread="a.csv, ")
    for run_id in ("r4", "r5"):
        warehouse.sink("crm", run_id).commit([still])
        assert places() == ["a.csv, line 4", "a.csv, line 9", "b.csv, line 2"]
    n_rows = warehouse.n_versions("quarantine")
    whole = Landing(LEADS, reread="a.csv, ")
    for run_id in ("r6", "r7"):
        warehouse.sink("crm", run_id).commit([whole])
        assert places() == ["a.csv, line 9", "b.csv, line 2"]
        assert warehouse.n_versions("quarantine") == n_rows + 1
    warehouse.sink("crm", "r8").commit([first])
    assert places() == ["a.csv, line 2", "a.csv, line 4", "a.csv, line 9", "b.csv, line 2"]


def test_deletions_of_rows_nobody_knows_are_ignored(warehouse: Warehouse) -> None:
    unknown = Landing(LEAD_MOVES, deleted=[("lead", str(number)) for number in range(100)])
    sink = warehouse.sink("crm", "r1")
    assert sink.commit([unknown]) == [0]
    assert sink.commit([Landing(LEAD_MOVES, [move("lead", 5, 1)]), Landing(DEAL_MOVES, [move("deal", 6, 1)])]) == [1, 1]
    assert sink.commit([unknown]) == [1]
    assert sink.commit([unknown]) == [0]
    assert (sink.names(LEAD_MOVES), sink.names(DEAL_MOVES)) == (set(), {("deal", "6")})


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("utm_campaign", "half of a NUL: \0"),
        ("utm_term", "half of a pair: \ud83d"),
        ("amount", "text, not money"),
        ("created_at", None),
        ("branch", 5),
    ],
)
def test_a_value_no_column_can_hold_quarantines_its_row_alone(warehouse: Warehouse, column: str, value: object) -> None:
    sink = warehouse.sink("crm", "r1")
    assert sink.commit([Landing(LEADS, [lead(1), lead(2, **{column: value}), lead(3)], state={"after": 3})]) == [2]
    assert sink.keys(LEADS, 0, 10) == [1, 2, 3]
    with warehouse.reading() as reading:
        assert [tuple(row) for row in reading.rows(OPEN_ROWS)] == [("2", column, "the value cannot be stored", "")]


def test_an_amount_too_large_for_its_column_is_quarantined(warehouse: Warehouse) -> None:
    huge = lead(1)
    huge.amount = type(huge.amount)("1e17") if huge.amount is not None else None
    assert warehouse.sink("crm", "r1").commit([Landing(LEADS, [huge])]) == [0]
    with warehouse.reading() as reading:
        assert [row.column_name for row in reading.rows(OPEN_ROWS)] == ["amount"]


def test_a_reverse_slash_and_u0000_as_plain_text_are_no_nul(warehouse: Warehouse) -> None:
    assert warehouse.sink("crm", "r1").commit([Landing(LEADS, [lead(1, utm_term="\\u0000")])]) == [1]


def test_a_reject_with_odd_characters_can_be_stored(warehouse: Warehouse) -> None:
    warehouse.sink("crm", "r1").commit([Landing(LEADS, rejects=[Reject("\0\ud83d7", "bad", "c", "w")])])
    assert warehouse.n_versions("quarantine") == 1


def random_landing(rng: random.Random, stream: Stream) -> Landing:
    """Some rows, rejects and deletions of keys 1..40."""
    keys = rng.sample(range(1, 41), rng.randint(0, 12))
    if stream is LEADS:
        rows = [lead(key, stage_id=rng.choice("AB")) for key in keys]
    else:
        rows = [move(stream.only["entity"], key, 1, rng.choice("AB")) for key in keys]  # type: ignore[misc]  # one kind of row a list
    free = sorted(set(range(1, 41)) - set(keys))
    rejects = [Reject(str(key), rng.choice(("bad", "worse"))) for key in rng.sample(free, rng.choice((0, 0, 1, 3)))]
    state = {"n": rng.randint(0, 5)} if rng.random() < 0.5 else None
    gone = sorted(set(free) - {int(str(one.key)) for one in rejects})
    return Landing(stream, rows, rejects, rng.sample(gone, rng.choice((0, 0, 2, 5))), state)


@pytest.mark.parametrize("seed", range(2))
def test_it_agrees_with_the_sink_in_memory(warehouse: Warehouse, seed: int) -> None:
    """Random commits, with a new sink now and then (another night): every answer is the same."""
    rng = random.Random(seed)
    memory = MemorySink()
    sink: WarehouseSink = warehouse.sink("crm", "r0")
    for step in range(15):
        if rng.random() < 0.3:
            sink = warehouse.sink("crm", f"r{step}")
        chosen = rng.sample((LEADS, LEAD_MOVES, DEAL_MOVES), rng.randint(1, 3))
        landings = [random_landing(rng, stream) for stream in chosen]
        versions, expected = sink.commit(landings), memory.commit(landings)
        for landing, got, wanted in zip(landings, versions, expected, strict=True):
            # In memory a deletion that only settles a quarantined row counts; here it makes no version.
            assert wanted - len(landing.deleted) <= got <= wanted
        for stream in (LEADS, LEAD_MOVES, DEAL_MOVES):
            assert sink.keys(stream, 3, 33) == memory.keys(stream, 3, 33)
            ranges = [(0, 10), (10, 17), (17, 40)]
            assert sink.counts(stream, ranges) == memory.counts(stream, ranges)
            assert sink.state(stream) == memory.state(stream)
    with warehouse.reading() as reading:
        newest = reading.rows(
            "select lead_id, stage_id from (select lead_id, stage_id, is_deleted, row_number() over "
            "(partition by lead_id order by seen_at desc) as age from leads) as v where age = 1 and not is_deleted"
        )
    rows = {key[-1]: row.stage_id for key, row in memory.rows(LEADS).items() if isinstance(row, Lead)}
    assert {row.lead_id: row.stage_id for row in newest} == rows


def test_two_sinks_of_one_source_do_not_double_rows(warehouse: Warehouse) -> None:
    """A sync started twice by mistake: the second one looks at what the first has stored."""
    one, two = warehouse.sink("crm", "r1"), warehouse.sink("crm", "r2")
    page = [lead(n) for n in range(1, 50)]
    for sink in (one, two, one):
        sink.commit([Landing(LEADS, [replace(row) for row in page])])
    assert warehouse.n_versions("leads") == 49
