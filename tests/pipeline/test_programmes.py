"""A programme from its configuration to its report: what is refused, what is measured, the same on every database."""

import json
import re
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from html.parser import HTMLParser
from io import BytesIO
from zoneinfo import ZoneInfo

import openpyxl
import pytest

from pipeline.accounting import measure_programme
from pipeline.accounting_document import programme_document
from pipeline.document import document_bytes
from pipeline.errors import ConfigError, Exit, NothingToMeasure
from pipeline.explain_programme import explain_programme
from pipeline.languages import LANGUAGES
from pipeline.launches import LaunchCosts, Scope, read_launches
from pipeline.periods import AsOf
from pipeline.programmes import Programme, read_programmes
from pipeline.reports import render, write
from pipeline.reports.programme import programme_page
from pipeline.shared_costs import SharedCost
from pipeline.warehouse import Warehouse
from tests.pipeline.salon_made import launch, salon, settings
from tests.pipeline.test_explain import arithmetic, wrong_lines

LATER = AsOf.instant(datetime(2200, 1, 1), ZoneInfo("UTC"))
HOSTILE = "<script>alert(1)</script> =1+1 {one}"
ASSISTANT = launch()
CHEAP = LaunchCosts(monthly=100.0)
CRM = launch(name="crm", title=HOSTILE, started_on=date(2026, 7, 13), scope=Scope(owners=("0", "1")), costs=CHEAP)
TRAINING = launch(name="training", title="Training", started_on=date(2026, 9, 28), scope=Scope(channels=("Search",)))
PROGRAMME = Programme("ai", "AI", ("training", "crm", "assistant"), {"crm": ("no_show_rate", "time_to_booking")})
RECORDS = salon(n_weeks=44, per_week=90, lift=0.5)


def configured(*launches):
    return settings(launches=launches)


def measured(warehouse, programme=PROGRAMME, launches=(ASSISTANT, CRM, TRAINING), as_of=LATER):
    with warehouse.reading(as_of.seen_until) as reading:
        return programme_document(measure_programme(reading, programme, configured(*launches), as_of))


@pytest.fixture(scope="module")
def stored(migrated_file, tmp_path_factory):
    path = tmp_path_factory.mktemp("programme") / "salon.duckdb"
    path.write_bytes(migrated_file.read_bytes())
    warehouse = Warehouse(f"duckdb:///{path}")
    warehouse.append(RECORDS, "crm", "r1")
    return warehouse


@pytest.fixture(scope="module")
def found(stored):
    return measured(stored)


@pytest.fixture(scope="module")
def together(stored):
    """Two modules on the same leads since the same day."""
    return measured(stored, Programme("p", "P", ("assistant", "two")), (ASSISTANT, replace(ASSISTANT, name="two")))


def test_parts_and_costs_sum_to_the_whole(found):
    parts = [one["amount"]["estimate"] for one in (*found["modules"], *found["joint"]) if one["amount"]]
    assert sum(parts) + found["rest"]["estimate"] == pytest.approx(found["money"]["amount"]["estimate"], abs=0.01)
    assert sum(one["cost"] for one in found["modules"]) == pytest.approx(found["money"]["cost"])
    by_name = {one["name"]: one for one in found["modules"]}
    assert by_name["assistant"]["amount"]["low"] > 0
    assert by_name["crm"]["amount"]["low"] < 0 < by_name["crm"]["amount"]["high"]
    # Counted by hand: 3 000 once and 500 a month of 30.4375 days.
    assistant = by_name["assistant"]
    assert assistant["cost"] == pytest.approx(3000 + 500 * assistant["n_weeks"] * 7 / 30.4375)


def test_a_shared_cost_enters_with_each_module_s_part(stored, found):
    bill = SharedCost("crm_licence", "CRM", once=None, monthly=Decimal("1000.01"), key="equal", launches=("assistant", "crm"))
    with stored.reading(LATER.seen_until) as reading:
        shared = replace(configured(ASSISTANT, CRM, TRAINING), shared_costs=(bill,))
        again = programme_document(measure_programme(reading, PROGRAMME, shared, LATER))
    for before, after in zip(found["modules"], again["modules"], strict=True):
        part = {"assistant": 500.01, "crm": 500.00, "training": 0.0}[after["name"]]
        assert after["cost"] - before["cost"] == pytest.approx(part * after["n_weeks"] * 7 / 30.4375)
    assert sum(one["cost"] for one in again["modules"]) == pytest.approx(again["money"]["cost"])


