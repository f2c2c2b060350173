"""Deletions are found exactly, and shrunken rights are never read as deletions."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.contract import Limits
from connectors.errors import AccessError
from tests.connectors.engine_bench import Bench
from tests.connectors.packed_crm import (
    BITRIX_LIKE,
    LABELS,
    SMALL,
    START,
    TICKETS,
    unpacked,
)


@pytest.mark.parametrize("limits", [SMALL, unpacked(SMALL), replace(SMALL, parallel=3)])
def test_deleted_rows_are_found_exactly(limits: Limits) -> None:
    bench = Bench(limits)
    bench.crm.fill("tickets", range(1, 400, 2))
    bench.pull()
    bench.later()
    rng = random.Random(1)
    for key in rng.sample(bench.crm.tables["tickets"].order, 19):
        bench.crm.tables["tickets"].drop(key)
    report = bench.pull()
    bench.check()
    assert report.streams["tickets"].deleted == 19
    bench.later()
    assert bench.pull().streams["tickets"].deleted == 0


def test_thirty_deletions_of_twenty_thousand_cost_a_few_requests() -> None:
    bench = Bench(BITRIX_LIKE)
    bench.crm.fill("tickets", range(1, 20_001))
    bench.pull()
    bench.later()
    for key in random.Random(2).sample(range(1, 20_001), 30):
        bench.crm.tables["tickets"].drop(key)
    report = bench.pull()
    bench.check()
    assert report.streams["tickets"].deleted == 30
    assert report.n_requests <= 9


def test_hidden_rows_are_told_and_not_deleted() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 200))
    bench.pull()
    bench.later()
    for key in (5, 50, 100):
        bench.crm.tables["tickets"].rows[key].is_hidden = True
    bench.crm.tables["tickets"].drop(7)
    report = bench.pull()
    bench.check()
    assert [(one.code, one.severity, one.n) for one in report.findings] == [("rights_shrunk", "warning", 3)]


def test_rights_that_shrank_much_stop_the_hunt() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 200))
    bench.pull()
    bench.later()
    for key in range(1, 100):
        bench.crm.tables["tickets"].rows[key].is_hidden = True
    report = bench.pull()
    bench.check()
    assert [(one.code, one.severity, one.n) for one in report.findings] == [("rights_shrunk", "error", 99)]
    assert report.n_requests <= 3


def test_rights_that_shrank_are_not_masked_by_rows_that_appear() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(2, 402, 2))
    bench.pull()
    bench.later()
    for key in range(2, 92, 2):
        bench.crm.tables["tickets"].rows[key].is_hidden = True
    for key in range(201, 261, 2):
        bench.crm.add("tickets", key, modified_at=START - timedelta(days=30))
    report = bench.pull()
    bench.check()
    told = {(one.code, one.severity, one.n) for one in report.findings}
    assert told == {("rights_shrunk", "error", 45), ("rows_recovered", "warning", 30)}


def test_an_old_row_above_all_keys_known_is_found_once_it_may_be_seen() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 60))
    bench.crm.tables["tickets"].rows[59].is_hidden = True
    bench.pull()
    bench.later()
    bench.crm.tables["tickets"].rows[59].is_hidden = False
    bench.pull()
    bench.check()


def test_a_row_the_list_forgets_and_the_crm_still_has_is_kept() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 60))
    bench.pull()
    bench.later()
    table = bench.crm.tables["tickets"]
    table.rows[20].is_hidden = True

    def back(number: int) -> None:
        if any(method == "get" for method, _ in bench.wire.calls[-1].params["calls"].values()):
            table.rows[20].is_hidden = False
            table.rows[20].stage = "restored"

    bench.wire.before = back
    report = bench.pull()
    bench.check()
    assert (report.streams["tickets"].deleted, report.findings) == (0, [])


def test_faults_while_deletions_are_hunted_delete_nothing_wrong() -> None:
    rng = random.Random(8)
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 400))
    bench.pull()
    bench.later()
    for key in rng.sample(range(1, 400), 12):
        bench.crm.tables["tickets"].drop(key)
    bench.crm.inner_fault = lambda name, params: rng.choice(["broken", "slow", "absent"]) if rng.random() < 0.1 else None
    bench.pull()
    bench.check()


def test_an_access_error_while_confirming_deletes_nothing() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 60))
    bench.pull()
    bench.later()
    bench.crm.tables["tickets"].drop(20)
    bench.crm.inner_fault = lambda name, params: "expired" if "key" in params else None
    with pytest.raises(AccessError, match=r"get \(tickets\)"):
        bench.pull()
    assert len(bench.sink.rows(TICKETS)) == 59


def test_dictionary_rows_that_are_gone_are_deleted() -> None:
    bench = Bench(SMALL, (LABELS,))
    bench.crm.fill("labels", range(1, 15))
    bench.pull()
    bench.crm.tables["labels"].drop(3)
    bench.crm.tables["labels"].drop(14)
    report = bench.pull()
    bench.check()
    assert report.streams["labels"].deleted == 2


@pytest.mark.parametrize("left", [0, 4])
def test_a_dictionary_that_lost_most_of_its_rows_is_not_believed(left: int) -> None:
    bench = Bench(SMALL, (LABELS,))
    bench.crm.fill("labels", range(1, 15))
    bench.pull()
    for key in range(1, 15 - left):
        bench.crm.tables["labels"].drop(key)
    report = bench.pull()
    assert len(bench.sink.rows(LABELS)) == 14
    assert [(one.code, one.severity, one.n) for one in report.findings] == [("rights_shrunk", "error", 14 - left)]


def test_a_dictionary_row_that_slips_between_pages_is_not_deleted() -> None:
    bench = Bench(SMALL, (LABELS,))
    bench.crm.fill("labels", range(1, 15))
    bench.pull()
    bench.later()
    bench.wire.before = lambda n: bench.crm.tables["labels"].drop(1) if n == 1 else None  # row 5 moves onto the first page
    bench.pull()
    stored = {int(key[-1]) for key in bench.sink.rows(LABELS)}
    assert stored == set(range(1, 15))  # row 1 was seen on the first page: it is kept until a read does not show it
    bench.pull()
    bench.check()
