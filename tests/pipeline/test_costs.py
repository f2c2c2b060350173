"""Costs by name, shared costs and ad spend: as configuration, as arithmetic, and what is refused with which words."""

import hashlib
import json
from dataclasses import asdict, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ad_returns import Counted, ad_returns
from pipeline.checklist import read_checklist
from pipeline.costs import CHECKLIST, SUMS, CostLine, Costs, costs_of, made_of
from pipeline.effects import process_effect
from pipeline.errors import ConfigError
from pipeline.hurdles import FILE, read_typical_costs
from pipeline.prices import amount, ends, share
from pipeline.readiness import Line, inspect
from pipeline.roi import compute_money
from pipeline.shared_costs import SharedCost, split
from pipeline.spending import shared_from, shared_line
from pipeline.strict import Place
from pipeline.weekly import Weeks
from tests.pipeline.costs_made import LAUNCHES, SHARED, SPEND, read, write_config
from tests.pipeline.test_roi import salon_weeks

PLACE = Place(Path("launches.toml"), "assistant.costs")
MONEY = st.floats(0, 1e7).map(lambda value: round(value, 2))


@pytest.fixture(scope="module")
def effect():
    return process_effect(salon_weeks(), Weeks(12), margin=0.6)


def lines(**table):
    return {line.code: line for line in read_checklist(table, PLACE, "RUB")}


# --- What people write.


@pytest.mark.parametrize(
    ("text", "value"),
    [("1 234,50 ₽", "1234.50"), ("1\u00a0234,5", "1234.50"), ("1.234,50 руб.", "1234.50"), (5000, "5000"), (0.1, "0.1")],
)
def test_money_is_read_as_people_write_it(text, value):
    assert amount(text, "here", "RUB") == Decimal(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (-1, "at least 0"), ("-5", "at least 0"), (1e13, "at most 1e\\+12"), (float("nan"), "no number"), (True, "a number"),
        ("100 $", "is in USD, the rest in RUB"), ("€ 7", "in EUR"), ("1,234", "may be 1 234"), ("1.234", "may be 1 234"),
        ("много", "no number"), ("5 штук", "no currency"), ("", "nothing was given"), ([1], "a number"), ("1..2", "no range"),
    ],
)  # fmt: skip
def test_what_is_no_cost_is_refused(text, words):
    with pytest.raises(ConfigError, match=words):
        amount(text, "here", "RUB")


def test_a_range_has_two_ends_in_order():
    assert ends("50 000..150 000", "here", "RUB") == (50_000, 150_000)
    assert ends(5, "here", "RUB") == (5, 5)
    for wrong, words in (("9..1", "upside down"), ("1..", "no range"), ("1..2..3", "two ends")):
        with pytest.raises(ConfigError, match=words) as caught:
            ends(wrong, "here", "RUB")
        assert caught.value.hint


def test_a_percentage_is_never_guessed():
    assert {share(text, "here") for text in ("20 %", "20%", "0,2", 0.2, "20,0 %")} == {Decimal("0.2")}
    wrongs = ((20, "20 % or 2000 %"), (1, "1 % or 100 %"), ("120 %", "more than"), ("x", "no number"), (-0.1, "at least 0 %"))
    for wrong, words in wrongs:
        with pytest.raises(ConfigError, match=words):
            share(wrong, "here")


# --- The checklist.


def test_every_line_is_filled_zero_a_range_or_not_counted():
    found = lines(licence={"monthly": "5 000"}, content=0, telephony="not counted", integration={"once": "1..2"})
    assert list(found) == list(CHECKLIST)
    states = {code: line.state for code, line in found.items()}
    assert states.pop("licence") == "filled"
    assert states.pop("content") == "zero"
    assert states.pop("integration") == "range"
    assert set(states.values()) == {"not_counted"}
    assert read_checklist({"one_off": 5}, PLACE, "RUB") == ()


