"""A Monday's report with everything on it, and names of every script: what reports are judged by, on a screen and on paper."""

import copy
from typing import Any

from pipeline.cashflow import monthly_flows, npv
from pipeline.effects import Interval
from pipeline.ladder import verdict
from tests.pipeline.reports.evidence_made import interval, sensitivity, with_evidence

Document = dict[str, Any]
ENDS = ("estimate", "low", "high")
STAFF = ("Анна Петрова", "Борис Константинопольский-Задунайский", "Вера", "Галина Ивановна", "李小龙", "عائشة")
LONG = "Рекламная кампания в социальных сетях с очень длинным названием " * 4
OTHER_SCRIPTS = ("😀 emoji 👩‍⚕️", "عيادة الأسنان", "🎉 קמפיין עברית 微信")


def monday(document: Document) -> Document:
    """A paying launch of ordinary size with every part a report can have."""
    changed = with_evidence(document)
    changed["launch"] |= {"title": "ИИ-ассистент на первой линии"}
    changed["launch"]["costs"] |= {"one_off": 60_000.0, "monthly": 5_000.0, "usage_per_lead": None, "staff_hours_one_off": 12.0}
    for money in (changed["money"], *(claim["money"] for claim in changed["claims"].values())):
        pay(money, 60_000.0, 5_000.0)
    changed["sensitivity"] = sensitivity(changed)
    judge(changed)
    changed["by"]["owner"] = [
        {**copy.deepcopy(changed["by"]["owner"][n % 2]), "key": str(n), "title": name} for n, name in enumerate(STAFF)
    ]
    changed["unclosed"] = [
        {"key": "7", "title": STAFF[1], "n": 12, "examples": ["101", "102", "1004", "1011", "1017"]},
        {"key": "8", "title": STAFF[0], "n": 5, "examples": ["99", "207"]},
        {"key": "unknown", "title": None, "n": 1, "examples": ["310"]},
    ]
    changed["hurdles"] = [hurdle("deposit", 0.15, 0.15), hurdle("bonds", 0.12, 0.18), hurdle("inflation", 0.06, 0.08)]
    changed["changes"] = changes()
    changed["trust"] = {"score": 81, "findings": findings()}
    return changed


def pay(money: Document, once: float, monthly: float) -> None:
    """Costs of a size put into the money of a document, and everything that follows from them."""
    months, benefit = money["window_months"], money["monthly_benefit"]
    cost = once + monthly * months
    left = {end: benefit[end] - monthly for end in ENDS}
    back = {end: once / left[end] if left[end] > 0 else None for end in ENDS}
    money |= {
        "one_off_cost": once, "monthly_cost": monthly, "cost": cost, "break_even_monthly": monthly + once / 12,
        "net": {end: money["benefit"][end] - cost for end in ENDS},
        "roi": {end: money["benefit"][end] / cost - 1 for end in ENDS} if cost else None,
        "break_even_effect": (monthly + once / 12) / (benefit["estimate"] / 0.7),
        "break_even_margin": cost / money["incremental_revenue"]["estimate"], "irr": interval(2.4, 0.8, None),
        "payback_months": interval(back["estimate"], back["high"], back["low"]),
        "npv": {end: npv(monthly_flows(once, benefit[end], monthly), 0.2) for end in ENDS},
    }  # fmt: skip


def judge(document: Document) -> None:
    """The verdict that the ladder reaches for the money and the trust of a document."""
    money = document["money"]
    benefit = Interval(*(money["monthly_benefit"][end] for end in ENDS))
    reached = verdict(benefit, money["break_even_monthly"], document["trust"]["score"])
    document["verdict"] = {"code": reached.code, "reason": {"code": reached.reason.code, "figures": dict(reached.reason.figures)}}


def hurdle(code: str, low: float, high: float) -> Document:
    return {"code": code, "title": code, "currency": "RUB", "rate": [low, high], "on": "2026-07-01", "source": "ЦБ"}


def changes() -> Document:
    """A week later: a new week, a late outcome, a corrected margin."""
    return {
        "since": {"as_of": "2026-07-27", "known_on": "2026-07-27", "verdict": "works_payback_unproven"},
        "figures": {
            "profit_a_month": {"then": 35_120.4, "settings": 1_200.0, "data": -610.2, "weeks": 2_987.2, "now": 38_697.4},
            "roi": {"then": 0.104, "settings": 0.03, "data": -0.012, "weeks": 0.123, "now": 0.245},
            "leads_a_week": {"then": 70.4, "settings": 0.0, "data": 0.3, "weeks": -0.9, "now": 69.8},
        },
        "n_new_weeks": 1, "has_new_rules": True, "rows": {"leads_changed": 3, "leads_added": 21, "moves_told_late": 5},
    }  # fmt: skip


def findings() -> list[Document]:
    """Of every severity, the silent source among them."""
    return [
        {"code": "source_stale", "severity": "error", "subject": "Портал", "n": 21, "points": 5.0,
         "detail": {"heard_on": "2026-07-13"}},
        {"code": "unmapped_stages", "severity": "error", "subject": "journeys", "n": 5, "points": 8.2,
         "detail": {"share": 0.021, "stages": ", ".join(f"crm.lead UC_{n}X{n}YZ: {7 - n}" for n in range(6))}},
        {"code": "leads_without_source", "severity": "warning", "subject": "journeys", "n": 198, "points": 4.5,
         "detail": {"share": 0.11}},
        {"code": "owner_unknown", "severity": "info", "subject": "journeys", "n": 599, "points": 1.3,
         "detail": {"share": 0.333, "n_leads": 1797, "examples": "1001, 1004, 1007, 101, 1010"}},
    ]  # fmt: skip
