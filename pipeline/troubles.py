"""What needs a person now, read off the last runs. Pure: the same runs and clock give the same troubles."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile
from statistics import median
from typing import Any

from pipeline.logbook import Hop, Run

STALE, RUN_FAILED, HOP_FAILED, ACCESS, RIGHTS, QUARANTINE, TRUST, NOT_BEGUN, DAMAGED, DELIVERY, DELIVERY_DOUBT = KINDS = (
    "stale", "run_failed", "hop_failed", "access", "rights", "quarantine", "trust", "not_begun", "damaged", "delivery",
    "delivery_doubt",
)  # fmt: skip
DELIVERIES = (DELIVERY, DELIVERY_DOUBT)
RUNS = ("night", "sync")  # kinds of runs that are subjects
USUAL = 7  # earlier hops that say what is usual
# A jump: more rows put aside than twice the usual and ten, or a score ten points below the usual.
QUARANTINE_FACTOR, QUARANTINE_ROWS = 2, 10
TRUST_POINTS = 10


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong: `subject` is a source, a launch or a kind of run; `since` is UTC; `facts` are JSON-able."""

    kind: str
    subject: str
    since: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scene:
    """What troubles are read off: runs newest first, when each source was last heard (UTC), limits of what is open already, since
    when a night could not begin and why, own files that were found damaged and when."""

    runs: Sequence[Run]
    sources: Mapping[str, datetime | None]
    launches: Sequence[str]
    stale_after: timedelta
    now: datetime
    open: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    not_begun: tuple[datetime, Mapping[str, Any]] | None = None
    damaged: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lack:
    """Why nobody may rely on the runs now. `text` says it in English with every detail; pages in other languages say it by `code`
    (no_run, interrupted, failed, never_heard, fault, not_begun), `subject` (a kind of run, a source), `since` (UTC) and the kinds
    of the errors behind it (`pipeline.logbook.error_kind`)."""

    code: str
    text: str
    subject: str = ""
    since: datetime | None = None
    error_kinds: tuple[str, ...] = ()


def detect(scene: Scene) -> list[Trouble]:
    """Everything that needs a person, the gravest kind first."""
    found = [*_failed_runs(scene), *_failed_hops(scene), *_stale(scene), *_quarantine(scene), *_trust(scene)]
    if scene.not_begun:
        since, why = scene.not_begun
        nights = [one for one in found if (one.kind, one.subject) == (RUN_FAILED, "night")]
        if why.get("error_kind") not in {one.facts.get("error_kind") for one in nights}:  # one cause makes one message
            found.append(Trouble(NOT_BEGUN, "night", since, why))
    found += [Trouble(DAMAGED, name, at) for name, at in scene.damaged.items()]
    order = (NOT_BEGUN, RUN_FAILED, DAMAGED, ACCESS, RIGHTS, HOP_FAILED, STALE, QUARANTINE, TRUST)
    return sorted(found, key=lambda one: (order.index(one.kind), one.subject))


def last_heard(scene_runs: Sequence[Run], source: str, stored: datetime | None) -> datetime | None:
    """When a source was last heard: by the warehouse's commits, or by a sync that ended without a fault and without news."""
    ended = [hop.ended_at for hop in _hops(scene_runs, "sync", source) if hop.outcome in ("ok", "partial") and hop.ended_at]
    known = [at for at in (stored, *ended[:1]) if at is not None]
    return max(known, default=None)


def unready(runs: Sequence[Run], heard: Mapping[str, datetime | None]) -> list[Lack]:
    """Why nobody may rely on the runs (newest first) now; empty when one may: for `payback status`, /readyz and the pages.

    Not only what needs a person: a night that was told to stop is no trouble, but what it should have brought is missing.
    """
    ended = [run for run in runs if run.outcome != "running"]
    if not ended:
        return [Lack("no_run", "no run has ended yet")]
    is_under_way = runs[0].outcome == "running"
    said = []
    # No sync makes up for a night that was cut off; that somebody stopped a sync by hand says nothing of the nights.
    night = next((run for run in ended if run.kind == "night"), None)
    last = next((run for run in ended if not _is_cut(run)), None)
    if night is not None and _is_cut(night) and not is_under_way:
        said.append(_told(night, "interrupted", "was interrupted"))
    if last is not None and last.outcome == "failed":
        said.append(_told(last, "failed", "failed"))
    for source, at in heard.items():
        since = asked_since(runs, source)
        if at is None and since is not None and not is_under_way:
            text = f"{source} was never heard, though it is asked since {since:%Y-%m-%d %H:%M} UTC"
            said.append(Lack("never_heard", text, source, since))
    return said


def _told(run: Run, code: str, word: str) -> Lack:
    errors = [str(hop.detail["error"]) for hop in run.hops if hop.detail.get("error")]
    why = "; ".join(errors) or str(run.detail.get("error", ""))
    text = f"the last run ({run.kind}, {run.started_at:%Y-%m-%d %H:%M} UTC) {word}{f': {why}' if why else ''}"
    kinds = [str(one["error_kind"]) for one in (run.detail, *(hop.detail for hop in run.hops)) if one.get("error_kind")]
    return Lack(code, text, run.kind, run.started_at, tuple(dict.fromkeys(kinds)))


