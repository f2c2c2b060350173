"""Any table of leads, written in any format and read back, gives the same records."""

import csv
import io
import random
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.errors import SourceError
from connectors.files import Files, Options
from connectors.text import clean_name, fold
from tests.connectors.files.exports import MOSCOW, csv_bytes, html_bytes, read, surroundings, write_xlsx
from tests.variants import first

HEADINGS = ("ID", "Дата создания", "Стадия", "Источник", "UTM Campaign", "Сумма", "Ответственный", "Повторный лид", "Примечание")

# What a spreadsheet, a CSV and a web page can all hold; blanks at the ends are not part of a value.
texts = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"], exclude_characters="\ufffd\ufeff\ufffe\uffff"),
    max_size=30,
).map(str.strip)
rude = st.sampled_from(['"', '";"', "a;b,c\td", "=1+1", "<b>", "&amp;", "'", "x\ny", "NULL", '""'])
leads = st.lists(
    st.tuples(
        st.integers(1, 10**9).map(str),
        st.datetimes(datetime(1995, 1, 1), datetime(2090, 1, 1)).map(lambda at: at.replace(microsecond=0)),
        texts | rude,
        texts | rude,
        texts | rude,
        st.none() | st.decimals(-(10**9), 10**9, places=2, allow_nan=False),
        texts,
        st.sampled_from(["", "Да", "Нет"]),
        texts | rude,
    ),
    max_size=12,
    unique_by=lambda lead: lead[0],
)


def expected(lead: tuple[Any, ...]) -> tuple[Any, ...]:
    """What must be stored, said without the reader's own parsing (one offset a year is all that Moscow has had since 2014)."""
    key, wall, stage, source, campaign, amount, owner, repeat, _ = lead
    at = wall.replace(tzinfo=MOSCOW).astimezone(UTC).replace(tzinfo=None)
    return (key, at, fold(stage) or "", fold(source), fold(campaign), amount, fold(owner), {"Да": True, "Нет": False}.get(repeat))


def written(folder: Path, table: list[tuple[Any, ...]], form: str) -> Path:
    rows = [HEADINGS]
    for lead in table:
        created = f"{lead[1]:%d.%m.%Y %H:%M:%S}" if form != "xlsx" else lead[1]
        amount = "" if lead[5] is None else lead[5] if form == "xlsx" else str(lead[5])
        rows.append((lead[0], created, *lead[2:5], amount, *lead[6:]))
    path = folder / f"leads.{form}"
    if form == "xlsx":
        return write_xlsx(path, rows)
    if form == "xls":
        path.write_bytes(html_bytes(rows))
    elif form == "txt":
        text = io.StringIO()
        csv.writer(text, delimiter="\t", quoting=csv.QUOTE_MINIMAL).writerows(rows)
        path.write_bytes(text.getvalue().encode("utf-16"))
    else:
        path.write_bytes(csv_bytes(rows, tail=";"))
    return path


@pytest.mark.parametrize("form", first(2, ["csv", "xlsx", "xls", "txt"]))
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(table=leads)
def test_round_trip(form: str, table: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as folder:
        outcome = read(written(Path(folder), table, form))
    assert outcome.rejects == []
    found = [
        (one.lead_id, one.created_at, one.stage_id, one.crm_source, one.utm_campaign, one.amount, one.owner_id, one.is_repeat)
        for one in outcome.records("leads")
    ]
    assert found == [expected(lead) for lead in table]
    assert {stage.name for stage in outcome.records("stages")} <= {clean_name(lead[2]) for lead in table}


@settings(max_examples=200, deadline=None, derandomize=True)
@given(noise=st.binary(max_size=400), seed=st.integers(0, 10**6))
def test_noise_anywhere_in_a_file_is_never_more_than_bad_rows_or_a_clear_error(noise: bytes, seed: int) -> None:
    """Bytes written over a CSV: rows before the damage come in, none comes twice, nothing but our own errors is raised."""
    rng = random.Random(seed)
    rows = [HEADINGS, *((str(key), "01.10.2026", "Новый", "Сайт", "x", "1.00", "Анна", "Да", "") for key in range(1, 40))]
    good = csv_bytes(rows, encoding="utf-8")
    start = rng.randrange(len(good))
    n_whole = good[:start].count(b"\n") - 1
    with TemporaryDirectory() as folder:
        path = Path(folder) / "leads.csv"
        path.write_bytes(good[:start] + noise + good[start + len(noise) :])
        reader = Files.open(Options(path=str(path)), surroundings())
        try:
            keys = [lead.lead_id for chunk in reader.read({}) for lead in chunk.records if chunk.stream.name == "leads"]
        except SourceError:  # only when the headings are hit, or the file looks like UTF-16
            keys = None
    if keys is None:
        assert n_whole < 1 or noise.count(b"\0") > 10
        return
    assert len(set(keys)) == len(keys)
    assert set(keys) >= {str(key) for key in range(1, n_whole + 1)}
    assert len(keys) <= len(rows) + noise.count(b"\n")
