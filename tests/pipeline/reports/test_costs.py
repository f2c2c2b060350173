"""Costs by name, shared costs and ads from the configuration to every report: measured, not made up."""

import copy
import io
import re
from dataclasses import replace

import openpyxl
import pytest

from pipeline.costs import costs_of
from pipeline.document import document, document_bytes
from pipeline.errors import ConfigError
from pipeline.explain import explain
from pipeline.launches import LaunchCosts
from pipeline.measurement import measure
from pipeline.reports import render
from pipeline.reports.ads import ads
from pipeline.reports.costing import cost_lines, turned
from pipeline.reports.message import message_of
from pipeline.reports.numbers import numbers_of
from pipeline.reports.words import LANGUAGES
from pipeline.warehouse import Warehouse
from tests.libreoffice import recalculate
from tests.pipeline.costs_made import LAUNCHES, SHARED, SPEND, read, write_config
from tests.pipeline.reports.conftest import AS_OF
from tests.pipeline.salon_made import launch, salon, settings
from tests.variants import first

pytestmark = pytest.mark.xdist_group("reports")
COST = numbers_of("en", "RUB").words.say("money.cost")
ADS = LAUNCHES.replace('ad_spend = ["Search"]', 'ad_spend = ["Search"]\none_off = 700').replace("[ads]", "[advertising]").replace(
    "[ads.", "[advertising.").replace("started_on = 2026-05-04\nmargin = 0.5\nhorizon_days = 14\n[assistant.costs]",
                                      "started_on = 2026-07-30\nmargin = 0.5\nhorizon_days = 14\n[assistant.costs]")  # fmt: skip


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    made = Warehouse(f"duckdb:///{tmp_path_factory.mktemp('costs') / 'w.duckdb'}")
    made.migrate()
    made.append(salon(lift=0.5), "crm", "r1")
    return made


@pytest.fixture(scope="module")
def measured(warehouse, tmp_path_factory):
    """measured(launch, **files): the document of a launch under a configuration; without files, that of `costs_made`."""

    def make(name="assistant", *, folder=None, is_brief=True, **files):
        read_from = folder or write_config(tmp_path_factory.mktemp("config"), **files)
        found = read(read_from)
        with warehouse.reading(AS_OF.seen_until) as reading:
            return document(measure(reading, found.launch(name), found, AS_OF, is_brief=is_brief))

    return make


@pytest.fixture(scope="module")
def costed(measured):
    """The assistant alone, so that nothing clouds its verdict; with a typical cost of the support."""
    alone = LAUNCHES.replace(f"[ads]\nstarted_on = {launch().started_on}", "[ads]\nstarted_on = 2026-07-30")
    typical = ('[[costs]]\nline = "support"\ncurrency = "RUB"\nmonthly = "1000..2000"\non = 2026-11-01\nsource = "three offers"\n'
               '[[costs]]\nline = "content"\ncurrency = "RUB"\nmonthly = "1..2"\non = 2026-11-01\nsource = "x"\n')  # fmt: skip
    return measured(launches=alone, benchmarks=typical, is_brief=False)


def named(document):
    return {line["code"]: line for line in document["launch"]["costs"]["lines"]}


def test_a_launch_with_todays_keys_has_the_document_of_today(warehouse):
    """No key is new, and neither are lines of the account."""
    with warehouse.reading(AS_OF.seen_until) as reading:
        found = document(measure(reading, launch(costs=LaunchCosts(one_off=3000.0)), settings(), AS_OF))
    assert not {"uncounted", "ad_spend"} & set(found)
    assert "lines" not in found["launch"]["costs"]
    assert "ad_spend" not in found["launch"]["costs"]
    assert not any("ad_spend" in key for claim in found["claims"].values() for key in claim["money"])


