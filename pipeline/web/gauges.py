"""The figures of `/metrics`. Those of runs and sources stand in the warehouse, so that a restart, or a run started by hand,
changes nothing; the others are this process's, the configuration's or the folder's."""

from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.web.board import Board, Standing, ended_last

SUCCESSES = ("ok", "partial")
COUNTED = {
    "n_received": ("rows", "Rows the last run received"),
    "n_appended": ("new_versions", "New versions the last run stored"),
    "n_quarantined": ("quarantined", "Rows the last run put into quarantine"),
    "n_deleted": ("deleted", "Rows that vanished, in the last run"),
    "n_requests": ("requests", "Requests the last run sent"),
    "n_retries": ("retries", "Requests of the last run that were repeated or refused as too fast"),
}


class Gauges(Collector):
    """Reads the board whenever somebody scrapes."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def describe(self) -> Iterator[Metric]:
        """Nothing: else registering would read the warehouse."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        standing = self._board.standing()
        yield GaugeMetricFamily("payback_ready", "1 when /readyz says so", value=float(not standing.reasons))
        yield GaugeMetricFamily(
            "payback_warehouse_up", "1 when the warehouse can be read and is of this version", value=float(standing.has_warehouse)
        )
        yield GaugeMetricFamily("payback_run_in_progress", "1 while this process runs a night", value=float(standing.is_running))
        if standing.next_runs:
            due = standing.next_runs[0].timestamp()
            yield GaugeMetricFamily("payback_next_run_timestamp_seconds", "When the next night is due", value=due)
        if standing.backed_up_at is not None:
            age = (standing.at - standing.backed_up_at).total_seconds()
            yield GaugeMetricFamily("payback_backup_age_seconds", "Age of the newest backup in backups/", value=max(0.0, age))
        if standing.has_warehouse:
            yield from _of_runs(standing)
            yield from _of_sources(standing)


def _of_runs(standing: Standing) -> Iterator[Metric]:
    runs = CounterMetricFamily("payback_runs", "Runs that ended, by kind and outcome", labels=("kind", "outcome"))
    latest = GaugeMetricFamily(
        "payback_last_success_timestamp_seconds", "When a run of the kind last ended ok or partial", labels=("kind",)
    )
    newest: dict[str, datetime] = {}
    for tally in standing.tallies:
        runs.add_metric((tally.kind, tally.outcome), tally.n_runs)
        if tally.outcome in SUCCESSES:
            newest[tally.kind] = max(tally.ended_at, newest.get(tally.kind, tally.ended_at))
    for kind, ended_at in sorted(newest.items()):
        latest.add_metric((kind,), ended_at.replace(tzinfo=UTC).timestamp())
    yield runs
    yield latest
    ended = ended_last(standing.runs)
    if ended is None:
        return
    if ended.ended_at is not None:
        seconds = (ended.ended_at - ended.started_at).total_seconds()
        yield GaugeMetricFamily("payback_last_run_seconds", "How long the last run took", value=seconds)
    hops = GaugeMetricFamily("payback_last_run_hop_seconds", "How long its hops took", labels=("kind", "subject"))
    for hop in ended.hops:
        if hop.ended_at is not None:
            hops.add_metric((hop.kind, hop.subject), (hop.ended_at - hop.started_at).total_seconds())
    yield hops
    for counted, (name, meaning) in COUNTED.items():
        gauge = GaugeMetricFamily(f"payback_last_run_{name}", meaning, labels=("source",))
        for hop in ended.hops:
            if hop.kind == "sync":
                gauge.add_metric((hop.subject,), float(getattr(hop, counted)))
        yield gauge


def _of_sources(standing: Standing) -> Iterator[Metric]:
    age = GaugeMetricFamily("payback_source_age_seconds", "Time since the source was last heard", labels=("source",))
    for line in standing.sources:
        if line.last_seen is not None:
            age.add_metric((line.source,), max(0.0, (standing.at - line.last_seen).total_seconds()))
    yield age
