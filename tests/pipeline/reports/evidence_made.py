"""What the engine adds to a document beyond a plain measurement, made up: guards, control, looks, power, placebo, sensitivity."""

import copy
from datetime import date, timedelta
from math import sin
from typing import Any

from pipeline.cashflow import monthly_flows, npv

Document = dict[str, Any]
N_PLACEBO = 40
KEYS = ("guards", "control", "control_candidates", "looks", "power", "placebo", "sensitivity", "holdout", "panel",
        "daily", "forecast")  # fmt: skip

# One guard of every code with all its figures.
GUARDS: tuple[dict[str, Any], ...] = (
    {"code": "strong_growth", "claim": "total", "action": "withhold",
     "figures": {"weekly_growth": 0.031, "low": 0.02, "high": 0.042}},
    {"code": "level_break", "claim": "total", "action": "widen", "figures": {"week": "2026-02-16", "change": -0.23}},
    {"code": "after_dip", "claim": "both", "action": "note", "figures": {"change": -0.18, "n_weeks": 4}},
    {"code": "control_shock", "claim": "total", "action": "indicative", "figures": {"change": 0.27}},
    {"code": "weak_control", "claim": "total", "action": "widen", "figures": {"own_noise": 0.12}},
    {"code": "contaminated_control", "claim": "total", "action": "indicative", "figures": {"change": 0.19}},
    {"code": "source_appeared", "claim": "process", "action": "withhold", "figures": {"source": "Бот", "after": 0.31}},
    {"code": "source_vanished", "claim": "process", "action": "withhold", "figures": {"source": "Звонки", "before": 0.22}},
    {"code": "source_mix_changed", "claim": "process", "action": "note",
     "figures": {"source": "Поиск", "before": 0.5, "after": 0.36, "leads_change": 0.2}},
    {"code": "duplicate_share_changed", "claim": "process", "action": "note", "figures": {"before": 0.04, "after": 0.11}},
    {"code": "phone_share_changed", "claim": "process", "action": "note", "figures": {"before": 0.97, "after": 0.71}},
    {"code": "lead_count_changed", "claim": "process", "action": "note", "figures": {"leads_change": 0.34}},
    {"code": "overlapping_launch", "claim": "both", "action": "note",
     "figures": {"launch": "crm", "title": "Новая CRM", "started_on": "2026-05-18"}},
    {"code": "placebo_alarms", "claim": "both", "action": "note", "figures": {"n": 21, "n_alarms": 4, "expected": 1.05}},
    {"code": "jumpy_history", "claim": "process", "action": "widen", "figures": {"factor": 1.4}},
)  # fmt: skip
CANDIDATES = (
    {"dimension": "channel", "key": "Соцсети", "is_fit": True, "is_used": True, "reasons": [
        {"code": "enough_weeks", "is_for": True, "figures": {"n_weeks": 17, "needed": 8}},
        {"code": "enough_leads", "is_for": True, "figures": {"leads_a_month": 128.4, "needed": 100}},
        {"code": "moves_together", "is_for": True, "figures": {"correlation": 0.82, "own_noise": 0.06}},
        {"code": "untouched", "is_for": True, "figures": {}},
        {"code": "drifts_away", "is_for": False, "figures": {"weekly_drift": 0.035}}]},
    {"dimension": "branch", "key": "Центр", "is_fit": False, "is_used": False, "reasons": [
        {"code": "touched_by_launch", "is_for": False, "figures": {}},
        {"code": "jumped_at_launch", "is_for": False, "figures": {"change": 0.21}}]},
    {"dimension": "owner", "key": "0", "is_fit": False, "is_used": False, "reasons": [
        {"code": "too_few_weeks", "is_for": False, "figures": {"n_weeks": 5, "needed": 8}},
        {"code": "too_few_leads", "is_for": False, "figures": {"leads_a_month": 41.0, "needed": 100}},
        {"code": "moves_apart", "is_for": False, "figures": {"correlation": 0.11, "own_noise": 0.2}},
        {"code": "has_gaps", "is_for": False, "figures": {"n_weeks": 2}}]},
    {"dimension": "pipeline", "key": "7", "is_fit": True, "is_used": False, "reasons": []},
)  # fmt: skip
CONTROL = {
    "dimension": "channel", "keys": ["Соцсети"], "method": "llq_ratio", "n_pre_weeks": 17, "leads_a_month": 128.4,
    "is_weak": False,
}  # fmt: skip


