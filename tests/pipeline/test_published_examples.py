"""Every published worked example, recomputed from inputs kept here by the language that scenarios are written in."""

import csv
import re
from math import log10
from pathlib import Path

import numpy as np
import pytest

from pipeline import roi as money
from pipeline.amounts import Quantity
from pipeline.calculator import compute
from pipeline.expressions import Value, parse
from pipeline.scenarios import every, load

ROOT = Path(__file__).parents[2]
CSV = ROOT.parent / "shared" / "formulas" / "examples.csv"
CONFIG = ROOT / "config"

SALON = {"leads": 250, "conv": 0.15, "old": 20, "check": 1500, "once": 30_000, "monthly": 5_000}
TRAINING = {"leads": 500, "rise": 0.05, "check": 30_000, "cost": 200_000}
CALLS = {"calls": 800, "rise": 0.13, "check": 50_000, "cost": 180_000}
CRM = {"people": 5, "a_week": 10, "rate": 500, "cost": 120_000}

# row: (inputs, one formula for each figure in the exact column, the figures).
EXAMPLES = {
    "G01": (SALON, ["leads * conv"], [37.5]),
    "G02": (SALON, ["old * check"], [30_000]),
    "G03": (SALON, ["38 * check", "37.5 * check", "37 * check"], [57_000, 56_250, 55_500]),
    "G04": (SALON, [f"({n} - old) * check" for n in (38, 37.5, 37)], [27_000, 26_250, 25_500]),
    "G05": (SALON, [f"({n} - old) * check - once - monthly" for n in (38, 37.5, 37)], [-8_000, -8_750, -9_500]),
    "G06": (SALON, [f"({n} - old) * check - monthly" for n in (38, 37.5, 37)], [22_000, 21_250, 20_500]),
    "G07": (SALON, [f"payback(once, ({n} - old) * check - monthly)" for n in (38, 37.5, 37)], [1.3636, 1.4118, 1.4634]),
    "G08": (SALON, ["roi(18 * check, once + monthly) * 100"], [-22.857]),
    "G09": (SALON, ["projected_roi(18 * check, once, monthly, 6) * 100"], [170]),
    "G10": (SALON, ["projected_roi(18 * check, once, monthly, 12) * 100"], [260]),
    "G11": (SALON, ["break_even_margin(once + 12 * monthly, 12 * 18 * check)"], [0.27778]),
    "G12": ({"a": 20, "na": 200, "b": 38, "nb": 250}, ["p_value(a, na, b, nb)"], [0.1019]),
    "G13": ({"a": 20, "b": 38}, ["b - a - difference_half(a, b)", "b - a + difference_half(a, b)"], [3.07, 32.93]),
    "G14": ({"n": 200, "m": 250, "p": 0.10, "q": 0.15, "check": 1500},
            ["(m - n) * p * check", "n * (q - p) * check", "(m - n) * (q - p) * check", "(m * q - n * p) * check"],
            [7_500, 15_000, 3_750, 26_250]),
    "G15": ({"p": 0.10, "q": 0.15}, ["sample_size(p, q)"], [686]),
    "G16": ({"kept": 50, "check": 3_000}, ["kept * check"], [150_000]),
    "G17": ({"low": 0.2, "high": 0.7, "closed": 0.5}, ["low * closed * 100", "high * closed * 100"], [10, 35]),
    "G18": ({"spend": 150_000, "revenue": 450_000}, ["romi(revenue, spend) * 100"], [200]),
    "G19": ({"spend": 150_000, "revenue": 450_000}, ["roas(revenue, spend)", "roas(revenue, spend) * 100"], [3, 300]),
    "G20": ({"gain": 750_000, "price": 500_000}, ["roi(gain, price) * 100"], [50]),
    "G21": (CRM, ["people * a_week * 4", "monthly(people * a_week)"], [200, 216.67]),
    "G22": (CRM, ["people * a_week * 4 * rate * 12", "monthly(people * a_week) * rate * 12"], [1_200_000, 1_300_000]),
    "G23": (CRM, ["roi(people * a_week * 4 * rate * 12, cost) * 100", "roi(monthly(people * a_week) * rate * 12, cost) * 100"],
            [900, 983.33]),
    "G24": (TRAINING, ["leads * rise * check"], [750_000]),
    "G25": (TRAINING, ["roi(3 * leads * rise * check, cost) * 100"], [1_025]),
    "G26": (TRAINING, ["annual_roi(roi(3 * leads * rise * check, cost), 3) * 100"], [4_100]),
    "G27": ({"a": 100, "b": 125, "n": 500}, ["p_value(a, n, b, n)"], [0.0583]),
    "G28": (CALLS, ["calls * rise"], [104]),
    "G29": (CALLS, ["calls * rise * check"], [5_200_000]),
    "G30": (CALLS, ["calls * rise * check * 12"], [62_400_000]),
    "G31": (CALLS, ["roi(calls * rise * check * 12, cost) * 100"], [34_566.67]),
    "G32": (CALLS, ["roi(calls * rise * check * effective_months(12, 7), cost) * 100"], [25_900]),
    "G33": ({"a": 0.32, "b": 0.45}, ["(b - a) * 100", "relative_change(a, b) * 100"], [13, 40.625]),
    "G34": ({"grown": 1.85, "by": 1.40625}, ["(grown / by - 1) * 100"], [31.56]),
    "G35": ({"roi": 1, "months": 60}, ["annual_roi(roi, months) * 100", "compound_roi(roi, months) * 100"], [20, 14.87]),
    "G36": ({"a": 0.25, "b": 0.275}, ["relative_change(a, b) * 100"], [10]),
    "G37": ({"spend": 150_000, "revenue": 450_000}, ["roi(revenue, spend) * 100"], [200]),
    "G38": ({"a": 60, "b": 5}, ["relative_change(a, b) * 100", "a / b"], [-91.67, 12]),
    "G39": ({"a": 36, "b": 4.8}, ["relative_change(a, b) * 100", "a / b"], [-86.67, 7.5]),
    "G40": ({"a": 0.21, "b": 0.47}, ["(b - a) * 100", "relative_change(a, b) * 100", "b / a"], [26, 123.81, 2.238]),
    "G41": ({"n": 12_000, "a": 36, "b": 4.8}, ["n * (a - b) / 3600"], [104]),
}  # fmt: skip


