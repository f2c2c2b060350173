"""Which column of an export is what: headings that Bitrix24 and amoCRM write, in Russian and English, else as configured."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.errors import OptionError
from connectors.files.request_headings import REQUEST_FIELDS, REQUEST_HINTS
from connectors.text import clean_name, fold

# Our field -> headings in the order of preference, already plain (see `plain`). An empty tuple: only by configuration.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "id лида", "id сделки", "lead id", "deal id"),
    "created": (
        "дата создания", "дата создания сделки", "дата создания лида", "дата и время создания", "создано", "создан", "создана",
        "created", "created on", "created at", "creation date", "create date", "date created", "date create",
    ),
    "modified": (
        "дата изменения", "дата редактирования", "дата модификации", "изменено", "изменен", "изменена",
        "modified", "modified on", "modified at", "last modified", "date modified", "updated", "updated on", "updated at",
        "last updated",
    ),
    "moved": (
        "дата изменения стадии", "дата изменения статуса", "дата изменения этапа", "дата смены стадии", "дата смены статуса",
        "дата смены этапа", "дата перехода на стадию", "дата перехода на этап", "дата перемещения",
        "moved", "moved on", "moved at", "moved time", "stage changed", "stage changed on", "stage change date",
        "status changed on",
    ),
    "stage": (
        "стадия сделки", "этап сделки", "статус сделки", "стадия лида", "статус лида", "стадия", "статус", "этап",
        "deal stage", "lead stage", "lead status", "stage", "status", "pipeline stage",
    ),
    "pipeline": (
        "воронка", "воронка продаж", "направление", "направление сделки", "pipeline", "deal pipeline", "sales funnel", "funnel",
    ),
    "owner": (
        "ответственный", "ответственный за сделку", "ответственный за лид", "ответственный менеджер",
        "responsible", "responsible person", "owner", "lead owner", "deal owner", "assigned to",
    ),
    "source": ("источник", "источник лида", "источник сделки", "source", "lead source", "deal source"),
    "utm_source": ("utm source",),
    "utm_medium": ("utm medium",),
    "utm_campaign": ("utm campaign",),
    "utm_content": ("utm content",),
    "utm_term": ("utm term",),
    "amount": (
        "сумма сделки", "сумма", "возможная сумма", "бюджет", "бюджет сделки", "сумма/валюта",
        "opportunity", "amount", "deal amount", "expected amount", "budget", "amount/currency",
    ),
    "currency": ("валюта", "валюта сделки", "currency"),
    "phone": (
        "мобильный телефон", "телефон", "рабочий телефон", "рабочий прямой телефон", "домашний телефон", "телефон для рассылок",
        "другой телефон", "телефон контакта",
        "mobile phone", "mobile", "phone", "phone number", "work phone", "home phone", "other phone",
    ),
    "email": (
        "e mail", "email", "рабочий e mail", "частный e mail", "e mail для рассылок", "другой e mail", "рабочий email",
        "личный email", "другой email", "work e mail", "work email", "home e mail", "personal email", "other e mail",
        "other email",
    ),
    "contact": ("id контакта", "contact id"),
    "lead": (),  # of a deal: the lead it grew from; set below for deals only
    "repeat": ("повторный лид", "повторная сделка", "повторное обращение", "repeat lead", "repeat deal", "return customer"),
    "branch": ("филиал", "branch", "location"),
}  # fmt: skip
_DEAL_FIELDS: Mapping[str, tuple[str, ...]] = {"id": ("id", "id сделки", "deal id"), "lead": ("id лида", "lead id")}
_ALL_COUNT = frozenset({"phone", "email"})  # every known heading is looked into, not only the preferred one
_PRODUCT = ("товар", "товары", "название товара", "product", "products", "product name")

_MISSING = {
    "id": 'add the column "ID" to the list view before exporting, or say which column it is: columns.id = "..."',
    "created": 'the default columns of Bitrix24 do not hold it: add "Дата создания" (Created) to the list view and export again, '
    'or say which column it is: columns.created = "..."',
}
# A letter and its twin of the other alphabet become one, also where a Latin sound stands for a Cyrillic letter (Regион).
_TWINS = str.maketrans("авекмнорстухіrг", "abekmhopctyxipg")
_SIGN = re.compile(r"[\s,(]+(?:₽|руб\.?|р\.|rub|€|eur|\$|usd|₸)\)?$")
_GAPS = re.compile(r"[\s_.-]+")


@dataclass(frozen=True, slots=True)
class Columns:
    """Where the fields stand: field -> column numbers, the first filled one counts. `milestones` by stage as configured."""

    headings: tuple[str, ...]
    fields: Mapping[str, tuple[int, ...]]
    milestones: Mapping[str, tuple[int, ...]]
    has_products: bool

    def heading(self, field: str) -> str:
        """The heading of a field's first column, for messages."""
        return self.headings[self.fields[field][0]] if self.fields.get(field) else field


