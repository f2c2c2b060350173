"""The portal's answers have the shapes of the official samples and of captured answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.demo.portal_client import Client, command

SAMPLES = Path(__file__).parents[3].parent / "shared" / "bitrix24" / "samples"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no official samples at {SAMPLES.name}")
OWN_FIELDS = ("UF_", "PARENT_ID_", "ufCrm", "parentId", "EMAIL", "IM")


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def kind(value: Any) -> str:
    """JSON kind; integers and floats are both numbers, null fits every kind."""
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, (int, float)) else "any" if value is None else type(value).__name__


def assert_same_row(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    expected = [name for name in theirs if not name.startswith(OWN_FIELDS)]
    assert set(expected) <= set(ours)
    for name in expected:
        assert "any" in (kind(ours[name]), kind(theirs[name])) or kind(ours[name]) == kind(theirs[name]), name


def assert_same_envelope(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours.keys() >= theirs.keys() - {"next"}
    assert ours["time"].keys() >= {"start", "finish", "duration", "date_start", "date_finish"}
    assert all(kind(ours["time"][name]) == kind(value) for name, value in theirs["time"].items() if name in ours["time"])


@pytest.mark.parametrize("method", ["crm.lead.list", "crm.deal.list", "crm.contact.list"])
def test_classic_lists(client: Client, method: str) -> None:
    theirs = sample(method)
    row = theirs["result"][0]
    select = ["*", "UF_*"] if method == "crm.lead.list" else list(row)
    ours = client.call(method, order={"ID": "ASC"}, select=select)
    assert_same_envelope(ours, theirs)
    assert_same_row(ours["result"][0], row)
    if method == "crm.lead.list":
        standard = [name for name in row if not name.startswith("UF_")]
        assert [name for name in ours["result"][0] if not name.startswith("UF_")] == standard


@pytest.mark.parametrize("entity", ["lead", "deal", "contact"])
def test_classic_get(client: Client, entity: str) -> None:
    first = client.call(f"crm.{entity}.list", order={"ID": "ASC"}, select=["ID"])["result"][0]["ID"]
    ours = client.call(f"crm.{entity}.get", id=first)
    theirs = sample(f"crm.{entity}.get")
    assert_same_envelope(ours, theirs)
    assert set(ours["result"]) >= {n for n in theirs["result"] if not n.startswith(OWN_FIELDS)} - {"PHONE"}
    assert all(
        "any" in (kind(ours["result"][n]), kind(v)) or kind(ours["result"][n]) == kind(v)
        for n, v in theirs["result"].items()
        if n in ours["result"]
    )


def test_universal_list_has_numbers_and_nulls(client: Client) -> None:
    theirs = sample("crm.item.list")
    row = theirs["result"]["items"][0]
    ours = client.call("crm.item.list", entityTypeId=1, order={"id": "ASC"}, select=list(row))
    assert_same_envelope(ours, theirs)
    for each in ours["result"]["items"]:
        assert set(each) == set(row)
        assert {name: kind(each[name]) for name in ("id", "assignedById", "opportunity")} == dict.fromkeys(
            ("id", "assignedById", "opportunity"), "number"
        )
        assert each["name"] != ""


@pytest.mark.parametrize(("history_types", "number"), [("string", "str"), ("integer", "number")])
def test_stage_history_in_strings_as_captured_or_integers_as_documented(
    serve: Any, history_types: str, number: str
) -> None:
    client = serve(has_limits=False, history_types=history_types)
    ours = client.call("crm.stagehistory.list", entityTypeId=2, order={"ID": "ASC"})
    theirs = sample("crm.stagehistory.list")
    assert_same_envelope(ours, theirs)
    row = ours["result"]["items"][0]
    assert set(row) == set(theirs["result"]["items"][0])
    assert {kind(row[name]) for name in ("ID", "TYPE_ID", "OWNER_ID", "CATEGORY_ID")} == {number}
    observed = sample("crm.stagehistory.list.observed")["result"]["result"]["order0000000000"]["items"][0]
    if number == "str":
        assert all(kind(row[name]) == kind(value) for name, value in observed.items())


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("profile", {}),
        ("scope", {}),
        ("server.time", {}),
        ("method.get", {"name": "crm.lead.list"}),
        ("crm.settings.mode.get", {}),
        ("crm.category.list", {"entityTypeId": 2}),
        ("crm.status.list", {"filter": {"ENTITY_ID": "DEAL_STAGE"}, "order": {"SORT": "ASC"}}),
        ("user.get", {}),
    ],
)
def test_small_methods(client: Client, method: str, params: dict[str, Any]) -> None:
    ours, theirs = client.call(method, **params), sample(method)
    assert_same_envelope(ours, theirs)
    assert kind(ours["result"]) == kind(theirs["result"])
    if isinstance(theirs["result"], dict):
        assert ours["result"].keys() == theirs["result"].keys()
    if method in ("crm.status.list", "user.get"):
        allowed = {"PERSONAL_WWW", "PERSONAL_MOBILE", "PERSONAL_CITY", "WORK_PHONE", "EMAIL"}
        assert set(theirs["result"][0]) - set(ours["result"][0]) <= allowed
        assert all(kind(v) == kind(theirs["result"][0][n]) for n, v in ours["result"][0].items() if v is not None)


@pytest.mark.parametrize("entity", ["lead", "deal"])
def test_fields(client: Client, entity: str) -> None:
    ours, theirs = client.call(f"crm.{entity}.fields")["result"], sample(f"crm.{entity}.fields")["result"]
    for name in set(theirs) & set(ours):
        assert ours[name]["type"] == theirs[name]["type"], name
        assert set(ours[name]) >= set(theirs[name]) - {"settings", "isDeprecated", "statusType"}, name
    missing = set(theirs) - set(ours) - {"CONTACT_IDS", "EMAIL", "WEB", "IM", "LINK"}
    assert not missing


def test_batch_shapes_as_captured(client: Client) -> None:
    success, empty = sample("batch.success"), sample("batch.observed.empty_list_page")
    ours = client.call("batch", cmd={"a": "profile", "b": "user.get"})
    assert ours["result"].keys() == success["result"].keys()
    assert ours["result"]["result_error"] == [] == success["result"]["result_error"]
    assert ours["result"]["result_total"].keys() == {"b"}
    page = client.batch({"order0000000000": command("crm.lead.list", ("filter[>ID]", 10**9), ("order[ID]", "ASC"))})
    for member in ("result", "result_error", "result_total", "result_next"):
        assert page[member] == empty["result"][member], member


def test_numeric_command_names_lose_their_errors_as_captured(client: Client) -> None:
    theirs = sample("batch.observed.numeric_keys_lose_error_keys")["result"]
    good = client.call("crm.lead.list", order={"ID": "ASC"}, select=["ID"])["result"][0]["ID"]
    bad = ("crm.lead.get?ID=", "crm.lead.get?ID=1")
    ours = client.batch({"35941": bad[0], good: f"crm.lead.get?ID={good}", "35945": bad[1]})
    assert ours["result_error"] == theirs["result_error"]
    assert list(ours["result"]) == [good]
    listed = client.batch(["crm.category.list?entityTypeId=2"])
    assert isinstance(listed["result"], list)
    assert isinstance(listed["result_time"], list)


@pytest.mark.parametrize(
    ("method", "params", "name"),
    [
        ("crm.lead.get", {"id": 1}, "crm.lead.get"),
        ("crm.lead.get", {}, "crm.lead.update"),
        ("crm.deal.list", {"filter": "abc"}, "crm.deal.list"),
        ("crm.item.list", {"entityTypeId": 2, "filter": {"FIELD": 1}}, "crm.item.list"),
    ],
)
def test_errors_of_methods(client: Client, method: str, params: dict[str, Any], name: str) -> None:
    (expected,) = [each["body"] for each in sample("errors.methods") if each["method"] == name]
    answer = client.post(method, params)
    assert answer.status_code == 400
    assert answer.json() == expected
