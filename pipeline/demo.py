"""`payback demo`: a simulated salon's portal, set up and run as an owner would, and the true effect beside the measured one."""

import json
import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from connectors.contract import Progress
from connectors.demo import DemoPortal, PortalOptions, Store, Truth, mistype, salon
from connectors.secrets import Secret
from pipeline.errors import ConfigError, Exit
from pipeline.init import Answers, write_config
from pipeline.periods import WEEK
from pipeline.run import NightReport, run_nightly
from pipeline.settings import Settings, load_settings
from pipeline.warehouse import clock_behind

MARGIN = 0.6
ONE_OFF = 120_000.0
MONTHLY = 25_000.0
KINDS = ("html", "xlsx", "json")
LEADS_PER_WEEK = 160.0  # two years of it fit into the portal's bucket of requests: no waiting


def play(
    out: Path,
    *,
    seed: int = 7,
    today: date | None = None,
    leads_per_week: float = LEADS_PER_WEEK,
    is_serving: bool = False,
    is_opened: bool = False,
    language: str | None = None,
    progress: Callable[[str], Progress] | None = None,
    say: Callable[[str], None] = print,
) -> int:
    """Portal, init, a run as of a week ago, a run of today and one more, report, truth; the exit code. Everything it makes is in
    `out`, replacing an earlier demo.

    Raises ConfigError when `out` holds something that is not a demo.
    """
    _make_room(out)
    earlier, later, n_corrected = _two_states(seed, today, leads_per_week)
    truth = later.truth
    assert truth is not None  # a salon always has one; a bulk store has none

    def night(title: str, on: date | None, kinds: Sequence[str]) -> NightReport:
        done = run_nightly(settings, as_of=on, kinds=kinds, language=language, out=out, progress=progress)
        say(f"{title}:")
        for line in done.lines():
            say(f"  {line}")
        return done

    with DemoPortal(earlier, PortalOptions(is_dated=True)) as portal, clock_behind(WEEK):
        say(f"a salon's portal is up; its AI assistant started on {truth.launch_on}")
        settings = _init(out, portal, truth.launch_on, say)
        done = night("a week ago", today and today - WEEK, ())
    if done.outcome != "ok":
        return done.exit_code
    with DemoPortal(later, PortalOptions(), port=urlsplit(portal.base_url).port or 0):
        week = f"a week later ({n_corrected} sums of earlier weeks were corrected in the CRM)"
        for title, kinds in ((week, KINDS), ("once more", ())):
            done = night(title, today, kinds)
            if done.outcome != "ok":
                return done.exit_code
        say(compare(_document(out, settings), truth))
        if is_opened:
            _open(next(out.glob("*.html")).resolve(), say)
        if is_serving:
            _serve(out, say)
    return Exit.OK


def _two_states(seed: int, today: date | None, leads_per_week: float) -> tuple[Store, Store, int]:
    """The portal a week ago and now, and how many sums that were mistyped then are right now."""
    today = today or date.today()
    later = salon.build(seed=seed, today=today, leads_per_week=leads_per_week)
    assert later.truth is not None
    earlier = salon.build(seed=seed, today=today - WEEK, end_on=later.truth.end_on, leads_per_week=leads_per_week)
    return earlier, later, mistype(earlier, later, later.truth.launch_on + 4 * WEEK)


def _init(out: Path, portal: DemoPortal, started_on: date, say: Callable[[str], None]) -> Settings:
    """Set up as an owner would."""
    answers = Answers(
        name="Салон «Пример»",
        profile="salon",
        timezone="Europe/Moscow",
        webhook=Secret(portal.webhook_url),
        branch="Филиал",
        started_on=started_on,
        margin=MARGIN,
        one_off=ONE_OFF,
        monthly=MONTHLY,
    )
    outcome = write_config(out / "config", answers, {}, replace=True)
    understood = outcome.n_stages - len(outcome.unrecognised)
    say(f"init: {understood} of {outcome.n_stages} stages recognised; not: {', '.join(outcome.unrecognised) or 'none'}")
    return load_settings(out / "config", {})


def _open(report: Path, say: Callable[[str], None]) -> None:
    """Show the report where there is a screen; elsewhere say where it is."""
    has_screen = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not (has_screen and webbrowser.open(report.as_uri())):
        say(f"open {report} in a browser; the workbook stands beside it")


def compare(document: dict[str, Any], truth: Truth) -> str:
    """The measured incremental revenue and profit of the post period beside the true ones, rubles."""
    post, money = document["periods"]["post"], document["money"]
    start, end = date.fromisoformat(post["start"]), date.fromisoformat(post["end"])
    true_revenue = truth.incremental_revenue(start, end, document["horizon"]["days"])
    lines = [f"leads created {start} .. {end} (end excluded), outcomes within {document['horizon']['days']} days:"]
    for title, key, true in (
        ("incremental revenue", "incremental_revenue", true_revenue),
        ("incremental profit", "incremental_profit", true_revenue * MARGIN),
    ):
        figure = money[key]
        verdict = "inside the interval" if figure["low"] <= true <= figure["high"] else "OUTSIDE the interval"
        interval = f"[{figure['low']:,.0f} .. {figure['high']:,.0f}]"
        lines.append(f"  {title}: true {true:,.0f}, measured {figure['estimate']:,.0f} {interval}: {verdict}")
    return "\n".join(lines).replace(",", " ")


def _make_room(out: Path) -> None:
    """Only what an earlier demo left may be replaced."""
    marker = out / ".payback-demo"
    if out.exists() and any(out.iterdir()) and not marker.exists():
        raise ConfigError(f"{out} is not empty and no demo made it", hint="name another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    marker.touch()
    for name in ("payback.duckdb", "payback.duckdb.wal"):
        (out / name).unlink(missing_ok=True)


def _document(out: Path, settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / f"{settings.launches[0].name}.json").read_text(encoding="utf-8"))
    return found


def _serve(out: Path, say: Callable[[str], None]) -> None:
    """Keep the portal up until somebody stops it."""
    say(f"the portal stays up until Ctrl-C; try: payback --config {out / 'config'} run --out {out}")
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
