"""SIGTERM (systemctl stop, a shutdown) and Ctrl-C end a command: stopped, not killed. A second one ends it at once."""

import signal
from collections.abc import Callable

# What to call off first. DuckDB hears a signal between two tasks of a query, and then waits for its own threads, which have
# not heard it and work on: for as long as the whole query takes, unless the query is called off.
calling_off: list[Callable[[], None]] = []


def listen() -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopped)


def _stopped(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_DFL)
    for call_off in calling_off:
        call_off()
    raise KeyboardInterrupt
