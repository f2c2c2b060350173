"""The account of every figure: its arithmetic is read from the text alone and computed again."""

import copy
import re
from datetime import date, datetime

import pytest

from pipeline.document import document as document_of
from pipeline.explain import SERIES, explain
from pipeline.launches import Action, Efficiency, LaunchCosts
from pipeline.measurement import measure
from pipeline.periods import AsOf
from pipeline.reports.words import LANGUAGES
from pipeline.warehouse import Warehouse
from tests.pipeline.reports import evidence_made
from tests.pipeline.salon_made import launch, salon, settings
from tests.variants import first

AS_OF = AsOf(date(2026, 8, 3), datetime(2200, 1, 1), "2026-08-03")
SPACES = "\u00a0\u202f"
SPAN = re.compile(r"`([^`]+)`")
NUMBER = re.compile(rf"[−]?\d[\d{SPACES}]*(?:\d)?(?:\.\d+)?(?:[{SPACES}]?%)?")
COSTS = LaunchCosts(
    one_off=3000.0, monthly=500.0, usage_per_lead=7.5, staff_hours_one_off=12.0, staff_hours_monthly=4.0, hour_rate=450.0,
    saved_hours_monthly=40.0, is_saved_cash=True,
)  # fmt: skip


POOL = Efficiency(
    owners={"rework": "`1 + 1 = 3`"}, baselines={"first_contact": 90.0}, actions={"reminder": Action(("BOOKED",), "visited", 7)}
)


@pytest.fixture(scope="module")
def documents(tmp_path_factory):
    """Documents of one salon under several configurations, and with everything the engine may add."""
    warehouse = Warehouse(f"duckdb:///{tmp_path_factory.mktemp('explained') / 'w.duckdb'}")
    warehouse.migrate()
    warehouse.append(salon(lift=0.5), "crm", "r1")

    def made(as_of=AS_OF, **fields):
        with warehouse.reading(as_of.seen_until) as reading:
            return document_of(measure(reading, launch(**fields), settings(), as_of))

    paying = made()
    return {
        "paying": paying,
        "every cost": made(costs=COSTS, efficiency=POOL),
        "no costs": made(costs=LaunchCosts()),
        "no margin": made(margin=None),
        "refused": made(as_of=AsOf(date(2026, 6, 10), AS_OF.seen_until, "2026-06-10")),
        "evidence": evidence_made.with_evidence(paying),
        "undecided": evidence_made.undecided(paying),
        "old": evidence_made.without_keys(paying),
    }


def plain_numbers(text, language):
    """The text with its figures as Python writes them, group separators kept as no-break spaces."""
    if language == "ru":
        return re.sub(r"(?<=\d),(?=\d)", ".", text)
    return re.sub(r"(?<=\d),(?=\d{3})", "\u00a0", text)


def value_and_doubt(number):
    """A printed figure and half a unit of its last digit."""
    size = re.sub(rf"[{SPACES}%]", "", number).replace("−", "-")
    digits = len(size.partition(".")[2])
    scale = 0.01 if number.endswith("%") else 1.0
    whole = 0.0 if digits == 0 and "%" not in number else 0.5 * 10.0**-digits
    return float(size) * scale, whole * scale


def computed(expression):
    """(value of an expression, how far the rounding of its figures can move it)."""
    parts, template, end = [], "", 0
    for found in NUMBER.finditer(expression):
        # A minus with a space around it subtracts; one that touches its number is a sign.
        parts.append(value_and_doubt(found.group()))
        template += expression[end : found.start()] + f"p[{len(parts) - 1}]"
        end = found.end()
    template = (template + expression[end:]).replace("×", "*").replace("−", "-").replace("^", "**")
    assert re.fullmatch(r"[p\[\]\d+\-*/() ]+", template), expression
    values = [value for value, _ in parts]

    def at(point):
        return eval(template, {"__builtins__": {}}, {"p": point})  # the template holds figures and operators only

    moved = [abs(at([*values[:n], value + doubt, *values[n + 1 :]]) - at(values)) for n, (value, doubt) in enumerate(parts)]
    return at(values), sum(moved)


def arithmetic(text, language):
    """Every line of arithmetic: (as printed, left, sign, right)."""
    for found in SPAN.finditer(text):
        line = plain_numbers(found.group(1), language)
        match = re.fullmatch(r"(.+) ([=≈<>]) (.+)", line)
        if match and "=" not in match.group(1) and "z" not in line[:2]:
            yield found.group(1), *match.groups()


