"""Faults, limits and budgets: nothing is lost, and what cannot be mended fails loudly."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest

from connectors import engine
from connectors.contract import Answer
from connectors.errors import AccessError, PayloadError, TemporaryError
from tests.connectors.engine_bench import ALL, Bench, bare, small_world
from tests.connectors.packed_crm import (
    BITRIX_LIKE,
    LABELS,
    SMALL,
    TICKETS,
)

# --- faults ----------------------------------------------------------------------------------------------------------


_HTML_502 = Answer(502, is_json=False, content_type="text/html", length=99)
_HTML_200 = Answer(200, is_json=False, content_type="text/html", length=99)
_PASSING = {
    "503": Answer(503, {"error": "slow"}),
    "500": Answer(500, {"error": "broken"}),
    "429": Answer(429, {"error": "budget"}),
    "502": _HTML_502,
    "html": _HTML_200,
    "lost": TemporaryError("the connection was reset"),
}


@pytest.mark.parametrize("name", _PASSING)
@pytest.mark.parametrize("pack", [1, 6])
@pytest.mark.parametrize("number", range(6))
def test_a_passing_fault_of_a_request_loses_nothing(name: str, pack: int, number: int) -> None:
    bench = Bench(replace(SMALL, pack=pack, budget_s=480.0), ALL, with_probe=True)
    small_world(bench)
    bench.wire.faults = {number: _PASSING[name], number + 1: _PASSING[name]}
    report = bench.pull()
    bench.check()
    assert not report.findings
    assert report.n_slowed == (2 if name == "503" else 0)


@pytest.mark.parametrize("fault", ["slow", "budget", "broken", "too much", "absent"])
def test_a_failed_call_inside_a_pack_is_asked_again(fault: str) -> None:
    rng = random.Random(3)
    bench = Bench(replace(SMALL, budget_s=480.0), ALL)
    small_world(bench)
    bench.crm.inner_fault = lambda name, params: fault if rng.random() < 0.05 else None
    report = bench.pull()
    bench.check()
    assert report.findings == []  # the closing count had nothing to mend
    bench.later()
    assert sum(line.appended for line in bench.pull().streams.values()) == 0


@pytest.mark.parametrize(("fault", "error"), [("expired", AccessError), ("wrong", PayloadError)])
def test_a_refused_call_fails_loudly_and_the_rest_of_its_request_is_kept(fault: str, error: type[Exception]) -> None:
    bench = Bench(SMALL, (TICKETS, LABELS))
    bench.crm.fill("tickets", range(1, 60))
    bench.crm.fill("labels", range(1, 4))
    bench.crm.inner_fault = lambda name, params: fault if params["of"] == "tickets" else None
    with pytest.raises(error, match=r"list \(tickets\)") as caught:
        bench.pull()
    assert caught.value.hint == "ask the owner"  # type: ignore[attr-defined]  # both are SourceErrors
    assert len(bench.sink.rows(LABELS)) == 3


def test_a_fault_that_stays_ends_in_a_temporary_error_after_five_tries() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 60))
    bench.wire.faults = {n: Answer(500, {"error": "broken"}) for n in range(2, 500)}
    with pytest.raises(TemporaryError, match="5 times"):
        bench.pull()
    assert bench.wire.n <= 2 + 2 * 5
    bench.wire.faults = {}
    bench.pull()
    bench.check()


def test_a_server_that_always_fails_somewhere_is_read_as_long_as_pages_come() -> None:
    bench = Bench(SMALL)
    bench.crm.fill("tickets", range(1, 120))
    bench.pull()
    bench.later()
    for key in range(1, 120):
        bench.crm.edit("tickets", key, "won")
    bench.crm.inner_fault = lambda name, params: "broken" if name == "c2" else None
    assert bench.pull().n_retries > 5
    bench.check()


def test_no_network_gives_up_soon() -> None:
    bench = Bench(SMALL, with_probe=True)
    bench.wire.faults = dict.fromkeys(range(500), TemporaryError("no network"))
    with pytest.raises(TemporaryError, match="no network"):
        bench.pull()
    assert bench.wire.n == 5
    assert bench.clock.elapsed < 60


def test_a_server_that_cannot_cope_with_much_is_asked_for_less() -> None:
    bench = Bench(BITRIX_LIKE)
    bench.crm.fill("tickets", range(1, 5001))

    def cope(number: int) -> None:
        bench.wire.faults = {number: _HTML_502} if bench.wire.sizes[-1] > 12 else {}

    bench.wire.before = cope
    bench.pull()
    bench.check()
    assert max(bench.wire.sizes[4:]) <= 25


@pytest.mark.parametrize(("pause", "most"), [(0.1, 50), (70.0, 25)])
def test_a_request_that_timed_out_is_asked_again_smaller(pause: float, most: int) -> None:
    bench = Bench(BITRIX_LIKE)
    bench.crm.fill("tickets", range(1, 10_001))
    bench.wire.faults = {2: TemporaryError("the connection was reset")}
    bench.wire.before = lambda n: bench.clock.sleep(pause) if n == 2 else None
    bench.pull()
    bench.check()
    assert max(bench.wire.sizes[3:]) == most


def test_somebody_else_spends_the_same_limit() -> None:
    bench, sink = bare(BITRIX_LIKE, range(1, 200_001))

    def spend(number: int) -> None:
        bench.wire.counter += 1.0  # every second request is theirs

    bench.wire.before = spend
    report = engine.pull(bench.connector, sink, wire=bench.wire, clock=bench.clock)
    assert len(sink.numbers) == 200_000
    assert 0 < report.n_slowed < 20


def test_rejections_without_end_are_given_up() -> None:
    bench = Bench(SMALL)
    bench.wire.faults = dict.fromkeys(range(2500), Answer(503, {"error": "slow"}))
    with pytest.raises(TemporaryError, match="too fast"):
        bench.pull()
    assert bench.clock.elapsed > 300


@pytest.mark.parametrize("ignored", ["after", "order", "upto"])
@pytest.mark.parametrize("pack", [1, 6])
def test_a_server_that_ignores_filter_or_order_fails(ignored: str, pack: int) -> None:
    bench = Bench(replace(SMALL, pack=pack, parallel=1 if pack > 1 else 2))
    bench.crm.fill("tickets", random.Random(4).sample(range(1, 1000), 100))
    bench.crm.ignores = {ignored}
    with pytest.raises(PayloadError, match="tickets"):
        bench.pull()
    assert bench.wire.n < 40


def test_an_endless_dictionary_fails() -> None:
    bench = Bench(SMALL, (LABELS,))
    bench.crm.fill("labels", range(1, 30))
    bench.crm.ignores = {"offset"}
    with pytest.raises(PayloadError, match="does not end"):
        bench.pull()
    assert bench.wire.n < 10


# --- budgets ---------------------------------------------------------------------------------------------------------


def test_an_exhausted_budget_waits_for_the_reset_and_goes_on() -> None:
    bench = Bench(replace(SMALL, budget_s=480.0))
    bench.crm.fill("tickets", range(1, 100))
    bench.crm.inner_fault = lambda name, params: "budget" if 20 < bench.clock.elapsed - 3 < 90 or bench.wire.n == 3 else None
    bench.pull()
    bench.check()


def test_refusals_with_answers_between_are_tried_again_soon() -> None:
    bench = Bench(replace(SMALL, budget_s=480.0))
    bench.crm.fill("tickets", range(1, 200))
    bench.crm.inner_fault = lambda name, params: "budget" if bench.wire.n in (3, 5, 7, 9) else None
    bench.pull()
    bench.check()
    assert bench.clock.elapsed < 20  # no rest until the reset, which is 100 s away


def test_a_method_out_of_budget_is_refused_a_few_times_at_most() -> None:
    bench = Bench(replace(SMALL, budget_s=480.0))
    bench.crm.fill("tickets", range(1, 100))
    bench.crm.inner_fault = lambda name, params: "budget" if 0.15 < bench.clock.elapsed < 95 else None
    bench.pull()
    bench.check()
    n_refused = sum(0.15 < at < 95 for at in bench.wire.sent_at)
    assert n_refused <= 4  # one refusal, two short tries, then it rests until the reset


def test_spending_slows_down_before_the_budget_is_used_up() -> None:
    bench = Bench(replace(SMALL, budget_s=100.0))
    bench.crm.fill("tickets", range(1, 200))
    bench.crm.cost_s = 1.8
    report = bench.pull()
    bench.check()
    gaps = [later - sooner for sooner, later in pairwise(bench.wire.sent_at)]
    assert max(gaps[:6]) < 1.0
    assert 2.0 < gaps[-2] < gaps[-1] < 8.0  # 86 %, then 97 % of the budget
    assert report.n_retries == 0


def test_a_budget_that_never_frees_is_given_up() -> None:
    bench = Bench(replace(SMALL, budget_s=480.0))
    bench.crm.fill("tickets", range(1, 100))
    bench.crm.inner_fault = lambda name, params: "budget"
    with pytest.raises(TemporaryError, match="refused for"):
        bench.pull()
    assert bench.wire.n < 60