def test_every_pair_has_its_rule(found):
    codes = {frozenset(pair["modules"]): pair["code"] for pair in found["pairs"]}
    assert len(codes) == 3
    assert codes[frozenset(("assistant", "crm"))] == "in_turn"


def test_a_module_is_judged_by_its_pool(found):
    metrics = {(*one["modules"], one["metric"]) for step in found["steps"] for one in step["pool"]}
    assert {one[1] for one in metrics if one[0] == "crm"} == {"no_show_rate", "time_to_booking"}
    assert {one[1] for one in metrics if one[0] == "assistant"} == {"booking_conversion", "show_rate", "average_check"}


def test_both_databases_agree_to_the_byte(warehouse, found):
    warehouse.append(RECORDS, "crm", "r1")
    theirs = measured(warehouse)
    assert document_bytes(theirs) == document_bytes(found)


def test_order_of_modules_changes_nothing(stored, found):
    other = measured(stored, replace(PROGRAMME, modules=("assistant", "training", "crm")), (TRAINING, CRM, ASSISTANT))
    for document in (other, dict(found)):
        document["provenance"] = None
    assert document_bytes(other) == document_bytes({**found, "provenance": None})


def test_a_module_that_has_not_begun_costs_nothing_yet(stored):
    future = launch(name="later", title="Later", started_on=date(2199, 1, 7))
    found = measured(stored, replace(PROGRAMME, modules=("assistant", "later"), pool={}), (ASSISTANT, future))
    later = found["modules"][1]
    assert (later["state"], later["cost"], later["amount"]) == ("not_begun", 0, None)
    assert found["pairs"][0]["code"] == "not_begun"
    assert found["modules"][0]["roi"] is not None


def test_nothing_has_begun(stored):
    launches = [launch(name=name, started_on=date(2199, 1, 7)) for name in ("one", "two")]
    with pytest.raises(NothingToMeasure, match="2199"):
        measured(stored, Programme("p", "P", ("one", "two")), launches)


def test_same_leads_same_day_are_shown_once(together):
    assert [one["modules"] for one in together["joint"]] == [["assistant", "two"]]
    assert {one["state"] for one in together["modules"]} == {"joint"}
    assert all(one["roi"] is None for one in together["modules"])
    assert together["joint"][0]["roi"] == together["money"]["roi"]
    assert {tuple(one["modules"]) for one in together["steps"][0]["pool"]} == {("assistant", "two")}  # nobody's alone
    assert together["pairs"] == [{"modules": ["assistant", "two"], "code": "joint", "n_weeks_apart": 5}]


def test_scopes_that_share_no_lead(stored):
    launches = [launch(name="one", scope=Scope(channels=("Search",))), launch(name="two", scope=Scope(channels=("Social",)))]
    found = measured(stored, Programme("p", "P", ("one", "two")), launches)
    assert found["pairs"][0]["code"] == "apart"
    assert {one["state"] for one in found["modules"]} == {"told"}


def test_a_scope_without_leads_is_said(stored):
    nowhere = launch(name="two", scope=Scope(branches=("Nowhere",)))
    found = measured(stored, Programme("p", "P", ("assistant", "two")), (ASSISTANT, nowhere))
    assert [one["state"] for one in found["modules"]] == ["told", "no_leads"]


def test_without_a_margin_there_is_revenue_and_no_roi(stored):
    launches = [replace(one, margin=None) for one in (ASSISTANT, CRM)]
    found = measured(stored, Programme("p", "P", ("assistant", "crm")), launches)
    assert found["is_revenue_based"]
    assert found["money"]["roi"] is None
    assert all(one["roi"] is None for one in found["modules"])
    assert "ROI не считается" in render(found, "html", "ru").decode()


def test_too_early(stored):
    early = AsOf.day(date(2026, 6, 1), ZoneInfo("UTC"))
    with stored.reading() as reading, pytest.raises(NothingToMeasure, match="4 weeks and 30 visits"):
        measure_programme(reading, PROGRAMME, configured(ASSISTANT, CRM, TRAINING), replace(LATER, on=early.on))


