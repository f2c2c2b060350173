"""Stages to milestones, origins to channels, scope: what Python resolves before SQL joins it. SQL itself: tests/sql/journeys."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.journeys import build_journeys, channel_of, fits, folded, milestone_of
from pipeline.launches import Scope
from pipeline.settings import ChannelRule
from pipeline.stages import StageRule
from tests.pipeline.salon_made import CHANNELS, STAGES, deal, lead_with

SOON = datetime(2026, 12, 1)
MORNING = datetime(2026, 1, 5, 10, 0)


def build(warehouse, **changed):
    """Journeys of all that is stored: rows by id, and the stages found."""
    with warehouse.reading() as reading:
        uses = build_journeys(
            reading, **{"stages": STAGES, "channels": CHANNELS, "seen_until": datetime.max, "currency": "RUB", **changed}
        )
        rows = {(row["entity"], row["journey_id"]): row for row in reading.columns("select * from journeys").to_pylist()}
    return rows, uses


def test_a_rule_for_a_pipeline_goes_before_one_for_any():
    rules = {("crm", "deal", "*", "WON"): "paid", ("crm", "deal", "3", "WON"): "visited"}
    assert milestone_of(("crm", "deal", "3", "WON"), rules) == "visited"
    assert milestone_of(("crm", "deal", "4", "WON"), rules) == "paid"
    assert milestone_of(("shop", "deal", "4", "WON"), rules) == "unmapped"
    assert milestone_of(("crm", "lead", "4", "WON"), rules) == "unmapped"


@pytest.mark.parametrize(
    ("pattern", "value", "fit"),
    [
        ("vk", "vk", True), ("vk", "vkontakte", False), ("vk*", "vkontakte", True), ("vk*", "vk", True), ("vk*", "my vk", False),
        ("*direct*", "yandex direct ads", True), ("*direct*", "dire", False), ("*ads", "my ads", True),
        ("*ads", "ads now", False), ("*", "anything", True), ("*", "", False), ("vk", "", False),
    ],
)  # fmt: skip
def test_patterns(pattern, value, fit):
    assert fits(pattern, value) is fit


def test_the_first_rule_whose_every_filled_field_fits_names_the_channel():
    rules = folded(
        [
            ChannelRule("Paid VK", utm_source=("VK*",), utm_medium=("cpc", "Ёлка")),
            ChannelRule("VK", utm_source=("vk*", "вконтакте")),
            ChannelRule("Calls", crm_source=("call",)),
        ]
    )
    assert channel_of(("", "vk_ads", "елка", ""), rules) == "Paid VK"  # written as the warehouse writes words
    assert channel_of(("call", "vk_ads", "banner", ""), rules) == "VK"
    assert channel_of(("call", "", "", ""), rules) == "Calls"
    assert channel_of(("web", "bing", "", ""), rules) == "other"
    assert channel_of(("", "", "", ""), rules) == "unknown"


@given(st.tuples(*[st.sampled_from(["", "vk", "call", "x"])] * 4))
def test_only_a_lead_about_which_nothing_is_known_is_unknown(origin):
    assert (channel_of(origin, folded(CHANNELS)) == "unknown") == (not any(origin))


def test_channels_and_stages_reach_the_journeys(warehouse):
    warehouse.append(
        [
            *lead_with(1, MORNING, [("NEW", 0), ("BOOKED", 5)], utm_source="google ads", crm_source=None),
            *lead_with(2, MORNING, [("SURPRISE", 1)], utm_source=None, crm_source=None),
            *lead_with(3, MORNING, [("NEW", 0)], utm_source=None, crm_source="web"),
        ],
        "crm",
        "r1",
    )
    rows, uses = build(warehouse)
    assert [rows["lead", str(n)]["channel"] for n in (1, 2, 3)] == ["Search", "unknown", "other"]
    assert rows["lead", "1"]["booked_hours"] == 5
    assert rows["lead", "2"]["booked_hours"] is None
    # Two: the history names it, and the lead stands in it.
    assert [(use.stage_id, use.n) for use in uses if use.milestone == "unmapped"] == [("SURPRISE", 2)]


def test_scope_keeps_only_its_leads_and_the_others_at_hand(warehouse):
    warehouse.append(
        [
            *lead_with(1, MORNING, [("NEW", 0)], utm_source="vk", crm_source=None, branch="Север"),
            *lead_with(2, MORNING, [("NEW", 0)], utm_source="vk", crm_source=None, branch="Юг"),
            *lead_with(3, MORNING, [("NEW", 0)], utm_source="google", crm_source=None, branch="Юг"),
            *lead_with(4, MORNING, [("NEW", 0)], utm_source="vk", crm_source=None, branch=None),
        ],
        "crm",
        "r1",
    )
    rows, _ = build(warehouse, scope=Scope(channels=("Social",), branches=("Юг", "Восток")))
    assert list(rows) == [("lead", "2")]
    with warehouse.reading() as reading:
        build_journeys(
            reading, stages=STAGES, channels=CHANNELS, seen_until=datetime.max, currency="RUB", scope=Scope(owners=("nobody",))
        )
        counts = [reading.rows(f"select count(*) as n from {table}")[0].n for table in ("journeys", "every_journey")]
    assert counts == [0, 4]


def test_a_portal_without_leads_counts_its_deals(warehouse):
    rules = (StageRule("crm", "deal", "*", "WON", "paid"), StageRule("crm", "deal", "*", "NEW", "none"))
    warehouse.append(
        [deal(1, None, MORNING, "WON", Decimal(700)), deal(2, None, MORNING + timedelta(days=40), "NEW", None)], "crm", "r1"
    )
    rows, _ = build(warehouse, stages=rules)
    assert rows["deal", "1"]["paid_hours"] == 0
    assert rows["deal", "1"]["amount"] == 700
    assert rows["deal", "2"]["created_on"].date() == date(2026, 2, 14)
    assert rows["deal", "2"]["is_repeat"] is True  # the same customer, forty days later
    assert rows["deal", "2"]["is_duplicate"] is False


def test_an_empty_warehouse_has_no_journeys(warehouse):
    rows, uses = build(warehouse, seen_until=SOON)
    assert rows == {}
    assert uses == ()
