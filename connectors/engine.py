"""Pulls one source into a sink: the connector says what to ask and what answers mean, everything else happens here.

At least once, in small transactions: the rows of one answered request and what then remains to be done are stored together, so a
sync that is killed resumes where it was, and a sink that drops equal versions makes it exactly once.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from connectors.contract import Answer, Connector, Progress, Reader, Sink, Stream, SyncReport, Walk
from connectors.dispatch import Dispatch, Wire
from connectors.errors import SourceError
from connectors.ledger import Ledger
from connectors.pacing import Clock, SystemClock
from connectors.picking import Picking
from connectors.turns import Questions, Turn
from connectors.walk import KeysetWalk
from connectors.whole import WholeWalk

if TYPE_CHECKING:
    from connectors.transport import HttpWire

__all__ = ["Clock", "SystemClock", "Wire", "fetch", "pull"]


def pull(
    connector: Connector | Reader,
    sink: Sink,
    *,
    wire: Wire | None = None,
    clock: Clock | None = None,
    full: bool = False,
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
    only: Callable[[Stream], bool] | None = None,
) -> SyncReport:
    """One sync of one source. `full` reads everything anew; `stop` is asked between requests and ends the sync early;
    `only` picks the streams (default: all).

    Raises AccessError, PayloadError, TemporaryError, OptionError, with what was done before as their `report`: what was committed
    stays, and the next pull resumes.
    """
    ledger = Ledger(sink, progress)
    try:
        if not isinstance(connector, Connector):
            _read(connector, ledger, full=full, stop=stop, only=only)
        elif wire is not None:
            _pull(connector, ledger, wire, clock or SystemClock(), full=full, stop=stop, only=only)
        else:
            _pull_over_http(connector, ledger, clock or SystemClock(), full=full, stop=stop, only=only)
    except SourceError as error:
        error.report = ledger.close()
        raise
    return ledger.close()


def fetch(
    connector: Connector,
    sink: Sink,
    wanted: Mapping[str, Collection[int]],
    *,
    wire: Wire | None = None,
    clock: Clock | None = None,
    stop: Callable[[], bool] | None = None,
) -> SyncReport:
    """Bring rows up to date that are said to have changed: keys by stream name, with all rows that are `of` them.

    No walk's state is touched. A stream that the source does not offer is passed over. A report with the finding `stopped` tells
    that `stop` ended it early. Raises like `pull`.
    """
    ledger = Ledger(sink)
    own_wire = None
    try:
        if wire is None:
            wire = own_wire = _http(connector)
        _fetch(connector, ledger, wanted, Dispatch(connector, wire, clock or SystemClock(), ledger.report, stop))
    except SourceError as error:
        error.report = ledger.close()
        raise
    finally:
        if own_wire is not None:
            own_wire.close()
    return ledger.close()


def _fetch(connector: Connector, ledger: Ledger, wanted: Mapping[str, Collection[int]], dispatch: Dispatch) -> None:
    try:
        adapted = _adapted(connector, dispatch)
        if adapted is not None:
            dispatch.connector = adapted
            streams = adapted.streams()
            pickings = [
                Picking(adapted, stream, [other for other in streams if other.of == stream.name], ledger, wanted[stream.name])
                for stream in streams
                if wanted.get(stream.name)
            ]
            dispatch.drive([turn for picking in pickings for turn in picking.start()], ledger.commit)
    finally:
        dispatch.close()
    if dispatch.is_stopped:
        ledger.find("stopped", "info", "")


def _http(connector: Connector) -> "HttpWire":
    from connectors.transport import HttpWire  # requests takes long to import

    return HttpWire(connector.endpoint, connector.limits.parallel)


def _pull_over_http(
    connector: Connector,
    ledger: Ledger,
    clock: Clock,
    *,
    full: bool,
    stop: Callable[[], bool] | None,
    only: Callable[[Stream], bool] | None,
) -> None:
    wire = _http(connector)
    try:
        _pull(connector, ledger, wire, clock, full=full, stop=stop, only=only)
    finally:
        wire.close()


def _pull(
    connector: Connector,
    ledger: Ledger,
    wire: Wire,
    clock: Clock,
    *,
    full: bool,
    stop: Callable[[], bool] | None,
    only: Callable[[Stream], bool] | None,
) -> None:
    dispatch = Dispatch(connector, wire, clock, ledger.report, stop)
    began = clock.now()

    def base() -> datetime:
        """When this sync began by the server's clock, or by ours if that is behind: reading too much does no harm."""
        return min(dispatch.server_now or began, began)

    def skew() -> int:
        """Seconds that the server's clock is ahead of ours."""
        return 0 if dispatch.server_now is None else round((dispatch.server_now - began).total_seconds())

    try:
        adapted = _adapted(connector, dispatch)
        if adapted is not None:
            dispatch.connector = adapted
            ledger.report.findings.extend(adapted.findings())
            wanted = [stream for stream in adapted.streams() if only is None or only(stream)]
            walks = [_walk(adapted, stream, ledger, base, skew, full=full) for stream in wanted]
            dispatch.drive([turn for walk in walks for turn in walk.start()], lambda: _store(walks, ledger))
            dispatch.drive([turn for walk in walks for turn in walk.recount()], lambda: _store(walks, ledger))
    finally:
        dispatch.close()
    if dispatch.is_stopped:
        ledger.find("stopped", "info", "")


