"""SQL files beside the configuration: what they may be, and that one which counts wrongly costs nobody the report."""

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest

from pipeline.document import document
from pipeline.errors import ConfigError
from pipeline.funnel import OwnFunnel, read_funnel
from pipeline.measurement import measure
from pipeline.periods import AsOf
from pipeline.reports import render
from pipeline.warehouse import Warehouse
from tests.pipeline.funnels_made import SAME_DAY
from tests.pipeline.salon_made import launch, salon, settings

AS_OF = AsOf(date(2026, 8, 3), datetime(2200, 1, 1), "2026-08-03")
HEADER = "-- title: Own\n-- unit: {unit}\n-- better: higher\n-- definition: Counted by hand.\n"
BODY = """select created_on, channel, branch, owner_id,
    count(case when visited_hours <= :horizon_hours then 1 end) as numerator, count(*) as denominator
from journeys where created_on >= :start and created_on < :end group by created_on, channel, branch, owner_id
"""
RATE = HEADER.format(unit="share") + BODY
COUNT = HEADER.format(unit="leads") + BODY.replace("count(*) as denominator", "").replace("end) as numerator,", "end) as n")
MEAN = """-- title: Minutes to the visit
-- unit: minutes_each
-- better: lower
-- definition: Whole minutes from creation to visit.
select
    created_on, channel, branch, owner_id, count(*) as n,
    cast(sum(cast(floor(visited_hours * 60.0) as bigint)) as bigint) as total,
    cast(sum(cast(floor(visited_hours * 60.0) as bigint) * cast(floor(visited_hours * 60.0) as bigint)) as bigint) as total_sq
from funnel
where created_on >= :start and created_on < :end and visited_hours <= :horizon_hours
group by created_on, channel, branch, owner_id
"""
PAID_TWICE = """-- title: Paid twice
-- unit: share
-- better: higher
-- definition: Leads with two payments within the horizon, of those with one; a word with a colon: as any text.
with paid as (
    select created_on, channel, branch, owner_id, count(*) as n
    from payments
    where created_on >= :start and created_on < :end and paid_hours <= :horizon_hours
    group by source, entity, journey_id, created_on, channel, branch, owner_id
)
select created_on, channel, branch, owner_id, sum(case when n > 1 then 1 else 0 end) as numerator, count(*) as denominator
from paid group by created_on, channel, branch, owner_id;
"""


def own(folder: Path, **files: str) -> OwnFunnel:
    (folder / "metrics").mkdir(exist_ok=True)
    for name, text in files.items():
        titled = text.replace("-- title: Own\n", f"-- title: Own {name}\n")  # a title stands for one metric
        (folder / "metrics" / f"{name}.sql").write_text(titled, encoding="utf-8")
    return read_funnel(folder)


BAD = {
    "no title": (RATE.replace("-- title: Own\n", ""), "no `-- title:`"),
    "empty title": (RATE.replace("title: Own", "title:  "), "no `-- title:`"),
    "no unit": (RATE.replace("-- unit: share\n", ""), "no unit ''"),
    "unknown unit": (RATE.replace("unit: share", "unit: shares"), "did you mean 'share'?"),
    "money summed": (RATE.replace("unit: share", "unit: money"), "no unit 'money'"),
    "better": (RATE.replace("higher", "more"), "better is 'more'"),
    "no period": (RATE.replace(":end", ":start"), "lacks :end"),
    "unknown parameter": (RATE.replace("count(*)", "count(*) + :margin"), "knows no :margin"),
    "a parameter in a text": (RATE + "-- see :horizon\n", ":horizon in a text or a comment"),
    "wrong column": (RATE.replace("as numerator", "as numeratr"), "'numerator' is missing, did you mean 'numeratr'?"),
    "wrong shape": (RATE.replace("unit: share", "unit: leads"), "'n' is missing"),
    "column too many": (RATE.replace("owner_id,\n", "owner_id, count(*) as extra,\n"), "a column 'extra'"),
    "column of another type": (RATE.replace("count(*) as", "min(channel) as"), "'denominator' is VARCHAR"),
    "unknown column": (RATE.replace("visited_hours", "visitd_hours"), "visitd_hours"),
    "no SQL": (HEADER.format(unit="share") + "selec :start, :end, :horizon_hours", "syntax error"),
    "empty": ("", "is empty"),
    "only a comment": (HEADER.format(unit="share"), "lacks :end, :horizon_hours, :start"),
    "division": (RATE.replace("count(*) as", "count(*) / 2 as"), "division"),
    "a table of the warehouse": (RATE.replace("from journeys", "from leads"), "reads 'leads'"),
    "a file": (RATE.replace("from journeys", "from '/etc/passwd'"), "reads '/etc/passwd'"),
    "a function that reads": (RATE.replace("from journeys", "from read_csv('/etc/passwd')"), "read_csv("),
    "a function that waits": (RATE.replace("count(*)", "count(pg_sleep(9))"), "pg_sleep("),
    "a quoted function": (RATE.replace("count(*)", 'count("pg_sleep"(9))'), 'the character "'),
    "two statements": (RATE.strip() + ";\nselect :start, :end, :horizon_hours", "more than one statement"),
    "a hidden statement": (RATE.replace("count(*)", "count(E'\\'' ; select 1; --')"), "the character \\"),
    "a dollar": (RATE.replace("count(*)", "count($$;$$)"), "the character $"),
    "deletes": (HEADER.format(unit="share") + "delete from journeys where :start = :end or 1 = :horizon_hours", "only read"),
    "deletes on the way": (HEADER.format(unit="share") + "with gone as (delete from journeys returning 1) " + BODY, "only read"),
    "attaches": (HEADER.format(unit="share") + "attach 'x' as y -- :start :end :horizon_hours", "the query lacks"),
    "copies": (HEADER.format(unit="share") + "copy (" + BODY + ") to '/tmp/x'", "copy("),
    "sets": (HEADER.format(unit="share") + "set threads = 1 + :start + :end + :horizon_hours", "only reads, found 1: SET"),
    "explains": (HEADER.format(unit="share") + "explain " + BODY, "only reads, found 1: EXPLAIN"),
    "an acting title": (RATE.replace("title: Own", "title: \u202eOwn"), "invisible control or direction character"),
    "huge": (RATE + "-- x\n" * 20_000, "at most 64 KB"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "words"), BAD.values(), ids=list(BAD))
