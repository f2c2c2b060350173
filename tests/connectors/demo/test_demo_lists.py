"""Filters, select, order and paging of list methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from connectors.demo import Store, bulk
from tests.connectors.demo.portal_client import Client, small_salon

ALL = ["*", "UF_*", "PHONE"]


@pytest.fixture
def leads(client: Client) -> list[dict[str, Any]]:
    return client.walk("crm.lead.list", select=ALL)


def ids(answer: Any) -> list[str]:
    return [row["ID"] for row in answer["result"]]


def test_offset_paging_counts_and_ends(client: Client, leads: list[dict[str, Any]]) -> None:
    seen, start = [], 0
    while True:
        page = client.call("crm.lead.list", order={"ID": "ASC"}, start=start, select=["ID"], limit=7)
        assert page["total"] == len(leads)
        seen += ids(page)
        if "next" not in page:
            break
        assert len(page["result"]) == 50
        assert page["next"] == start + 50
        start = page["next"]
    assert seen == [row["ID"] for row in leads]
    beyond = client.call("crm.lead.list", order={"ID": "ASC"}, start=10_000)
    assert beyond["result"] == []
    assert "next" not in beyond


def test_keyset_paging_does_not_count_and_honours_order_and_filter(client: Client) -> None:
    page = client.call("crm.lead.list", order={"ID": "DESC"}, filter={"<ID": 400}, start=-1)
    assert page["total"] == 0
    assert "next" not in page
    numbers = [int(each) for each in ids(page)]
    assert numbers == sorted(numbers, reverse=True)
    assert max(numbers) < 400
    assert len(numbers) == 50


def test_without_order_pages_are_not_stable(client: Client, leads: list[dict[str, Any]]) -> None:
    first, again = (ids(client.call("crm.lead.list", start=0)) for _ in range(2))
    assert first != again
    assert first != sorted(first, key=int)
    everything = [each for start in range(0, len(leads), 50) for each in ids(client.call("crm.lead.list", start=start))]
    assert len(set(everything)) < len(leads), "careless paging must lose rows"


def test_the_shuffle_depends_on_the_seed_only(serve: Callable[..., Client]) -> None:
    pages = [ids(serve(small_salon(), has_limits=False).call("crm.lead.list")) for _ in range(2)]
    assert pages[0] == pages[1]


OPERATORS: list[tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]] = [
    ({"STATUS_ID": "JUNK"}, lambda row: row["STATUS_ID"] == "JUNK"),
    ({"=STATUS_ID": ["JUNK", "NEW"]}, lambda row: row["STATUS_ID"] in ("JUNK", "NEW")),
    ({"@STATUS_ID": ["JUNK"]}, lambda row: row["STATUS_ID"] == "JUNK"),
    ({"!@STATUS_ID": ["JUNK", "CONVERTED"]}, lambda row: row["STATUS_ID"] not in ("JUNK", "CONVERTED")),
    ({"!STATUS_ID": "JUNK"}, lambda row: row["STATUS_ID"] != "JUNK"),
    ({"!=ASSIGNED_BY_ID": 7}, lambda row: row["ASSIGNED_BY_ID"] != "7"),
    ({">OPPORTUNITY": 3000}, lambda row: float(row["OPPORTUNITY"]) > 3000),
    ({"<=OPPORTUNITY": "100.0"}, lambda row: float(row["OPPORTUNITY"]) <= 100),
    ({"%TITLE": "лид"}, lambda row: "лид" in row["TITLE"].lower()),
    ({"!%TITLE": "Лид"}, lambda row: "лид" not in row["TITLE"].lower()),
    ({"%=TITLE": "Лид%1"}, lambda row: row["TITLE"].startswith("Лид") and row["TITLE"].endswith("1")),
    ({"!=%TITLE": "Лид%"}, lambda row: not row["TITLE"].startswith("Лид")),
    ({"UTM_SOURCE": ""}, lambda row: not row["UTM_SOURCE"]),
    ({"%STATUS_ID": "JUN"}, lambda row: False),  # LIKE does not work on directory fields
    ({">=DATE_CREATE": "2026-09-01T00:00:00+03:00"}, lambda row: row["DATE_CREATE"] >= "2026-09-01"),
    ({"<DATE_CREATE": "2026-09-01T00:00:00+00:00"}, lambda row: row["DATE_CREATE"] < "2026-09-01T03"),
    ({"<DATE_CREATE": "2026-09-01"}, lambda row: row["DATE_CREATE"] < "2026-09-01"),
    ({"<DATE_CREATE": "01.09.2026 12:00:00"}, lambda row: row["DATE_CREATE"] < "2026-09-01T12"),
    ({">DATE_CREATE": "2026-09-01T00:00:00 03:00"}, lambda row: False),  # the + of an offset decoded to a space
    ({"DATE_CLOSED": ""}, lambda row: row["DATE_CLOSED"] == ""),
    ({"<=DATE_CLOSED": "2030-01-01"}, lambda row: row["DATE_CLOSED"] != ""),
    ({"UF_CRM_1700000001": "Сокол"}, lambda row: row["UF_CRM_1700000001"] == "Сокол"),
    ({">ID": 300, "<=ID": "400", "SOURCE_ID": "CALL"}, lambda row: 300 < int(row["ID"]) <= 400 and row["SOURCE_ID"] == "CALL"),
    ({"@ID": [101, "104", 99]}, lambda row: row["ID"] in ("101", "104")),
    ({"NO_SUCH_FIELD": 1}, lambda row: True),  # classic methods ignore it
    ({">ID": ""}, lambda row: True),  # an empty cursor starts over
]


@pytest.mark.parametrize(("given", "keeps"), OPERATORS, ids=[str(given) for given, _ in OPERATORS])
def test_filter(client: Client, leads: list[dict[str, Any]], given: dict[str, Any], keeps: Callable[[Any], bool]) -> None:
    expected = [row["ID"] for row in leads if keeps(row)]
    page = client.call("crm.lead.list", filter=given, order={"ID": "ASC"})
    assert page["total"] == len(expected)
    assert ids(page) == expected[:50]
    uncounted = client.call("crm.lead.list", filter=given, order={"ID": "ASC"}, start=-1)
    assert ids(uncounted) == expected[:50]


def test_phones_are_found_by_exact_value_only(client: Client, leads: list[dict[str, Any]]) -> None:
    value = next(row["PHONE"][0]["VALUE"] for row in leads if "PHONE" in row)
    found = client.call("crm.lead.list", filter={"PHONE": value}, select=["ID", "PHONE"], order={"ID": "ASC"})
    assert found["total"] >= 1
    assert {row["PHONE"][0]["VALUE"] for row in found["result"]} == {value}
    assert client.call("crm.lead.list", filter={"%PHONE": value[:5]}, order={"ID": "ASC"})["total"] == 0


def test_universal_filters(client: Client, leads: list[dict[str, Any]]) -> None:
    given = {"logic": "OR", "0": {"stageId": "JUNK"}, "1": {">opportunity": 5000, "assignedById": 7}}
    found = client.call("crm.item.list", entityTypeId=1, filter=given, order={"id": "ASC"}, select=["id"])
    expected = [
        int(row["ID"])
        for row in leads
        if row["STATUS_ID"] == "JUNK" or (float(row["OPPORTUNITY"]) > 5000 and row["ASSIGNED_BY_ID"] == "7")
    ]
    assert [row["id"] for row in found["result"]["items"]] == expected[:50]
    assert found["total"] == len(expected)
    for wrong in ({"filter": {"ID": 1}}, {"order": {"nothing": "ASC"}}):
        answer = client.post("crm.item.list", {"entityTypeId": 1} | wrong)
        assert (answer.status_code, answer.json()["error"]) == (400, "INVALID_ARG_VALUE")


def test_select(client: Client) -> None:
    def names(select: list[str]) -> set[str]:
        page = client.call("crm.lead.list", select=select, order={"ID": "ASC"}, filter={"HAS_PHONE": "Y"})
        return set(page["result"][0])

    assert names(["ID", "NO_SUCH", "TITLE"]) == {"ID", "TITLE"}
    assert names(["ID", "PHONE"]) == {"ID", "PHONE"}
    assert names(["PHONE"]) == {"PHONE"}
    assert names(["UF_*"]) == {"UF_CRM_1700000001", "UF_CRM_1700000002"}
    standard = names(["*"])
    assert "PHONE" not in standard
    assert not any(name.startswith("UF_") for name in standard)
    assert names([]) == standard | names(["UF_*"])


def test_a_row_without_phone_has_no_such_key(client: Client, leads: list[dict[str, Any]]) -> None:
    assert {("PHONE" in row) for row in leads} == {True, False}
    assert all(("PHONE" in row) == (row["HAS_PHONE"] == "Y") for row in leads)


def test_order_by_another_field(client: Client, leads: list[dict[str, Any]]) -> None:
    page = client.call("crm.lead.list", order={"OPPORTUNITY": "DESC", "ID": "ASC"}, select=["ID", "OPPORTUNITY"])
    expected = sorted(leads, key=lambda row: (-float(row["OPPORTUNITY"]), int(row["ID"])))
    assert ids(page) == [row["ID"] for row in expected[:50]]


def test_every_way_to_send_parameters_is_understood(client: Client) -> None:
    pairs = [("order[ID]", "ASC"), ("filter[>ID]", "200"), ("select[]", "ID"), ("select[1]", "TITLE"), ("start", "-1")]
    expected = client.call("crm.lead.list", order={"ID": "ASC"}, filter={">ID": 200}, select=["ID", "TITLE"], start=-1)
    url, session = client.url, client.session
    answers = [
        session.get(f"{url}crm.lead.list.json", params=pairs, timeout=9),
        session.post(f"{url}crm.lead.list/", data=pairs, timeout=9),
        session.post(f"{url}CRM.Lead.List", files=[(name, (None, value)) for name, value in pairs], timeout=9),
        session.post(f"{url}crm.lead.list", json={"ORDER": {"ID": "ASC"}, "FILTER": {">ID": "200"},
                     "SELECT": ["ID", "TITLE"], "start": "-1"}, timeout=9),
    ]  # fmt: skip
    for answer in answers:
        assert answer.json()["result"] == expected["result"]


def test_both_simple_modes(serve: Callable[..., Client]) -> None:
    hidden = serve(small_salon(mode="simple"), has_limits=False)
    shown = serve(small_salon(mode="simple_converted"), has_limits=False)
    assert hidden.call("crm.settings.mode.get")["result"] == shown.call("crm.settings.mode.get")["result"] == 2
    assert hidden.call("crm.lead.list")["result"] == []
    assert {row["LEAD_ID"] for row in hidden.walk("crm.deal.list")} == {None}
    leads = shown.walk("crm.lead.list")
    assert {row["STATUS_ID"] for row in leads} == {"CONVERTED"}
    assert {row["LEAD_ID"] for row in shown.walk("crm.deal.list")} == {row["ID"] for row in leads}


def test_a_wide_id_gap_costs_no_rows(serve: Callable[..., Client]) -> None:
    store: Store = bulk.build(n=700, seed=5, gap_share=0.5)
    rows = serve(store, has_limits=False).walk("crm.lead.list", select=["ID"])
    assert len(rows) == 700
    assert int(rows[-1]["ID"]) > 1000
