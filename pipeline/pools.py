"""Support and efficiency as JSON values: additive keys of the document, there only when there is something to say."""

from typing import Any

from pipeline import evidence
from pipeline.efficiency import Pool
from pipeline.observed import Observed, Sides
from pipeline.support import Support

Json = Any  # a JSON value


def support(found: Support) -> Json:
    retained, automation, money = found.retained, found.automation, found.money
    return {
        "n_requests": found.n_requests,
        "n_unpromised": found.n_unpromised,
        "sources": [
            {"source": one.source, "n": one.n, "first_on": one.first_on, "last_on": one.last_on} for one in found.sources
        ],
        "weeks": _weeks(found.sides),
        "return_weeks": _weeks(found.return_sides),
        "return_days": found.return_days,
        "metrics": {name: observed(one) for name, one in found.metrics.items()},
        "retained": {
            "n_dialogues": retained.n_dialogues,
            "revenue": retained.revenue,
            "incremental_revenue": evidence.interval(retained.incremental),
            "profit": evidence.interval(retained.profit),
            "missing": retained.missing,
        },
        "automation": {
            "n_closed": automation.n_closed,
            "n_beyond": automation.n_beyond,
            "has_baseline": automation.has_baseline,
            "hours": automation.hours,
            "saving": automation.saving,
            "is_cash": automation.is_cash,
            "missing": automation.missing,
        },
        "money": {
            "benefit": evidence.interval(money.benefit),
            "cost": money.cost,
            "net": evidence.interval(money.net),
            "roi": evidence.interval(money.roi),
            "not_counted": list(money.not_counted),
            "missing": money.missing,
        },
        "definitions": {name: definition(one) for name, one in found.metrics.items()},
    }


def efficiency(found: Pool) -> Json:
    return {
        "weeks": _weeks(found.sides),
        "has_history": found.has_history,
        "metrics": {
            one.key: {
                **observed(one.observed),
                "group": one.group,
                "action": one.action,
                "days": one.days,
                "owner": one.owner,
                "baseline": {"value": one.baseline, "from": one.baseline_from},
            }
            for one in found.figures
        },
        "definitions": {one.observed.name: definition(one.observed) for one in found.figures},
    }


def observed(one: Observed) -> Json:
    """Both sides, what the model expected, and the changes with their method."""
    return {
        "unit": one.query.unit,
        "better": one.query.better,
        "pre": dict(one.pre),
        "post": dict(one.post),
        "expected": dict(one.expected),
        "changes": {name: evidence.interval(interval) for name, interval in one.changes.items()},
        "method": one.method,
    }


def definition(one: Observed) -> Json:
    query = one.query
    return {"title": query.title, "definition": query.definition, "sql": f"{query.name}.sql"}


def _weeks(sides: Sides) -> Json:
    return {side: {"n": len(weeks), "first": min(weeks, default=None), "last": max(weeks, default=None)}
            for side, weeks in (("pre", sides.pre), ("post", sides.post))}  # fmt: skip
