"""The files reader keeps the kit's promises: the same CRM rows as CSV in every usual spelling."""

import csv
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.conformance.crm import FakeCrm, Row
from connectors.conformance.readers import FakeFiles
from connectors.conformance.suite import ReaderSuite
from connectors.contract import Reader, Stream, Surroundings
from connectors.files import Files, Options
from connectors.records import Record
from connectors.text import fold

HEADINGS = {
    "id": "ID",
    "created_at": "Дата создания",
    "modified_at": "Дата изменения",
    "moved_at": "Дата изменения стадии",
    "stage_id": "Стадия",
    "owner_id": "Ответственный",
    "crm_source": "Источник",
    "utm_source": "UTM Source",
    "utm_medium": "UTM Medium",
    "utm_campaign": "UTM Campaign",
    "utm_content": "UTM Content",
    "utm_term": "UTM Term",
    "amount": "Сумма",
    "currency": "Валюта",
    "contact_id": "ID контакта",
    "phone": "Мобильный телефон",
    "email": "E-mail",
    "is_repeat": "Повторный лид",
    "branch": "Филиал",
}


class ExportedCsv(FakeFiles):
    """A list of leads exported as CSV; the separator and the encoding change from export to export."""

    surroundings: Surroundings

    def tables(self) -> tuple[str, ...]:
        return ("leads",)

    def reader(self, folder: Path, surroundings: Surroundings) -> Reader:
        self.surroundings = surroundings
        return Files.open(Options(path=str(folder)), surroundings)

    def write(self, crm: FakeCrm, folder: Path) -> None:
        encoding = crm.rng.choice(("utf-8", "utf-8-sig", "cp1251", "utf-16"))
        with (folder / "leads.csv").open("w", encoding=encoding, newline="") as file:
            writer = csv.writer(file, delimiter=crm.rng.choice(";,\t"), quoting=csv.QUOTE_ALL)
            writer.writerow(HEADINGS.values())
            writer.writerows([self._cells(row, crm) for row in crm.select("leads").rows])

    def _cells(self, row: Row, crm: FakeCrm) -> list[str]:
        facts: dict[str, Any] = row.facts | {"id": row.key, "modified_at": row.modified}
        facts["is_repeat"] = "Да" if facts["is_repeat"] else "Нет"
        amount = facts["amount"]
        text = "" if amount is None else f"{amount:,.2f}".translate({ord(","): " ", ord("."): ","})
        facts["amount"] = crm.nonsense if row.is_broken else text
        for name in ("created_at", "modified_at", "moved_at"):
            facts[name] = f"{self._wall(facts[name]):%d.%m.%Y %H:%M:%S}"
        return ["" if facts[name] is None else str(facts[name]) for name in HEADINGS]

    def _wall(self, at: datetime) -> datetime:
        return at.replace(tzinfo=UTC).astimezone(self.surroundings.timezone)

    def _read_back(self, at: datetime) -> datetime:
        """An hour that the clocks repeat cannot be told apart in an export: it is read as the first."""
        return self._wall(at).replace(fold=0).astimezone(UTC).replace(tzinfo=None)

    def truth(self, stream: Stream, record: Record) -> Record:
        facts: Any = record
        return replace(
            facts,
            created_at=self._read_back(facts.created_at),
            moved_at=self._read_back(facts.moved_at),
            stage_id=fold(facts.stage_id),
            semantics=None,
            pipeline_id="0",
            currency=None if facts.amount is None else facts.currency,
            extra=None,
        )


class TestFiles(ReaderSuite):
    proves = Files
    fake = ExportedCsv
