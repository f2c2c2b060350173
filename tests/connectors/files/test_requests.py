"""Exports of support requests: headings, who closed them, scores on every scale, and rows that contradict themselves."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.errors import OptionError
from connectors.records import SupportRequest
from tests.connectors.files.exports import Outcome, csv_bytes, read, read_bytes, write_xlsx

RU = ("Номер обращения", "Дата создания", "Канал", "Теги", "Приоритет", "Первый ответ", "Закрыто", "Кем закрыто", "Оценка", "NPS",
      "Телефон", "ID лида")  # fmt: skip
FIRST = ("1001", "01.10.2026 12:30:00", "Telegram", "Доставка, возврат,доставка", "Высокий", "01.10.2026 12:34:30",
         "01.10.2026 13:00:00", "Бот", "5", "9", "+7 900 555-01-02", "77")  # fmt: skip


def requests(folder: Path, *rows: tuple[str, ...], headings: tuple[str, ...] = RU, **options: object) -> Outcome:
    asked = {"csat_scale": "1-5", **options}
    return read_bytes(folder, csv_bytes([headings, *rows]), "requests.csv", record="support_requests", **asked)


def only(outcome: Outcome) -> SupportRequest:
    (found,) = outcome.records("support_requests")
    return found


def changed(**cells: str) -> tuple[str, ...]:
    """The first row with other cells, by heading."""
    return tuple(cells.get(heading.replace(" ", "_"), cell) for heading, cell in zip(RU, FIRST, strict=True))


def test_a_request_in_russian(tmp_path: Path) -> None:
    outcome = requests(tmp_path, FIRST, crm="salon")
    found = only(outcome)
    assert found.request_id == "1001"
    assert (found.created_at, found.first_reply_at) == (datetime(2026, 10, 1, 9, 30), datetime(2026, 10, 1, 9, 34, 30))
    assert (found.closed_at, found.closed_by) == (datetime(2026, 10, 1, 10), "bot")
    assert (found.channel, found.priority) == ("telegram", "высокий")
    assert json.loads(found.tags or "") == ["возврат", "доставка"]
    assert (found.csat, found.csat_max, found.nps) == (Decimal(5), 5, 9)
    assert (found.crm, found.lead_id) == ("salon", "77")
    assert found.customer_hash
    assert "5550102" not in repr(outcome).replace("-", "").replace(" ", "")
    assert outcome.rejects == []


def test_a_request_in_english_out_of_a_workbook(tmp_path: Path) -> None:
    headings = ("Ticket ID", "Created at", "Channel", "First reply minutes", "Resolved at", "Closed by bot", "CSAT", "Email")
    row = ("A-7", datetime(2026, 10, 1, 12, 30), "email", 2.5, datetime(2026, 10, 1, 18, 0), "no", "80 %", "anna@example.com")
    path = write_xlsx(tmp_path / "tickets.xlsx", [headings, row])
    found = only(read(path, record="support_requests"))
    assert (found.request_id, found.first_reply_at) == ("A-7", datetime(2026, 10, 1, 9, 32, 30))
    assert (found.closed_by, found.csat, found.csat_max) == ("person", Decimal(80), 100)


def test_a_request_without_reply_or_end_is_a_request(tmp_path: Path) -> None:
    found = only(requests(tmp_path, changed(Первый_ответ="", Закрыто="", Кем_закрыто="Оператор", Оценка="", NPS="")))
    assert (found.first_reply_at, found.closed_at, found.closed_by) == (None, None, None)
    assert (found.csat, found.csat_max, found.nps) == (None, None, None)


def test_a_day_without_time_is_no_reply_before_the_question(tmp_path: Path) -> None:
    found = only(requests(tmp_path, changed(Закрыто="01.10.2026")))
    assert found.closed_at == found.created_at


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"Закрыто": "30.09.2026 10:00:00"}, "closed before it was created"),
        ({"Первый_ответ": "01.10.2026 12:29:59"}, "answered before it was created"),
        ({"Дата_создания": ""}, "no date of creation"),
        ({"Оценка": "6"}, "a score outside its scale"),
        ({"Оценка": "0"}, "a score outside its scale"),
        ({"Оценка": "-1"}, "a score outside its scale"),
        ({"Оценка": "101 %"}, "a score outside its scale"),
        ({"Оценка": "7/6"}, "a scale that is none of 1-5, 0-10, percent"),
        ({"Оценка": "отлично"}, "not a number"),
        ({"Оценка": "0,8 %"}, "unclear whether a share or a percentage"),
        ({"NPS": "11"}, "not a whole number from 0 to 10"),
        ({"NPS": "8,5"}, "not a whole number from 0 to 10"),
    ],
)
def test_what_contradicts_itself_is_put_aside_with_its_place(tmp_path: Path, cells: dict[str, str], reason: str) -> None:
    outcome = requests(tmp_path, FIRST, changed(Номер_обращения="1002", **cells))
    assert only(outcome).request_id == "1001"
    (reject,) = outcome.rejects
    assert (reject.key, reject.reason, reject.where) == ("1002", reason, "requests.csv, line 3")


@pytest.mark.parametrize(
    ("cell", "scale", "score"),
    [("4", "1-5", (4, 5)), ("4/5", "0-10", (4, 5)), ("8 из 10", "1-5", (8, 10)), ("8,5", "0-10", (8.5, 10)),
     ("93", "percent", (93, 100)), ("0", "0-10", (0, 10))],
)  # fmt: skip
def test_a_score_stands_on_its_scale(tmp_path: Path, cell: str, scale: str, score: tuple[float, int]) -> None:
    found = only(requests(tmp_path, changed(Оценка=cell), csat_scale=scale))
    assert (float(found.csat or 0), found.csat_max) == score


def test_a_scale_is_not_guessed(tmp_path: Path) -> None:
    (reject,) = requests(tmp_path, FIRST, csat_scale=None).rejects
    assert "csat_scale" in reject.reason


@pytest.mark.parametrize(
    ("cell", "bots", "closer", "n_names"),
    [("бот", (), "bot", 0), ("Bot", (), "bot", 0), ("оператор", (), "person", 0), ("Ася", (), "person", 1),
     ("Ася", ("ася",), "bot", 0), ("Иванова Мария", (), "person", 1), ("", (), None, 0)],
)  # fmt: skip
def test_who_closed_it(tmp_path: Path, cell: str, bots: tuple[str, ...], closer: str | None, n_names: int) -> None:
    outcome = requests(tmp_path, changed(Кем_закрыто=cell), bots=bots)
    assert only(outcome).closed_by == closer
    assert sum(finding.n for finding in outcome.findings if finding.code == "closers_unknown") == n_names
    assert "Мария" not in repr(outcome.all_records) + repr(outcome.findings)


def test_of_repeated_numbers_the_first_row_counts_and_copies_are_told(tmp_path: Path) -> None:
    outcome = requests(tmp_path, FIRST, FIRST, changed(Оценка="1"), changed(Номер_обращения="1002"))
    assert [(one.request_id, one.csat) for one in outcome.records("support_requests")] == [("1001", 5), ("1002", 5)]
    assert (outcome.found("rows_copied").n, outcome.found("requests_repeated").n) == (1, 1)
    assert not {"rows_summed", "lines_disagree"} & outcome.codes


def test_requests_that_name_nobody_are_told_of(tmp_path: Path) -> None:
    outcome = requests(tmp_path, ("1", "01.10.2026"), headings=("ID", "Создано"))
    assert "requests_without_customers" in outcome.codes
    assert outcome.found("columns_missing").detail["columns"] == "first_reply, closed"
    assert only(outcome).customer_hash is None


def test_people_in_tags_and_channels_are_not_kept(tmp_path: Path) -> None:
    cells = {"Теги": "anna@example.com; возврат", "Канал": "+7 900 555-01-02", "Приоритет": "8 900 555-01-02"}
    found = only(requests(tmp_path, changed(**cells)))
    assert "example" not in repr(found)
    assert "5550102" not in repr(found).replace("-", "").replace(" ", "")


def test_options_of_requests_are_checked(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="csat_scale: '1-6' is not known"):
        requests(tmp_path, FIRST, csat_scale="1-6")
    with pytest.raises(OptionError, match="are of support requests"):
        read_bytes(tmp_path, b"ID;x", record="leads", crm="salon")
    with pytest.raises(OptionError, match=r"columns: 'utm_source' is not known"):
        requests(tmp_path, FIRST, columns={"utm_source": "UTM"})
    with pytest.raises(OptionError, match="no column with the date of creation"):
        requests(tmp_path, ("1",), headings=("ID",))


def test_an_option_that_changes_what_is_read_reads_the_file_again(tmp_path: Path) -> None:
    states = requests(tmp_path, changed(Кем_закрыто="Ася")).states
    path = tmp_path / "requests.csv"
    assert read(path, states, record="support_requests", csat_scale="1-5").all_records == []
    again = read(path, states, record="support_requests", csat_scale="1-5", bots=("Ася",))
    assert only(again).closed_by == "bot"