def test_a_tax_is_a_stated_rate_on_stated_lines():
    vat = {"rate": "20 %", "on": ["licence", "integration", "one_off"]}
    found = lines(licence={"monthly": 5000, "per_lead": 1}, integration={"once": "100..200"}, vat=vat, one_off=50.0)["vat"]
    assert (found.once, found.monthly, found.per_lead) == ((30, 50), (1000, 1000), (0.2, 0.2))
    assert found.facts == {"rate": 0.2, "on": ["licence", "integration", "one_off"]}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"vat": "20 %"}, "without the lines it is on"),
        ({"vat": {"rate": "20 %"}}, "without the lines it is on"),
        ({"vat": {"rate": "20 %", "on": ["licence"]}}, "'licence' is not filled in"),
        ({"vat": {"rate": "20 %", "on": ["licens"]}}, "did you mean 'licence'"),
        ({"vat": {"rate": "20 %", "on": ["training_hours"]}, "training_hours": {"once": 1}}, "cannot be on 'training_hours'"),
        ({"vat": {"rate": 20, "on": ["licence"]}, "licence": {"once": 1}}, "20 % or 2000 %"),
        ({"licence": 5000}, "once, a month or for each lead"), ({"licence": -5}, "at least 0"),
        ({"licence": {"month": 5}}, "did you mean 'monthly'"), ({"licence": {}}, "nothing was said"),
        ({"licence": {"monthly": -5}}, "at least 0"), ({"licence": "free"}, "expected what it costs"),
        ({"training_hours": {"per_lead": 1}}, "hours are given once and a month"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named_with_what_to_do(table, words):
    with pytest.raises(ConfigError, match=words) as caught:
        read_checklist(table, PLACE, "RUB")
    assert "launches.toml: [assistant.costs" in str(caught.value)
    assert caught.value.hint


def test_an_unknown_line_names_the_nearest(tmp_path):
    folder = write_config(tmp_path, launches=LAUNCHES.replace("licence =", "lisence ="))
    with pytest.raises(ConfigError, match="did you mean 'licence'"):
        read(folder)


def test_todays_keys_leave_no_trace_of_the_new_ones(tmp_path):
    plain = "[assistant]\nstarted_on = 2026-05-04\n[assistant.costs]\none_off = 5\n"
    found = read(write_config(tmp_path, launches=plain, costs=""))
    launch, names = found.launches[0], (*SUMS, "saved_hours_monthly", "is_saved_cash")
    old = {name: getattr(launch.costs, name) for name in names}
    assert launch.costs.facts() == old
    business = {name: getattr(found.business, name) for name in ("timezone", "currency", "closures")}
    stages = sorted(json.dumps(asdict(rule), sort_keys=True) for rule in found.stages)
    told = {name: value for name, value in asdict(launch).items() if name not in ("support", "efficiency")}
    facts = [business, [asdict(rule) for rule in found.channels], stages, {**told, "costs": old}]
    written = json.dumps(facts, sort_keys=True, default=str, ensure_ascii=False)
    assert found.fingerprint(launch) == hashlib.sha256(written.encode()).hexdigest()[:16]


# --- Arithmetic.


def test_lines_add_to_the_sums_and_hours_wait_for_their_rate():
    named = (CostLine("licence", monthly=(500, 500), per_lead=(2, 2)), CostLine("training_hours", once=(10, 10)),
             CostLine("integration", once=(100, 900)), CostLine("content", once=(0, 0)))  # fmt: skip
    found = Costs(one_off=1000, lines=named)
    assert (found.once, found.a_month(50)) == (1000, 600)
    assert found.not_counted == ("integration", "hour_rate")
    priced = replace(found, hour_rate=300.0)
    assert (priced.once, priced.at("low").once, priced.at("high").once) == (4000, 4100, 4900)
    assert costs_of({**{name: getattr(priced, name) for name in Costs.__slots__ if name != "lines"}, "lines": [
        {"code": line.code, "kind": line.kind, "facts": {}, "once": line.once, "monthly": line.monthly, "per_lead": line.per_lead}
        for line in priced.lines]}) == priced  # fmt: skip
    assert not Costs(lines=(CostLine("integration", once=(1, 2)),)).is_known
    assert Costs(lines=(CostLine("content", once=(0, 0)),)).is_known


named_lines = st.lists(
    st.builds(
        lambda code, part, low, more: made_of(code, {part: (low, low + more)}),
        st.sampled_from(CHECKLIST), st.sampled_from(["once", "monthly", "per_lead"]), MONEY, st.sampled_from([0.0, 1000.0]),
    ),
    max_size=6,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(named=named_lines, factor=st.sampled_from([0.01, 3.0, 100.0]))
def test_scaling_money_scales_net_and_leaves_roi(effect, named, factor):
    costs = Costs(one_off=5000.0, hour_rate=1.0, lines=tuple(named))
    scaled = Costs(one_off=5000.0 * factor, hour_rate=1.0, lines=tuple(
        made_of(line.code, {part: (pair[0] * factor, pair[1] * factor) for part in ("once", "monthly", "per_lead")
                            if (pair := getattr(line, part))}) for line in named))  # fmt: skip
    money = replace(effect, contributions={name: draws * factor for name, draws in effect.contributions.items()})
    plain, large = computed(effect, costs), computed(money, scaled)
    assert large.net.estimate == pytest.approx(plain.net.estimate * factor, rel=1e-9, abs=1e-6)
    assert large.roi.estimate == pytest.approx(plain.roi.estimate, rel=1e-9)


@settings(max_examples=40, deadline=None)
@given(named=named_lines, more=MONEY, code=st.sampled_from(CHECKLIST), part=st.sampled_from(["once", "monthly", "per_lead"]))
def test_a_higher_cost_never_raises_net_nor_roi(effect, named, more, code, part):
    """ROI where there is a benefit: a loss is a smaller part of a larger cost."""
    costs = Costs(one_off=5000.0, hour_rate=2.0, lines=tuple(named))
    dearer = replace(costs, lines=(*costs.lines, made_of(code, {part: (more, more)})))
    low, high = computed(effect, costs), computed(effect, dearer)
    assert high.net.estimate <= low.net.estimate
    assert low.benefit.low > 0
    assert high.roi.estimate <= low.roi.estimate
    with_ranges = [computed(effect, costs.at(end)) for end in ("low", "high")]
    assert low.net.estimate >= with_ranges[0].net.estimate >= with_ranges[1].net.estimate


def computed(effect, costs):
    return compute_money(effect, costs, window_days=56, n_leads=1600)


# --- Shared costs.


@given(st.integers(0, 10**11), st.lists(st.integers(0, 10**6), min_size=1, max_size=7))
def test_parts_of_a_shared_cost_sum_to_it_to_the_kopeck(cents, weights):
    whole = Decimal(cents) / 100
    parts = split(whole, weights)
    assert sum(parts) == whole
    assert all(part >= 0 and part == part.quantize(Decimal("0.01")) for part in parts)
    exact = [whole * (weight if any(weights) else 1) / (sum(weights) or len(weights)) for weight in weights]
    assert all(abs(part - one) < Decimal("0.01") + Decimal("1e-15") * whole for part, one in zip(parts, exact, strict=True))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('monthly = 1\nkey = "equal"\nlaunches = ["assistant", "asd"]', "did you mean 'ads'"),
        ('monthly = 1\nshares = { assistant = "70 %", ads = "20 %" }', "sum to 90 %, not to 100 %"),
        ('monthly = 1\nshares = { assistant = "33,33 %", ads = "66,66 %" }', "not to 100 %"),
        ('monthly = 1\nshares = { assistant = "100 %" }\nkey = "leads"', "shares, and beside them"),
        ('monthly = 1\nkey = "lead"\nlaunches = ["ads"]', "did you mean 'leads'"),
        ('monthly = 1\nkey = "equal"', "no launch shares"), ('key = "equal"\nlaunches = ["ads"]', "no amount"),
        ('monthly = 1\nkey = "equal"\nlaunches = ["ads", "ads"]', "stands there twice"),
        ('monthly = -1\nkey = "equal"\nlaunches = ["ads"]', "at least 0"),
        ('monthly = 0.001\nkey = "equal"\nlaunches = ["ads"]', "more than two digits"),
    ],
)  # fmt: skip
def test_a_shared_cost_nobody_could_split_is_refused(tmp_path, table, words):
    with pytest.raises(ConfigError, match=words) as caught:
        read(write_config(tmp_path, costs=f"[shared.crm]\n{table}\n{SPEND}"))
    assert "costs.toml" in str(caught.value)
    assert caught.value.hint