def test_the_cost_of_the_period_is_the_lines_by_hand(costed):
    months, money = 70 / 30.4375, costed["money"]
    once = 3000 + 10 * 300 + 0.2 * 3000  # set-up, hours, VAT
    monthly = 1500 + 0.2 * 1500 + 500.01 + 2.5 * 600 / months  # licence, VAT, half of the CRM, 600 messages
    assert (money["one_off_cost"], money["monthly_cost"]) == pytest.approx((once, monthly))
    assert money["cost"] == pytest.approx(once + monthly * months)
    left = {"integration", "manager_hours", "telephony", "support", "tax", "switching"}
    assert set(money["not_counted"]) - {"saved_hours"} == left


def test_ranges_stand_beside_the_result_at_both_ends(costed):
    found, money, months = costed["uncounted"], costed["money"], 70 / 30.4375
    assert found["lines"] == ["integration", "support"]
    assert named(costed)["support"]["facts"]["source"] == "three offers"
    assert named(costed)["content"]["state"] == "zero"  # what was said is not replaced by what is typical
    for end, once, monthly in (("low", 2000, 1000), ("high", 9000, 2000)):
        cost = money["cost"] + once + monthly * months
        assert found[end]["cost"] == pytest.approx(cost)
        assert found[end]["roi"]["estimate"] == pytest.approx((money["benefit"]["estimate"] - cost) / cost)
    assert found["low"]["payback_months"]["estimate"] < found["high"]["payback_months"]["estimate"]


def test_the_verdict_is_of_counted_costs_and_a_sentence_tells_what_would_turn_it(measured, costed):
    assert costed["verdict"]["code"] == "pays"
    numbers = numbers_of("ru", "RUB")
    assert turned(numbers, costed) is None
    alone = LAUNCHES.replace(f"[ads]\nstarted_on = {launch().started_on}", "[ads]\nstarted_on = 2026-07-30")
    dear = measured(launches=alone.replace("2000..9000", "2000..9 000 000"))
    assert dear["verdict"] == costed["verdict"]
    assert dear["uncounted"]["low"]["verdict"] == "pays"
    assert dear["uncounted"]["high"]["verdict"] == "does_not_pay"
    assert turned(numbers, dear) == "Неучтённые расходы могут изменить вывод: у верхней границы он был бы «Не окупается»."
    assert turned(numbers, dear) in message_of(dear, "ru")
    always = measured(launches=alone.replace("2000..9000", "8 000 000..9 000 000"))
    assert "даже у нижней границы" in turned(numbers, always)


@pytest.mark.parametrize("language", first(1, LANGUAGES))
def test_every_report_lists_all_sorts_of_lines(costed, language):
    say = numbers_of(language, "RUB").words.say
    page = render(costed, "html", language).decode()
    text = re.sub(r"\x1b\[[0-9;]*m|\s+", " ", render(costed, "terminal", language).decode())
    titles = ("cost.licence", "cost.content", "cost.integration", "cost.vat", "costs.left_out", "cost.switching", "section.ads")
    for title in titles:
        assert say(title) in page
        assert say(title) in text or len(say(title)) > 20
    assert say("costs.range") in page
    assert "CRM &lt;b&gt;" in page
    assert "CRM <b>" not in page
    assert "three offers" in page


def test_the_message_says_roi_with_and_without(costed):
    text = message_of(costed, "ru").replace("\xa0", " ")
    assert re.search(r"Если учесть неучтённое: ROI от [\d ]+ до [\d ]+ % \(окупаемость: ", text)
    assert re.search(r"Расходы: 6 600 ₽ разово \+ 2 952 ₽ в месяц", text)
    assert ".." not in text


def test_the_account_computes_every_cost_again(costed):
    """Each arithmetic line of the costs is right to what is printed."""
    text = explain(costed, "en").replace(",", "").replace("−", "-").replace("\xa0", "")
    checked = 0
    for sum_, total in re.findall(r"`([\d.+×/() -]+) = (-?[\d.]+)(?: ?%)?`", text):
        found = eval(sum_.replace("×", "*"))  # digits and signs only
        if abs(found) > 1000:
            assert found == pytest.approx(float(total), rel=1e-4)
            checked += 1
    assert checked > 8
    assert "With what was not counted: ROI High end of the range" in text