def _adapted(connector: Connector, dispatch: Dispatch) -> Connector | None:
    """The connector after its probes; None when the sync was stopped before they were answered."""
    probes = connector.probes()
    if not probes:
        return connector
    bodies: dict[str, object] = {}

    def answered(name: str) -> Callable[[Mapping[str, Answer]], list[Turn]]:
        def keep(answers: Mapping[str, Answer]) -> list[Turn]:
            bodies[name] = answers[name].body
            return []

        return keep

    dispatch.drive([Questions("probe", {name: call}, answered(name)) for name, call in probes.items()], lambda: None)
    return None if len(bodies) < len(probes) else connector.adapted({name: bodies[name] for name in probes})


def _walk(
    connector: Connector, stream: Stream, ledger: Ledger, base: Callable[[], datetime], skew: Callable[[], int], *, full: bool
) -> KeysetWalk | WholeWalk:
    ledger.line(stream)
    if stream.walk is Walk.WHOLE:
        return WholeWalk(connector, stream, ledger, base)
    return KeysetWalk(connector, stream, ledger, base, full=full, skew=skew)


def _store(walks: Sequence[KeysetWalk | WholeWalk], ledger: Ledger) -> None:
    """Commit what one answered request brought, with the new state of every stream it touched."""
    for walk in walks:
        if walk.has_changed:
            ledger.remember(walk.stream, walk.state())
    ledger.commit()


def _read(
    reader: Reader,
    ledger: Ledger,
    *,
    full: bool,
    stop: Callable[[], bool] | None,
    only: Callable[[Stream], bool] | None,
) -> None:
    """A local source: commit chunk by chunk. Chunks of streams that are not wanted are dropped, and come again next time."""
    wanted = {stream.name: stream for stream in reader.streams() if only is None or only(stream)}
    for stream in wanted.values():
        ledger.line(stream)
    states = {stream.name: None if full else ledger.sink.state(stream) for stream in reader.streams()}
    is_stopped = False
    try:
        for chunk in reader.read(states):
            if chunk.stream.name not in wanted:
                continue
            ledger.take(chunk)
            ledger.commit()
            if stop is not None and stop():
                is_stopped = True
                break
    finally:  # what was noticed in the files that could be read counts when another could not
        ledger.report.findings.extend(reader.findings())
    if is_stopped:
        ledger.find("stopped", "info", "")
