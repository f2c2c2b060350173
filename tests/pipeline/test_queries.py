"""The files of sql/: what they say of themselves, their parameters, and that they stay portable."""

from pathlib import Path

import pytest

from pipeline import queries
from pipeline.queries import load, names, parameters, read, violations

ALL = [*names(), *names("metrics"), *names("checks")]


@pytest.mark.parametrize("name", ALL)
def test_every_query_stays_within_the_portable_subset(name: str) -> None:
    assert violations(load(name).text) == []


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("select sum(a) / count(*) from t", "division"),
        ("select a/b from t", "division"),
        ("select date_trunc('week', created_at) from t", "calendar"),
        ("select created_at + interval '1 day' from t", "interval"),
        ("select lag(a) over (order by b) from t", "lag and lead"),
        ("select LEAD (a) over (order by b) from t", "lag and lead"),
        ("select '5'::int", "cast"),
        ("select lower(name) from t", "text"),
        ("select a || b from t", "concatenation"),
        ("select avg(a) from t", "statistics"),
        ("select now()", "reproducible"),
        ("select * from t qualify row_number() over (order by a) = 1", "vendor"),
        ("delete from leads", "only read"),
    ],
)
def test_what_engines_do_differently_is_found(sql: str, word: str) -> None:
    (found,) = violations(sql)
    assert word in found


def test_words_in_comments_quotes_and_names_are_no_violation() -> None:
    assert violations("-- a / b, lower(x)::int\nselect 'now() / 2', lead.lead_id, created_at / 3600.0 from leads as lead") == []


def test_parameters_are_found_in_code_only() -> None:
    sql = "-- :not_me\nselect ':nor_me', a::int /* :no */ from t where a >= :start and b<:end and c = :start"
    assert parameters(sql) == {"start", "end"}


def test_a_header_and_its_overrides(tmp_path: Path) -> None:
    file = tmp_path / "x.sql"
    file.write_text(
        "-- title: Доля визитов\n-- unit: share\n-- definition: Visits\n--   over bookings.\n-- A remark.\n--   More.\n"
        "select :a\n-- better: no\n"
    )
    (tmp_path / "x.postgresql.sql").write_text("select cast(:a as int)\n")
    query = read(file, "x")
    assert (query.title, query.unit, query.better) == ("Доля визитов", "share", "")
    assert query.definition == "Visits over bookings."
    assert query.sql("postgresql") == "select cast(:a as int)\n"
    assert query.sql("duckdb") == query.text
    query.check({"a"})
    with pytest.raises(ValueError, match=r"missing \['a'\], unknown \['b'\]"):
        query.check({"b": 1})


def test_an_override_with_other_parameters_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.sql").write_text("select :a")
    (tmp_path / "x.duckdb.sql").write_text("select :b")
    with pytest.raises(ValueError, match=r"x\.duckdb\.sql takes other parameters"):
        read(tmp_path / "x.sql", "x")


def test_names_do_not_list_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "metrics").mkdir()
    for name in ("b.sql", "a.sql", "a.duckdb.sql", "README.md"):
        (tmp_path / "metrics" / name).write_text("select 1")
    monkeypatch.setattr(queries, "folder", lambda: tmp_path)
    assert names("metrics") == ["metrics/a", "metrics/b"]
    assert names() == []


def test_a_query_that_is_not_there() -> None:
    with pytest.raises(LookupError, match=r"sql/metrics/no_such\.sql"):
        load("metrics/no_such")
