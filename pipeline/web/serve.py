"""`payback serve`: the scheduler and the web application in one process, until it is told to stop."""

import errno
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import uvicorn
from apscheduler.schedulers.background import BackgroundScheduler

from connectors.secrets import Secret
from pipeline import alerts, deliver, lease
from pipeline.current import Current
from pipeline.errors import Busy, ConfigError, Exit, PipelineError
from pipeline.fetch import fetch_pending
from pipeline.logbook import note_not_begun
from pipeline.logs import log
from pipeline.run import open_warehouse, run_nightly
from pipeline.schedule import Nights, start_scheduler, timetable
from pipeline.settings import Settings
from pipeline.web.app import build_app
from pipeline.web.board import Board
from pipeline.web.guard import names_this_machine

STOP_SECONDS = 28.0  # of the 30 that systemd, containers and people give; the engine gives its requests 10
SHORTEST_PASSWORD = 12
MOST_CONNECTIONS = 512
FETCH_SECONDS = 5.0  # how long the events of a webhook gather on disk before their rows are fetched; no run is under way then
ALERT_SECONDS = 60.0  # how often to look whether a source has gone stale, and to send again what could not be sent
LEASE_SECONDS = 120.0  # how long a night waits for another run; then the next look sees what that one did
_OTHER_PORT = "name another --port, or 0 for a free one"