def interval(estimate: float, low: float, high: float | None) -> dict[str, float | None]:
    return {"estimate": estimate, "low": low, "high": high}


def undecided(document: Document) -> Document:
    """The wide interval holds zero, the plain one does not: an interim look that waiting settles."""
    changed = with_evidence(document)
    changed["claims"]["process"]["profit"]["relative"] = interval(0.12, 0.01, 0.24)
    changed["money"]["monthly_benefit"] = interval(9_000.0, 800.0, 17_000.0)
    changed["looks"] = {"n_looks": 10, "level": 0.02, "benefit_month": interval(9_000.0, -5_000.0, 23_000.0),
                        "relative": interval(0.12, -0.07, 0.31)}  # fmt: skip
    figures = {"low": -5_000.0, "high": 23_000.0, "break_even": 7_500.0, "plain_low": 800.0, "plain_high": 17_000.0}
    changed["verdict"] = {"code": "not_enough_data", "reason": {"code": "interim", "figures": figures}}
    changed["power"] |= {"detectable": 0.41, "break_even_relative": 0.14, "more_weeks": 9, "best_way": "wait"}
    return changed


def with_evidence(document: Document) -> Document:
    """The document with every key the engine may add, all of them filled."""
    changed = copy.deepcopy(document)
    for money in (changed["money"], *(claim["money"] for claim in changed["claims"].values())):
        ends = {end: npv(monthly_flows(money["one_off_cost"], benefit, money["monthly_cost"]), 0.2)
                for end, benefit in money["monthly_benefit"].items()}  # fmt: skip
        money |= {"npv": ends, "irr": interval(2.4, 0.8, None), "discount_rate": 0.2, "horizon_months": 12}
    relative = changed["claims"]["process"]["profit"]["relative"]
    changed |= {
        "schema_version": 2,
        "guards": [copy.deepcopy(guard) for guard in GUARDS if guard["action"] in ("note", "widen")][:3],
        "control": dict(CONTROL),
        "control_candidates": copy.deepcopy(list(CANDIDATES)),
        "looks": {"n_looks": 10, "level": 0.02, "benefit_month": interval(39_000.0, 18_000.0, 60_000.0),
                  "relative": interval(relative["estimate"], relative["low"] - 0.1, relative["high"] + 0.2)},
        "power": {"detectable": 0.28, "break_even_relative": 0.0137, "more_weeks": None, "best_way": "holdout",
                  "curve": [{"n_post_weeks": n, "detectable": share} for n, share in ((14, 0.26), (18, 0.25), (36, 0.22))]},
        "placebo": placebo(),
        "sensitivity": sensitivity(changed),
        "holdout": {"n_treated": 412, "n_held": 397, "n_weeks": 9, "treated_rate": 0.47, "held_rate": 0.33,
                    "difference": interval(0.14, 0.07, 0.2), "relative": interval(0.424, 0.19, 0.7),
                    "extra_reached": interval(57.7, 29.0, 82.0), "extra_revenue": interval(91_000.0, 40_000.0, 142_000.0),
                    "p_value": 0.00004, "sample_ratio": {"p_value": 0.6, "is_mismatch": False}},
        "panel": {"dimension": "branch", "treated": ["Север", "<b>Юг</b>"], "n_donors": 12,
                  "start": "2026-01-05", "end": "2026-09-01",
                  "effects": [{"method": "synthetic_control", "att": 3.2, "total": 96.0, "interval": None, "relative": 0.054,
                               "relative_interval": None, "p_value": 0.26, "inference": "placebo_in_space", "can_prove": False},
                              {"method": "synthetic_did", "att": 4.7, "total": 142.0, "interval": interval(4.7, -2.0, 11.0),
                               "relative": 0.085, "relative_interval": interval(0.085, -0.03, 0.2), "p_value": 0.41,
                               "inference": "placebo_variance", "can_prove": False}]},
    }  # fmt: skip
    return changed


