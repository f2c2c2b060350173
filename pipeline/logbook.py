"""Runs as records: each run and each of its hops is written down when it begins and again when it ends.

First in the state file, which is there when the warehouse is not, then in the warehouse, which remembers for ever. A process that
is killed leaves its run without an end: shown as interrupted, because nobody holds the lease for it any more.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.secrets import Secret, mask
from pipeline import lease
from pipeline.errors import Interrupted, NoWarehouse, PipelineError, WarehouseError, exit_code
from pipeline.logs import log
from pipeline.settings import Settings
from pipeline.state import State
from pipeline.warehouse import Warehouse, utc_now

KEPT = 200  # runs in the state file
LONGEST_ERROR = 1000
_CUTS = (WarehouseError, Interrupted, KeyboardInterrupt)  # what ends a run in the middle
ABANDONED = timedelta(days=1)  # a run of another machine that has not ended by then will not


@dataclass(slots=True)
class Hop:
    """One step of a run: the sync of a source, the report of a launch. Times are UTC.

    `outcome` is running, ok, partial, failed or interrupted; `detail` is JSON-able: error, hint, error_kind, findings, n_open
    (rows in quarantine afterwards), trust, verdict.
    """

    run_id: str
    number: int
    kind: str
    subject: str
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str = "running"
    n_received: int = 0
    n_appended: int = 0
    n_quarantined: int = 0
    n_deleted: int = 0
    n_requests: int = 0
    n_retries: int = 0
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One run with its hops; `outcome` is running, ok, partial, failed or interrupted. Times are UTC."""

    run_id: str
    kind: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str
    detail: Mapping[str, Any]
    hops: tuple[Hop, ...] = ()


class Logbook:
    """Where one run writes down what it does."""

    def __init__(self, settings: Settings, kind: str, run_id: str) -> None:
        self.run_id = run_id
        self.outcome = "ok"
        self.detail: dict[str, Any] = {}
        self._kind = kind
        self._started_at = utc_now()
        self._state = State(settings.home)
        self._secrets = settings.secrets()
        self._warehouse: Warehouse | None = None
        self._n_hops = 0

    def begin(self) -> None:
        """The run begins: in the state file and in the log."""
        self._keep_run(None, "running")
        with self._state.writing() as connection:
            connection.execute("delete from not_begun where kind = ?", (self._kind,))
        log.info("run_started", run_id=self.run_id, kind=self._kind)

    def attach(self, warehouse: Warehouse) -> None:
        """From now on the warehouse knows of the run too. Raises WarehouseError."""
        warehouse.record_run(self.run_id, self._kind, self._started_at, None, "running", {})
        self._warehouse = warehouse

    def end(self, error: BaseException | None = None) -> None:
        """The run ends, by an error or as `outcome` and `detail` say. A warehouse that is away does not keep the state file from
        knowing."""
        if error is not None:
            self.outcome = "failed"
            # For the schedule: a run that ended in the middle is owed again.
            self.detail |= {**self._fault(error), "is_interrupted": isinstance(error, _CUTS)}
        ended_at = utc_now()
        self._keep_run(ended_at, self.outcome)
        if self._warehouse is not None:
            try:
                self._warehouse.record_run(self.run_id, self._kind, self._started_at, ended_at, self.outcome, self.detail)
            except WarehouseError as away:
                log.error("run_not_recorded", run_id=self.run_id, error=str(away))
                if error is None:
                    self._keep_run(ended_at, "failed", self._fault(away))
                    raise
        say = log.error if self.outcome == "failed" else log.info
        seconds = round((ended_at - self._started_at).total_seconds(), 1)
        why = {key: self.detail[key] for key in ("error_kind", "error") if key in self.detail}
        say("run_ended", run_id=self.run_id, outcome=self.outcome, seconds=seconds, **why)

    @contextmanager
    def hop(self, kind: str, subject: str) -> Iterator[Hop]:
        """One step: written before and after. An error that leaves it makes it failed and goes on its way."""
        self._n_hops += 1
        hop = Hop(self.run_id, self._n_hops, kind, subject, utc_now())
        self._keep_hop(hop)
        log.debug("hop_started", run_id=self.run_id, kind=kind, subject=subject)
        try:
            yield hop
        except Exception as error:
            self.fail(hop, error)
            with suppress(PipelineError):  # the error under way says more
                self._end_hop(hop)
            raise
        if hop.outcome == "running":
            hop.outcome = "ok"
        self._end_hop(hop)

    def fail(self, hop: Hop, error: BaseException) -> None:
        """The hop failed by that error."""
        hop.outcome = "failed"
        hop.detail |= self._fault(error)

    def _end_hop(self, hop: Hop) -> None:
        hop.ended_at = utc_now()
        say = log.warning if hop.outcome == "failed" else log.info
        facts = {key: value for key, value in asdict(hop).items() if key.startswith("n_") and value}
        seconds = round((hop.ended_at - hop.started_at).total_seconds(), 1)
        why = {key: hop.detail[key] for key in ("error_kind", "error") if key in hop.detail}
        named = {"run_id": self.run_id, "kind": hop.kind, "subject": hop.subject, "outcome": hop.outcome}
        say("hop_ended", **named, seconds=seconds, **facts, **why)
        self._keep_hop(hop)

    def _keep_hop(self, hop: Hop) -> None:
        with self._state.writing() as connection:
            facts = json.dumps(asdict(hop), default=_stamp, ensure_ascii=False)
            connection.execute("insert or replace into hops values (?, ?, ?)", (hop.run_id, hop.number, facts))
        if self._warehouse is not None:
            self._warehouse.record_hop(asdict(hop))

    def _keep_run(self, ended_at: datetime | None, outcome: str, detail: Mapping[str, Any] | None = None) -> None:
        ended = None if ended_at is None else _stamp(ended_at)
        text = json.dumps(self.detail if detail is None else detail, default=str, ensure_ascii=False)
        row = (self.run_id, self._kind, _stamp(self._started_at), ended, outcome, text)
        with self._state.writing() as connection:
            connection.execute("insert or replace into runs values (?, ?, ?, ?, ?, ?)", row)
            connection.execute(
                "delete from runs where run_id not in (select run_id from runs order by started_at desc limit ?)", (KEPT,)
            )
            connection.execute("delete from hops where run_id not in (select run_id from runs)")

    def _fault(self, error: BaseException) -> dict[str, Any]:
        return _fault(error, self._secrets)


