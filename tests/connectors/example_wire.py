"""How Tideline would answer: what the conformance kit needs to put its connector through thousands of trials."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from connectors.conformance.crm import FakeCrm, Row
from connectors.conformance.fake import FakeWire
from connectors.contract import Answer, Call, Connector, Stream, Surroundings
from connectors.records import Lead, Record, Stage, StageChange
from connectors.secrets import Secret
from tests.connectors.example_crm import UNKNOWN, Tideline, TidelineOptions


class TidelineWire(FakeWire):
    def connector(self, surroundings: Surroundings, canary: str) -> Connector:
        connector = Tideline.open(TidelineOptions("https://salon.tideline.example", Secret(canary)), surroundings)
        connector.limits = replace(connector.limits, page=7)  # small pages: few rows need many requests
        return connector

    def answer(self, call: Call, crm: FakeCrm) -> Answer:
        table, _, key = call.method.partition("/")
        if key:
            row = crm.find(table, int(key))
            gone = row is None or row.is_deleted
            return Answer(404 if gone else 403 if row is not None and row.is_hidden else 200, {})
        asked = call.params
        since, ids = asked.get("changed_since"), asked.get("ids")
        found = crm.select(
            table,
            after=asked.get("after", 0),
            upto=asked.get("upto"),
            since=datetime.fromisoformat(since.removesuffix("Z")) if since else None,
            keys=map(int, ids.split(",")) if ids else None,
            is_descending=asked["sort"] == "-id",
            start=asked.get("offset", 0),
            limit=asked["limit"],
        )
        return Answer(200, {"rows": [self._row(table, row, crm) for row in found.rows], "total": found.total, "more": found.more})

    def _row(self, table: str, row: Row, crm: FakeCrm) -> dict[str, Any]:
        facts = row.facts
        shown: dict[str, Any] = {"id": row.key}
        if table == "inquiries":
            amount = None if facts["amount"] is None else str(facts["amount"])
            shown |= {"created": crm.local(facts["created_at"]), "changed": crm.local(row.modified), "stage": facts["stage_id"]}
            shown |= {"manager": facts["owner_id"], "source": facts["crm_source"], "phone": facts["phone"], "amount": amount}
        elif table == "moves":
            shown |= {"inquiry": facts["entity_id"], "stage": facts["stage_id"], "moved": crm.local(facts["moved_at"])}
        else:
            shown |= {"stage": facts["stage_id"], "title": facts["name"], "outcome": facts["semantics"]}
        if row.is_broken:
            shown["amount" if table == "inquiries" else "inquiry"] = crm.nonsense
        return shown | crm.surprise

    def truth(self, stream: Stream, record: Record) -> Record:
        """What Tideline does not know is None, or what the connector says instead."""
        if isinstance(record, Lead):
            hashed = record.customer_hash if record.has_phone else None
            return replace(record, **UNKNOWN, pipeline_id="0", currency="RUB", customer_hash=hashed)
        if isinstance(record, Stage):
            return replace(record, entity="lead", pipeline_id="0", sort=None)
        assert isinstance(record, StageChange)
        return replace(record, pipeline_id="0", semantics=None)
