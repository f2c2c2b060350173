"""A portal that changes while it is read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from tests.connectors.demo.portal_client import Client, page_command, small_salon


def history(client: Client, owner: int, type_id: int = 1) -> list[tuple[str, str]]:
    found = client.call(
        "crm.stagehistory.list", entityTypeId=type_id, filter={"OWNER_ID": owner}, order={"ID": "ASC"}, start=-1
    )
    stage = "STATUS_ID" if type_id == 1 else "STAGE_ID"
    return [(row["TYPE_ID"], row[stage]) for row in found["result"]["items"]]


def first_lead(client: Client, **filters: str) -> int:
    return int(client.call("crm.lead.list", order={"ID": "ASC"}, filter=filters, start=-1)["result"][0]["ID"])


def test_a_new_stage_moves_the_lead_and_is_written_to_history(client: Client) -> None:
    id_ = first_lead(client, STATUS_ID="IN_PROCESS")
    before = client.call("crm.lead.get", id=id_)["result"]
    moves = history(client, id_)
    last = client.call("crm.stagehistory.list", entityTypeId=1, order={"ID": "DESC"}, start=-1)["result"]["items"][0]
    client.portal.update_lead(id_, STATUS_ID="JUNK", TITLE="Спам / реклама")
    after = client.call("crm.lead.get", id=id_)["result"]
    assert (after["STATUS_ID"], after["STATUS_SEMANTIC_ID"], after["TITLE"]) == ("JUNK", "F", "Спам / реклама")
    assert after["DATE_CLOSED"] == after["MOVED_TIME"] == after["DATE_MODIFY"] > before["DATE_MODIFY"]
    assert history(client, id_) == [*moves, ("3", "JUNK")]
    newest = client.call("crm.stagehistory.list", entityTypeId=1, filter={">ID": last["ID"]})["result"]["items"]
    assert [row["OWNER_ID"] for row in newest] == [str(id_)]
    changed = client.call("crm.lead.list", filter={">=DATE_MODIFY": after["DATE_MODIFY"]}, order={"ID": "ASC"})
    assert [row["ID"] for row in changed["result"]] == [str(id_)]
    client.portal.update_lead(id_, COMMENTS="перезвонить")
    assert history(client, id_) == [*moves, ("3", "JUNK")], "no move without a new stage"
    client.portal.update_lead(id_, STATUS_ID="NEW")
    assert client.call("crm.lead.get", id=id_)["result"]["DATE_CLOSED"] == ""


def test_inserted_records_come_last_and_may_hold_anything(client: Client) -> None:
    ids = [
        client.portal.insert_lead(TITLE=f"Новый {n}", OPPORTUNITY="12 000 руб", UTM_SOURCE="=1+1", PHONE="8 900 1234567")
        for n in range(1500)
    ]
    rows = client.walk("crm.lead.list", select=["*", "PHONE"], filter={">=ID": ids[0]})
    assert [int(row["ID"]) for row in rows] == ids
    row = rows[-1]
    assert (row["OPPORTUNITY"], row["UTM_SOURCE"], row["STATUS_ID"]) == ("12 000 руб", "=1+1", "NEW")
    assert row["PHONE"][0]["VALUE"] == "8 900 1234567"
    assert history(client, ids[-1]) == [("1", "NEW")]
    assert client.call("crm.item.list", entityTypeId=1, filter={"id": ids[7]})["result"]["items"][0]["title"] == "Новый 7"


def test_a_deleted_lead_is_gone_with_its_history_until_it_is_restored(client: Client) -> None:
    id_ = first_lead(client)
    total = client.call("crm.lead.list", order={"ID": "ASC"})["total"]
    client.portal.delete_lead(id_)
    answer = client.post("crm.lead.get", {"id": id_})
    assert (answer.status_code, answer.json()) == (400, {"error": "", "error_description": "Not found"})
    assert client.call("crm.lead.list", order={"ID": "ASC"})["total"] == total - 1
    assert first_lead(client) > id_
    assert history(client, id_) == []
    with pytest.raises(ValueError, match=f"no lead {id_} on the portal"):
        client.portal.update_lead(id_, TITLE="?")
    client.portal.restore("lead", id_)
    assert first_lead(client) == id_


def test_a_portal_dated_ahead_of_the_real_clock_changes_at_its_own_time(serve: Callable[..., Client]) -> None:
    client = serve(small_salon(today=date.today() + timedelta(days=3650)), has_limits=False)
    newest = max(row["DATE_MODIFY"] for row in client.walk("crm.lead.list", select=["ID", "DATE_MODIFY"]))
    id_ = client.portal.insert_lead(TITLE="x")
    assert client.call("crm.lead.get", id=id_)["result"]["DATE_MODIFY"] >= newest
    assert client.call("server.time")["result"] >= newest


def test_a_deal_that_is_won_is_closed(client: Client) -> None:
    id_ = client.portal.insert_deal(LEAD_ID=first_lead(client), OPPORTUNITY=1500)
    client.portal.update_deal(id_, STAGE_ID="WON", OPPORTUNITY="1700.50")
    row = client.call("crm.deal.get", id=id_)["result"]
    assert (row["CLOSED"], row["STAGE_SEMANTIC_ID"], row["OPPORTUNITY"]) == ("Y", "S", "1700.50")
    assert history(client, id_, type_id=2) == [("1", "NEW"), ("3", "WON")]
    client.portal.delete_deal(id_)
    assert client.post("crm.deal.get", {"id": id_}).json()["error_description"] == "Not found"


def test_offset_paging_loses_a_row_when_one_is_deleted_between_pages(client: Client) -> None:
    everything = client.walk("crm.lead.list", select=["ID"])
    client.portal.after(1, lambda: client.portal.delete_lead(int(everything[0]["ID"])), unit="pages")
    client.call("profile")  # a request, but no page
    pages = client.batch({f"s{start}": f"crm.lead.list?order[ID]=ASC&start={start}" for start in (0, 50)})["result"]
    seen = {row["ID"] for page in pages.values() for row in page}
    assert everything[50]["ID"] not in seen
    chained = client.batch({"a": page_command(0), "b": page_command("$result[a][49][ID]")})["result"]
    assert [row["ID"] for row in chained["a"] + chained["b"]] == [row["ID"] for row in everything[1:101]]


def test_changes_are_scripted_from_another_process(client: Client) -> None:
    id_ = first_lead(client)
    made = client.side("/_mutate", {"do": "insert", "entity": "lead", "fields": {"TITLE": "x"}}).json()["ids"]
    assert client.call("crm.lead.get", id=made[0])["result"]["TITLE"] == "x"
    later = {"after_requests": 2, "changes": [{"do": "update", "entity": "lead", "id": id_, "fields": {"TITLE": "y"}},
                                              {"do": "delete", "entity": "lead", "id": made[0]}]}  # fmt: skip
    assert client.side("/_mutate", later).json() == {"ids": []}
    titles = [client.call("crm.lead.get", id=id_)["result"]["TITLE"] for _ in range(3)]
    assert titles[0] == titles[1] != titles[2] == "y"
    assert client.post("crm.lead.get", {"id": made[0]}).status_code == 400


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"do": "burn"}, "unknown change 'burn'"),
        ({"do": "insert", "entity": "invoice"}, "no entity 'invoice'"),
        ({"do": "insert", "entity": "lead", "fields": {"TITEL": "x"}}, "no field TITEL"),
    ],
)
def test_a_wrong_change_is_refused_in_words(client: Client, document: object, words: str) -> None:
    answer = client.side("/_mutate", document)
    assert answer.status_code == 400
    assert words in answer.json()["error"]