def test_a_shared_cost_is_split_by_leads_and_by_revenue_of_each_scope(measured):
    for key, column in (("leads", "n"), ("revenue", "total")):
        shared = SHARED.replace('"equal"', f'"{key}"').replace('"1000.01"', '"1000.01"\nonce = 333.33')
        whole, part = (measured(name, costs=shared + SPEND) for name in ("assistant", "ads"))
        lines = [named(document)["crm"] for document in (whole, part)]
        assert sum(line["monthly"][0] for line in lines) == pytest.approx(1000.01, abs=1e-9)
        assert sum(line["once"][0] for line in lines) == pytest.approx(333.33, abs=1e-9)
        # All leads against those of one channel of three.
        assert lines[1]["facts"]["share"] == pytest.approx(0.25, abs=0.04), column


def test_ads_are_a_cost_only_where_the_launch_says_so(measured, costed):
    assert "ad_spend" not in named(costed)
    found = measured("advertising", launches=ADS, costs=SPEND)
    line, money = named(found)["ad_spend"], found["money"]
    assert line["monthly"][0] == pytest.approx(7000 / (70 / 30.4375))  # 100 a day over ten weeks
    assert money["cost"] == pytest.approx(7000 + 700)
    claims = {name: claim["money"] for name, claim in found["claims"].items()}
    assert all(one["cost"] == pytest.approx(700 + 100 * one["window_days"]) for one in claims.values())


def test_ads_by_channel_by_hand(costed):
    search, social = ({row["channel"]: row for row in costed["ad_spend"]["channels"]}[name] for name in ("Search", "Social"))
    after = search["post"]
    assert after["spend"] == 7000
    leads = {row["key"]: row["metrics"]["leads"]["post"]["value"] for row in costed["by"]["channel"]}
    assert after["leads"] == leads["Search"]
    assert after["cpl"] == pytest.approx(7000 / after["leads"])
    assert after["romi"] == pytest.approx(after["revenue"] / 7000 - 1)
    assert after["drr"] == pytest.approx(1 / after["roas"])
    # May alone is known of the other channel: three of its weeks are counted after the launch, none before it.
    assert (social["pre"]["n_weeks"], social["post"]["n_weeks"], social["post"]["spend"]) == (0, 3, 2100)
    assert set(social["pre"]["missing"].values()) == {"spend_unknown"}
    told = ads(numbers_of("ru", "RUB"), costed).told
    assert told[0].endswith("расход известен только за 01.05.2026–31.05.2026.")
    assert told[1] == "Social, после: по 3 неделям из 10, расход которых известен."
    may = [row["week"] for row in costed["weekly"] if row["side"] == "post"][:3]
    assert may[-1] == "2026-05-25"
    assert social["post"]["cpl"] == pytest.approx(2100 / social["post"]["leads"])
    assert 0 < social["post"]["leads"] < 3 * 60


def test_spend_of_another_month_is_not_counted_and_said_so(measured):
    found = measured("advertising", launches=ADS, costs=SPEND, lines="01.03.2026;Search;100\n31.03.2026;Search;100")
    line = named(found)["ad_spend"]
    assert line["state"] == "not_counted"
    assert "ad_spend" in found["money"]["not_counted"]
    assert found["money"]["cost"] == 700
    (said,) = (one for one in cost_lines(numbers_of("ru", "RUB"), found) if one.title == "Реклама")
    assert (said.value, said.is_absent) == ("не учтено", True)
    assert said.note == "расход известен не за весь период, а за 01.03.2026–31.03.2026; каналы: Search"


def test_a_channel_without_spend_is_refused_with_the_nearest(measured):
    with pytest.raises(ConfigError, match="did you mean 'Search'"):
        measured("advertising", launches=ADS.replace('ad_spend = ["Search"]', 'ad_spend = ["Serch"]'), costs=SPEND)


