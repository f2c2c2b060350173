"""The status page: one HTML file without script, font or request of its own; phone, light and dark."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.logbook import Run
from pipeline.reports.words import Words, words_of
from pipeline.settings import Settings
from pipeline.web.board import Standing

FOLDER = Path(__file__).parent
OUTCOMES = ("ok", "partial", "failed", "interrupted", "running")
STYLE = (FOLDER / "status.css").read_text(encoding="utf-8")
STYLE_HASH = "sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


def render_status(standing: Standing, settings: Settings) -> str:
    """The page in the business's language and time."""
    words, zone = words_of(settings.business.language), settings.business.zone
    text: str = _template().render(
        say=words.say,
        language=words.tag,
        business=settings.business.name,
        style=Markup(STYLE),  # a text of the program  # nosec B704
        reasons=standing.reasons,
        is_running=standing.is_running,
        next_runs=[f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" for moment in standing.next_runs],
        sources=[(line.source, _local(line.last_seen, zone), _hours(standing.at, line.last_seen)) for line in standing.sources],
        runs=[_run_line(run, zone, words) for run in standing.runs],
        zone=words.say("status.zone", zone=settings.business.timezone),
    )
    return text


@cache
def _template() -> Any:
    """Every value is escaped; an undefined name is an error, not an empty place."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("status.html.j2")


def _run_line(run: Run, zone: ZoneInfo, words: Words) -> dict[str, str]:
    return {
        "began": _local(run.started_at, zone),
        "kind": _said(words, run.kind),
        "outcome": run.outcome if run.outcome in OUTCOMES else "",
        "said": _said(words, run.outcome),
        "took": f"{(run.ended_at - run.started_at).total_seconds():.0f}" if run.ended_at is not None else "",
        "rows": str(sum(hop.n_received for hop in run.hops)),
    }


def _said(words: Words, code: str) -> str:
    """A kind or an outcome of a run in words; one that nobody has put into words yet as it stands."""
    return words.say(f"status.{code}") if words.has(f"status.{code}") else code


def _local(at: datetime | None, zone: ZoneInfo) -> str:
    return "" if at is None else f"{at.replace(tzinfo=UTC).astimezone(zone):%Y-%m-%d %H:%M}"


def _hours(now: datetime, at: datetime | None) -> str:
    return "" if at is None else f"{max(0.0, (now - at) / timedelta(hours=1)):.1f}"
