"""The kit for readers of local files: the CRM's rows are written as an export, read, changed, and read again."""

import random
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

from connectors import engine
from connectors.conformance.crm import FakeCrm
from connectors.conformance.fake import Violation
from connectors.conformance.faults import Crash
from connectors.conformance.stand import NONSENSE, START, ZONES, Listener, MortalSink
from connectors.conformance.verdicts import Truth, no_secrets, nothing_new
from connectors.contract import Reader, Stream, Surroundings, SyncReport
from connectors.records import Record
from connectors.secrets import Secret


class FakeFiles(ABC):
    """What the author of a reader writes: how the CRM's rows look as an export."""

    @abstractmethod
    def tables(self) -> tuple[str, ...]:
        """The streams whose rows are written as they are; others (stages, owners) follow from them."""

    @abstractmethod
    def reader(self, folder: Path, surroundings: Surroundings) -> Reader:
        """The reader under proof, opened on the folder."""

    @abstractmethod
    def write(self, crm: FakeCrm, folder: Path) -> None:
        """Write an export of all live rows. A broken row shows `crm.nonsense` instead of an amount."""

    def truth(self, stream: Stream, record: Record) -> Record:
        """The record an honest reader makes of a row, less what the export cannot tell."""
        return record


class FileStand:
    """One trial's apparatus: a CRM of about `n_rows` rows a table, a folder, a sink that may die."""

    def __init__(self, fake: FakeFiles, seed: str, folder: Path, n_rows: int | None = None) -> None:
        self.rng = random.Random(seed)
        self.fake = fake
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.surroundings = Surroundings(ZoneInfo(self.rng.choice(ZONES)), Secret("canary0hash0key"))
        self.crm = FakeCrm(random.Random(self.rng.random()), START, self.surroundings.timezone, 50, NONSENSE)
        self.sink = MortalSink()
        self.said: list[str] = []
        offered = {stream.name: stream for stream in self.reader().streams()}
        self.streams = [offered[name] for name in fake.tables()]
        for stream in self.streams:
            self.crm.fill(stream, n_rows or self.rng.choice((1, 2, 60)), gap=0.3)

    def reader(self) -> Reader:
        return self.fake.reader(self.folder, self.surroundings)

    @property
    def shown(self) -> list[str]:
        """What the parts say of themselves."""
        return [repr(self.reader())]

    def write(self) -> None:
        self.fake.write(self.crm, self.folder)

    def pull(self) -> SyncReport:
        with Listener(self.said):
            report = engine.pull(self.reader(), self.sink)
        self.said.append(repr(report))
        return report

    def change(self, n: int) -> None:
        for _ in range(n):
            table = self.crm.tables[self.rng.choice(self.streams).name]
            self.rng.choice((self.crm.insert, self.crm.edit))(table)


def reading(stand: FileStand) -> None:
    """Every row of the export is stored once, right in every field; the same export again adds nothing."""
    stand.write()
    stand.pull()
    truth = Truth(stand)
    truth.content()
    report = stand.pull()
    nothing_new(report)
    if any(part.received for part in report.streams.values()):
        raise Violation("no-op", "an export that was read before was read again")
    truth.content()


def next_export(stand: FileStand) -> None:
    """A later export brings what changed, and no more."""
    stand.write()
    stand.pull()
    stand.change(stand.rng.randrange(1, 20))
    stand.write()
    stand.pull()
    Truth(stand).content()
    nothing_new(stand.pull())


def crashes(stand: FileStand) -> None:
    """A reader that dies before or after any commit, and starts again, ends with the same content."""
    stand.write()
    stand.sink.deaths = {number: stand.rng.choice(("before", "after")) for number in range(6) if stand.rng.random() < 0.5}
    for _ in range(20):
        try:
            stand.pull()
        except Crash:
            continue
        break
    else:
        raise Violation("progress", "20 syncs in a row did not come to an end")
    Truth(stand).content()
    nothing_new(stand.pull())


def dirt(stand: FileStand) -> None:
    """Unreadable rows are quarantined, with where they stand, and cost no other row; mended ones arrive later."""
    for stream in stand.streams:
        for _ in range(stand.rng.randrange(1, 3)):
            stand.crm.spoil(stand.crm.tables[stream.name])
    stand.write()
    stand.pull()
    truth = Truth(stand)
    truth.content()
    truth.quarantine()
    if any(not reject.where for stream in stand.streams for reject in stand.sink.rejects(stream)):
        raise Violation("rejects", "a rejected row does not say where it stands")
    for stream in stand.streams:
        for row in stand.crm.tables[stream.name].rows.values():
            row.is_broken = False
    stand.write()
    stand.pull()
    truth.content()


_LONG, _LONG_EVERY = 5_200, 30  # rows that take more than one commit, now and then: they take seconds
TRIALS: dict[str, Callable[[FileStand], None]] = {one.__name__: one for one in (reading, next_export, crashes, dirt)}


def run(fake: FakeFiles, family: str, seed: int, folder: Path) -> None:
    """One trial in an empty folder. Raises Violation."""
    is_long = family == "crashes" and seed % _LONG_EVERY == 0
    stand = FileStand(fake, f"{family}-{seed}", folder, _LONG if is_long else None)
    try:
        TRIALS[family](stand)
        no_secrets(stand, is_deep=True)
    except Violation as violation:
        violation.add_note(f"to repeat: connectors.conformance.readers.run({type(fake).__name__}(), {family!r}, {seed}, folder)")
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
