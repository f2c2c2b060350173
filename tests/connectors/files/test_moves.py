"""Stage changes out of dates: the present stage, milestone columns, and what is unknown."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from connectors.engine import pull
from connectors.files import Files, Options
from connectors.memory import MemorySink
from connectors.records import StageChange
from connectors.values import ru_time
from tests.connectors.files.exports import Outcome, csv_bytes, read_bytes, surroundings, write_xlsx

BOOKINGS = ("Номер", "Забронировано", "Статус", "Заезд", "Отмена", "Дата изменения")
HOTEL = {
    "columns": {"id": "Номер", "created": "Забронировано"},
    "milestones": {"Visited": "Заезд", "cancelled": ["Отмена"]},
}


def hotel(folder: Path, *rows: tuple[str, ...]) -> Outcome:
    return read_bytes(folder, csv_bytes([BOOKINGS, *rows]), **HOTEL)


def moves(outcome: Outcome, key: str = "H1") -> set[tuple[str, datetime]]:
    return {(move.stage_id, move.moved_at) for move in outcome.records("lead_history") if move.entity_id == key}


def test_milestone_columns_become_stage_changes(tmp_path: Path) -> None:
    rows = [
        ("H1", "2026-03-01", "Check-Out", "2026-06-05", "", "2026-06-09 11:00"),
        ("H2", "2026-03-02", "Canceled", "", "2026-04-01", ""),
    ]
    outcome = hotel(tmp_path, *rows)
    assert moves(outcome) == {("visited", datetime(2026, 6, 4, 21)), ("check-out", datetime(2026, 6, 9, 8))}
    assert moves(outcome, "H2") == {("cancelled", datetime(2026, 3, 31, 21))}
    assert outcome.leads["H2"].moved_at is None
    assert {move.moved_on for move in outcome.records("lead_history")} == {date(2026, 6, 5), date(2026, 6, 9), date(2026, 4, 1)}
    assert {(stage.stage_id, stage.name) for stage in outcome.records("stages")} == {
        ("check-out", "Check-Out"), ("canceled", "Canceled"), ("visited", "Visited"), ("cancelled", "cancelled"),
    }  # fmt: skip
    assert outcome.found("stage_time_unknown").n == 1
    assert outcome.found("stage_time_from_last_change").n == 1
    ids = [move.change_id for move in outcome.records("lead_history")]
    assert len(set(ids)) == 3
    assert ids == [move.change_id for move in hotel(tmp_path, *rows).records("lead_history")]


def test_a_milestone_corrected_or_cleared_in_a_later_export_is_no_second_move(tmp_path: Path) -> None:
    """A visit was moved, then called off: the first date must not stay for ever."""
    path, sink = tmp_path / "hotel.csv", MemorySink()
    reader = Files.open(Options(path=str(path), **HOTEL), surroundings())

    def story(visited: str, cancelled: str) -> tuple[set[tuple[str, date]], int, int]:
        rows = [("H1", "2026-03-01", "new", visited, cancelled, ""), ("H2", "2026-03-01", "new", "2026-06-01", "", "")]
        path.write_bytes(csv_bytes([BOOKINGS, *rows]))
        line = pull(reader, sink).streams["lead_history"]
        known = [move for move in sink.live(StageChange) if move.entity_id == "H1"]
        return {(move.stage_id, move.moved_on) for move in known}, line.appended, line.deleted

    assert story("2026-06-05", "") == ({("visited", date(2026, 6, 5))}, 2, 0)  # nothing known is deleted, whatever is empty
    assert story("2026-06-07", "") == ({("visited", date(2026, 6, 7))}, 1, 0)
    assert story("", "2026-06-06") == ({("cancelled", date(2026, 6, 6))}, 2, 1)
    assert story("2026-06-20", "") == ({("visited", date(2026, 6, 20))}, 2, 1)


def test_the_present_stage_can_be_entered_again(tmp_path: Path) -> None:
    headings = ("ID", "Дата создания", "Стадия", "Дата изменения стадии")
    ids = set()
    for moved in ("02.10.2026", "05.10.2026"):
        outcome = read_bytes(tmp_path, csv_bytes([headings, ("1", "01.10.2026", "Записан", moved)]))
        ids |= {move.change_id for move in outcome.records("lead_history")}
    assert len(ids) == 2


def test_a_date_without_time_on_the_day_of_creation_is_not_before_the_creation(tmp_path: Path) -> None:
    outcome = hotel(
        tmp_path,
        ("H1", "01.03.2026 15:00:00", "x", "01.03.2026", "", ""),
        ("H2", "01.03.2026 15:00:00", "x", "28.02.2026", "", ""),
    )
    assert moves(outcome) == {("visited", datetime(2026, 3, 1, 12))}
    assert moves(outcome, "H2") == {("visited", datetime(2026, 2, 27, 21))}  # wrong in the CRM: shown as it is


def test_a_milestone_with_the_name_of_the_present_stage_times_it(tmp_path: Path) -> None:
    outcome = hotel(tmp_path, ("H1", "2026-03-01", "VISITED", "2026-06-05", "", "2026-07-01"))
    assert outcome.leads["H1"].moved_at == datetime(2026, 6, 4, 21)
    assert moves(outcome) == {("visited", datetime(2026, 6, 4, 21))}


@pytest.mark.parametrize("nothing", ["", "-", "не закрыта", "NULL", "0000-00-00"])
def test_no_date_is_no_move(tmp_path: Path, nothing: str) -> None:
    outcome = hotel(tmp_path, ("H1", "2026-03-01", "x", nothing, "", ""))
    assert outcome.rejects == []
    assert moves(outcome) == set()


def test_an_unreadable_milestone_is_a_bad_row(tmp_path: Path) -> None:
    outcome = hotel(tmp_path, ("H1", "2026-03-01", "x", "летом", "", ""))
    assert [(reject.key, reject.column) for reject in outcome.rejects] == [("H1", "Заезд")]
    assert outcome.leads == {}


def test_the_time_of_the_present_stage_prefers_its_own_column(tmp_path: Path) -> None:
    headings = ("ID", "Дата создания", "Стадия", "Дата изменения стадии", "Дата изменения")
    row = ("1", "01.10.2026 10:00:00", "Пришёл", "02.10.2026 10:00:00", "05.10.2026 10:00:00")
    outcome = read_bytes(tmp_path, csv_bytes([headings, row]))
    assert outcome.leads["1"].moved_at == datetime(2026, 10, 2, 7)
    assert moves(outcome, "1") == {("пришел", datetime(2026, 10, 2, 7))}
    assert "stage_time_from_last_change" not in outcome.codes


def test_spellings_of_one_stage_are_one_stage(tmp_path: Path) -> None:
    headings = ("ID", "Дата создания", "Стадия")
    rows = [("1", "01.10.2026", "Подтверждён"), ("2", "01.10.2026", "Подтвержден"), ("3", "01.10.2026", " ПОДТВЕРЖДЁН ")]
    outcome = read_bytes(tmp_path, csv_bytes([headings, *rows]))
    assert [(stage.stage_id, stage.name) for stage in outcome.records("stages")] == [("подтвержден", "Подтверждён")]


def test_clock_changes_and_the_zone_decide_the_business_date(tmp_path: Path) -> None:
    path = tmp_path / "leads.csv"
    path.write_bytes(
        csv_bytes([("ID", "Created"), ("1", "29.03.2026 02:30:00"), ("2", "25.10.2026 02:30:00"), ("3", "01.07.2026 23:59:59")])
    )
    reader = Files.open(Options(path=str(path)), surroundings("Europe/Berlin"))
    leads = {lead.lead_id: lead for chunk in reader.read({}) for lead in chunk.records if chunk.stream.name == "leads"}
    assert leads["1"].created_at == datetime(2026, 3, 29, 1, 30)  # an hour that does not exist: 03:30 summer time
    assert leads["2"].created_at == datetime(2026, 10, 25, 0, 30)  # an hour that comes twice: the first
    assert (leads["3"].created_at, leads["3"].created_on) == (datetime(2026, 7, 1, 21, 59, 59), date(2026, 7, 1))


def test_dates_of_a_workbook_that_counts_from_1904(tmp_path: Path) -> None:
    import openpyxl
    from openpyxl.utils.datetime import CALENDAR_MAC_1904

    path = write_xlsx(tmp_path / "leads.xlsx", [("ID", "Created")])
    book = openpyxl.load_workbook(path)
    book.epoch = CALENDAR_MAC_1904
    assert book.active is not None
    book.active.append([1, 44834.5])
    book.active.append([2, datetime(2026, 10, 1, 12)])
    book.save(path)
    book.close()
    reader = Files.open(Options(path=str(path)), surroundings("UTC"))
    leads = [lead for chunk in reader.read({}) for lead in chunk.records if chunk.stream.name == "leads"]
    assert {lead.created_at for lead in leads} == {datetime(2026, 10, 1, 12)}


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Australia/Lord_Howe", "04.10.2026"),  # the clock goes forward by half an hour
        ("Australia/Lord_Howe", "05.04.2026"),
        ("Europe/Berlin", "29.03.2026"),
        ("Asia/Kathmandu", "01.07.2026"),  # 5:45 ahead
        ("Europe/Moscow", "26.10.2014"),
    ],
)
def test_every_quarter_of_two_days_is_read_as_the_careful_parser_reads_it(tmp_path: Path, zone: str, day: str) -> None:
    midnight = datetime.strptime(day, "%d.%m.%Y")
    minutes = [60 * hour + minute for hour in range(48) for minute in (0, 14, 15, 29, 30, 44, 45, 59)]
    walls = [f"{midnight + timedelta(minutes=minute, seconds=7):%d.%m.%Y %H:%M:%S}" for minute in minutes]
    path = tmp_path / "leads.csv"
    path.write_bytes(csv_bytes([("ID", "Created"), *((str(number), wall) for number, wall in enumerate(walls, 1))]))
    reader = Files.open(Options(path=str(path)), surroundings(zone))
    leads = [lead for chunk in reader.read({}) for lead in chunk.records if chunk.stream.name == "leads"]
    times = [ru_time(wall, ZoneInfo(zone)) for wall in walls]
    assert [lead.created_at for lead in leads] == times
    assert [lead.created_on for lead in leads] == [at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date() for at in times]
