"""`batch`: order, references, limits, halt, shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from connectors.demo import Costs, Fault
from tests.connectors.demo.portal_client import Client, command, page_command, small_salon


def numbers(page: Any) -> list[int]:
    rows = page["items"] if isinstance(page, dict) else page
    return [int(row.get("ID", row.get("id"))) for row in rows]


def test_a_chain_of_pages_reads_on_from_the_last_id(client: Client) -> None:
    expected = [int(row["ID"]) for row in client.walk("crm.lead.list", select=["ID"])]
    chain = {"p0": page_command(0)} | {f"p{n}": page_command(f"$result[p{n - 1}][49][ID]") for n in range(1, 5)}
    result = client.batch(chain, halt=1)["result"]
    assert [number for page in result.values() for number in numbers(page)] == expected[:250]


def test_pages_after_the_end_start_over(client: Client) -> None:
    every = client.walk("crm.lead.list", select=["ID"])
    result = client.batch({"p0": page_command(every[-20]["ID"]), "p1": page_command("$result[p0][49][ID]")})["result"]
    assert len(result["p0"]) == 19
    assert numbers(result["p1"])[0] == int(every[0]["ID"]), "an unresolved reference compares with 0"


def test_references_reach_universal_lists_rows_and_history(client: Client) -> None:
    universal = (("entityTypeId", 1), ("order[id]", "ASC"), ("start", -1), ("select[]", "id"))
    history = (("entityTypeId", 1), ("order[ID]", "ASC"), ("start", -1))
    result = client.batch(
        {
            "a": command("crm.item.list", *universal, ("filter[>id]", 0)),
            "b": command("crm.item.list", *universal, ("filter[>id]", "$result[a][items][49][id]")),
            "c": command("crm.stagehistory.list", *history, ("filter[>ID]", 0)),
            "d": command("crm.stagehistory.list", *history, ("filter[>ID]", "$result[c][items][49][ID]")),
            "e": "crm.lead.get?ID=$result[a][items][0][id]",
            "f": "user.get?FILTER[ID]=$result[e][ASSIGNED_BY_ID]",
        }
    )["result"]
    assert numbers(result["b"])[0] > numbers(result["a"])[-1]
    assert numbers(result["d"])[0] > numbers(result["c"])[-1]
    assert result["e"]["ID"] == str(numbers(result["a"])[0])
    assert [user["ID"] for user in result["f"]] == [result["e"]["ASSIGNED_BY_ID"]]


def test_form_bodies_encode_commands_twice(client: Client) -> None:
    pairs = [("cmd[a]", page_command(200)), ("cmd[b]", page_command("$result[a][49][ID]")), ("halt", "0")]
    answer = client.session.post(client.url + "batch", data=pairs, timeout=9).json()["result"]["result"]
    assert answer == client.batch(dict(zip("ab", (pairs[0][1], pairs[1][1]), strict=True)))["result"]


def test_more_than_fifty_commands(client: Client) -> None:
    result = client.batch({f"c{n}": "server.time" for n in range(52)})
    assert len(result["result"]) == 50
    assert {name: error["error"] for name, error in result["result_error"].items()} == {
        "c50": "ERROR_BATCH_LENGTH_EXCEEDED",
        "c51": "ERROR_BATCH_LENGTH_EXCEEDED",
    }


def test_halt_stops_at_the_first_failure(client: Client) -> None:
    commands = {"a": "profile", "b": "no.such.method", "c": "profile", "d": "batch?cmd[x]=profile"}
    stopped, went_on = client.batch(commands, halt=1), client.batch(commands)
    assert list(stopped["result"]) == ["a"]
    assert list(stopped["result_error"]) == ["b"]
    assert list(went_on["result"]) == ["a", "c"]
    errors = {name: error["error"] for name, error in went_on["result_error"].items()}
    assert errors == {"b": "ERROR_METHOD_NOT_FOUND", "d": "ERROR_BATCH_METHOD_NOT_ALLOWED"}


def test_next_is_left_out_on_the_last_page(client: Client) -> None:
    total = client.call("crm.lead.list", order={"ID": "ASC"})["total"]
    last = total // 50 * 50
    pages = {f"s{start}": f"crm.lead.list?order[ID]=ASC&start={start}" for start in (0, last)}
    result = client.batch(pages)
    assert result["result_next"] == {"s0": 50}
    assert set(result["result_total"].values()) == {total}


@pytest.mark.parametrize("code", ["", 0, "0", 1021, "INTERNAL_SERVER_ERROR"])
def test_one_command_fails_with_any_kind_of_code(client: Client, code: Any) -> None:
    client.portal.fail(Fault("crm.lead.list", "error", command=1, code=code, description="General error"))
    result = client.batch({name: page_command(0) for name in "abc"})
    assert sorted(result["result"]) == ["a", "c"]
    assert result["result_error"] == {"b": {"error": code, "error_description": "General error"}}
    assert client.batch({name: page_command(0) for name in "abc"})["result_error"] == []


def test_missing_scope_inside_a_batch(serve: Callable[..., Client]) -> None:
    client = serve(has_limits=False, scopes=("user_brief",))
    result = client.batch({"a": "crm.lead.list", "b": "user.get"})
    assert result["result_error"]["a"]["error"] == "insufficient_scope"
    assert "EMAIL" not in result["result"]["b"][0]


@pytest.mark.parametrize(("billing", "charged"), [("nested", "crm.lead.list"), ("outer", "batch")])
def test_who_pays_for_a_batch(serve: Callable[..., Client], billing: Any, charged: str) -> None:
    costs = Costs(operating=30.0, billing=billing)
    client = serve(small_salon(), costs=costs, budget_seconds=100, has_jitter=False)
    answer = client.call("batch", cmd={f"p{n}": page_command(0) for n in range(5)})
    inner = [each["operating"] for each in answer["result"]["result_time"].values()]
    errors = answer["result"]["result_error"]
    if charged == "batch":
        assert (inner, errors, answer["time"]["operating"]) == ([150] * 5, [], 150)
        refused = client.post("batch", {"cmd": {"a": "profile"}})
        assert (refused.status_code, refused.json()["error"]) == (429, "OPERATION_TIME_LIMIT")
        assert "time" not in refused.json()
        client.call("crm.lead.list")
    else:
        # the call that crosses the limit completes, the next is refused inside the batch
        assert errors == {"p4": {"error": "OPERATION_TIME_LIMIT", "error_description": errors["p4"]["error_description"]}}
        assert answer["time"]["operating"] == 0
        assert client.batch({"other": page_command(0, method="crm.deal.list")})["result_error"] == []
