"""The files reader keeps the kit's promises: the same CRM rows as CSV in every usual spelling."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.conformance import readers
from connectors.conformance.crm import FakeCrm, Row
from connectors.conformance.fake import Violation
from connectors.conformance.readers import FakeFiles
from connectors.conformance.suite import ReaderSuite
from connectors.contract import Chunk, Json, Reader, Stream, Surroundings
from connectors.files import Files, Options
from connectors.records import Record
from connectors.text import fold

States = Mapping[str, Mapping[str, Json] | None]
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
    reader_type: type[Files] = Files

    def tables(self) -> tuple[str, ...]:
        return ("leads",)

    def reader(self, folder: Path, surroundings: Surroundings) -> Reader:
        self.surroundings = surroundings
        return self.reader_type.open(Options(path=str(folder)), surroundings)

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


REQUEST_HEADINGS = {
    "id": "Номер обращения",
    "created_at": "Дата создания",
    "modified_at": "Обновлено",
    "channel": "Канал",
    "tags": "Теги",
    "priority": "Приоритет",
    "first_reply_at": "Первый ответ",
    "closed_at": "Закрыто",
    "closed_by": "Кем закрыто",
    "csat": "Оценка",
    "nps": "NPS",
    "lead_id": "ID лида",
    "deal_id": "ID сделки",
    "contact_id": "ID контакта",
    "phone": "Телефон",
    "email": "E-mail",
}


class ExportedRequests(ExportedCsv):
    """A help desk's list of requests."""

    def tables(self) -> tuple[str, ...]:
        return ("support_requests",)

    def reader(self, folder: Path, surroundings: Surroundings) -> Reader:
        self.surroundings = surroundings
        return self.reader_type.open(Options(path=str(folder), record="support_requests", csat_scale="1-5"), surroundings)

    def write(self, crm: FakeCrm, folder: Path) -> None:
        with (folder / "requests.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, delimiter=crm.rng.choice(";,\t"), quoting=csv.QUOTE_ALL)
            writer.writerow(REQUEST_HEADINGS.values())
            writer.writerows([self._request(row, crm) for row in crm.select("support_requests").rows])

    def _request(self, row: Row, crm: FakeCrm) -> list[str]:
        facts: dict[str, Any] = row.facts | {"id": row.key, "modified_at": row.modified}
        facts["tags"] = ", ".join(json.loads(facts["tags"] or "[]"))
        facts["closed_by"] = {"bot": "Бот", "person": "Оператор", None: ""}[facts["closed_by"]]
        if row.is_broken:
            facts["csat"] = crm.nonsense
        for name in ("created_at", "modified_at", "first_reply_at", "closed_at"):
            facts[name] = facts[name] and f"{self._wall(facts[name]):%d.%m.%Y %H:%M:%S}"
        return ["" if facts[name] is None else str(facts[name]) for name in REQUEST_HEADINGS]

    def truth(self, stream: Stream, record: Record) -> Record:
        facts: Any = record
        times = {name: getattr(facts, name) for name in ("created_at", "first_reply_at", "closed_at")}
        return replace(facts, **{name: at and self._read_back(at) for name, at in times.items()})


class TestRequests(ReaderSuite):
    proves = Files
    fake = ExportedRequests


# --- the suite is not blind -------------------------------------------------------------------------------------------


class DigestTooEarly(Files):
    """A file counts as read with its first rows."""

    def read(self, states: States) -> Iterator[Chunk]:
        chunks = [*super().read(states)]
        last = {chunk.stream.name: chunk.state for chunk in chunks}
        return iter([replace(chunk, state=last[chunk.stream.name]) for chunk in chunks])


class ForgetsFiles(Files):
    """What was imported is not remembered."""

    def read(self, states: States) -> Iterator[Chunk]:
        return super().read(dict.fromkeys(states))


class DropsLastRow(Files):
    """The last row of every piece is lost."""

    def read(self, states: States) -> Iterator[Chunk]:
        return (replace(chunk, records=chunk.records[:-1]) for chunk in super().read(states))


class NoQuarantine(Files):
    """Rows that cannot be read vanish."""

    def read(self, states: States) -> Iterator[Chunk]:
        return (replace(chunk, rejects=[]) for chunk in super().read(states))


class NoLineNumbers(Files):
    """A rejected row does not say where it stands."""

    def read(self, states: States) -> Iterator[Chunk]:
        return (replace(chunk, rejects=[replace(one, where="") for one in chunk.rejects]) for chunk in super().read(states))


MUTANTS: dict[type[Files], tuple[str, str]] = {
    DigestTooEarly: ("crashes", "complete"),
    ForgetsFiles: ("reading", "no-op"),
    DropsLastRow: ("reading", "complete"),
    NoQuarantine: ("dirt", "rejects"),
    NoLineNumbers: ("dirt", "rejects"),
}


def run_all(fake: FakeFiles, family: str, folder: Path) -> None:
    for seed in range(30):
        readers.run(fake, family, seed, folder / str(seed))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_fault_in_the_reader_is_caught(mutant: type[Files], tmp_path: Path) -> None:
    class Mutant(ExportedCsv):
        reader_type = mutant

    family, check = MUTANTS[mutant]
    with pytest.raises(Violation) as caught:
        run_all(Mutant(), family, tmp_path)
    assert caught.value.check == check