def test_unknown_metric_in_a_pool(stored):
    with pytest.raises(ConfigError, match="did you mean 'show_rate'"):
        measured(stored, replace(PROGRAMME, pool={"crm": ("shw_rate",)}))


class Texts(HTMLParser):
    """Tags and text of a page."""

    def __init__(self):
        super().__init__()
        self.tags, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        self.text.append(data)


@pytest.mark.parametrize("language", ["ru", "en", "zh"])
def test_reports_in_every_language(found, language):
    page = Texts()
    page.feed(render(found, "html", language).decode())
    assert "script" not in page.tags
    assert HOSTILE in "".join(page.text)
    terminal = re.sub("\x1b\\[[0-9;]*m", "", render(found, "terminal", language).decode())
    assert "Assistant" in terminal
    assert "modules." not in terminal + "".join(page.text)
    assert render(found, "html", language) == render(json.loads(document_bytes(found)), "html", language)


def test_the_workbook_adds_up(found):
    content = render(found, "xlsx", "en")
    assert content == render(found, "xlsx", "en")
    sheet = openpyxl.load_workbook(BytesIO(content), data_only=True)["Modules"]
    rows = {row[0].value: row[2].value for row in sheet.iter_rows() if isinstance(row[2].value, int | float)}
    whole = rows.pop("The whole programme")
    assert sum(rows.values()) == pytest.approx(whole, abs=0.01)
    formulas = openpyxl.load_workbook(BytesIO(content))["Modules"]
    assert all(not str(row[0].value).startswith("=") for row in formulas.iter_rows() if row[0].value)


def test_the_pdf_shows_every_part_and_the_sum(found):
    pdfium = pytest.importorskip("pypdfium2")
    try:
        import weasyprint  # noqa: F401
    except (ImportError, OSError) as missing:
        pytest.skip(f"no WeasyPrint or no Pango on this machine: {missing}")
    content = render(found, "pdf", "ru")
    text = ""
    for page in pdfium.PdfDocument(content):
        assert (round(page.get_width()), round(page.get_height())) == (595, 842)
        words = page.get_textpage()
        boxes = [words.get_rect(n) for n in range(words.count_rects())]
        assert min(box[0] for box in boxes) >= 30  # nothing stands in the margin
        assert max(box[2] for box in boxes) <= 595 - 30
        text += words.get_text_range()
    shown = re.sub(r"\s+", " ", text)
    for part in programme_page(found, "ru").parts:
        assert re.sub(r"\s+", " ", part.text) in shown
    assert "<script>alert(1)</script>" in shown  # a title of the configuration is text


def test_printed_parts_sum_in_whole_roubles(found):
    parts = programme_page(found, "ru").parts
    assert sum(part.amount for part in parts[:-1]) == parts[-1].amount == round(found["money"]["amount"]["estimate"])


def test_a_file_carries_the_name_of_the_programme(found, tmp_path):
    assert write(found, "json", "ru", tmp_path).name == "ai.json"


TWO = """
[one]
started_on = 2026-05-04
margin = 0.5
[two]
started_on = 2026-07-06
[three]
started_on = 2026-07-06
margin = 0.4
"""


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('[programme.p]\nmodules = ["one"]', "2 to 12 modules, this one has 1"),
        ('[programme.p]\nmodules = []', "this one has 0"),
        ('[programme.p]\nmodules = ["one", "tow"]', "no launch 'tow', did you mean 'two'"),
        ('[programme.p]\nmodules = ["one", "one"]', "named twice"),
        ('[programme.p]\nmodules = ["one", "two"]\n[programme.q]\nmodules = ["two", "three"]', "of the programme 'p' already"),
        ('[programme.p]\nmodules = ["one", "p"]', "'p' is a programme"),
        ('[programme.p]\nmodules = ["one", "q"]\n[programme.q]\nmodules = ["two", "p"]', "'q' is a programme"),
        ('[programme.one]\nmodules = ["one", "two"]', "a launch has the same name"),
        ('[programme.p]\nmodules = ["one", "three"]', "different margins (0.4, 0.5)"),
        ('[programme.p]\nmodule = ["one", "two"]', "did you mean 'modules'"),
        ('[programme.p]\ntitle = "x"', "'modules' is missing"),
        ('[programme.p]\nmodules = ["one", "two"]\npool = {tow = ["show_rate"]}', "'tow' is no module of it, did you mean 'two'"),
        ('[programme."../p"]\nmodules = ["one", "two"]', "cannot be a name"),
    ],
)
def test_wrong_programmes_are_named(tmp_path, table, words):
    path = tmp_path / "launches.toml"
    path.write_text(TWO + table, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(words)):
        read_programmes(path, read_launches(path, set()))


