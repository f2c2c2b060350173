"""What counts as needing a person, and what does not."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from pipeline.logbook import Hop, Run
from pipeline.troubles import Scene, detect

NOW = datetime(2026, 11, 22, 4, 0)


def night(age: int, *hops: Hop, outcome: str = "ok", kind: str = "night", **detail: Any) -> Run:
    """A run `age` days ago."""
    at = NOW - timedelta(days=age, minutes=10)
    ended = None if outcome in ("running", "interrupted") else at + timedelta(minutes=5)
    steps = tuple(replace(hop, started_at=at, ended_at=ended) for hop in hops)
    return Run(f"{kind}-{age}", kind, at, ended, outcome, detail, steps)


def sync(outcome: str = "ok", subject: str = "crm", **detail: Any) -> Hop:
    return Hop("r", 1, "sync", subject, NOW, NOW, outcome, detail=detail)


def report(**detail: Any) -> Hop:
    return Hop("r", 2, "report", "bot", NOW, NOW, "ok", detail=detail)


def found(*runs: Run, heard: datetime | None = NOW, **more: Any) -> list[tuple[str, str]]:
    scene = Scene(runs=runs, sources={"crm": heard}, launches=["bot"], stale_after=timedelta(hours=36), now=NOW, **more)
    return [(one.kind, one.subject) for one in detect(scene)]


def test_all_is_well() -> None:
    assert found() == []
    assert found(night(0, sync(), report(trust=80))) == []


@pytest.mark.parametrize(
    ("hop", "kind"),
    [
        (sync("failed", error="x", error_kind="access"), "access"),
        (sync("failed", error="x", error_kind="temporary"), "hop_failed"),
        (sync("failed", error="x", error_kind="unexpected"), "hop_failed"),
        (sync("partial", findings=["rights_shrunk"]), "rights"),
    ],
)
def test_what_failed_at_a_source_is_told_of_the_source_alone(hop: Hop, kind: str) -> None:
    outcome = hop.outcome
    assert found(night(0, hop, outcome=outcome)) == [(kind, "crm")]
    assert found(night(0, sync()), night(1, hop, outcome=outcome)) == []


def test_a_run_that_failed_by_itself() -> None:
    fault = {"error": "locked", "error_kind": "warehouse"}
    lost = night(0, sync("failed", **fault), outcome="failed", **fault)
    assert found(lost) == [("run_failed", "night")]
    assert found(night(0, sync("interrupted"), outcome="interrupted")) == [("run_failed", "night")]
    assert found(night(0, sync("running"), outcome="running")) == []
    by_hand = night(0, kind="sync")
    before = replace(lost, started_at=NOW - timedelta(days=1))
    assert found(by_hand, before) == [("run_failed", "night")]  # no night made up for it
    lost_by_hand = replace(lost, kind="sync", started_at=NOW - timedelta(days=1))
    assert found(lost_by_hand) == [("run_failed", "sync")]
    assert found(night(0), lost_by_hand) == []


def test_stopped_by_a_person_or_a_shutdown_is_no_fault_and_no_cure() -> None:
    stopped = night(0, sync("failed", error="stopped", error_kind="interrupted"), outcome="failed", is_interrupted=True)
    by_hand = night(0, outcome="failed", error="x", error_kind="interrupted")
    wrong = night(1, sync("failed", error="x", error_kind="access"), outcome="failed")
    for run in (stopped, by_hand):
        assert found(run, night(1, sync())) == []
        assert found(run, wrong) == [("access", "crm")]


def test_stale_by_what_was_heard_last() -> None:
    late, soon = NOW - timedelta(hours=37), NOW - timedelta(hours=35)
    assert found(night(0), heard=late) == [("stale", "crm")]
    assert found(night(0), heard=soon) == []
    assert found(night(2, outcome="failed"), heard=None) == [("stale", "crm")]  # asked for two days, never answered
    assert found(night(2), heard=None) == []  # added since, and not asked yet
    assert found(night(1), heard=None) == []
    assert found(heard=None) == []


def test_a_jump_of_the_quarantine_stays_until_it_is_down_again() -> None:
    usual = [night(age, sync(n_open=4)) for age in range(1, 8)]
    assert found(night(0, sync(n_open=18)), *usual) == []
    jump = night(0, sync(n_open=19))
    assert found(jump, *usual) == [("quarantine", "crm")]
    settled = [night(age, sync(n_open=19)) for age in range(8)]
    assert found(*settled) == []  # seen for the first time it would be the usual ...
    assert found(*settled, open={("quarantine", "crm"): {"limit": 18}}) == [("quarantine", "crm")]  # ... but it is not over
    assert found(night(0, sync(n_open=11))) == [("quarantine", "crm")]  # a first sync that cannot read eleven rows


def test_a_fall_of_the_trust_score() -> None:
    usual = [night(age, report(trust=90)) for age in range(1, 8)]
    assert found(night(0, report(trust=81)), *usual) == []
    assert found(night(0, report(trust=80)), *usual) == [("trust", "bot")]
    assert found(night(0, report(trust=40))) == []  # nothing to compare with: the report says it
    low = [night(age, report(trust=70)) for age in range(8)]
    assert found(*low, open={("trust", "bot"): {"limit": 80}}) == [("trust", "bot")]
    assert found(night(0, report(trust=85)), *low, open={("trust", "bot"): {"limit": 80}}) == []


def test_what_is_no_longer_configured_is_no_trouble() -> None:
    assert found(night(0, sync("failed", subject="old", error="x", error_kind="access"), outcome="partial")) == []
