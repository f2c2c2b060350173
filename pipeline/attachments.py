"""The DuckDB files this process has open now."""

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from pipeline.stopping import calling_off


class Taken(Exception):
    """The file is in use; `holder` says by whom."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


@dataclass(slots=True)
class _Attached:
    name: str
    is_writable: bool
    threads: list[int] = field(default_factory=list)  # who uses it now
    has_writer: bool = False


class Attachments:
    """The files this process has attached now, to one DuckDB instance.

    Attaching a file takes 1 ms, starting an instance 25 ms. A lock on a file belongs to the whole process, so this is
    the one piece of state that all warehouses of a process share.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._instance: duckdb.DuckDBPyConnection | None = None
        self._files: dict[Path, _Attached] = {}
        self._n_attached = 0
        self._connections: dict[int, duckdb.DuckDBPyConnection] = {}

    def open(self, path: Path, write: bool) -> duckdb.DuckDBPyConnection:
        """A connection to the file, attached if it is not. Raises Taken, duckdb.Error."""
        me = threading.get_ident()
        with self._lock:
            if self._instance is None:
                # What does not fit into memory goes beside the warehouse, where the same people may read it.
                self._instance = duckdb.connect(config={"temp_directory": f"{path}.tmp"})
            attached = self._files.get(path)
            if attached is None:
                self._n_attached += 1
                attached = _Attached(f"warehouse_{self._n_attached}", write)
                mode = "" if write else " (READ_ONLY)"
                quoted = str(path).replace("'", "''")
                self._instance.execute(f"ATTACH '{quoted}' AS {attached.name}{mode}")
                self._files[path] = attached
            elif write and (attached.has_writer or not attached.is_writable):
                if me in attached.threads:
                    raise RuntimeError("a transaction of the warehouse is still open in this thread: end it before writing")
                raise Taken("another thread of this process")
            attached.threads.append(me)
            attached.has_writer = attached.has_writer or write
            connection = self._instance.cursor()
            connection.execute(f"USE {attached.name}")
            self._connections[id(connection)] = connection
            return connection

    def is_quiet(self, path: Path) -> bool:
        """Whether no thread of this process has the file open for writing."""
        with self._lock:
            return not self._files[path].is_writable

    def call_off(self) -> None:
        """End the queries under way. For a signal handler: it must not wait for the lock, which the code below it may hold."""
        for connection in tuple(self._connections.values()):
            with suppress(duckdb.Error):
                connection.interrupt()

    def close(self, connection: duckdb.DuckDBPyConnection, path: Path, write: bool, thread: int) -> None:
        """Give the file back; the last one out detaches it, which folds the log into the file."""
        with self._lock:
            del self._connections[id(connection)]
            attached = self._files[path]
            attached.threads.remove(thread)
            attached.has_writer = attached.has_writer and not write
            if attached.threads or self._instance is None:
                return
            del self._files[path]
            # On a full disk the log cannot be folded in, and DETACH says so once it has let go of the file: what was
            # committed is in the log beside it, and whoever opens the file next reads that.
            with suppress(duckdb.Error):
                self._instance.execute(f"DETACH {attached.name}")


ATTACHMENTS = Attachments()
calling_off.append(ATTACHMENTS.call_off)
