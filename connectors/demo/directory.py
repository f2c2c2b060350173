"""Dictionaries of the demo salon: stages, sources, employees, pipelines (rows as in the official samples)."""

from __future__ import annotations

from typing import Any, NamedTuple


class StageRow(NamedTuple):
    """A stage: its id on the portal, its name there, and P (in progress), S (success) or F (failure)."""

    code: str
    name: str
    semantic: str


UNREACHED, UNMAPPED = "UC_K2VN7A", "UC_7QK2ZD"
CONFIRMED_TOMORROW, CONFIRMED_TODAY = "UC_3ZDL5P", "UC_0M4TXB"
SIMPLE_BOOKED, SIMPLE_JUNK = "UC_9BHW1E", "UC_SPAM01"

# Names are as people type them: ё beside е, a private stage nobody explained to anybody.
LEAD_STAGES = (
    StageRow("NEW", "Не обработан", "P"),
    StageRow("IN_PROCESS", "В работе", "P"),
    StageRow(UNREACHED, "Недозвон", "P"),
    StageRow(UNMAPPED, "Катя разбирается", "P"),
    StageRow("PROCESSED", "Квалифицирован", "P"),
    StageRow("CONVERTED", "Качественный лид", "S"),
    StageRow("JUNK", "Некачественный лид", "F"),
)
_VISIT_STAGES = (
    StageRow(CONFIRMED_TOMORROW, "Подтверждён на завтра", "P"),
    StageRow(CONFIRMED_TODAY, "Подтвержден на сегодня", "P"),
    StageRow("EXECUTING", "Пришёл", "P"),
    StageRow("WON", "Оплачено", "S"),
    StageRow("LOSE", "Отменил запись", "F"),
    StageRow("APOLOGY", "Не пришёл", "F"),
)
DEAL_STAGES = (StageRow("NEW", "Записан", "P"), *_VISIT_STAGES)
SIMPLE_DEAL_STAGES = (
    StageRow("NEW", "Новая заявка", "P"),
    StageRow("PREPARATION", "В работе", "P"),
    StageRow(UNREACHED, "Недозвон", "P"),
    StageRow(UNMAPPED, "Катя разбирается", "P"),
    StageRow("PREPAYMENT_INVOICE", "Квалифицирован", "P"),
    StageRow(SIMPLE_BOOKED, "Записан", "P"),
    *_VISIT_STAGES,
    StageRow(SIMPLE_JUNK, "Некачественный", "F"),
)

SOURCES = {
    "CALL": "Звонок",
    "WEB": "Веб-сайт",
    "ADVERTISING": "Реклама",
    "RECOMMENDATION": "По рекомендации",
    "WEBFORM": "CRM-форма",
    "CALLBACK": "Обратный звонок",
    "1": "2ГИС",
    "UC_TG0001": "Телеграм",
    "UC_VK0001": "ВКонтакте",
    "OTHER": "Другое",
}
_USERS = (
    (1, "Анна", "Соколова", True),
    (7, "Екатерина", "Миронова", True),
    (9, "Ольга", "Белова", True),
    (11, "Дарья", "Кузнецова", True),
    (13, "Марина", "Орлова", True),
    (15, "Игорь", "Лебедев", True),
    (17, "Светлана", "Громова", False),  # dismissed: still owns old leads
)
OWNER_IDS = tuple(user[0] for user in _USERS[1:])
DISMISSED_ID = 17


def semantics(stages: tuple[StageRow, ...]) -> dict[str, str]:
    return {stage.code: stage.semantic for stage in stages}


def statuses(is_simple: bool) -> list[dict[str, Any]]:
    """Rows of `crm.status.list`."""
    rows: list[dict[str, Any]] = []

    def add(entity: str, code: str, name: str, place: int, semantic: str | None) -> None:
        row: dict[str, Any] = {
            "ID": str(2 * len(rows) + 1), "ENTITY_ID": entity, "STATUS_ID": code, "NAME": name,
            "NAME_INIT": "" if code.startswith("UC_") else name, "SORT": str(10 * place),
            "SYSTEM": "Y" if code in ("NEW", "WON", "LOSE", "CONVERTED", "JUNK") else "N",
            "CATEGORY_ID": None, "COLOR": None, "SEMANTICS": None,
        }  # fmt: skip
        if semantic:
            word = {"P": "process", "S": "success", "F": "apology" if code == "APOLOGY" else "failure"}[semantic]
            color = {"P": "#39A8EF", "S": "#7BD500", "F": "#FF5752"}[semantic]
            row |= {"COLOR": color, "SEMANTICS": None if semantic == "P" else semantic}
            row["EXTRA"] = {"SEMANTICS": word, "COLOR": color}
        rows.append(row)

    for entity, stages in (("STATUS", LEAD_STAGES), ("DEAL_STAGE", SIMPLE_DEAL_STAGES if is_simple else DEAL_STAGES)):
        for place, stage in enumerate(stages, 1):
            add(entity, stage.code, stage.name, place, stage.semantic)
    for place, (code, name) in enumerate(SOURCES.items(), 1):
        add("SOURCE", code, name, place, None)
    add("DEAL_TYPE", "SALE", "Продажа", 1, None)
    add("CONTACT_TYPE", "CLIENT", "Клиенты", 1, None)
    return rows


def users() -> list[dict[str, Any]]:
    """Rows of `user.get`; empty moments are `{}` as in the official sample."""
    return [
        {
            "ID": str(id_), "ACTIVE": is_active, "NAME": name, "LAST_NAME": last_name, "SECOND_NAME": "",
            "EMAIL": f"user{id_}@example.com", "LAST_LOGIN": "2026-01-12T10:15:00+03:00",
            "DATE_REGISTER": "2023-02-01T03:00:00+03:00", "TIME_ZONE": "", "IS_ONLINE": "N", "TIMESTAMP_X": {},
            "LAST_ACTIVITY_DATE": {}, "PERSONAL_GENDER": "", "PERSONAL_BIRTHDAY": "", "WORK_POSITION": "",
            "UF_EMPLOYMENT_DATE": "", "UF_DEPARTMENT": [1], "USER_TYPE": "employee",
        }
        for id_, name, last_name, is_active in _USERS
    ]  # fmt: skip


CATEGORIES = [{"id": 0, "name": "Общая", "sort": 300, "entityTypeId": 2, "isDefault": "Y"}]
