"""One row of cells -> one request to support. Texts of messages are not even looked at."""

import json
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache

from connectors.contract import Finding, Surroundings
from connectors.files.headings import Columns
from connectors.files.options import CSAT_SCALES, Options
from connectors.files.request_headings import LINKS, REQUEST_EXPECTED
from connectors.files.rows import ID_LIMIT, RowFault, RowReader, Taken, _word, _yes
from connectors.people import customer_hash
from connectors.records import Closer, Record, SupportRequest
from connectors.text import fold

TAGS_LIMIT = 50
_BOTS = frozenset({
    "бот", "чат-бот", "чатбот", "робот", "автоответ", "автоматически", "авто", "система", "ии", "ии-ассистент", "bot", "chatbot",
    "chat bot", "robot", "auto", "automatic", "automation", "system", "ai", "ai agent", "virtual agent",
})  # fmt: skip
_PEOPLE = frozenset({
    "оператор", "человек", "сотрудник", "менеджер", "специалист", "агент", "администратор", "operator", "person", "human",
    "agent", "manager", "staff", "employee", "admin", "administrator",
})  # fmt: skip
_BETWEEN_TAGS = re.compile(r"[,;|\n]")
_OUT_OF = re.compile(r"(?P<score>[\d.,]+)\s*(?:/|из|of|out of)\s*(?P<top>\d{1,3})", re.IGNORECASE)
_NUMBER = re.compile(r"-?\d{1,6}(?:[.,]\d{1,6})?", re.ASCII)
_LONGEST_REPLY = 366 * 24 * 60  # minutes


