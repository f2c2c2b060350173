"""One client exports all leads of one portal, in a process of its own; `bench.export` starts it.

    python -m bench.clients CLIENT WEBHOOK IDS_FILE        prints one line of JSON: seconds, memory, error

The clients read the same columns. What they do with the rows differs: payback makes typed records of them, the peers leave
dictionaries; of all only the ids are kept, for the comparison with the portal's.
"""

import asyncio
import importlib
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import numpy as np

from connectors.bitrix24 import Bitrix24
from connectors.bitrix24.options import Options
from connectors.contract import Json, Landing, Slice, Stream, Surroundings
from connectors.engine import pull
from connectors.secrets import Secret

METHOD = "crm.lead.list"
Ids = np.ndarray[Any, np.dtype[np.int64]]


class IdSink:
    """Keeps the ids of the leads, a bit each, and the states, nothing else: the engine without a warehouse."""

    def __init__(self) -> None:
        self._states: dict[str, Mapping[str, Json]] = {}
        self._has = np.zeros(0, np.bool_)

    def state(self, stream: Stream) -> Mapping[str, Json] | None:
        return self._states.get(stream.name)

    def commit(self, landings: Sequence[Landing]) -> list[int]:
        for landing in landings:
            if landing.state is not None:
                self._states[landing.stream.name] = landing.state
            if landing.records:
                ids = np.array([int(row.lead_id) for row in landing.records], np.int64)  # type: ignore[attr-defined]  # leads
                if ids.max() >= self._has.size:
                    self._has.resize(int(ids.max()) * 5 // 4, refcheck=False)
                self._has[ids] = True
        return [len(landing.records) for landing in landings]

    def ids(self) -> Ids:
        """All ids so far, ascending."""
        return np.flatnonzero(self._has)

    def counts(self, stream: Stream, ranges: Sequence[tuple[int, int]]) -> list[int]:
        return [int(np.count_nonzero(self._has[after + 1 : upto + 1])) for after, upto in ranges]

    def keys(self, stream: Stream, after: int, upto: int) -> list[int]:
        return (after + 1 + np.flatnonzero(self._has[after + 1 : upto + 1])).tolist()

    def names(self, stream: Stream) -> set[tuple[str, ...]]:
        return set()

    def rejected(self, stream: Stream) -> list[int]:
        return []

    def orphans(self, stream: Stream) -> list[int]:
        return []


def connector(webhook: str) -> Bitrix24:
    return Bitrix24.open(Options(Secret(webhook)), Surroundings(ZoneInfo("Europe/Moscow"), Secret("bench key of 16+ letters")))


def columns(webhook: str) -> list[str]:
    """The columns payback asks for."""
    portal = connector(webhook)
    leads = next(stream for stream in portal.streams() if stream.name == "leads")
    return list(portal.call(leads, Slice()).params["select"])


# --- the clients: each gives a function that exports and returns the ids -------------------------------------------------


def payback(webhook: str) -> Callable[[], Iterable[int]]:
    import connectors.transport  # noqa: F401  # the engine imports it when it starts: not part of the export

    sink = IdSink()

    def export() -> Ids:
        report = pull(connector(webhook), sink, only=lambda stream: stream.name == "leads")
        for finding in report.findings:
            print(finding, file=sys.stderr)
        return sink.ids()

    return export


def payback_duckdb(webhook: str) -> Callable[[], Iterable[int]]:
    import connectors.transport  # noqa: F401  # as above
    from pipeline.warehouse import Warehouse

    folder = tempfile.TemporaryDirectory(prefix="payback-bench-")
    warehouse = Warehouse(f"duckdb:///{folder.name}/bench.duckdb")
    warehouse.migrate()

    def export() -> list[int]:
        pull(connector(webhook), warehouse.sink("crm", "bench"), only=lambda stream: stream.name == "leads")
        return Stored(warehouse, folder)

    return export


class Stored(list[int]):
    """The ids of a warehouse, read when the clock has stopped: reading them all is no part of an export."""

    def __init__(self, warehouse: Any, folder: Any) -> None:
        self._warehouse, self._folder = warehouse, folder

    def __iter__(self) -> Any:
        with self._warehouse.reading() as reading:
            found = reading.columns("SELECT CAST(lead_id AS BIGINT) AS lead_id FROM leads WHERE NOT is_deleted")
        return iter(found.column("lead_id").to_pylist())


def fast_bitrix24(webhook: str) -> Callable[[], Iterable[int]]:
    from fast_bitrix24 import BitrixAsync

    client = BitrixAsync(webhook, verbose=False, ssl=False)
    select = columns(webhook)

    def export() -> list[int]:
        rows = asyncio.run(client.get_all(METHOD, {"select": select}))
        return [int(row["ID"]) for row in rows]

    return export


def _b24pysdk(webhook: str, **given: Any) -> Any:
    """The list request of b24pysdk's client, spoken to the loopback over plain http: the package knows https only."""
    from b24pysdk import BitrixWebhook, Client

    caller = importlib.import_module("b24pysdk.api.callers.call_method")  # a function of the same name hides the module
    caller._MethodCaller._base_url = property(lambda self: f"http://{self._domain}/rest")
    url = urlsplit(webhook)
    token = url.path.removeprefix("/rest/").strip("/")
    leads = Client(BitrixWebhook(domain=url.netloc, webhook_token=token)).crm.lead
    return leads.list(select=columns(webhook), **given)


def b24pysdk_list(webhook: str) -> Callable[[], Iterable[int]]:
    # Without an order rows come in any sequence, and offsets miss a third of them: whoever uses it has to know that.
    request = _b24pysdk(webhook, order={"ID": "ASC"})
    return lambda: [int(row["ID"]) for row in request.as_list().result]


def b24pysdk_fast(webhook: str) -> Callable[[], Iterable[int]]:
    request = _b24pysdk(webhook)
    return lambda: [int(row["ID"]) for row in request.as_list_fast().result]


CLIENTS: dict[str, Callable[[str], Callable[[], Iterable[int]]]] = {
    "payback": payback,
    "payback into DuckDB": payback_duckdb,
    "fast-bitrix24": fast_bitrix24,
    "b24pysdk fast list": b24pysdk_fast,
    "b24pysdk list": b24pysdk_list,
}
PEERS = ("fast-bitrix24", "b24pysdk fast list", "b24pysdk list")


def memory_mb() -> tuple[float, float]:
    """(now, peak) of this process. ru_maxrss would also count the parent's memory at the moment of the fork."""
    try:
        told = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
        return int(told["VmRSS"].split()[0]) / 1024, int(told["VmHWM"].split()[0]) / 1024
    except (OSError, KeyError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
        return peak, peak


def main(name: str, webhook: str, ids_file: str) -> None:
    found: dict[str, Any] = {"error": None}
    try:
        export = CLIENTS[name](webhook)
    except ImportError as error:
        print(json.dumps({"error": f"not installed ({error.name}): make .venv/bench", "is_missing": True}))
        return
    found["start_mb"], _ = memory_mb()
    cpu, started = time.process_time(), time.perf_counter()
    ids: Iterable[int] = ()
    try:
        ids = export()
    except Exception as error:  # whatever a client raises is a result
        # Only the class and the first words: some of them quote the whole answer.
        found["error"] = f"{type(error).__name__}: {str(error).splitlines()[0][:60] if str(error) else ''}"
    found["seconds"] = time.perf_counter() - started
    found["cpu_seconds"] = time.process_time() - cpu
    _, found["peak_mb"] = memory_mb()
    np.save(ids_file, np.fromiter(ids, np.int64))
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
