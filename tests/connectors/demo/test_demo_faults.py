"""Every scripted fault looks on the wire as it does in the reference."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import requests

from connectors.demo import ALWAYS, DemoPortal, Fault
from connectors.demo.faults import ERRORS
from tests.connectors.demo.portal_client import Client, command, page_command, small_salon

KEYSET = {"order": {"ID": "ASC"}, "select": ["ID"], "start": -1}


@pytest.mark.parametrize("action", sorted(ERRORS))
def test_errors_of_a_whole_request(client: Client, action: str) -> None:
    client.portal.fail(Fault("*", action))
    answer = client.post("batch", {"cmd": {"a": "profile"}})
    status, code, text = ERRORS[action]
    assert (answer.status_code, answer.json()) == (status, {"error": code, "error_description": text})
    assert client.post("batch", {"cmd": {"a": "profile"}}).status_code == 200


@pytest.mark.parametrize(("action", "status"), [("html502", 502), ("html503", 503), ("html200", 200)])
def test_html_instead_of_json(client: Client, action: str, status: int) -> None:
    client.portal.fail(Fault("crm.lead.list", action))
    answer = client.post("crm.lead.list")
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert answer.text.startswith("<html>")


def test_truncated_json_is_whole_http(client: Client) -> None:
    client.portal.fail(Fault("crm.lead.list", "truncated"))
    answer = client.post("crm.lead.list")
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()
    client.call("crm.lead.list")


@pytest.mark.parametrize("action", ["close", "cut"])
def test_a_connection_that_breaks(client: Client, action: str) -> None:
    client.portal.fail(Fault("crm.lead.list", action))
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        client.post("crm.lead.list")
    client.call("crm.lead.list")


def test_a_slow_answer_runs_into_the_clients_timeout(client: Client) -> None:
    client.portal.fail(Fault("crm.lead.list", "slow", value=20))
    with pytest.raises(requests.Timeout):
        client.session.post(client.url + "crm.lead.list", timeout=0.2)
    started = time.monotonic()
    client.portal.fail(Fault("crm.lead.list", "slow", value=0.2))
    client.call("crm.lead.list")
    assert time.monotonic() - started >= 0.2


def test_a_renamed_portal_redirects_to_the_full_path_of_its_new_host(client: Client) -> None:
    with DemoPortal(small_salon()) as moved:
        client.portal.fail(Fault("*", "redirect", times=ALWAYS, value=moved.base_url, status=301))
        answer = client.post("crm.lead.get", {"id": 1})
        assert answer.status_code == 301
        assert answer.headers["Location"] == f"{moved.webhook_url}crm.lead.get"
        followed = client.session.post(client.url + "crm.lead.get", json={"id": 101}, timeout=9)
        assert followed.json()["error_description"] == "ID is not defined or invalid.", "a followed POST loses its body"


def test_only_one_command_of_a_batch_is_hit(client: Client) -> None:
    client.portal.fail(Fault("crm.lead.list", "operating", command=2), Fault("crm.deal.list", "error500", times=2))
    commands = {f"p{n}": page_command(0) for n in range(4)} | {
        f"d{n}": page_command(0, method="crm.deal.list") for n in range(3)
    }
    result = client.batch(commands)
    errors = {name: error["error"] for name, error in result["result_error"].items()}
    assert errors == {
        "p2": "OPERATION_TIME_LIMIT",
        "d0": "INTERNAL_SERVER_ERROR",
        "d1": "INTERNAL_SERVER_ERROR",
    }
    assert set(result["result_time"]) == {"p0", "p1", "p3", "d2"}
    assert client.portal.counters()["faults"] == 3


def test_a_fault_can_wait_and_last(client: Client) -> None:
    client.portal.fail(Fault("profile", "error500", times=2, after=1))
    assert [client.post("profile").status_code for _ in range(4)] == [200, 500, 500, 200]
    client.portal.fail(Fault("profile", "error500", times=ALWAYS))
    assert [client.post("profile").status_code for _ in range(3)] == [500] * 3
    client.portal.heal()
    client.call("profile")


def test_an_endless_page_ignores_the_cursor(client: Client) -> None:
    first = client.call("crm.lead.list", **KEYSET)["result"]
    client.portal.fail(Fault("crm.lead.list", "ignore_filter", times=2))
    assert client.call("crm.lead.list", **KEYSET | {"filter": {">ID": first[-1]["ID"]}})["result"] == first
    assert client.batch({"a": page_command(first[-1]["ID"])})["result"]["a"] == first
    assert client.call("crm.lead.list", **KEYSET | {"filter": {">ID": first[-1]["ID"]}})["result"] != first


def test_a_page_out_of_order_and_an_empty_page(client: Client) -> None:
    client.portal.fail(Fault("crm.lead.list", "ignore_order"))
    found = [int(row["ID"]) for row in client.call("crm.lead.list", **KEYSET)["result"]]
    assert len(found) == 50
    assert found != sorted(found)
    client.portal.fail(Fault("crm.lead.list", "empty_page", command=1))
    pages = client.batch({name: page_command(0) for name in "abc"})["result"]
    assert [len(pages[name]) for name in "abc"] == [50, 0, 50]


def test_shrunken_rights_hide_rows_without_a_word(client: Client) -> None:
    everything = {row["ID"] for row in client.walk("crm.lead.list", select=["ID"])}
    client.portal.fail(Fault("crm.lead.*", "hide", times=ALWAYS, value=0.4))
    seen = {row["ID"] for row in client.walk("crm.lead.list", select=["ID"])}
    assert seen < everything
    assert 0.3 < 1 - len(seen) / len(everything) < 0.5
    counted = client.batch({"n": command("crm.lead.list", ("order[ID]", "ASC"), ("select[]", "ID"))})
    assert counted["result_total"]["n"] == len(seen)
    lost = min(everything - seen)
    assert client.post("crm.lead.get", {"id": lost}).json() == {"error": "", "error_description": "Access denied."}
    assert client.call("crm.lead.get", id=min(seen))["result"]["ID"] == min(seen)


def test_faults_are_scripted_from_another_process(client: Client) -> None:
    script = [{"match": "profile", "action": "limit", "times": 1}, {"match": "scope", "action": "html502"}]
    assert client.side("/_faults", script).json() == {"ok": True}
    assert [client.post(method).status_code for method in ("profile", "profile", "scope")] == [503, 200, 502]
    client.side("/_faults", {"match": "*", "action": "limit", "times": -1})
    client.side("/_faults", {"clear": True})
    client.call("profile")
    counters = client.side("/_counters").json()
    assert counters["faults"] == 2
    assert counters["by_method"] == client.portal.counters()["by_method"] == {"profile": 2}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"match": "*", "action": "explode"}, "unknown fault action 'explode'"),
        ({"match": "*", "action": "limit", "time": 3}, "unknown key of a fault: time"),
        ({"match": "batch", "action": "html502", "command": 1}, "spoils a whole request"),
        ({"action": "limit"}, "match"),
    ],
)
def test_a_wrong_script_is_refused_in_words(client: Client, document: object, words: str) -> None:
    answer = client.side("/_faults", document)
    assert answer.status_code == 400
    assert words in answer.json()["error"]


def test_the_portal_closes_while_a_client_still_holds_its_connection(serve: Callable[..., Client]) -> None:
    portal = DemoPortal(small_salon()).start()
    client = Client(portal)
    client.call("profile")
    portal.close()
    with pytest.raises(requests.ConnectionError):
        client.post("profile")
    client.session.close()
