"""Bulk leads agree with their own stage history."""

from __future__ import annotations

from collections.abc import Callable

from connectors.demo import bulk
from tests.connectors.demo.portal_client import Client


def test_history_ends_where_the_leads_stand(serve: Callable[..., Client]) -> None:
    client = serve(bulk.build(400, seed=9, gap_share=0.2), has_limits=False)
    leads = {row["ID"]: row for row in client.walk("crm.lead.list", select=["*", "PHONE"])}
    moves = client.walk("crm.stagehistory.list", entityTypeId=1)
    times = [row["CREATED_TIME"] for row in moves]
    assert times == sorted(times)
    assert 2 * len(leads) < len(moves) < 4 * len(leads)
    last = {row["OWNER_ID"]: row for row in moves}
    assert last.keys() == leads.keys()
    for id_, lead in leads.items():
        assert (lead["STATUS_ID"], lead["MOVED_TIME"]) == (last[id_]["STATUS_ID"], last[id_]["CREATED_TIME"])
        assert lead["DATE_CREATE"] <= lead["MOVED_TIME"] <= lead["DATE_MODIFY"]
    firsts = [row["OWNER_ID"] for row in moves if row["TYPE_ID"] == "1"]
    assert sorted(firsts) == sorted(leads)
    assert len({row["PHONE"][0]["VALUE"][-5:] for row in leads.values()}) > 300
