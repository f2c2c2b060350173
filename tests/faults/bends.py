"""What faults do to answers and to the portal's rows."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

from tests.faults.portal import Document, commands, pages, records
from tests.faults.stage import Stage

Change = Callable[[Document], None]
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")

# --- answers ------------------------------------------------------------------------------------------------------------


def in_cp1251(body: bytes) -> bytes:
    return body.decode().replace("{", '{"note":"Служебный ответ портала",', 1).encode("cp1251", "replace")


def duplicated(document: Document) -> None:
    for rows in records(document):
        rows.insert(1, rows[0])


class Repeating:
    """Every full page is the first full page that was shown."""

    def __init__(self) -> None:
        self._first: dict[frozenset[str], list[Document]] = {}

    def __call__(self, document: Document) -> None:
        for rows in records(document):
            if len(rows) >= 50:
                rows[:] = self._first.setdefault(frozenset(rows[0]), list(rows))


def endless(document: Document) -> None:
    inner = document["result"]
    names = [name for name, result in commands(document).items() if isinstance(result, (list, dict))]
    inner["result_next"] = dict.fromkeys(names, 50)


def totals(more: int) -> Change:
    def change(document: Document) -> None:
        told = document["result"]["result_total"]
        if isinstance(told, dict):
            document["result"]["result_total"] = {name: max(0, n + more) if n else n for name, n in told.items()}

    return change


def without_totals(document: Document) -> None:
    document["result"]["result_total"] = []


class Mistyped:
    """Single values of some rows become lists, objects and booleans."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def __call__(self, document: Document) -> None:
        for rows in records(document):
            for row in self._rng.sample(rows, min(3, len(rows))):
                for column in ("OPPORTUNITY", "STATUS_ID", "STAGE_ID", "CREATED_TIME"):
                    if column in row:
                        row[column] = self._rng.choice(([], [["a"]], {"x": 1}, True, {}))


def undated(rng: random.Random) -> Change:
    def change(document: Document) -> None:
        for rows in records(document):
            for row in rng.sample(rows, min(3, len(rows))):
                row.update({column: rng.choice(("soon", "2026-13-45T00:00:00+03:00", 0))
                            for column in ("DATE_CREATE", "MOVED_TIME", "CREATED_TIME") if column in row})  # fmt: skip

    return change


class Lacking:
    """Some rows of each page lack columns that the others have."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def __call__(self, document: Document) -> None:
        for rows in records(document):
            for row in self._rng.sample(rows, min(3, len(rows) // 2)):
                for column in ("OPPORTUNITY", "UTM_SOURCE", "ASSIGNED_BY_ID", "MOVED_TIME"):
                    row.pop(column, None)


def without_id(document: Document) -> None:
    for rows in records(document):
        del rows[len(rows) // 2]["ID"]


def with_extras(document: Document) -> None:
    for rows in records(document):
        for row in rows:
            row |= {"UF_CRM_NEW": {"a": [1]}, "SURPRISE": "<b>x</b>"}


def dropped(rng: random.Random) -> Change:
    def change(document: Document) -> None:
        found = commands(document)
        for name in rng.sample(sorted(found), min(2, len(found))):
            del found[name]

    return change


def nulled(rng: random.Random) -> Change:
    def change(document: Document) -> None:
        found = commands(document)
        found |= dict.fromkeys(rng.sample(sorted(found), min(2, len(found))))

    return change


def texted(rng: random.Random) -> Change:
    def change(document: Document) -> None:
        found = commands(document)
        found |= dict.fromkeys(rng.sample(sorted(found), min(1, len(found))), "nothing to see here")

    return change


def emptied(document: Document) -> None:
    document["result"]["result"] = []


def in_offset(hours: int) -> Change:
    """All times of the rows in another offset; they name the same instants."""
    zone = timezone(timedelta(hours=hours))

    def change(document: Document) -> None:
        found = commands(document)
        for name, result in found.items():
            if isinstance(result, str) and _TIME.fullmatch(result):
                found[name] = _moved(result)
        for rows in pages(document):
            for row in rows:
                row |= {name: _moved(value) for name, value in row.items() if isinstance(value, str) and _TIME.fullmatch(value)}

    def _moved(text: str) -> str:
        return datetime.fromisoformat(text).astimezone(zone).isoformat()

    return change


# --- the portal's rows --------------------------------------------------------------------------------------------------


def insert(stage: Stage) -> None:
    stage.portal.insert(stage.rng.choice(("lead", "deal")), OPPORTUNITY=float(stage.rng.randrange(1, 9_000)))


def delete(stage: Stage) -> None:
    entity = stage.rng.choice(("lead", "deal"))
    stage.portal.delete(entity, stage.any_id(entity))


def restore_old(stage: Stage) -> None:
    """Rows deleted in this night's sync, brought back before the next one just as they were."""
    for id_ in stage.rng.sample(stage.ids("lead"), 4):
        stage.portal.after(stage.rng.randrange(1, 6), lambda id_=id_: _delete_for_now(stage, id_), "requests")


def _delete_for_now(stage: Stage, id_: int) -> None:
    store = stage.portal.store
    row = store.leads.find(id_)
    if row is not None:
        at = int(datetime.fromisoformat(store.leads.value("DATE_MODIFY", row)).timestamp())
        store.delete("lead", id_)
        stage.when_over(lambda: store.restore("lead", id_, at))


def jump_ids(stage: Stage) -> None:
    for _ in range(6):
        last = int(stage.portal.store.leads.ids[-1])
        stage.portal.insert("lead", ID=last + stage.rng.randrange(1_000, 90_000))


def tie(stage: Stage) -> None:
    at = int(stage.portal.now())
    for id_ in stage.rng.sample(stage.ids("lead"), 120):
        stage.portal.update("lead", id_, DATE_MODIFY=at, OPPORTUNITY=float(stage.rng.randrange(1, 9_000)))


def dst_rows(stage: Stage) -> None:
    """Berlin leaves summer time on 2026-10-25 at 01:00 UTC and enters it on 2026-03-29 at 01:00 UTC."""
    for month, day in ((10, 25), (3, 29)):
        change = int(datetime(2026, month, day, 1, tzinfo=UTC).timestamp())
        for minutes in (-181, -121, -61, -1, 0, 1, 59, 61, 22 * 60 - 1, 22 * 60 + 1, 23 * 60 - 1, 23 * 60 + 1):
            stage.portal.insert("lead", DATE_CREATE=change + 60 * minutes)
