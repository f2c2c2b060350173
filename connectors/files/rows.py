"""One row of cells -> one lead or deal, with the stage changes its dates tell of. What cannot be read is a `RowFault`."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import lru_cache
from operator import itemgetter
from typing import TypeVar

from connectors.contract import Finding, Surroundings
from connectors.files.headings import Columns
from connectors.files.options import Options
from connectors.people import PERSONAL, customer_hash, impersonal
from connectors.records import CrmSource, Deal, Entity, Lead, Owner, Pipeline, Record, Stage, StageChange, SupportRequest
from connectors.text import clean_name, fold
from connectors.values import flag, local_day, ru_money, ru_time, wall_utc

ID_LIMIT = 64
_MILESTONE = "milestone"  # in the id of a stage change, where that of the present stage has its time
DEFAULT_PIPELINE = "0"  # as Bitrix24 calls the funnel of leads, and the first one of deals
# How exports write "no date" (amoCRM: не закрыта).
_NO_DATE = frozenset({"-", "—", "–", "не закрыта", "не закрыт", "нет", "null", "none", "n/a", "00.00.0000", "0000-00-00"})
_FLAGS = {"да": True, "нет": False, "yes": True, "no": False, "+": True, "-": False}
_CURRENCIES = {
    name: code
    for code, names in {
        "RUB": ("₽", "руб", "руб.", "р", "р.", "rur", "рубль", "рубли", "рубля", "рублей", "российский рубль"),
        "USD": ("$", "доллар", "доллар сша", "us dollar"),
        "EUR": ("€", "евро", "euro"),
        "KZT": ("₸", "тг", "тг.", "тенге", "казахстанский тенге"),
        "BYN": ("br", "белорусский рубль"),
    }.items()
    for name in names
}
_UNIT = re.compile(r"[^\d\s.,+−-]+\.?")
_SERIAL = re.compile(r"\d{5}(\.\d+)?", re.ASCII)
_FIRST_SERIAL, _LAST_SERIAL = 32874, 73415  # 1990 and 2100 in days of a spreadsheet

_TEXTS = (
    "pipeline", "stage", "owner", "source", "utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term", "contact",
    "phone", "email", "repeat", "branch", "lead",
)  # fmt: skip

# Fields without which a figure will be missing, and the finding's severity.
_EXPECTED = {"stage": "warning", "source": "info", "utm_source": "info", "amount": "info", "owner": "info"}

T = TypeVar("T")
# A row's record, the stage changes it tells of, and the full keys of those that it says did not happen.
Taken = tuple[Lead | Deal | SupportRequest, list[StageChange], list[tuple[str, str]]]


class RowFault(Exception):
    """Why a row cannot be used: the column and our own words, never the value."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column, self.reason = column, reason