class RequestReader(RowReader):
    """Reads the rows of one file of support requests; of rows with one id the first counts."""

    adds_up = False

    def __init__(self, options: Options, surroundings: Surroundings, columns: Columns, serial_origin: datetime | None) -> None:
        super().__init__(options, surroundings, columns, serial_origin)
        self._crm, self._scale = options.crm, CSAT_SCALES.get(options.csat_scale or "")
        self._bots = _BOTS | {fold(name) for name in options.bots}
        self.expected = dict(REQUEST_EXPECTED)
        if "reply_minutes" in columns.fields:
            del self.expected["first_reply"]
        if "by_bot" in columns.fields:
            del self.expected["closed_by"]
        self._n_names = 0  # requests closed by a name that is none of a bot

    def amount(self, cells: Sequence[str]) -> tuple[None, None]:
        """A request has no sum."""
        return None, None

    def record(self, key: str, cells: Sequence[str], amount: Decimal | None, currency: str | None) -> Taken:
        """The record of a row. Raises RowFault."""
        cells = self._trimmed(cells)
        created_at = self._time(cells, self._places["created"])
        if created_at is None:
            raise RowFault(self.columns.heading("created"), "no date of creation")
        closed_at = self._after(cells, "closed", created_at, "closed before it was created")
        csat, csat_max = self._csat(self._cell(cells, "csat"))
        phone, email = self._cell(cells, "phone"), self._cell(cells, "email")
        request = SupportRequest(
            request_id=key, created_at=created_at, created_on=self._day(created_at),
            modified_at=self._time(cells, self._places.get("modified", ())),
            channel=_word(self._cell(cells, "channel")), tags=_tags(self._cell(cells, "tags")),
            priority=_word(self._cell(cells, "priority")),
            first_reply_at=self._replied_at(cells, created_at), closed_at=closed_at,
            closed_by=self._closer(cells) if closed_at is not None or "closed" not in self._places else None,
            csat=csat, csat_max=csat_max, nps=self._nps(self._cell(cells, "nps")), crm=self._crm,
            lead_id=self._id(cells, "lead"), deal_id=self._id(cells, "deal"), contact_id=self._id(cells, "contact"),
            customer_hash=customer_hash(self._key, phone=phone, email=email, country=self._country) if phone or email else None,
        )  # fmt: skip
        return request, [], []

    def directory(self) -> dict[str, list[Record]]:
        """Requests name nobody and nothing else."""
        return {}

    def findings(self, file: str, stream: str) -> list[Finding]:
        """What only a file of requests can lack."""
        found = []
        if not any(name in self.columns.fields for name in LINKS):
            found.append(Finding("requests_without_customers", "warning", stream, 1, {"file": file}))
        if self._n_names:
            found.append(Finding("closers_unknown", "info", stream, self._n_names, {"file": file}))
        return found

    def _after(self, cells: Sequence[str], field: str, created_at: datetime, reversed_reason: str) -> datetime | None:
        at = self._since(cells, self._places.get(field, ()), created_at)
        if at is not None and at < created_at:
            raise RowFault(self.columns.heading(field), reversed_reason)
        return at

    def _replied_at(self, cells: Sequence[str], created_at: datetime) -> datetime | None:
        """When the first reply came: its own time, else that of the creation and the minutes it took."""
        at = self._after(cells, "first_reply", created_at, "answered before it was created")
        minutes = self._cell(cells, "reply_minutes")
        if at is not None or not minutes:
            return at
        number = self._parsed("reply_minutes", _number, minutes)
        if not 0 <= number <= _LONGEST_REPLY:
            raise RowFault(self.columns.heading("reply_minutes"), "not minutes between 0 and a year")
        return created_at + timedelta(seconds=round(number * 60))

    def _closer(self, cells: Sequence[str]) -> Closer | None:
        """Who closed it. A name that is none of a bot's is a person's: too little is counted as saved, never too much."""
        name = self._cell(cells, "closed_by")
        if name:
            word = fold(name)
            if word in self._bots:
                return "bot"
            self._n_names += word not in _PEOPLE
            return "person"
        answer = self._cell(cells, "by_bot")
        if not answer:
            return None
        return "bot" if self._parsed("by_bot", _yes, answer) else "person"

    def _csat(self, text: str) -> tuple[Decimal | None, int | None]:
        """A score and the end of its scale. A cell that names its scale (4/5, 80 %) is read on that one."""
        if not text:
            return None, None
        top, match = self._scale, _OUT_OF.fullmatch(text)
        if match is not None:
            text, top = match["score"], int(match["top"])
        elif text.endswith("%"):
            text, top = text[:-1].strip(), 100
        score = self._parsed("csat", _number, text)
        if top is None:
            raise RowFault(self.columns.heading("csat"), "a score whose scale is not set: csat_scale")
        if top not in CSAT_SCALES.values():
            raise RowFault(self.columns.heading("csat"), "a scale that is none of 1-5, 0-10, percent")
        if not (1 if top == 5 else 0) <= score <= top:
            raise RowFault(self.columns.heading("csat"), "a score outside its scale")
        if top == 100 and 0 < score < 1:
            raise RowFault(self.columns.heading("csat"), "unclear whether a share or a percentage")
        return score, top

    def _nps(self, text: str) -> int | None:
        if not text:
            return None
        score = self._parsed("nps", _number, text)
        if not 0 <= score <= 10 or score != int(score):
            raise RowFault(self.columns.heading("nps"), "not a whole number from 0 to 10")
        return int(score)

    def _id(self, cells: Sequence[str], field: str) -> str | None:
        return self._cell(cells, field)[:ID_LIMIT] or None


@lru_cache(maxsize=5_000)
def _number(text: str) -> Decimal:
    if _NUMBER.fullmatch(text) is None:
        raise ValueError("not a number")
    try:
        return Decimal(text.replace(",", "."))
    except InvalidOperation:
        raise ValueError("not a number") from None


@lru_cache(maxsize=20_000)
def _tags(text: str) -> str | None:
    """Folded words, each once, in order; a phone number or an address among them is not kept."""
    words = sorted({word for part in _BETWEEN_TAGS.split(text) if (word := _word(part))})
    return json.dumps(words[:TAGS_LIMIT], ensure_ascii=False, separators=(",", ":")) if words else None
