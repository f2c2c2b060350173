"""Credentials, scopes, the request limit, the operating limit, and what a page costs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from connectors.demo import Costs
from connectors.demo.limits import Bucket, Budget
from tests.connectors.demo.portal_client import Client, page_command


def refusal(client: Client, path: str, **options: Any) -> tuple[int, str]:
    answer = client.session.get(client.portal.base_url + path, timeout=9, **options)
    assert answer.headers["Content-Type"].startswith("application/json")
    return answer.status_code, answer.json()["error"]


def test_addresses_that_are_refused(client: Client) -> None:
    assert refusal(client, "/rest/1/wrong/profile") == (401, "INVALID_CREDENTIALS")
    assert refusal(client, "/rest/2/demo0secret0/profile") == (401, "INVALID_CREDENTIALS")
    assert refusal(client, "/rest/profile") == (401, "NO_AUTH_FOUND")
    assert refusal(client, "/rest/1/demo0secret0/crm.lead.lst") == (404, "ERROR_METHOD_NOT_FOUND")
    assert client.call("method.get", name="crm.lead.list")["result"] == {"isExisting": True, "isAvailable": True}
    assert client.call("method.get", name="crm.lead.lst")["result"] == {"isExisting": False, "isAvailable": False}


def test_the_older_status_of_a_wrong_secret(serve: Callable[..., Client]) -> None:
    client = serve(bad_secret_status=403)
    assert refusal(client, "/rest/1/wrong/profile") == (403, "INVALID_CREDENTIALS")


def test_missing_scope(serve: Callable[..., Client]) -> None:
    client = serve(scopes=("user_brief",))
    answer = client.post("crm.lead.list")
    assert (answer.status_code, answer.json()["error"]) == (401, "insufficient_scope")
    assert client.call("scope")["result"] == ["user_brief"]
    assert client.call("profile")["result"]["ID"] == "1"


def test_the_bucket_holds_fifty_and_drains_two_a_second() -> None:
    bucket = Bucket(50, 2.0, now=0.0)
    assert [bucket.admit(0.5) for _ in range(52)] == [True] * 50 + [False] * 2
    assert [bucket.admit(1.0) for _ in range(3)] == [True, True, False]
    assert [bucket.admit(2.5) for _ in range(3)] == [True, True, False]
    assert sum(bucket.admit(1000.0) for _ in range(99)) == 50


@pytest.mark.parametrize("phase", [0.0, 0.3, 0.999])
def test_a_client_that_mirrors_the_bucket_one_below_is_never_rejected(phase: float) -> None:
    bucket = Bucket(50, 2.0, now=0.0)
    sent, now = 0, phase
    while sent < 400:
        assert bucket.admit(now)
        sent += 1
        now = max(now, phase + (sent + 1 - 49) / 2)


def test_a_burst_is_rejected_with_503_over_the_wire(serve: Callable[..., Client]) -> None:
    client = serve(bucket=5, drain=0.0)
    answers = [client.post("batch", {"cmd": {"a": "profile", "b": "profile"}}) for _ in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [503] * 2
    assert answers[-1].json() == {"error": "QUERY_LIMIT_EXCEEDED", "error_description": "Too many requests"}
    counters = client.portal.counters()
    assert (counters["requests"], counters["rejected"], counters["commands"]) == (7, 2, 10)


def test_the_budget_slides_by_tenths_of_its_window() -> None:
    budget = Budget(480, 600)
    start = 1_800_000_000.0
    for minute in range(5):
        budget.bill("crm.lead.list", 100, start + 60 * minute)
        assert budget.is_blocked("crm.lead.list", start + 60 * minute) == (minute == 4)
    assert not budget.is_blocked("crm.deal.list", start + 240)
    spent, reset_at = budget.state("crm.lead.list", start + 240)
    assert (spent, reset_at) == (500, start + 600)
    assert budget.is_blocked("crm.lead.list", start + 599)
    assert not budget.is_blocked("crm.lead.list", start + 600)
    assert budget.state("crm.lead.list", start + 600)[0] == 400
    budget.bill("crm.deal.list", 480, start)
    assert not budget.is_blocked("crm.deal.list", start), "blocked above the limit, not at it"
    budget.bill("crm.deal.list", 0.2, start)
    assert budget.is_blocked("crm.deal.list", start)
    budget.bill("profile", 0.05, start)
    assert budget.state("profile", start)[0] == 0, "calls under a tenth of a second are free"


def test_a_used_up_method_opens_again_at_the_time_it_announced(serve: Callable[..., Client]) -> None:
    client = serve(costs=Costs(operating=30), budget_seconds=50, budget_window=2.0, has_jitter=False)
    for expected in (30, 60):
        answer = client.call("crm.lead.list")
        assert answer["time"]["operating"] == expected
    refused = client.post("crm.lead.list")
    assert refused.status_code == 429
    assert refused.json().keys() == {"error", "error_description"}
    assert client.call("crm.deal.list")["time"]["operating"] == 30
    time.sleep(max(0.0, answer["time"]["operating_reset_at"] - time.time()))
    client.call("crm.lead.list")


def test_time_objects_are_sometimes_odd(client: Client, serve: Callable[..., Client]) -> None:
    times = [client.call("server.time")["time"] for _ in range(7)]
    assert {type(each["start"]) for each in times} == {int, float}
    assert 0 in [each.get("processing") for each in times]
    assert "processing" not in client.call("crm.settings.mode.get")["time"]
    assert not any("operating" in each for each in times), "a portal without limits has no operating"
    limited = serve()
    shown = ["operating_reset_at" in limited.call("server.time")["time"] for _ in range(7)]
    assert sorted(set(shown)) == [False, True]


def test_pages_cost_time_and_counting_costs_more(serve: Callable[..., Client]) -> None:
    client = serve(costs=Costs(page_ms=40, count_ms=60))

    def cost(*commands: str) -> float:
        times = client.batch(dict(zip("abc", commands, strict=False)))["result_time"]
        return sum(each["duration"] for each in times.values())

    assert cost("profile") < 0.04
    assert cost(page_command(0), page_command(0), page_command(0)) >= 0.12
    assert cost("crm.lead.list?order[ID]=ASC") >= 0.10


def test_requests_in_flight_overlap(serve: Callable[..., Client]) -> None:
    client = serve(costs=Costs(page_ms=150))
    threads = [threading.Thread(target=lambda: Client(client.portal).post("crm.lead.list").close()) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.portal.counters()["max_in_flight"] >= 2