class RowReader:
    """Reads the rows of one file, and remembers the names that occur in it (`directory`)."""

    adds_up = True  # whether rows of one id are parts of one thing, and their sums are added

    def __init__(self, options: Options, surroundings: Surroundings, columns: Columns, serial_origin: datetime | None) -> None:
        self.entity: Entity = "deal" if options.record == "deals" else "lead"
        self.columns = columns
        self.expected: Mapping[str, str] = _EXPECTED
        self.n_untimed = 0  # rows whose stage has no time
        self.n_modified = 0  # rows whose stage is timed by their last change
        self._tz, self._key, self._country = surroundings.timezone, surroundings.hash_key, options.country
        self._branch = clean_name(options.branch) or None
        self._currency = options.currency.upper()
        self._order, self._serial_origin = options.date_order, serial_origin
        self._places = columns.fields
        self._several = [columns.fields[field] for field in _TEXTS if len(columns.fields.get(field, ())) > 1]
        self._texts = itemgetter(*map(self._slot, _TEXTS))
        self._milestones = [(fold(stage) or "", clean_name(stage), places) for stage, places in columns.milestones.items()]
        self._stages: dict[tuple[str, str], str] = {}  # (pipeline, stage) -> name
        self._owners: dict[str, str] = {}
        self._sources: dict[str, str] = {}
        self._pipelines: dict[str, str] = {}
        self._days: dict[tuple[int, int, int], date] = {}

    def key(self, cells: Sequence[str]) -> str:
        """The row's id. Raises RowFault."""
        key = self._cell(cells, "id")
        if not key:
            raise RowFault(self.columns.heading("id"), "no id")
        if len(key) > ID_LIMIT or not key.isprintable():
            raise RowFault(self.columns.heading("id"), f"not an id of at most {ID_LIMIT} characters")
        return key

    def amount(self, cells: Sequence[str]) -> tuple[Decimal | None, str | None]:
        """Sum and currency of one row. Raises RowFault."""
        amount, currency = self._parsed("amount", _priced, self._cell(cells, "amount"))
        if amount is None:
            return None, None
        named = self._cell(cells, "currency")
        if named:
            currency = self._parsed("currency", _currency_code, named)
        return amount, currency or self._currency

    def record(self, key: str, cells: Sequence[str], amount: Decimal | None, currency: str | None) -> Taken:
        """The record of a row, with its stage changes. Raises RowFault."""
        cells = self._trimmed(cells)
        (pipeline, stage, owner, crm_source, utm_source, utm_medium, utm_campaign, utm_content, utm_term, contact, phone, email,
         repeat, branch, lead) = self._texts(cells)  # fmt: skip
        created_at = self._time(cells, self._places["created"])
        if created_at is None:
            raise RowFault(self.columns.heading("created"), "no date of creation")
        modified_at = self._time(cells, self._places.get("modified", ()))
        pipeline_id = self._entry(self._pipelines, pipeline) or DEFAULT_PIPELINE
        stage_id = _folded(stage) or ""
        self._know(pipeline_id, stage_id, stage)
        reached = self._reached(cells, created_at)
        moved_at = self._moved_at(cells, stage_id, created_at, modified_at, reached.get(stage_id))
        # A milestone has one date, corrected or cleared in a later export: no date in its id. A stage can be entered many times.
        moves = [self._change(key, pipeline_id, milestone, _MILESTONE, at) for milestone, at in reached.items()]
        if stage_id and moved_at is not None and reached.get(stage_id) != moved_at:
            moves.append(self._change(key, pipeline_id, stage_id, moved_at.isoformat(), moved_at))
        missed = [milestone for milestone, _, _ in self._milestones if milestone not in reached]
        undone: list[tuple[str, str]] = [(self.entity, _change_id(key, milestone, _MILESTONE)) for milestone in missed]
        person = customer_hash(self._key, phone=phone, email=email, country=self._country) if phone or email else None
        shared = (
            created_at, self._day(created_at), modified_at, moved_at, stage_id, None, pipeline_id,
            self._entry(self._owners, owner), self._entry(self._sources, _public(crm_source)),
            _word(utm_source), _word(utm_medium), _word(utm_campaign), _word(utm_content), _word(utm_term),
            amount, currency, contact[:ID_LIMIT] or None, person,
        )  # fmt: skip
        is_repeat = self._parsed("repeat", _yes, repeat) if repeat else None
        branch = _named(branch) or self._branch
        if self.entity == "deal":
            return Deal(key, lead[:ID_LIMIT] or None, *shared, is_repeat, False, branch, None), moves, undone
        return Lead(key, *shared, bool(phone) if "phone" in self._places else None, is_repeat, branch, None), moves, undone

    def directory(self) -> dict[str, list[Record]]:
        """The names that occurred, by stream. The first spelling of a name stands for all that fold to the same."""
        return {
            "stages": [Stage(self.entity, pipeline, stage, name, None, None) for (pipeline, stage), name in self._stages.items()],
            "pipelines": [Pipeline(self.entity, pipeline, name, False) for pipeline, name in self._pipelines.items()],
            "crm_sources": [CrmSource(source, name) for source, name in self._sources.items()],
            "owners": [Owner(owner, name, True) for owner, name in self._owners.items()],
        }

    def findings(self, file: str, stream: str) -> list[Finding]:
        """What the rows as a whole lack, for a person to know."""
        found = []
        if self.n_untimed:
            found.append(Finding("stage_time_unknown", "warning", stream, self.n_untimed, {"file": file}))
        if self.n_modified:
            found.append(Finding("stage_time_from_last_change", "info", stream, self.n_modified, {"file": file}))
        return found

    def _reached(self, cells: Sequence[str], created_at: datetime) -> dict[str, datetime]:
        """The stages whose milestone columns hold a date."""
        reached: dict[str, datetime] = {}
        for milestone, _, places in self._milestones:
            at = self._since(cells, places, created_at)
            if at is not None:
                reached[milestone] = at
        return reached

    def _moved_at(
        self,
        cells: Sequence[str],
        stage_id: str,
        created_at: datetime,
        modified_at: datetime | None,
        milestone_at: datetime | None,
    ) -> datetime | None:
        """When the present stage was entered: by its own column, else its milestone, else the last change (an upper bound)."""
        moved_at = self._since(cells, self._places.get("moved", ()), created_at) or milestone_at
        if stage_id and moved_at is None:
            if modified_at is not None:
                self.n_modified += 1
                return self._not_before(modified_at, created_at)
            self.n_untimed += 1
        return moved_at

    def _change(self, key: str, pipeline_id: str, stage_id: str, mark: str, at: datetime) -> StageChange:
        change_id = _change_id(key, stage_id, mark)
        return StageChange(self.entity, change_id, key, stage_id, pipeline_id, None, at, self._day(at))

    def _day(self, at: datetime) -> date:
        """The business date of a UTC time; zones differ by whole quarters of an hour, so each quarter is looked up once."""
        quarter = (at.toordinal(), at.hour, at.minute // 15)
        day = self._days.get(quarter)
        if day is None:
            day = self._days[quarter] = local_day(at, self._tz)
        return day

    def _since(self, cells: Sequence[str], places: Sequence[int], created_at: datetime) -> datetime | None:
        at = self._time(cells, places)
        return None if at is None else self._not_before(at, created_at)

    def _not_before(self, at: datetime, created_at: datetime) -> datetime:
        """A date without time on the day of creation is no earlier than the creation itself."""
        if at < created_at < at + timedelta(days=1):
            wall = self._tz.fromutc(at.replace(tzinfo=self._tz))
            if not (wall.hour or wall.minute or wall.second) and wall.date() == local_day(created_at, self._tz):
                return created_at
        return at

    def _time(self, cells: Sequence[str], places: Sequence[int]) -> datetime | None:
        """The first date in these columns, naive UTC."""
        for place in places:
            text = cells[place]
            if not text:
                continue
            try:
                if self._serial_origin is not None and _SERIAL.fullmatch(text):
                    return _serial_time(float(text), self._serial_origin, self._tz)
                return _usual_time(text, self._tz) if self._order == "dmy" else ru_time(text, self._tz, self._order)
            except ValueError as error:
                if text.lower() not in _NO_DATE:
                    raise RowFault(self.columns.headings[place], str(error)) from None
        return None

    def _slot(self, field: str) -> int:
        """Where `_trimmed` puts the text of a field."""
        places = self._places.get(field, ())
        width = len(self.columns.headings)
        if len(places) > 1:
            return width + 1 + self._several.index(places)
        return places[0] if places else width

    def _trimmed(self, cells: Sequence[str]) -> list[str]:
        """The cells without blanks around them, then an empty one, then the first filled one of fields with several columns."""
        texts = [cell.strip() for cell in cells[: len(self.columns.headings)]]
        texts.append("")
        for places in self._several:
            texts.append(next(filter(None, map(texts.__getitem__, places)), ""))
        return texts

    def _know(self, pipeline_id: str, stage_id: str, name: str) -> None:
        """Remember a stage as it was written first."""
        if stage_id and (pipeline_id, stage_id) not in self._stages:
            self._stages[pipeline_id, stage_id] = _named(name)
        for milestone, title, _ in self._milestones:
            self._stages.setdefault((pipeline_id, milestone), title)

    def _cell(self, cells: Sequence[str], field: str) -> str:
        """The first filled cell of a field's columns; "" when there is none."""
        for place in self._places.get(field, ()):
            text = cells[place].strip()
            if text:
                return text
        return ""

    def _parsed(self, field: str, parse: Callable[[str], T], text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise RowFault(self.columns.heading(field), str(error)) from None

    @staticmethod
    def _entry(names: dict[str, str], text: str) -> str | None:
        """The id of a name (folded), which is remembered as it was written."""
        name_id = _folded(text)
        if name_id is not None and name_id not in names:
            names[name_id] = _named(text)
        return name_id


def _change_id(key: str, stage_id: str, mark: str) -> str:
    return f"{key}/{stage_id}/{mark}"


# Stages, sources, campaigns and prices repeat: reading each once is most of the speed.
_folded = lru_cache(maxsize=20_000)(fold)


@lru_cache(maxsize=20_000)
def _public(text: str) -> str:
    """A source as it is written, unless a person stands in its place."""
    return PERSONAL if impersonal(fold(text)) == PERSONAL else text


@lru_cache(maxsize=20_000)
def _word(text: str) -> str | None:
    """A UTM value as rules compare it."""
    return impersonal(fold(text))


_named = lru_cache(maxsize=5_000)(clean_name)


@lru_cache(maxsize=20_000)
def _priced(text: str) -> tuple[Decimal | None, str | None]:
    """An amount and the currency its sign names."""
    amount = ru_money(text)
    unit = _UNIT.search(text)
    return amount, _currency_code(unit[0]) if unit else None


@lru_cache(maxsize=100)
def _currency_code(text: str) -> str:
    name = fold(text) or ""
    code = _CURRENCIES.get(name) or (name.upper() if len(name) == 3 and name.isascii() and name.isalpha() else None)
    if code is None:
        raise ValueError("not a known currency")
    return code


@lru_cache(maxsize=100)
def _yes(text: str) -> bool:
    answer = _FLAGS.get(fold(text) or "")
    return flag(text) if answer is None else answer


_SIXTY = {f"{number:02}": number for number in range(60)}


@lru_cache(maxsize=20_000)
def _hour_utc(day_and_hour: str, tz: tzinfo) -> datetime:
    """The start of an hour written 01.10.2026 12. Raises KeyError when the clock changes within it, or it is no hour at all."""
    try:
        start, end = (ru_time(f"{day_and_hour}:{minutes}", tz) for minutes in ("00:00", "59:59"))
    except ValueError:
        raise KeyError(day_and_hour) from None
    if end - start != timedelta(minutes=59, seconds=59):
        raise KeyError(day_and_hour)
    return start


def _usual_time(text: str, tz: tzinfo) -> datetime:
    """`ru_time`, at once for the one form that nearly all cells have: 01.10.2026 12:30:00."""
    if len(text) == 19 and text[2] == "." and text[5] == "." and text[10] == " " and text[13] == ":" and text[16] == ":":
        try:
            return _hour_utc(text[:13], tz) + timedelta(minutes=_SIXTY[text[14:16]], seconds=_SIXTY[text[17:]])
        except KeyError:
            pass  # ru_time says what is wrong
    return ru_time(text, tz)


def _serial_time(days: float, origin: datetime, tz: tzinfo) -> datetime:
    """A spreadsheet's day number as naive UTC, to the second: a fraction of a day cannot hold every second exactly."""
    if not _FIRST_SERIAL <= days < _LAST_SERIAL:
        raise ValueError("a number that is no date between 1990 and 2100")
    return wall_utc(origin + timedelta(seconds=round(days * 86400)), tz)