def test_a_bad_file_is_refused_with_its_name(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        own(tmp_path, rate=text)
    told = f"{caught.value} {caught.value.hint}"
    assert words in told
    assert str(tmp_path / "metrics") in told
    assert len(told) < 900


@pytest.mark.parametrize(
    ("name", "words"),
    [("show_rate", "Payback's own metrics"), ("a-b", "cannot name"), ("x.postgresql", "cannot name"), ("Ы", "cannot name")],
)
def test_a_file_needs_a_name_of_its_own(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        own(tmp_path, **{name: RATE})


def test_a_file_called_like_a_declared_rate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "funnel.toml").write_text('[metrics.x]\nreached = "paid"\ntitle = "X"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="declared in"):
        own(tmp_path, x=RATE)


def test_a_copied_file_needs_a_title_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'copy' and 'minutes' are both called 'Minutes to the visit'"):
        own(tmp_path, minutes=MEAN, copy=MEAN)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "x.sql").write_bytes(b"\xff\xfe\x00select")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_funnel(tmp_path)


def test_good_files_are_measured_like_ours(warehouse: Warehouse, tmp_path: Path) -> None:
    """The same counts as the metrics they copy, on every engine; money does not see them."""
    warehouse.append(salon(lift=0.5), "crm", "r1")
    funnel = own(tmp_path, rate=RATE, visits=COUNT, minutes=MEAN, twice=PAID_TWICE)
    with warehouse.reading(AS_OF.seen_until) as reading:
        plain = document(measure(reading, launch(), settings(), AS_OF, is_brief=True))
        found = document(measure(reading, launch(), replace(settings(), funnel=funnel), AS_OF, is_brief=True))
    metrics = found["metrics"]
    same = ("pre", "post", "per_week", "effect")
    assert {key: metrics["rate"][key] for key in same} == {key: metrics["visit_conversion"][key] for key in same}
    assert metrics["visits"]["post"]["value"] == metrics["visit_conversion"]["post"]["numerator"]
    assert metrics["visits"]["effect"]["low"] > 0
    assert 50 * 60 < metrics["minutes"]["pre"]["value"] < 230 * 60
    assert metrics["twice"]["post"] == {"value": 0.0, "numerator": 0, "denominator": metrics["revenue"]["post"]["n"]}
    assert found["money"] == plain["money"]
    assert found["claims"] == plain["claims"]
    assert "Minutes to the visit" in render(found, "html", "ru").decode()


WRONG = {
    "above": RATE.replace("count(*) as denominator", "count(case when amount > 2000 then 1 end) as denominator"),
    "negative": RATE.replace("count(*) as denominator", "count(*) - 1000000 as denominator"),
    "undefined": RATE.replace("count(*) as denominator", "min(next_visit_hours) as denominator"),
    "other_day": RATE.replace("created_on >= :start and created_on < :end", "created_on >= :start and created_on < :end or true"),
}  # fmt: skip


def test_a_file_that_counts_what_cannot_be_is_left_out_and_named(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.append(salon(n_weeks=36), "crm", "r1")  # the last weeks are not mature
    funnel = own(tmp_path, rate=RATE, **WRONG)
    with warehouse.reading(AS_OF.seen_until) as reading:
        measured = measure(reading, launch(), replace(settings(), funnel=funnel), AS_OF, is_brief=True)
        plain = measure(reading, launch(), settings(), AS_OF, is_brief=True)
    found = document(measured)
    wrong = [one for one in found["trust"]["findings"] if one["code"] == "own_metric_wrong"]
    assert {one["subject"]: one["detail"]["problem"] for one in wrong} == {
        "above": "above_one", "negative": "negative", "undefined": "not_finite", "other_day": "other_days",
    }  # fmt: skip
    assert [one["name"] for one in found["business_funnel"]["metrics"]] == ["rate"]
    assert not set(WRONG) & set(found["metrics"])
    assert measured.trust_score == plain.trust_score
    for language, words in (("ru", "не показан"), ("en", "is not shown"), ("zh", "未显示")):
        assert words in render(found, "html", language).decode()


def test_hours_of_a_step_are_columns_of_the_funnel(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="diagnosed_hours"):
        own(tmp_path, same_day=SAME_DAY)
    steps = '[[steps]]\nkey = "diagnosed"\nname = "x"\n[[steps]]\nkey = "visited"\nname = "y"\n'
    (tmp_path / "funnel.toml").write_text(steps, encoding="utf-8")
    assert [one.name for one in own(tmp_path).metrics] == ["same_day"]