def test_costs_toml_has_two_tables(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'shared'"):
        read(write_config(tmp_path, costs=SHARED.replace("[shared.", "[shred.")))


# --- Ad spend.


def test_spend_is_read_with_bom_semicolons_and_decimal_commas(tmp_path):
    found = read(write_config(tmp_path)).spend()
    monday = date(2026, 5, 4)
    assert found.of("Search", (monday,)) == 700
    assert found.of("Social", (monday,)) == 700  # 3 100 over the 31 days of May
    assert sum(cost for (channel, _), cost in found.amounts.items() if channel == "Social") == 3100
    assert found.of("Social", (date(2026, 6, 1),)) is None  # another month is not nothing
    assert found.spans("Social") == ((date(2026, 5, 1), date(2026, 5, 31)),)
    assert found.of("Somewhere", (monday,)) is None


def test_english_and_excel_files_are_read_alike(tmp_path):
    folder = write_config(tmp_path)
    direct = tmp_path / "spend" / "direct.csv"
    direct.write_bytes("Channel,Date,Spend,Currency\nПоиск,2026-05-04,\"1,50\",RUB\n\nTotal,,1.50,\n".encode("cp1251"))
    found = read(folder).spend()
    assert found.amounts["Поиск", date(2026, 5, 4)] == Decimal("1.50")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("01.09.2026;Search;много", "line 2: this is no amount"), ("01.09.2026;Search;-5", "line 2: this is no amount"),
        ("01.09.2026;Search;5 $", "line 2: this is no amount of money in RUB"), ("32.09.2026;Search;5", "line 2: no date"),
        ("01.09.2026;Search", "line 2: 2 cells, too few"), ("01.09.2026;;5", "line 2: no channel"),
        ("01.09.2026;Search;5\n02.09.2026;Search;5\n01.09.2026;Search;6", "line 4: the spend of 2026-09-01.*line 2"),
        ("01.05.2026;Social;5", "Social.*told already.*direct.csv, line 2"), ("", "no line of spend"),
    ],
)  # fmt: skip
def test_a_bad_line_of_spend_is_named_by_file_and_line(tmp_path, lines, words):
    found = read(write_config(tmp_path, lines=lines))
    with pytest.raises(ConfigError, match=words) as caught:
        found.spend()
    assert caught.value.hint
    assert "много" not in str(caught.value)  # never a value of a file


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"day;what\n", "no column for channel and amount"), (b"\0", "no CSV"), (None, "no file fits")],
)
def test_a_file_that_is_no_spend_is_named(tmp_path, content, words):
    folder = write_config(tmp_path)
    path = tmp_path / "spend" / "direct.csv"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        read(folder).spend()