def test_a_launch_may_be_called_programme(tmp_path):
    path = tmp_path / "launches.toml"
    path.write_text("[programme]\nstarted_on = 2026-05-04\n[programme.costs]\nmonthly = 5\n", encoding="utf-8")
    launches = read_launches(path, set())
    assert [one.name for one in launches] == ["programme"]
    assert read_programmes(path, launches) == ()


def write_programmes(office, tables):
    """A second launch beside the office's one, and programmes of the two; `{name}` is the first one's."""
    path = office.config / "launches.toml"
    text = path.read_text(encoding="utf-8")
    name, started = re.search(r"^\[(\w+)\]", text, re.M)[1], re.search(r"started_on = (\S+)", text)[1]
    path.write_text(f"{text}\n[school]\nstarted_on = {started}\n{tables.replace('{name}', name)}", encoding="utf-8")


def test_the_command_takes_a_programme(synced, capsys):
    write_programmes(synced, '[programme.all]\ntitle = "Всё"\nmodules = ["{name}", "school"]\n')
    assert synced.payback("measure", "all", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "programme"
    assert found["pairs"][0]["code"] == "joint"
    assert synced.payback("report", "all", "--format", "html,xlsx,json", "--out", str(synced.folder)) == 0
    assert {path.name for path in synced.folder.glob("all.*")} == {"all.html", "all.xlsx", "all.json"}
    # Measured twice, stored once, and what was written is what is stored.
    stored = Warehouse(synced.warehouse_url).snapshot("all", found["as_of"])
    assert (synced.folder / "all.json").read_bytes() == stored
    capsys.readouterr()
    assert synced.payback("measure", "al", "--json") != 0
    assert "did you mean 'all'" in capsys.readouterr().err


def test_a_night_measures_programmes_and_one_that_cannot_be_does_not_stop_it(synced, capsys):
    write_programmes(synced, """
[one]
started_on = 2199-01-07
[two]
started_on = 2199-01-07
[programme.wrong]
title = "Не та"
modules = ["one", "two"]
pool = {one = ["shw_rate"]}
[programme.all]
modules = ["{name}", "school"]
""")  # fmt: skip
    assert synced.payback("run", "--format", "json", "--out", str(synced.folder), "--json") == Exit.PARTIAL
    night = json.loads(capsys.readouterr().out)
    assert night["outcome"] == "partial"
    assert "did you mean 'show_rate'" in night["programmes"]["wrong"]["error"]
    assert night["programmes"]["all"]["is_new"]
    written = (synced.folder / "all.json").read_bytes()
    assert Warehouse(synced.warehouse_url).snapshot("all", json.loads(written)["as_of"]) == written
    # Somebody must correct the pool; nothing else is wrong, though a programme and its launches have not begun.
    assert synced.payback("status", "--json") == Exit.FINDINGS
    (wrong,) = json.loads(capsys.readouterr().out)["incidents"]
    assert "Не та" in json.dumps(wrong, ensure_ascii=False)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_account_can_be_done_again(found, together, language):
    """Every line of arithmetic, of modules that began in turn and of such that cannot be told apart."""
    for document, least in ((found, 20), (together, 5)):
        text = explain_programme(document, language)
        assert wrong_lines(text, language) == []
        assert len(list(arithmetic(text, language))) > least
        assert "modules." not in text
    wrong = json.loads(document_bytes(found))
    wrong["steps"][0]["pieces"][0]["amounts"][0]["estimate"] += 1
    assert wrong_lines(explain_programme(wrong, language), language)


def test_a_module_s_roi_follows_from_its_profit_and_cost(found):
    told = [one for one in found["modules"] if one["roi"]]
    assert told
    for one in told:
        assert one["roi"]["estimate"] == pytest.approx((one["amount"]["estimate"] - one["cost"]) / one["cost"])
        assert one["roi"]["low"] <= one["roi"]["estimate"] <= one["roi"]["high"]
