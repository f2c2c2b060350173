"""Names in a launch's terms that the data do not know: a channel or a priority no request has, a stage nobody was moved into.

Without a word they would only make figures smaller, or let a whole section go.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

from connectors.contract import Finding
from connectors.text import fold
from pipeline import queries
from pipeline.launches import ANY_PRIORITY, Efficiency, Launch, SupportTerms

if TYPE_CHECKING:
    from pipeline.warehouse import Reading

N_KNOWN = 10  # names listed where none is near


def unseen_names(reading: "Reading", launch: Launch, seen_until: datetime) -> tuple[Finding, ...]:
    """A finding for each such name, with the nearest known one; they take nothing off the trust score. Raises WarehouseError."""
    found: list[Finding] = []
    known = {"seen_until": seen_until}
    if launch.support is not None:
        rows = reading.rows(queries.load("support_seen"), known)
        if rows:
            found += _of_requests(launch.support, {row.channel for row in rows}, {row.priority for row in rows})
        else:
            found.append(Finding("support_without_requests", "warning", launch.name, 1))
    if launch.efficiency is not None and launch.efficiency.actions:
        stages = {row.stage_id for row in reading.rows(queries.load("stages_seen"), known)}
        found += _of_actions(launch.efficiency, stages)
    return tuple(found)


def _of_requests(terms: SupportTerms, channels: Collection[str], priorities: Collection[str]) -> Iterator[Finding]:
    promised = [name for name in terms.sla_minutes if name != ANY_PRIORITY]
    of_channels, of_priorities = ("support_channel_unseen", terms.channels), ("support_priority_unseen", promised)
    for (code, names), known in ((of_channels, channels), (of_priorities, priorities)):
        yield from (_unseen(code, name, fold(name) or "", known) for name in names if (fold(name) or "") not in known)


def _of_actions(pool: Efficiency, known: Collection[str]) -> Iterator[Finding]:
    for _, action in sorted(pool.actions.items()):
        yield from (_unseen("action_stage_unseen", stage, stage, known) for stage in action.stages if stage not in known)


def _unseen(code: str, name: str, folded: str, known: Collection[str]) -> Finding:
    names = sorted(one for one in known if one)
    near = get_close_matches(folded, names, n=1, cutoff=0.5)
    detail = {"nearest": near[0]} if near else {"known": ", ".join(names[:N_KNOWN])} if names else {}
    return Finding(code, "warning", name, 1, detail)