def computed(item):
    inputs, formulas, _ = EXAMPLES[item]
    values = {name: Value(np.array([float(value)])) for name, value in inputs.items()}
    return [parse(formula, list(inputs), item).value(values).point for formula in formulas]


@pytest.mark.parametrize("item", EXAMPLES)
def test_every_published_example_is_reproduced(item):
    for found, wanted in zip(computed(item), EXAMPLES[item][2], strict=True):
        digits = len(str(float(wanted)).partition(".")[2].rstrip("0"))
        assert found == pytest.approx(wanted, abs=0.51 * 10**-digits if digits else 1e-6 * abs(wanted)), item


@pytest.mark.skipif(not CSV.is_file(), reason="the published examples are not beside this checkout")
def test_the_figures_kept_here_are_those_of_the_published_list():
    with CSV.open(encoding="utf-8") as source:
        rows = {row["id"]: row for row in csv.DictReader(source, delimiter=";")}
    assert rows.keys() == EXAMPLES.keys()
    for item, row in rows.items():
        exact = re.sub(r"\S*\*\S* = ", "", row["exact"]).replace("..", " ")
        stated = [float(number) for number in re.findall(r"(?<!\w)-?\d+(?:\.\d+)?|(?<=x)\d+(?:\.\d+)?", exact)]
        assert stated, item
        for found, number in zip(computed(item), stated, strict=True):
            text = f"{number:g}"
            unit = (
                10 ** -len(text.partition(".")[2]) if "." in text else 10 ** (log10(abs(number)) // 1 - 4) if number > 1e5 else 1
            )
            assert found == pytest.approx(number, abs=0.51 * unit), item


# --- the same figures out of the shipped scenarios ----------------------------------------------------------------


def outcome(name, **other):
    scenario = load(name, CONFIG)
    quantities = scenario.read_inputs({**scenario.example, **other}, {}, "RUB")
    return compute(scenario, quantities)


@pytest.mark.parametrize(("name", "given", "line", "wanted"), [
    ("salon-assistant", {}, "clients_after", 37.5),
    ("salon-assistant", {}, "revenue_before", 30_000),
    ("salon-assistant", {}, "revenue_after", 56_250),
    ("salon-assistant", {}, "extra_revenue", 26_250),
    ("salon-assistant", {}, "first_month", -8_750),
    ("salon-assistant", {}, "later_month", 21_250),
    ("salon-assistant", {}, "payback", 30_000 / 21_250),
    ("salon-assistant", {"conversion_after": 0.152, "months": 1}, "roi", -8_000 / 35_000),
    ("salon-assistant", {"conversion_after": 0.152, "months": 6}, "roi", 1.7),
    ("salon-assistant", {"conversion_after": 0.152}, "roi", 2.6),
    ("salon-assistant", {"conversion_after": 0.152}, "break_even_margin", 90_000 / 324_000),
    ("salon-assistant", {"conversion_after": 0.152}, "chance_alone", 0.1018756),
    ("salon-assistant", {"conversion_after": 0.152}, "extra_clients_low", 3.0734),
    ("salon-assistant", {"conversion_after": 0.152}, "extra_clients_high", 32.9266),
    ("salon-assistant", {}, "by_conversion", 15_000),
    ("salon-assistant", {}, "by_both", 3_750),
    ("salon-assistant", {}, "leads_needed", 686),
    ("support-chat", {}, "kept_revenue", 150_000),
    ("advertising", {}, "roi", 2.0),
    ("advertising", {}, "romi", 2.0),
    ("advertising", {}, "roas_in_percent", 3.0),
    ("equipment", {}, "roi", 0.5),
    ("crm", {"weeks_a_month": 4}, "hours_saved", 200),
    ("crm", {}, "hours_saved", 650 / 3),
    ("crm", {"weeks_a_month": 4}, "worth_a_year", 1_200_000),
    ("crm", {"weeks_a_month": 4}, "roi", 9.0),
    ("crm", {}, "roi", 9.8333333),
    ("training", {}, "extra_revenue", 750_000),
    ("training", {}, "roi", 10.25),
    ("training", {}, "annual_roi", 41.0),
    ("training", {}, "year_roi", 44.0),
    ("training", {}, "chance_alone", 0.0583305),
    ("speech-analytics", {}, "extra_deals", 104),
    ("speech-analytics", {}, "extra_revenue", 5_200_000),
    ("speech-analytics", {}, "revenue_a_year", 62_400_000),
    ("speech-analytics", {}, "roi", 345.6667),
    ("speech-analytics", {"ramp_months": 7}, "roi", 259.0),
    ("speech-analytics", {"ramp_months": 7}, "effective_months", 9.0),
    ("speech-analytics", {}, "relative", 0.40625),
])  # fmt: skip
def test_scenarios_give_the_published_figures(name, given, line, wanted):
    assert outcome(name, **given).points[line].point == pytest.approx(wanted, rel=2e-5)


def test_the_share_closed_by_bots_is_a_range():
    found = outcome("support-chat").draws["closed_by_bots"].numbers
    assert (found.min(), found.max()) == (pytest.approx(0.10, abs=1e-3), pytest.approx(0.35, abs=1e-3))


def test_every_published_line_exists_and_says_why_in_every_language():
    items = set()
    for scenario in every(CONFIG):
        points = compute(scenario, scenario.read_inputs(scenario.example, {}, "RUB")).points
        for published in scenario.published:
            assert published.line in points, (scenario.name, published.line)
            assert {"ru", "en", "zh"} <= published.why.keys()
            items.add(published.item)
    assert items <= EXAMPLES.keys()
    assert len(items) > 15


def test_formulas_of_the_language_are_those_of_the_reports():
    def value(text):
        return parse(text, [], "test").value({}).point

    assert value("p_value(20, 200, 38, 250)") == pytest.approx(money.two_proportion_p(20, 200, 38, 250), rel=1e-12)
    assert value("sample_size(0.1, 0.15)") == np.ceil(money.sample_size_two_proportions(0.1, 0.15)) == 686
    assert value("difference_half(20, 38)") == pytest.approx(money.count_difference(20, 38).high - 18, rel=1e-12)
    for months, ramp in ((12, 7), (12, 0), (12, 1), (3, 7), (12, 12)):
        assert value(f"effective_months({months}, {ramp})") == pytest.approx(money.effective_months(months, ramp), rel=1e-12)
    assert value("compound_roi(1, 60)") == pytest.approx(money.compound_annual_roi(1.0, 60), rel=1e-12)
    assert value("irr(1200, 150, 12)") == pytest.approx(money.irr(money.monthly_flows(1200, 150)), rel=1e-9)
    assert value("npv(1200, 150, 12, 0.2)") == pytest.approx(money.npv(money.monthly_flows(1200, 150), 0.2), rel=1e-12)
    assert value("payback(1200, 150)") == pytest.approx(money.payback_months(1200, 150), rel=1e-12)
    assert Quantity.point(1.0).is_certain