def wrong_lines(text, language):
    """Lines whose right side does not follow from the left one; `≈` may be off by a tenth."""
    wrong = []
    for printed, left, sign, right in arithmetic(text, language):
        if sign in "<>":
            continue
        (found, doubt), (stated, own_doubt) = computed(left), computed(right)
        room = doubt + own_doubt + 1e-9 * abs(found) + (0.1 * abs(stated) if sign == "≈" else 0.0)
        if abs(found - stated) > room:
            wrong.append((printed, found, room))
    return wrong


@pytest.mark.parametrize("language", first(1, LANGUAGES))
def test_the_printed_arithmetic_can_be_done_again(documents, language):
    for name, document in documents.items():
        text = explain(document, language)
        assert wrong_lines(text, language) == [], name
        n_lines = len(list(arithmetic(text, language)))
        assert n_lines > (60 if document["claims"] else 0), (name, n_lines)


def test_a_figure_that_does_not_follow_is_noticed(documents):
    changes = [
        lambda found: found["claims"]["process"]["factors"]["booking_rate"].update(estimate=0.2),
        lambda found: found["claims"]["process"]["factors"]["show_rate"].update(observed=0.7),
        lambda found: found["claims"]["total"]["revenue"].update(counterfactual=1e5),
        lambda found: found["claims"]["process"]["money"].update(cost=4200.0),
        lambda found: found["claims"]["process"]["money"].update(monthly_cost=600.0),
        lambda found: found["claims"]["process"]["money"]["roi"].update(estimate=20.0),
        lambda found: found["claims"]["process"]["money"]["npv"].update(estimate=1.0),
        lambda found: found["claims"]["process"]["money"].update(break_even_effect=0.02),
        lambda found: found["trust"]["findings"][0].update(points=5.0),
        lambda found: found["metrics"]["booking_conversion"]["per_week"]["numerator"].__setitem__(20, 5.0),
    ]
    for n, change in enumerate(changes):
        document = copy.deepcopy(documents["evidence"])
        change(document)
        assert wrong_lines(explain(document, "en"), "en"), n


@pytest.mark.parametrize("language", first(1, LANGUAGES))
def test_the_weekly_table_sums_to_what_is_printed(documents, language):
    text = explain(documents["paying"], language)
    table = [row for row in text.splitlines() if re.match(r"\| (\*\*|\d{4}-)", row)]
    rows = [[cell.strip(" *") for cell in row.strip("|").split("|")] for row in table]
    weeks, sums = rows[:-2], rows[-2:]
    assert len(weeks) == len(documents["paying"]["weekly"])
    for total in sums:
        mine = [row for row in weeks if row[1] == total[1]]
        assert len(mine) == documents["paying"]["periods"]["pre" if total is sums[0] else "post"]["n_weeks"]
        for column in range(2, 2 + len(SERIES)):
            cells = [value_and_doubt(plain_numbers(row[column], language)) for row in mine]
            stated, doubt = value_and_doubt(plain_numbers(total[column], language))
            assert sum(value for value, _ in cells) == pytest.approx(stated, abs=doubt + sum(room for _, room in cells) + 1e-6)


@pytest.mark.parametrize("language", first(1, LANGUAGES))
def test_every_rule_of_the_verdict_is_tried_with_its_figures(documents, language):
    words = {"ru": ("не выполнено", "выполнено"), "en": ("does not hold", "holds"), "zh": ("不成立", "成立")}[language]
    for name in ("paying", "undecided", "no costs", "every cost"):
        text = explain(documents[name], language)
        lines = re.findall(r"`([^`]+ [<>] [^`]+)` (.+)", plain_numbers(text, language))
        assert lines, name
        for comparison, told in lines:
            left, sign, right = re.fullmatch(r"(.+) ([<>]) (.+)", comparison).groups()
            holds = computed(left)[0] < computed(right)[0] if sign == "<" else computed(left)[0] > computed(right)[0]
            assert told == words[holds], (name, comparison)
        is_undecided = documents[name]["verdict"]["code"] == "not_enough_data"
        assert [told for _, told in lines].count(words[1]) == (0 if is_undecided else 1), name