def placebo() -> Document:
    """Forty Mondays of last year, two of them alarms."""
    points = []
    for n in range(N_PLACEBO):
        seen, half = 0.07 * sin(n / 2.0) + (0.32 if n in (11, 29) else 0.0), 0.16 + 0.02 * sin(n / 5.0)
        week = (date(2025, 6, 2) + timedelta(weeks=n)).isoformat()
        points.append({"week": week, "relative": seen, "low": -half, "high": half, "is_alarm": not -half <= seen <= half})
    return {"figure": "visit_conversion", "n_post_weeks": 8, "points": points, "n": N_PLACEBO,
            "n_alarms": sum(point["is_alarm"] for point in points)}  # fmt: skip


def sensitivity(document: Document) -> list[Document]:
    """Every variation; leaving one channel out turns the answer."""
    profit, roi = document["money"]["incremental_profit"], document["money"]["roi"]
    variations: tuple[tuple[str, dict[str, Any]], ...] = (
        ("as_measured", {}), ("season_half", {}), ("season_double", {}), ("horizon", {"days": 7}), ("horizon", {"days": 21}),
        ("washout", {"weeks": 3}), ("margin", {"margin": 0.4}), ("without_channel", {"channel": "Поиск"}),
        ("without_channel", {"channel": "Соцсети"}), ("without_branch", {"branch": "Центр"}),
    )  # fmt: skip
    rows = []
    for n, (code, figures) in enumerate(variations):
        size = 1 - 0.04 * n
        rows.append({"code": code, "figures": figures, "relative": interval(0.71 * size, 0.33 * size, 1.26 * size),
                     "profit": {end: value * size for end, value in profit.items()},
                     "roi": {end: value * size for end, value in roi.items()}})  # fmt: skip
    rows[-2]["profit"] = interval(9_000.0, -4_000.0, 22_000.0)
    rows[-1] |= {"relative": None, "profit": None, "roi": None}
    return rows


def with_control(document: Document, **changes: Any) -> Document:
    """A total claim that a control carries."""
    changed = with_evidence(document)
    changed["control"] |= changes
    changed["claims"]["total"]["is_indicative"] = False
    return changed


def guarded(document: Document) -> Document:
    """Both claims gone or doubtful, with every guard that there is."""
    changed = with_evidence(document)
    changed["guards"] = copy.deepcopy(list(GUARDS))
    changed["claims"].pop("total")
    changed["control"] = None
    changed["control_candidates"] = []
    return changed


def without_keys(document: Document) -> Document:
    """The document as it was written before the keys existed."""
    changed = copy.deepcopy(document)
    for name in KEYS:
        changed.pop(name, None)
    for money in (changed["money"], *(claim["money"] for claim in changed["claims"].values())):
        for name in ("npv", "irr", "p_irr_undefined", "discount_rate", "horizon_months"):
            money.pop(name, None)
    return changed | {"schema_version": 1}


def empty(document: Document) -> Document:
    """Every key there and nothing in it, as a refused launch has it."""
    changed = with_evidence(document)
    changed |= {"guards": [], "control_candidates": [], "sensitivity": []}
    changed |= dict.fromkeys(("control", "looks", "power", "placebo", "holdout", "panel", "forecast"))
    for money in (changed["money"], *(claim["money"] for claim in changed["claims"].values())):
        money |= {"npv": None, "irr": None}
    return changed