def test_ads_touch_only_part_of_a_channel_where_the_scope_is_narrower(measured):
    narrow = ADS.replace('channels = ["Search"]', 'owners = ["0"]')
    found = measured("advertising", launches=narrow, costs=SPEND)
    row = found["ad_spend"]["channels"][0]
    assert set(row["post"]["missing"].values()) == {"scope"}


def test_the_same_configuration_gives_the_same_bytes_and_another_spend_another_hash(measured, tmp_path):
    folder = write_config(tmp_path)
    first, again = measured(folder=folder), measured(folder=folder)
    assert document_bytes(first) == document_bytes(again)
    direct = tmp_path / "spend" / "direct.csv"
    direct.write_text(direct.read_text(encoding="utf-8").replace("100,00", "101,00"), encoding="utf-8")
    other = measured(folder=folder)
    assert other["provenance"]["config_hash"] != first["provenance"]["config_hash"]


def test_a_document_gives_back_its_costs(costed):
    found = costs_of(costed["launch"]["costs"])
    assert found.once == pytest.approx(costed["money"]["one_off_cost"])
    assert replace(found, lines=()).once == 0


def sheet_rows(workbook, key, language="en"):
    sheet = workbook[numbers_of(language, "RUB").words.say(f"sheet.{key}")]
    return {row[0]: row[1] for row in sheet.iter_rows(values_only=True) if row[0]}


def test_the_workbook_lists_costs_and_ads(costed):
    book = openpyxl.load_workbook(io.BytesIO(render(costed, "xlsx", "en")), data_only=True)
    rows = sheet_rows(book, "costs")
    assert rows["Licence, a month"] == 1500
    assert rows["Integration, once"] == "not counted"
    assert rows["Content"] == 0
    assert rows["Switching from the old solution"] == "not counted"
    assert rows[COST] == pytest.approx(costed["money"]["cost"])
    assert "Search" in sheet_rows(book, "channels")


@pytest.mark.thorough
def test_the_live_sheet_takes_the_lines_and_what_is_typed_into_them(costed, tmp_path):
    plain = render(costed, "xlsx", "en")
    typed = openpyxl.load_workbook(io.BytesIO(plain))
    sheet = typed["ROI"]
    cells = {row[0].value: row[1] for row in sheet.iter_rows() if row[0].value}
    cells["Licence, a month"].value = 3000  # twice: VAT follows
    cells["Integration, once"].value = 9000
    saved = io.BytesIO()
    typed.save(saved)
    books = recalculate({"plain": plain, "typed": saved.getvalue()}, tmp_path)
    found = {name: sheet_rows_at(content) for name, content in books.items()}
    money, months = costed["money"], 70 / 30.4375
    assert found["plain"][COST] == pytest.approx(money["cost"])
    assert found["plain"]["ROI"] == pytest.approx(money["roi"]["estimate"])
    assert found["typed"][COST] == pytest.approx(money["cost"] + 9000 + 1.2 * 1500 * months)


def sheet_rows_at(content):
    """The estimates of the results."""
    book = openpyxl.load_workbook(io.BytesIO(content), data_only=True, read_only=True)
    return {row[0]: row[2] for row in book["ROI"].iter_rows(values_only=True) if row[0]}


def test_hostile_titles_stay_text(measured):
    evil = '<script>alert(1)</script>\\n=HYPERLINK(\\"x\\")'
    found = measured(costs=SHARED.replace("CRM <b>", evil) + SPEND)
    page = render(found, "html", "en").decode()
    assert "<script>alert(1)" not in page
    book = openpyxl.load_workbook(io.BytesIO(render(found, "xlsx", "en")))
    assert not [cell for row in book["Costs"].iter_rows() for cell in row if cell.data_type == "f"]


def test_an_old_document_is_still_shown(costed):
    old = copy.deepcopy(costed)
    for key in ("uncounted", "ad_spend"):
        old.pop(key)
    old["launch"]["costs"].pop("lines")
    assert numbers_of("ru", "RUB").words.say("section.ads") not in render(old, "html", "ru").decode()
