"""The bucket and the budgets on a virtual clock."""

import random
from datetime import timedelta

import pytest

from connectors.contract import Limits, Meter
from connectors.pacing import Budgets, TokenBucket
from tests.connectors.packed_crm import VirtualClock

LIMITS = Limits(rate=2.0, burst=50, page=50, budget_s=480.0, budget_window=600.0)


class TheirBucket:
    """The documented bucket of the portal: minus `rate` once a second, at a phase we do not know; rejects beyond `burst`."""

    def __init__(self, rate: float, burst: int, phase: float) -> None:
        self.rate, self.burst, self.phase = rate, burst, phase
        self.level, self.ticked = 0.0, 0

    def accepts(self, now: float) -> bool:
        ticks = int(now + self.phase)
        self.level = max(0.0, self.level - (ticks - self.ticked) * self.rate)
        self.ticked = ticks
        self.level += 1
        return self.level <= self.burst


@pytest.mark.parametrize("seed", range(20))
def test_alone_no_request_is_rejected_and_the_limit_is_used_fully(seed: int) -> None:
    rng = random.Random(seed)
    clock = VirtualClock()
    rate, burst = rng.choice([(2.0, 50), (5.0, 250), (2.0, 10)])
    ours, theirs = TokenBucket(rate, burst, clock), TheirBucket(rate, burst, rng.random())
    n = 600
    for _ in range(n):
        if rng.random() < 0.1:
            clock.sleep(rng.uniform(0, 3))
        ours.take()
        assert theirs.accepts(clock.elapsed)
    assert clock.elapsed >= (n - burst) / rate
    ours = TokenBucket(rate, burst, clock)
    started = clock.elapsed
    for _ in range(n):
        ours.take()
    assert clock.elapsed - started == pytest.approx((n - burst + 1) / rate, abs=0.1)


def _per_second(bucket: TokenBucket, clock: VirtualClock, n: int) -> float:
    started = clock.elapsed
    for _ in range(n):
        bucket.take()
    return n / (clock.elapsed - started)


def test_rejections_cut_the_rate_and_acceptance_brings_it_back() -> None:
    clock = VirtualClock()
    bucket = TokenBucket(2.0, 50, clock)
    bucket.slow(clock.monotonic())
    assert bucket.spare() == 0.0
    assert _per_second(bucket, clock, 10) == pytest.approx(1.2, rel=0.01)
    bucket.slow(clock.monotonic())
    assert _per_second(bucket, clock, 10) == pytest.approx(0.72, rel=0.01)
    for _ in range(20):
        bucket.quicken()
    assert _per_second(bucket, clock, 10) == pytest.approx(2.0, rel=0.01)


def test_while_somebody_else_spends_there_are_no_bursts() -> None:
    clock = VirtualClock()
    bucket = TokenBucket(2.0, 50, clock)
    bucket.slow(clock.monotonic())
    clock.sleep(100.0)
    bucket.take()
    assert _per_second(bucket, clock, 10) == pytest.approx(1.2, rel=0.01)


def test_rejections_of_one_burst_count_once() -> None:
    clock = VirtualClock()
    bucket = TokenBucket(2.0, 50, clock)
    sent_at = clock.monotonic()
    clock.sleep(0.1)
    for _ in range(8):
        bucket.slow(sent_at)
    assert _per_second(bucket, clock, 10) == pytest.approx(1.2, rel=0.01)


def test_retry_after_is_obeyed() -> None:
    clock = VirtualClock()
    bucket = TokenBucket(2.0, 50, clock)
    bucket.slow(clock.monotonic(), retry_after=30.0)
    bucket.take()
    assert clock.elapsed >= 30.0


def test_the_rate_never_falls_to_nothing() -> None:
    clock = VirtualClock()
    bucket = TokenBucket(2.0, 50, clock)
    for _ in range(100):
        clock.sleep(1.0)
        bucket.slow(clock.monotonic())
    assert _per_second(bucket, clock, 3) >= 0.09


def _spent(clock: VirtualClock, spent_s: float, *, reset_in: float = 200.0, ahead: timedelta = timedelta()) -> Meter:
    now = clock.now() + ahead
    return Meter(now, spent_s, now + timedelta(seconds=reset_in))


def test_pauses_grow_from_eighty_percent_and_the_method_stops_at_475() -> None:
    clock = VirtualClock()
    pauses = []
    for spent in (300.0, 383.0, 400.0, 440.0, 470.0, 476.0):
        budgets = Budgets(LIMITS, clock)
        budgets.note("list", _spent(clock, spent))
        pauses.append(max(0.0, budgets.ready_at("list") - clock.monotonic()))
        assert budgets.ready_at("other") < clock.monotonic()
    assert pauses[:2] == [0.0, 0.0]
    assert 0 < pauses[2] < pauses[3] < pauses[4] <= 7.0
    assert pauses[5] == pytest.approx(201.0)


def test_a_reset_is_measured_on_the_servers_clock() -> None:
    clock = VirtualClock()
    budgets = Budgets(LIMITS, clock)
    budgets.note("list", _spent(clock, 479.0, ahead=timedelta(hours=5)))
    assert budgets.ready_at("list") - clock.monotonic() == pytest.approx(201.0)


def test_a_refused_method_tries_twice_and_then_rests_until_the_reset_last_seen() -> None:
    clock = VirtualClock()
    budgets = Budgets(LIMITS, clock)
    budgets.note("list", _spent(clock, 100.0, reset_in=90.0))
    rests = []
    for _ in range(3):
        budgets.refused("list", clock.monotonic())
        rests.append(budgets.ready_at("list") - clock.monotonic())
        clock.sleep(rests[-1])
    assert rests[:2] == [1.0, 2.0]
    assert clock.elapsed == pytest.approx(91.0)
    budgets.refused("list", clock.monotonic())
    assert budgets.ready_at("list") - clock.monotonic() == 60.0  # no newer reset is known: one bucket of their window


def test_an_answer_between_refusals_makes_the_tries_short_again() -> None:
    clock = VirtualClock()
    budgets = Budgets(LIMITS, clock)
    for _ in range(2):
        budgets.refused("list", clock.monotonic())
        clock.sleep(10.0)
    budgets.accepted("list")
    assert budgets.refused("list", clock.monotonic()) == 0.0
    assert budgets.ready_at("list") - clock.monotonic() == 1.0


def test_refusals_of_requests_in_flight_count_once() -> None:
    clock = VirtualClock()
    budgets = Budgets(LIMITS, clock)
    sent_at = clock.monotonic()
    clock.sleep(0.5)
    for _ in range(6):
        budgets.refused("list", sent_at)
    assert budgets.ready_at("list") - clock.monotonic() == 1.0


def test_without_a_budget_nothing_pauses() -> None:
    clock = VirtualClock()
    budgets = Budgets(Limits(rate=1, burst=1, page=1), clock)
    budgets.note("list", _spent(clock, 10_000.0))
    assert budgets.ready_at("list") < clock.monotonic()
