"""The money of support by hand, from figures alone: what counts, from how many on, and what is left out with its reason."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from pipeline import queries
from pipeline.effects import Interval
from pipeline.journeys import build_journeys
from pipeline.launches import Launch, SupportTerms
from pipeline.observed import Observed, Sides
from pipeline.support import Support, automation_saving, observe_support, retained_revenue, support_cost, support_money
from pipeline.warehouse import Warehouse
from tests.pipeline.support_made import request

TERMS = SupportTerms(
    minutes_per_request=6.0, hour_rate=500.0, is_saved_cash=True, one_off=100.0, monthly=30.4375, per_request=2.0
)  # fmt: skip
MORE = Interval(20.0, -10.0, 50.0)  # of one dialogue, beyond what it brought before


def share(numerator: tuple[float, float], denominator: tuple[float, float]) -> Observed:
    pre, post = (
        {"value": n / of if of else None, "numerator": n, "denominator": of} for n, of in zip(numerator, denominator, strict=True)
    )
    return Observed("share", queries.load("support/bot_share"), pre, post)


def revenue(n: tuple[float, float], change: Interval | None = MORE) -> Observed:
    pre, post = ({"n": of, "total": of * 100.0, "value": 100.0 if of else None} for of in n)
    return Observed("revenue", queries.load("support/returned_revenue"), pre, post, {}, {"value": change} if change else {})


def test_only_what_a_dialogue_brings_beyond_before_is_retained() -> None:
    found = retained_revenue(revenue((40, 50)), share((10, 10), (40, 50)), 0.5)
    assert (found.n_dialogues, found.revenue) == (50, 5_000)  # all they paid is turnover
    assert found.incremental == Interval(1_000.0, -500.0, 2_500.0)  # 20 (from -10 to 50) of each of 50 dialogues
    assert found.profit == Interval(500.0, -250.0, 1_250.0)
    assert found.missing is None


@pytest.mark.parametrize(
    ("figures", "returns", "margin", "missing"),
    [
        (revenue((40, 50)), (9, 30), 0.5, "too_few_returns"),
        (revenue((40, 50)), (30, 9), 0.5, "too_few_returns"),
        (revenue((0, 50), None), (0, 30), 0.5, "no_pre"),
        (revenue((40, 0), None), (30, 0), 0.5, "no_post"),
        (revenue((40, 50), None), (30, 30), 0.5, "too_few_weeks"),
        (revenue((40, 50)), (30, 30), None, "margin_missing"),
    ],
)
def test_what_cannot_be_retained_revenue_says_why(
    figures: Observed, returns: tuple[float, float], margin: float | None, missing: str
) -> None:
    found = retained_revenue(figures, share(returns, (40, 50)), margin)
    assert (found.profit, found.missing) == (None, missing)
    assert (found.incremental is None) == (missing != "margin_missing")


def test_only_requests_beyond_the_bots_share_before_are_saved() -> None:
    found = automation_saving(share((20, 60), (80, 100)), TERMS)  # a quarter before, of 100 after 25
    assert (found.n_closed, found.n_beyond, found.hours, found.saving) == (60, 35, 3.5, 1_750)
    fewer = automation_saving(share((40, 20), (80, 100)), TERMS)  # a bot that closes less than before costs
    assert (fewer.n_beyond, fewer.saving) == (-30, -1_500)
    assert automation_saving(share((0, 5), (0, 10)), TERMS).n_beyond == 5  # nothing is known of before
    assert not automation_saving(share((0, 5), (0, 10)), TERMS).has_baseline
    assert automation_saving(share((20, 0), (80, 0)), TERMS).missing == "closers_missing"
    assert automation_saving(share((20, 60), (80, 100)), replace(TERMS, hour_rate=None)).missing == "rate_missing"
    assert automation_saving(share((20, 60), (80, 100)), replace(TERMS, minutes_per_request=None)).missing == "minutes_missing"


def test_every_cost_line_counts_over_the_weeks_and_the_requests() -> None:
    assert support_cost(TERMS, 60.875, 50.0) == (pytest.approx(100 + 30.4375 * 2 + 2 * 50), ())
    assert support_cost(SupportTerms(per_request=2.0), 70, 50.0) == (100.0, ("one_off", "monthly"))
    assert support_cost(SupportTerms(monthly=0.0), 70, 50.0) == (0.0, ("one_off", "per_request"))
    assert support_cost(SupportTerms(), 70, 50.0) == (None, ("one_off", "monthly", "per_request"))
    assert support_cost(TERMS, 0, None)[0] is None  # over no week nothing is known


def test_the_parts_make_the_roi_and_freed_time_is_no_part() -> None:
    retained = retained_revenue(revenue((40, 50)), share((10, 10), (40, 50)), 0.5)
    saved = automation_saving(share((20, 60), (80, 100)), TERMS)
    money = support_money(retained, saved, (1_000.0, ()))
    assert money.benefit == Interval(2_250.0, 1_500.0, 3_000.0)  # 500 (from -250 to 1 250) and 1 750
    assert money.roi == Interval(1.25, 0.5, 2.0)
    freed = support_money(retained, replace(saved, is_cash=False), (1_000.0, ()))
    assert freed.roi == Interval(-0.5, -1.25, 0.25)
    assert freed.not_counted == ("automation_capacity",)


def test_without_a_benefit_or_a_cost_there_is_no_roi_and_why_is_said() -> None:
    retained = retained_revenue(revenue((40, 50)), share((10, 10), (40, 50)), 0.5)
    unknown = retained_revenue(revenue((40, 50)), share((10, 10), (40, 50)), None)
    saved = automation_saving(share((20, 60), (80, 100)), TERMS)
    for parts, cost, missing, left_out in (
        ((retained, saved), None, "cost_not_given", ()),
        ((retained, saved), 0.0, "cost_zero", ()),
        ((unknown, replace(saved, saving=None)), 1_000.0, "nothing_counted", ("automation", "retained")),
        ((unknown, saved), 1_000.0, None, ("retained",)),
    ):
        money = support_money(*parts, (cost, ()))
        assert (money.missing, money.not_counted) == (missing, left_out)
        assert (money.roi is None) == (missing is not None)
        assert (money.net is None) == (missing in ("cost_not_given", "nothing_counted"))


FIRST = date(2026, 1, 5)
SIDES = Sides(tuple(FIRST + timedelta(weeks=n) for n in range(8)), 4, 0, *(
    tuple(FIRST + timedelta(weeks=n) for n in weeks) for weeks in (range(4), range(4, 8))
))  # fmt: skip


def weeks_of(warehouse: Warehouse, known_on: date) -> tuple[int, int, int]:
    """Weeks before, after, and those after whose customers have had 7 days to return, of requests of 7 January to 16 February."""
    with warehouse.reading() as reading:
        build_journeys(reading, stages=(), channels=(), seen_until=datetime(2030, 1, 1), currency="RUB")
        launch = Launch("bot", "Bot", FIRST + timedelta(weeks=4))
        found = observe_support(reading, launch, SIDES, horizon_days=7, known_on=known_on, seen_until=datetime(2030, 1, 1))
    assert isinstance(found, Support)
    return len(found.sides.pre), len(found.sides.post), len(found.return_sides.post)


@pytest.mark.parametrize("engine", ["duckdb"])
def test_weeks_count_as_far_as_the_export_reaches(warehouse: Warehouse, engine: str) -> None:
    days = [2, *range(7, 43)]  # the first week is not whole: its requests begin on a Wednesday
    warehouse.append([request(n, datetime(2026, 1, 5, 10) + timedelta(days=day)) for n, day in enumerate(days)], "desk", "r1")
    # Quiet for a week and no longer: the source is heard, and nobody wrote.
    assert weeks_of(warehouse, date(2026, 2, 23)) == (3, 3, 2)
    # Quiet for longer: the export ends with its last request, on the Monday of the seventh week.
    assert weeks_of(warehouse, date(2026, 2, 25)) == (3, 2, 2)