def asked_since(runs: Sequence[Run], source: str) -> datetime | None:
    """When a run (newest first) first came to the source, or was the first of the last ones that ended before they could."""
    own = [run.started_at for run in runs if any(hop.kind == "sync" and hop.subject == source for hop in run.hops)]
    vain = takewhile(lambda run: run.outcome not in ("ok", "partial"), runs)
    return min([*own, *(run.started_at for run in vain)], default=None)


def _hops(runs: Sequence[Run], kind: str, subject: str) -> list[Hop]:
    """The settled hops of a subject, newest first; one that somebody stopped says nothing."""
    hops = (hop for run in runs for hop in reversed(run.hops) if hop.kind == kind and hop.subject == subject)
    return [hop for hop in hops if hop.ended_at is not None and hop.detail.get("error_kind") != "interrupted"]


def _failed_runs(scene: Scene) -> Iterator[Trouble]:
    """Runs that ended by an error of their own or were killed; what failed at a source is told of the source."""
    settled = [run for run in scene.runs if run.outcome != "running" and not _is_stopped(run)]
    nights = [run for run in settled if run.kind == "night"]
    # A later night makes a sync by hand forgotten; a sync by hand does not make up for a night.
    newest = {"night": nights[:1], "sync": [run for run in settled if run.kind in ("night", "sync")][:1]}
    for kind, runs in newest.items():
        for run in runs:
            if run.kind != kind:
                continue
            if run.outcome == "interrupted":
                yield Trouble(RUN_FAILED, kind, run.started_at, {"error_kind": "killed"})
            elif run.outcome == "failed" and "error" in run.detail:
                yield Trouble(RUN_FAILED, kind, run.ended_at or run.started_at, _fault(run.detail))


def _is_stopped(run: Run) -> bool:
    """Stopped by a person or by the system's shutdown, which is no fault."""
    return run.detail.get("error_kind") == "interrupted" or bool(run.detail.get("is_interrupted") and "error" not in run.detail)


def _is_cut(run: Run) -> bool:
    """Ended in the middle, by a kill or by somebody's wish."""
    return run.outcome == "interrupted" or _is_stopped(run)


def _failed_hops(scene: Scene) -> Iterator[Trouble]:
    subjects = [("sync", source) for source in scene.sources] + [("report", launch) for launch in scene.launches]
    for kind, subject in subjects:
        for hop in _hops(scene.runs, kind, subject)[:1]:
            at = hop.ended_at or hop.started_at
            why = hop.detail.get("error_kind")
            if kind == "sync" and hop.outcome == "failed" and why == "access":
                yield Trouble(ACCESS, subject, at, _fault(hop.detail))
            elif kind == "sync" and hop.outcome == "partial" and "rights_shrunk" in hop.detail.get("findings", ()):
                yield Trouble(RIGHTS, subject, at)
            elif hop.outcome == "failed" and why != "warehouse":  # the warehouse's fault ends the run and is told of that
                yield Trouble(HOP_FAILED, subject, at, {**_fault(hop.detail), "hop": kind})


def _stale(scene: Scene) -> Iterator[Trouble]:
    for source, heard in scene.sources.items():
        since = heard or asked_since(scene.runs, source)
        if since is not None and scene.now - since > scene.stale_after:
            yield Trouble(STALE, source, since, {"is_never": heard is None})


def _quarantine(scene: Scene) -> Iterator[Trouble]:
    for source in scene.sources:
        counted = [(hop, int(hop.detail["n_open"])) for hop in _hops(scene.runs, "sync", source) if "n_open" in hop.detail]
        if not counted:
            continue
        (hop, n), earlier = counted[0], [n for _, n in counted[1 : USUAL + 1]]
        usual = int(median(earlier)) if earlier else 0
        known = scene.open.get((QUARANTINE, source), {})
        limit = int(known.get("limit", usual * QUARANTINE_FACTOR + QUARANTINE_ROWS))  # what has become usual since is no excuse
        if n > limit:
            yield Trouble(QUARANTINE, source, hop.ended_at or scene.now, {"n": n, "usual": usual, "limit": limit})


def _trust(scene: Scene) -> Iterator[Trouble]:
    for launch in scene.launches:
        scored = [(hop, int(hop.detail["trust"])) for hop in _hops(scene.runs, "report", launch) if "trust" in hop.detail]
        if len(scored) < 2:
            continue
        (hop, score), earlier = scored[0], [score for _, score in scored[1 : USUAL + 1]]
        usual = int(median(earlier))
        limit = int(scene.open.get((TRUST, launch), {}).get("limit", usual - TRUST_POINTS))
        if score <= limit:
            yield Trouble(TRUST, launch, hop.ended_at or scene.now, {"score": score, "usual": usual, "limit": limit})


def _fault(detail: Mapping[str, Any]) -> dict[str, Any]:
    return {key: detail[key] for key in ("error", "hint", "error_kind") if detail.get(key)}