def plain(heading: str) -> str:
    """A heading as it is compared: folded, one space for any gap, without the currency sign some exports append."""
    return _GAPS.sub(" ", _SIGN.sub("", fold(heading) or "")).strip(" :*")


def fields_of(record: str) -> Mapping[str, tuple[str, ...]]:
    """The fields a file of `record` may have, with their headings."""
    if record == "support_requests":
        return REQUEST_FIELDS
    return {**FIELDS, **_DEAL_FIELDS} if record == "deals" else FIELDS


def n_known(headings: Sequence[str], wanted: Sequence[str]) -> int:
    """How many of the headings are known, or configured (`wanted`)."""
    every = (*FIELDS.values(), *REQUEST_FIELDS.values())
    known = {_twin(one) for headings_of in every for one in headings_of} | {_twin(plain(one)) for one in wanted}
    return sum(_twin(plain(one)) in known for one in headings)


def recognise(
    file: str,
    headings: Sequence[str],
    record: str,
    columns: Mapping[str, Sequence[str]],
    milestones: Mapping[str, Sequence[str]],
) -> Columns:
    """The columns of one file. Raises OptionError naming what is missing and how to get it."""
    row = [plain(one) for one in headings]
    fields: dict[str, tuple[int, ...]] = {}
    for field, known in fields_of(record).items():
        if field in columns:
            fields[field] = _configured(file, f"columns.{field}", columns[field], headings, row)
            continue
        found: list[int] = []
        for heading in known:
            found += _places(heading, row)
            if found and field not in _ALL_COUNT:
                break
        if found:
            fields[field] = tuple(found)
    for field, hint in (REQUEST_HINTS if record == "support_requests" else _MISSING).items():
        if field not in fields:
            what = {"id": "no column with the ID", "created": "no column with the date of creation"}[field]
            raise OptionError(f"{file}: {what} ({_shown(headings, fields)})", hint=hint)
    reached = {stage: _configured(file, f"milestones.{stage}", wanted, headings, row) for stage, wanted in milestones.items()}
    return Columns(tuple(map(clean_name, headings)), fields, reached, any(_places(one, row) for one in _PRODUCT))


def _configured(file: str, option: str, wanted: Sequence[str], headings: Sequence[str], row: Sequence[str]) -> tuple[int, ...]:
    """Where the configured headings stand; the file must have one of them."""
    found = [place for one in wanted for place in _places(plain(one), row)]
    if not found:
        near = difflib.get_close_matches(plain(wanted[0]), row, 1)
        hint = (
            f'the nearest heading is "{clean_name(headings[row.index(near[0])])}"'
            if near
            else "correct the heading or the export"
        )
        raise OptionError(f'{file}: {option} = "{wanted[0]}", but the file has no such heading', hint=hint)
    return tuple(found)


def _places(heading: str, row: Sequence[str]) -> list[int]:
    """All columns with this heading (exports repeat headings); look-alike letters only count when no heading is equal."""
    equal = [place for place, one in enumerate(row) if one == heading]
    return equal or [place for place, one in enumerate(row) if one and _twin(one) == _twin(heading)]


def _twin(heading: str) -> str:
    return heading.translate(_TWINS)


def _shown(headings: Sequence[str], fields: Mapping[str, object]) -> str:
    """The headings found. A first line without any known heading may be data, and data is not shown."""
    if not fields:
        return f"none of the {len(headings)} cells of the first line is a known heading"
    names = [clean_name(one) for one in headings if clean_name(one)]
    more = f" and {len(names) - 40} more" if len(names) > 40 else ""
    return "found: " + ", ".join(names[:40]) + more