def serve(load: Callable[[], Settings], host: str, port: int, say: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends the process at once. `load` reads the configuration: at the start, anew
    for every night, and for everything else when it was changed. Raises ConfigError."""
    current = Current(load)
    settings = current()
    table = timetable(settings)
    family = _family(host, port)
    password = needed_password(settings, host)
    listening = listen(host, port, family)
    stop = threading.Event()

    def night() -> None:
        fresh = load()
        _await_lease(fresh, stop)
        run_nightly(fresh, out=fresh.home / "out", stop=stop.is_set)

    def stored(moment: datetime) -> Sequence[Mapping[str, Any]]:
        return open_warehouse(current()).runs_since("night", moment)

    nights = Nights(table, stored, night, lambda error: note_not_begun(current(), error))
    with listening, _told_to_stop(stop):
        server, thread = _start_server(current, nights, password, listening, stop)
        scheduler = start_scheduler(nights)
        _add_chores(scheduler, current, stop)
        address = listening.getsockname()
        where = f"[{address[0]}]" if ":" in address[0] else address[0]
        next_run = "".join(f"; next run {table.local(due):%Y-%m-%d %H:%M %Z}" for due in table.after(datetime.now(UTC)))
        say(f"serving http://{where}:{address[1]}{next_run}")
        stop.wait()
        has_web_ended = not thread.is_alive()
        say("stopping: the page in flight is stored or dropped as a whole; a second signal ends at once")
        _end(scheduler, say)
        server.should_exit = True
        thread.join(5.0)
    if has_web_ended:
        raise PipelineError("the web server ended by itself", hint="start it again with --debug and report what it prints")
    say("stopped")


def needed_password(settings: Settings, host: str) -> Secret | None:
    """The password of the web side. Raises ConfigError when other machines could reach it without one, and nobody signs in."""
    password = settings.serve.password
    place = f"{settings.folder / 'payback.toml'}: [serve.password]"
    if password is None and not settings.dashboard.users and not names_this_machine(host):
        raise ConfigError(
            f"--host {host} can be reached from other machines, and there is no password",
            hint=f'write [serve] password = "env:PAYBACK_PASSWORD" into {settings.folder / "payback.toml"} and '
            f"PAYBACK_PASSWORD=... into .env, or name users (docs/dashboard.md), or leave --host out",
        )
    if password is not None and len(password.reveal()) < SHORTEST_PASSWORD:
        hint = "take a long random one: `openssl rand -hex 16`"
        raise ConfigError(f"{place}: shorter than {SHORTEST_PASSWORD} characters", hint=hint)
    return password


def _family(host: str, port: int) -> socket.AddressFamily:
    """Whether the host is one of IPv4 or IPv6. Raises ConfigError for a name nobody knows."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    except (socket.gaierror, UnicodeError):
        raise ConfigError(f"--host {host} is no address of this machine", hint="127.0.0.1 is this machine alone") from None


def listen(host: str, port: int, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ConfigError."""
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        known = {
            errno.EADDRINUSE: (f"port {port} of {host} is taken by another program, or another `payback serve`", _OTHER_PORT),
            errno.EADDRNOTAVAIL: (f"--host {host} is no address of this machine", "127.0.0.1 is this machine alone"),
            errno.EACCES: (f"port {port} needs rights of the administrator", "take one from 1024 on"),
        }
        said, hint = known.get(error.errno or 0, (f"{host}:{port} cannot be listened on ({error.strerror})", _OTHER_PORT))
        raise ConfigError(said, hint=hint) from None


def _start_server(
    current: Current, nights: Nights, password: Secret | None, listening: socket.socket, stop: threading.Event
) -> tuple[uvicorn.Server, threading.Thread]:
    """The web server on a thread of its own: signals stay with the main one. When it ends by itself, everything does."""
    options = uvicorn.Config(
        build_app(current, Board(current, nights), password),
        log_config=None,
        access_log=False,  # addresses of webhooks hold tokens
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=3,
    )
    server = uvicorn.Server(options)

    def work() -> None:
        try:
            server.run(sockets=[listening])
        finally:
            stop.set()

    thread = threading.Thread(target=work, name="payback-web", daemon=True)
    thread.start()
    return server, thread


@contextmanager
def _told_to_stop(stop: threading.Event) -> Iterator[None]:
    """While it lasts, the first SIGTERM or SIGINT sets the event; the second one does what it always does."""

    def heard(number: int, frame: FrameType | None) -> None:
        for known in before:
            signal.signal(known, signal.SIG_DFL)
        stop.set()

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, heard)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _add_chores(scheduler: BackgroundScheduler, current: Current, stop: threading.Event) -> None:
    """What else there is to do between the nights. A fault of a chore is logged; the next time is soon."""

    def upgrade() -> None:
        """After an update of the program: pages and alerts need not wait for the night."""
        try:
            open_warehouse(current()).migrate()
        except PipelineError as error:
            log.warning("warehouse_not_upgraded", error=str(error), hint=error.hint)

    def fetch() -> None:
        try:
            fetch_pending(current(), stop=stop.is_set)
        except PipelineError as error:
            log.error("events_not_fetched", error=str(error), hint=error.hint)

    def deliver_due() -> None:
        deliver.deliver_due(current())

    def look() -> None:
        alerts.look_after_run(current())

    scheduler.add_job(upgrade)
    for chore, seconds in ((fetch, FETCH_SECONDS), (deliver_due, ALERT_SECONDS), (look, ALERT_SECONDS)):
        scheduler.add_job(chore, "interval", seconds=seconds, max_instances=1, coalesce=True)


def _end(scheduler: BackgroundScheduler, say: Callable[[str], None]) -> None:
    """Give what is running the time to end by itself. Past that the process ends anyway: what is committed stays."""
    scheduler.pause()
    ending = threading.Thread(target=scheduler.shutdown, daemon=True)
    ending.start()
    ending.join(STOP_SECONDS)
    if ending.is_alive():
        say(f"the run did not end within {STOP_SECONDS:.0f} s; what was stored stays, the next start goes on")
        os._exit(Exit.TEMPORARY)


def _await_lease(settings: Settings, stop: threading.Event) -> None:
    """Wait for another run to end, with an ear for the wish to stop. Raises Busy."""
    deadline = time.monotonic() + LEASE_SECONDS
    while (holder := lease.running(settings.home)) is not None or stop.is_set():
        if stop.is_set() or time.monotonic() > deadline:
            raise Busy("told to stop" if holder is None else f"another run is under way: {holder}")
        stop.wait(0.5)