def _fault(error: BaseException, secrets: Sequence[Secret]) -> dict[str, Any]:
    text = mask(str(error), secrets)[:LONGEST_ERROR]
    hint = mask(str(getattr(error, "hint", "")), secrets)[:LONGEST_ERROR]
    return {"error": text or type(error).__name__, "hint": hint, "error_kind": error_kind(error)}


def error_kind(error: BaseException) -> str:
    """What a person has to do about it, as a word: config, access, temporary, payload, warehouse, nothing, unexpected ..."""
    return "interrupted" if isinstance(error, Interrupted | KeyboardInterrupt) else exit_code(error).name.lower()


@contextmanager
def written_run(settings: Settings, kind: str, *, wait_seconds: float | None = None) -> Iterator[Logbook]:
    """A run that holds the lease and is written down, however it ends. Raises Busy."""
    run_id = f"{kind}-{utc_now():%Y%m%dT%H%M%S.%f}"
    with lease.one_run(settings.home, kind, run_id, wait_seconds=wait_seconds):
        book = Logbook(settings, kind, run_id)
        book.begin()
        try:
            yield book
        except (Exception, KeyboardInterrupt) as error:
            with suppress(PipelineError):  # a full disk: the error under way says it already
                book.end(error)
            raise
        book.end()


def note_not_begun(settings: Settings, error: BaseException) -> None:
    """A night is owed and could not begin: kept until one begins. A state file that is away, too, leaves the log."""
    facts = json.dumps(_fault(error, settings.secrets()), ensure_ascii=False)
    with suppress(WarehouseError), State(settings.home).writing() as connection:
        kept = "on conflict (kind) do update set facts = excluded.facts"
        connection.execute(f"insert into not_begun values ('night', ?, ?) {kept}", (_stamp(utc_now()), facts))


# --- what was written -------------------------------------------------------------------------------------------------


def last_runs(settings: Settings, warehouse: Warehouse, limit: int = KEPT) -> tuple[list[Run], WarehouseError | None]:
    """The last runs, newest first, of the state file and of the warehouse, and why the warehouse could not be asked."""
    home = settings.home
    live = lease.running(home)  # first: a run that begins after this is not there yet, or is live
    kept = _kept(State(home))
    fault = None
    try:
        warehouse.check_schema()
        stored = _stored(warehouse, limit)
    except WarehouseError as error:
        stored, fault = [], None if isinstance(error, NoWarehouse) and not kept else error
    known = {run.run_id: run for run in stored}
    # Where only one of the two knows the end, it ended.
    known |= {run.run_id: run for run in kept if run.ended_at or run.run_id not in known or not known[run.run_id].ended_at}
    local = {run.run_id for run in kept}
    runs = sorted(known.values(), key=lambda run: (run.started_at, run.run_id), reverse=True)
    return [_settled(run, live, run.run_id in local) for run in runs[:limit]], fault


def not_begun(home: Path) -> tuple[datetime, dict[str, Any]] | None:
    """Since when a night is owed that cannot begin, and why: error, hint, error_kind."""
    with State(home).reading() as connection:
        row = connection.execute("select since, facts from not_begun").fetchone()
    return None if row is None else (datetime.fromisoformat(row["since"]), json.loads(row["facts"]))


def _settled(run: Run, live: str | None, is_local: bool) -> Run:
    """A run without an end is under way or was interrupted, and so is its last hop."""
    is_live = run.run_id == live or (not is_local and utc_now() - run.started_at < ABANDONED)
    if run.ended_at is None and is_live:
        return run
    for hop in run.hops:
        hop.outcome = "interrupted" if hop.ended_at is None else hop.outcome
    if run.ended_at is not None:
        return run
    return Run(run.run_id, run.kind, run.started_at, None, "interrupted", run.detail, run.hops)


def _kept(state: State) -> list[Run]:
    hops: dict[str, list[Hop]] = {}
    with state.reading() as connection:
        for row in connection.execute("select run_id, facts from hops order by run_id, number"):
            facts = json.loads(row["facts"])
            for key in ("started_at", "ended_at"):
                facts[key] = _moment(facts[key])
            hops.setdefault(row["run_id"], []).append(Hop(**facts))
        rows = connection.execute("select * from runs").fetchall()
    return [
        Run(
            row["run_id"], row["kind"], datetime.fromisoformat(row["started_at"]), _moment(row["ended_at"]), row["outcome"],
            json.loads(row["detail"]), tuple(hops.get(row["run_id"], ())),
        )
        for row in rows
    ]  # fmt: skip


def _stored(warehouse: Warehouse, limit: int) -> list[Run]:
    rows = warehouse.runs(limit)
    hops: dict[str, list[Hop]] = {}
    if rows:
        for facts in warehouse.hops(min(row["started_at"] for row in rows)):
            hops.setdefault(facts["run_id"], []).append(Hop(**facts))
    return [Run(**row, hops=tuple(hops.get(row["run_id"], ()))) for row in rows]


def _stamp(at: object) -> str:
    return at.isoformat() if isinstance(at, datetime) else str(at)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
