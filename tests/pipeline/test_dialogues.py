"""Whose request it is: by hash, by the lead, deal or contact it names in its CRM; and which payments a dialogue has."""

from datetime import date, datetime, timedelta
from decimal import Decimal

from pipeline.journeys import build_journeys
from pipeline.launches import Launch, Scope
from pipeline.observed import Sides
from pipeline.stages import StageRule
from pipeline.support import observe_support
from pipeline.warehouse import Warehouse
from tests.pipeline.salon_made import deal, lead_with
from tests.pipeline.support_made import request

FIRST = date(2026, 1, 5)
START = datetime(2026, 1, 5, 9)
LATER = datetime(2030, 1, 1)
HASH = "e" * 32
RULES = tuple(
    StageRule(source, entity, "*", stage, milestone)
    for source in ("crm", "b") for entity in ("lead", "deal") for stage, milestone in (("NEW", "none"), ("PAID", "paid"))
)  # fmt: skip


def paid(number: int, amount: int, **customer: str | None):  # type: ignore[no-untyped-def]  # a lead that pays on day 6
    steps = [("NEW", 0), ("PAID", 6 * 24)]
    return lead_with(number, START, steps, amount=Decimal(amount), **{"customer_hash": None, "contact_id": None, **customer})


def dialogues(warehouse: Warehouse, scope: Scope | None = None) -> dict[str, tuple[int, int, float]]:
    """Request -> whether its customer had paid before, payments and revenue after it, within 7 days."""
    weeks = tuple(FIRST + timedelta(weeks=n) for n in range(4))
    sides = Sides(weeks, 2, 0, weeks[:2], weeks[2:])
    with warehouse.reading() as reading:
        build_journeys(reading, stages=RULES, channels=(), seen_until=LATER, currency="RUB", scope=scope)
        launch = Launch("bot", "Bot", weeks[2], scope=scope or Scope())
        assert observe_support(reading, launch, sides, horizon_days=7, known_on=LATER.date(), seen_until=LATER)
        rows = reading.rows("select request_id, had_bought, n_bought, revenue from dialogues")
    return {row.request_id: (row.had_bought, row.n_bought, float(row.revenue)) for row in rows}


def test_a_request_finds_its_customer_in_its_own_crm(warehouse: Warehouse) -> None:
    warehouse.append([*paid(1, 100, contact_id="31"), *paid(2, 400), *paid(3, 300, customer_hash=HASH)], "crm", "r1")
    warehouse.append([*paid(1, 200, contact_id="31"), deal(9, "1", START, "NEW", Decimal(0))], "b", "r1")
    asked = START + timedelta(days=5)
    warehouse.append(
        [
            request(1, asked, crm="crm", lead_id="1"),
            request(2, asked, crm="b", contact_id="31"),  # the same number is somebody else there
            request(3, asked, customer_hash=HASH),
            request(4, asked, crm="crm", lead_id="2"),  # nothing but its lead is known of this one
            request(5, asked, crm="crm", contact_id="99"),
            request(6, asked),
            request(7, asked + timedelta(days=1, hours=1), crm="crm", contact_id="31"),  # the same dialogue as number 1
            request(8, asked + timedelta(days=15), crm="crm", lead_id="1"),
            request(9, asked + timedelta(days=22), crm="b", deal_id="9"),  # a deal leads to its lead, and that to the contact
        ],
        "desk", "r2",
    )  # fmt: skip
    assert dialogues(warehouse) == {
        "1": (0, 1, 100.0),
        "2": (0, 1, 200.0),
        "3": (0, 1, 300.0),
        "4": (0, 1, 400.0),
        "8": (1, 0, 0.0),
        "9": (1, 0, 0.0),
    }
    assert dialogues(warehouse, Scope(sources=("b",))).keys() == {"2", "9"}


def test_a_payment_counts_for_the_last_dialogue_before_it(warehouse: Warehouse) -> None:
    warehouse.append(paid(1, 100, customer_hash=HASH), "crm", "r1")
    days = (1, 5.5, 7.5)  # stretches of seven days begin on Mondays: two letters in the first, one in the second
    asked = [request(n, START + timedelta(days=day), customer_hash=HASH) for n, day in enumerate(days)]
    warehouse.append(asked, "desk", "r2")
    assert dialogues(warehouse) == {"0": (0, 1, 100.0), "2": (1, 0, 0.0)}