def test_check_reads_the_lists_of_spend_before_the_night_does(tmp_path):
    good, bad = (write_config(tmp_path / name, lines=lines) for name, lines in (("good", None), ("bad", "x;Search;5")))
    lines = inspect(read(good))
    assert Line("ok", "ad spend of 2 channels is known up to 2026-08-02") in lines
    assert not any("ad spend names" in line.text for line in lines)
    (found,) = (line for line in inspect(read(bad)) if "direct.csv" in line.text)
    assert found.severity == "error"
    assert "line 2: no date -> for example 01.09.2026" in found.text


def test_check_names_a_channel_of_spend_that_no_rule_names(tmp_path):
    lines = inspect(read(write_config(tmp_path, lines="01.09.2026;Serch;5")))
    (found,) = (line for line in lines if "ad spend names" in line.text)
    assert found.severity == "warning"
    assert "'Serch'" in found.text
    assert "did you mean 'Search'?" in found.text


def test_a_month_is_written_as_a_month(tmp_path):
    with pytest.raises(ConfigError, match="'2026-13' is no month"):
        read(write_config(tmp_path, costs=SPEND.replace("2026-05", "2026-13")))


def test_what_ads_brought_by_hand_and_where_it_is_not_defined():
    found = ad_returns(Decimal(60_000), Counted(200, 40, 180_000.0))
    assert (found.cpl, found.cac, found.roas, found.romi, found.drr) == (300, 1500, 3, 2, pytest.approx(1 / 3))
    nobody = ad_returns(Decimal(100), Counted(0, 0, 0.0))
    assert nobody.missing == {"cpl": "no_leads", "cac": "no_customers", "drr": "no_revenue"}
    assert nobody.romi == -1
    free = ad_returns(Decimal(0), Counted(5, 1, 10.0))
    assert (free.cpl, free.drr, free.romi) == (0, 0, None)
    assert free.missing == {"romi": "spend_zero", "roas": "spend_zero"}
    for reason, more in (("spend_unknown", {"spend": None}), ("scope", {"is_part": True}), ("no_weeks", {"has_weeks": False})):
        given = {"spend": Decimal(1), **more}
        assert set(ad_returns(given.pop("spend"), Counted(1, 1, 1.0), **given).missing.values()) == {reason}