@pytest.mark.parametrize("language", first(1, LANGUAGES))
def test_windows_queries_and_priors_are_named(documents, language):
    document = documents["evidence"]
    text = explain(document, language)
    for metric in ("leads", "booking_conversion", "visit_conversion", "revenue"):
        assert f"`payback sql metrics/{metric}`" in text
    for found in document["trust"]["findings"]:
        assert not found["points"] or f"`payback sql checks/{found['code']}`" in text
    assert f"payback measure assistant --as-of {document['as_of']} --json" in text
    for known in ("config_hash", "sql_hash", "code_version"):
        assert document["provenance"][known] in text
    for row in document["weekly"]:
        assert f"| {row['week']} |" in text
    assert "half-t(3)" in text
    assert not re.search(r"\bNone\b|\bnan\b|\{\w+\}", text)


def test_priors_of_the_document_come_before_those_of_the_version(documents):
    document = copy.deepcopy(documents["paying"])
    scales = {"omega": 0.777, "kappa": 0.01, "slope": 0.004, "season": 0.0}
    document["priors"] = [{"mode": "rate", "temper": 1, "weight": 1.0, **scales}]
    rows = [row for row in explain(document, "en").splitlines() if "0.777" in row]
    assert rows == ["| rate | 1 | 1.000 | 0.777 | 0.010 | 0.004 | 0.000 |"]


def test_the_leads_of_the_control_stand_beside_the_weeks(documents):
    document = copy.deepcopy(documents["evidence"])
    document["control"]["per_week"] = [float(100 + n) for n in range(len(document["weekly"]))]
    rows = [row for row in explain(document, "en").splitlines() if re.match(r"\| (\*\*|\d{4}-)", row)]
    assert rows[0].endswith("| 100 |")
    assert rows[-2].endswith(f"| **{sum(range(100, 117)):,}** |")


def test_what_the_account_taught_is_printed(documents):
    document = copy.deepcopy(documents["paying"])
    past = {"evidence": [0.0, -0.4211, 1.25], "squares": 31.5, "n": 24.0}
    document["claims"]["process"]["factors"]["booking_rate"] |= {"widening": 1.37, "past": past}
    text = explain(document, "en")
    assert "The range was widened 1.37 times" in text
    assert "log evidence for the temperaments 0.000, −0.421, 1.250; placebo surprises 31.50 in squares over 24.00." in text


def test_what_was_not_given_is_named_and_not_computed(documents):
    assert "not counted: Cost per lead, Hours of roll-out, Staff hours a month, Saved hours" in explain(documents["paying"], "en")
    assert "Cost of the period: no cost given" in explain(documents["no costs"], "en")
    assert "ROI: `" not in explain(documents["no margin"], "en")
    refused = explain(documents["refused"], "ru")
    assert "Откуда берётся" not in refused
    assert "Подождите ещё примерно" in refused


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_figure_of_the_pool_can_be_done_again_and_says_which_days_count(documents, language):
    document = documents["every cost"]
    text = plain_numbers(explain(document, language), language)
    for name, figure in document["efficiency"]["metrics"].items():
        assert f"payback sql efficiency/{name.partition('.')[0]}`" in text
        if figure["unit"] == "share":
            for side in ("pre", "post"):
                above, below = (figure[side][part] for part in ("numerator", "denominator"))
                assert f"`{round(above):,} / {round(below):,} = ".replace(",", "\u00a0") in text
    days = {"ru": "по день 7 включительно", "en": "to day 7, the last included", "zh": "算到第7天"}[language]
    not_counted = {"ru": "в день 8 — уже нет", "en": "on day 8 it does not", "zh": "第8天不再计入"}[language]
    assert days in text
    assert not_counted in text
    assert "27.07.2026" in text or "27 Jul 2026" in text or "2026-07-27" in text  # 3 August less seven days


def test_names_cannot_pass_for_arithmetic(documents):
    document = copy.deepcopy(documents["paying"])
    document["launch"]["title"] = "`1 + 1 = 3`"
    document["contributions"] = [row | ({"key": "`2 + 2 = 5`"} if row["dimension"] == "channel" and row["key"] else {})
                                 for row in document["contributions"]]  # fmt: skip
    assert wrong_lines(explain(document, "en"), "en") == []
    assert "'2 + 2 = 5'" in explain(document, "en")
