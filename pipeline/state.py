"""Facts about running that must survive when the warehouse cannot be reached: what was told to whom, what waits in the inbox.

One SQLite file beside the configuration (`payback-state.sqlite3`), in WAL mode with full synchronisation: a committed row is on
disk. Nothing in it is a figure of a report: without the file nothing measured changes.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import WarehouseError

FILE = "payback-state.sqlite3"
LOCK_SECONDS = 30.0
# Every module that keeps something adds its table here: `create table if not exists`, never altered in place.
SCHEMA: tuple[str, ...] = ()


class State:
    """The state file in the folder that holds `config/`. Nothing is opened before it is used, nothing stays open after."""

    def __init__(self, home: Path) -> None:
        self.path = home / FILE

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, committed at the end, rolled back on any error. Raises WarehouseError when it cannot be written."""
        try:
            connection = sqlite3.connect(self.path, timeout=LOCK_SECONDS, isolation_level=None)
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = full")
            connection.execute("begin immediate")
            for statement in SCHEMA:
                connection.execute(statement)
            yield connection
            connection.execute("commit")
        except sqlite3.Error as error:
            raise self._unusable(error) from error
        finally:
            connection.close()  # rolls back what was not committed

    def _unusable(self, error: sqlite3.Error) -> WarehouseError:
        return WarehouseError(
            f"the state file {self.path} cannot be used: {error}",
            hint="check the disk, the rights of the folder and that no other program holds the file",
        )