# --- Typical costs.

TYPICAL = '[[costs]]\nline = "integration"\ncurrency = "RUB"\non = 2026-11-01\nsource = "three offers"\n'


def test_typical_costs_are_ranges_with_a_date_and_absent_by_default(tmp_path):
    assert read_typical_costs(tmp_path, {}) == ()
    (tmp_path / FILE).write_text(TYPICAL + 'once = "50 000..150 000"\n', encoding="utf-8")
    (found,) = read_typical_costs(tmp_path, {})
    assert found.ends("once") == (50_000, 150_000)


@pytest.mark.parametrize(
    ("more", "words"),
    [("", "no amount"), ("once = 5\n", "a range"), ('once = "9..1"\n', "upside down"), ('once = "1..2 $"\n', "USD"),
     (f'once = "1..2"\n{TYPICAL}once = "1..2"\n', "twice")],
)  # fmt: skip
def test_a_wrong_typical_cost_is_named(tmp_path, more, words):
    (tmp_path / FILE).write_text(TYPICAL + more, encoding="utf-8")
    with pytest.raises(ConfigError, match=words):
        read_typical_costs(tmp_path, {})


def test_a_typical_cost_of_no_line_names_the_nearest(tmp_path):
    (tmp_path / FILE).write_text(TYPICAL.replace("integration", "integrations") + 'once = "1..2"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="did you mean 'integration'"):
        read_typical_costs(tmp_path, {})


def test_a_shared_cost_is_equal_while_there_is_nothing_to_split_by():
    crm = SharedCost("crm", "CRM", None, Decimal("1000.01"), "leads", ("a", "b"))
    empty, full = (shared_line(crm, "b", leads) for leads in ({"a": 0, "b": 0}, {"a": 1, "b": 3}))
    assert (empty.monthly, empty.facts["key"], empty.facts["stated_key"]) == ((500.0, 500.0), "equal_for_now", "leads")
    assert (full.monthly, full.facts["key"], full.facts["share"]) == ((750.01, 750.01), "leads", 0.75)


def test_a_launch_that_has_not_started_has_no_part_by_leads():
    crm = SharedCost("crm", "CRM", None, Decimal(1), "leads", ("a", "b", "c"))
    starts = {"a": date(2026, 5, 1), "b": date(2026, 6, 1), "c": date(2027, 1, 1)}
    assert shared_from(crm, starts, date(2026, 8, 1)) == (date(2026, 6, 1), ("a", "b"))


def test_the_split_needs_weights():
    with pytest.raises(ValueError, match="at least one launch"):
        split(Decimal(1), [])
    assert split(Decimal("0.05"), [0, 0]) == (Decimal("0.03"), Decimal("0.02"))
    assert np.sum(split(Decimal("100.00"), [Decimal("0.7"), Decimal("0.3")])) == 100
