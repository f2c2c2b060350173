"""The trials: what a stand goes through, and which promises are checked then. One function a family, seeded."""

from collections.abc import Callable
from dataclasses import dataclass

from connectors.conformance.facts import field_names
from connectors.conformance.fake import FakeWire, Violation
from connectors.conformance.faults import LASTING, PASSING, PASSING_INNER, Crash, scattered
from connectors.conformance.stand import START, Stand
from connectors.conformance.verdicts import Truth, few_requests, nothing_new, paced, rights_are_no_deletions
from connectors.contract import Deletes, Stream, Walk
from connectors.errors import AccessError, PayloadError, TemporaryError


@dataclass(frozen=True, slots=True)
class Trial:
    """One family of trials; `weight` is its share of all."""

    name: str
    run: Callable[[FakeWire, int], Stand]
    weight: float


TRIALS: dict[str, Trial] = {}


def trial(weight: float) -> Callable[[Callable[[FakeWire, int], Stand]], Callable[[FakeWire, int], Stand]]:
    def add(run: Callable[[FakeWire, int], Stand]) -> Callable[[FakeWire, int], Stand]:
        TRIALS[run.__name__] = Trial(run.__name__, run, weight)
        return run

    return add


def _stand(fake: FakeWire, seed: int, name: str) -> Stand:
    """Mostly packs of a few calls, so that small tables need many requests; sometimes the CRM's own."""
    return Stand(fake, f"{name}-{seed}", pack=(2, 3, 5, None)[seed % 4])


# --- content ----------------------------------------------------------------------------------------------------------


@trial(weight=2)
def completeness(fake: FakeWire, seed: int) -> Stand:
    """A full export stores every row once, right in every field, whatever gaps and ties; a second sync adds nothing."""
    stand = _stand(fake, seed, "completeness")
    stand.fill()
    report = stand.pull()
    truth = Truth(stand)
    truth.content()
    if any(part.recovered for part in report.streams.values()):
        raise Violation("complete", "rows had to be recovered by the closing count though nothing moved")
    few_requests(stand, stand.wire.n_requests, n_probe_requests=_n_probe_requests(stand))
    nothing_new(stand.quiet_pull())
    truth.content()
    paced(stand)
    return stand


@trial(weight=2)
def nightly(fake: FakeWire, seed: int) -> Stand:
    """A night's changes arrive with the next sync, in a request or two when they are few."""
    stand = _stand(fake, seed, "nightly")
    stand.fill()
    stand.pull()
    stand.later(20)
    for _ in range(stand.rng.randrange(1, stand.crm.page)):
        stand.crm.change("insert edit edit touch")
    before = stand.wire.n_requests
    n_most = max(sum(row.modified >= START - table.stream.lag for row in table.rows.values()) for table in stand.tables)
    stand.pull()
    Truth(stand).content()
    n_packs = stand.wire.n_requests - before - _n_probe_requests(stand)
    if stand.connector.limits.pack >= 2 * len(stand.streams) and n_most < stand.crm.page and n_packs > 2:
        raise Violation("requests", f"a night with few changes took {n_packs} requests beside the probes")
    nothing_new(stand.quiet_pull())
    paced(stand)
    return stand


@trial(weight=3)
def moving(fake: FakeWire, seed: int) -> Stand:
    """People work while we read: rows nobody touched are all there, and the next quiet sync knows everything."""
    stand = _stand(fake, seed, "moving")
    stand.fill()
    stand.crm.churn = stand.rng.choice((0.1, 0.3, 0.6))
    truth = Truth(stand)
    for _ in range(stand.rng.randrange(1, 4)):
        mark = stand.crm.n_changes
        stand.pull()
        truth.content(moved_since=mark)
        stand.later(stand.rng.uniform(0.0, 3.0))
    stand.quiet_pull()
    truth.content()
    nothing_new(stand.quiet_pull())
    return stand


@trial(weight=1)
def stamps(fake: FakeWire, seed: int) -> Stand:
    """Rows stamped late or ahead of every clock are found: windows overlap and have no upper end."""
    stand = _stand(fake, seed, "stamps")
    stand.fill()
    truth = Truth(stand)
    stand.pull()
    for _ in range(3):
        for _ in range(stand.rng.randrange(1, 6)):
            stand.crm.change("late future edit")
        stand.pull()
        truth.content()
        stand.later(stand.rng.choice((0.0, 0.3, 30.0)))
    return stand


@trial(weight=1)
def imported(fake: FakeWire, seed: int) -> Stand:
    """Rows that appear below the last key with old stamps (a restored backup, a slow transaction) are found by counting."""
    stand = _stand(fake, seed, "imported")
    stand.fill(stand.crm.page * 2)
    stand.pull()
    stand.later(20)
    for table in stand.tables:
        free = sorted(set(range(1, (table.keys or [1])[-1])) - set(table.keys))
        if table.stream.deletes is Deletes.COUNT and free:
            stand.crm.insert(table, key=stand.rng.choice(free), modified=stand.crm.now.replace(year=2025))
    stand.pull()
    Truth(stand).content()
    nothing_new(stand.quiet_pull())
    return stand


@trial(weight=2)
def deletions(fake: FakeWire, seed: int) -> Stand:
    """Deleted rows are found exactly, among edits, and can come back."""
    stand = _stand(fake, seed, "deletions")
    stand.fill(stand.crm.page + stand.rng.randrange(3 * stand.crm.page))
    stand.pull()
    stand.later(20)
    gone = 0
    for stream in stand.streams:
        table = stand.crm.tables[stream.name]
        n_live = len(stand.crm.live(stream.name))
        most = min(19, n_live - 1) if stream.walk is Walk.KEYSET else min(2, n_live // 3)
        if stream.deletes is not Deletes.NONE and most > 0:
            for _ in range(stand.rng.randrange(most + 1)):
                stand.crm.delete(table)
                gone += 1
    for _ in range(stand.rng.randrange(5)):
        stand.crm.change("edit insert")
    truth = Truth(stand)
    report = stand.pull()
    truth.content()
    n_deleted = sum(part.deleted for part in report.streams.values())
    if n_deleted != gone:
        raise Violation("deletes", f"{gone} rows were deleted, the report says {n_deleted}")
    for table in stand.tables:
        stand.crm.restore(table, is_stamped=False)
    stand.quiet_pull()
    truth.content()
    return stand


@trial(weight=1)
def rights(fake: FakeWire, seed: int) -> Stand:
    """Rows that were only hidden from us are not deleted, few or many, and somebody is told."""
    stand = _stand(fake, seed, "rights")
    big = stand.rng.choice([stream for stream in stand.keyset if stream.deletes is Deletes.COUNT] or stand.keyset)
    table = stand.fill(stand.crm.page + stand.rng.randrange(stand.crm.page), big=big)
    stand.pull()
    stand.later(20)
    n_hidden = stand.rng.choice((1, 3, len(table.keys) // 2, len(table.keys) - 1))
    for _ in range(n_hidden):
        stand.crm.hide(table)
    report = stand.pull()
    rights_are_no_deletions(stand)
    Truth(stand).content()
    if big.deletes is Deletes.COUNT and not any(finding.code == "rights_shrunk" for finding in report.findings):
        raise Violation("rights", f"{n_hidden} rows of {len(table.keys)} vanished from sight without a finding")
    for row in table.rows.values():
        row.is_hidden = False
    stand.quiet_pull()
    Truth(stand).content()
    return stand


@trial(weight=1)
def granted(fake: FakeWire, seed: int) -> Stand:
    """Old rows that we are allowed to see only later, the newest or all among them, arrive with the next sync."""
    stand = _stand(fake, seed, "granted")
    big = stand.rng.choice([stream for stream in stand.keyset if stream.deletes is Deletes.COUNT] or stand.keyset)
    table = stand.fill(stand.rng.randrange(1, 3 * stand.crm.page), big=big)
    hidden = stand.rng.choice((table.keys, table.keys[-3:], table.keys[::2], table.keys[1:]))
    for key in hidden:
        table.rows[key].is_hidden = True
    stand.pull()
    truth = Truth(stand)
    truth.content()
    for key in hidden:
        table.rows[key].is_hidden = False
    if big.deletes is Deletes.COUNT:
        stand.quiet_pull()
        truth.content()
        nothing_new(stand.quiet_pull())
    return stand


@trial(weight=1)
def dirt(fake: FakeWire, seed: int) -> Stand:
    """Unreadable rows are quarantined and counted, unknown columns reported, and both cost no other row."""
    stand = _stand(fake, seed, "dirt")
    table = stand.fill(stand.crm.page + stand.rng.randrange(1, stand.crm.page), big=_spoilable(stand))
    for _ in range(stand.rng.randrange(1, 4)):
        stand.crm.spoil(table)
    report = stand.pull()
    truth = Truth(stand)
    truth.content()
    truth.quarantine()
    stand.crm.surprise = {"UNANNOUNCED_COLUMN": "x"}
    for _ in range(4):
        stand.crm.edit(table)
    report = stand.quiet_pull()
    truth.content()
    truth.quarantine()
    drift = [finding for finding in report.findings if finding.code == "unknown_columns"]
    if not any("UNANNOUNCED_COLUMN" in repr(finding) for finding in drift):
        raise Violation("drift", "a column nobody announced was not reported")
    nothing_new(stand.quiet_pull())
    return stand


def _spoilable(stand: Stand) -> Stream:
    """A stream whose rows hold something to misread: an amount."""
    streams = [stream for stream in stand.keyset if "amount" in field_names(stream.record)]
    return stand.rng.choice(streams or stand.keyset)


# --- mishaps ----------------------------------------------------------------------------------------------------------


@trial(weight=2)
def crashes(fake: FakeWire, seed: int) -> Stand:
    """A reader that dies before or after any commits, and resumes, ends with what an uninterrupted one has."""
    stand = _stand(fake, seed, "crashes")
    stand.fill()
    span = stand.rng.choice((4, 12, 30))
    stand.sink.deaths = {number: stand.rng.choice(("before", "after")) for number in range(span) if stand.rng.random() < 0.5}
    stand.pull_until_done()
    truth = Truth(stand)
    truth.content()
    for _ in range(stand.rng.randrange(6)):
        stand.crm.change("insert edit delete")
    stand.sink.deaths = {stand.sink.n_tries + number: stand.rng.choice(("before", "after")) for number in range(2)}
    stand.pull_until_done()
    truth.content()
    nothing_new(stand.quiet_pull())
    return stand


@trial(weight=1)
def short_lives(fake: FakeWire, seed: int) -> Stand:
    """A reader that only ever lives for a few commits gets there: commits are progress, nothing is asked all over."""
    stand = _stand(fake, seed, "short_lives")
    stand.fill()
    stand.sink.lifespan = 3 * len(stand.streams)  # dictionaries are read anew in each life
    stand.pull_until_done(most=20)
    Truth(stand).content()
    nothing_new(stand.quiet_pull())
    return stand


@trial(weight=3)
def faults(fake: FakeWire, seed: int) -> Stand:
    """One kind of passing fault, anywhere: the sync ends complete without help."""
    stand = _stand(fake, seed, "faults")
    stand.fill()
    packs = stand.connector.limits.pack > 1
    kinds = [(kind, False) for kind in PASSING] + [(kind, True) for kind in PASSING_INNER if packs]
    kind, is_inner = kinds[seed % len(kinds)]
    share = stand.rng.choice((0.02, 0.1, 0.3))
    if is_inner:
        stand.crm.plan.inner_at = scattered(stand.rng, (kind,), share=share, span=600)
    else:
        stand.crm.plan.outer = scattered(stand.rng, (kind,), share=share, span=200)
    stand.pull_until_done(most=6)
    Truth(stand).content()
    nothing_new(stand.quiet_pull())
    return stand


@trial(weight=3)
def storm(fake: FakeWire, seed: int) -> Stand:
    """Everything at once: faults of requests and calls, deaths, changes between pages."""
    stand = _stand(fake, seed, "storm")
    stand.fill()
    stand.crm.churn = stand.rng.choice((0.0, 0.05, 0.3))
    stand.crm.plan.outer = scattered(stand.rng, PASSING, share=0.15, span=200)
    if stand.connector.limits.pack > 1:
        stand.crm.plan.inner_at = scattered(stand.rng, PASSING_INNER, share=0.05, span=600)
    stand.sink.deaths = {number: stand.rng.choice(("before", "after")) for number in range(40) if stand.rng.random() < 0.15}
    mark = stand.crm.n_changes
    stand.pull_until_done()
    truth = Truth(stand)
    truth.content(moved_since=mark)
    stand.quiet_pull()
    truth.content()
    nothing_new(stand.quiet_pull())
    return stand


@trial(weight=1)
def locked_out(fake: FakeWire, seed: int) -> Stand:
    """A dead password or a moved address, at any request, is an AccessError with advice; later all is well."""
    stand = _stand(fake, seed, "locked_out")
    stand.fill()
    plan = stand.crm.plan
    plan.lasting, plan.lasting_from = LASTING[seed % 2], stand.rng.choice((0, 1, 2, 5))
    try:
        stand.pull()
    except AccessError as error:
        if not error.hint:
            raise Violation("advice", "an access error does not say what to do") from None
    except Exception as error:
        raise Violation("access", f"{plan.lasting.value}: raised {type(error).__name__}") from None
    else:
        if plan.n_requests > plan.lasting_from:
            raise Violation("access", f"{plan.lasting.value}, and nobody was told")
    stand.quiet_pull()
    Truth(stand).content()
    return stand


@trial(weight=2)
def liar(fake: FakeWire, seed: int) -> Stand:
    """A server that ignores the filter, the order or the offset fails the sync; it neither loops nor leaves wrong rows behind."""
    stand = _stand(fake, seed, "liar")
    is_later = seed % 8 >= 4  # the server begins to lie after the first export
    big = stand.rng.choice([stream for stream in stand.keyset if stream.is_incremental or not is_later])
    table = stand.fill(stand.crm.page * 2 + stand.rng.randrange(1, 3 * stand.crm.page), big=big)
    if is_later:
        stand.pull()
        stand.later(20)
        for key in table.keys:
            table.rows[key].modified = stand.crm.now
    stand.crm.ignores = frozenset((("filter",), ("order",), ("filter", "order"), ("start",))[seed % 4])
    stand.wire.most_requests = stand.wire.n_requests + 400
    truth = Truth(stand)
    try:
        stand.pull()
    except PayloadError:
        pass
    except TemporaryError as error:
        raise Violation("liar", f"a server that ignores {sorted(stand.crm.ignores)} counts as a passing fault") from error
    else:
        if stand.crm.ignores & {"filter", "order"}:
            raise Violation("liar", f"a server that ignores {sorted(stand.crm.ignores)} went unnoticed")
        truth.content()
    truth.content(moved_since=-1)
    stand.crm.ignores = frozenset()
    stand.quiet_pull()
    truth.content()
    return stand


@trial(weight=1)
def budget(fake: FakeWire, seed: int) -> Stand:
    """A method whose budget is used up is waited for; nothing is lost and nothing given up."""
    stand = _stand(fake, seed, "budget")
    stand.fill()
    if stand.crm.budget_s is not None:
        stand.crm.cost_s = stand.crm.budget_s / stand.rng.choice((3, 8, 30))
    stand.pull()
    Truth(stand).content()
    return stand


@trial(weight=0.5)
def threads(fake: FakeWire, seed: int) -> Stand:
    """With as many requests in flight as the CRM allows, the content is the same."""
    stand = Stand(fake, f"threads-{seed}", pack=(3, None)[seed % 2], parallel=64)
    stand.fill()
    stand.crm.plan.outer = scattered(stand.rng, PASSING, share=0.05, span=200)
    stand.pull_until_done()
    Truth(stand).content()
    return stand


@trial(weight=0.1)
def economy(fake: FakeWire, seed: int) -> Stand:
    """A long export stays near the floor of requests, and is paced, not bounced."""
    stand = Stand(fake, f"economy-{seed}", pack=(10, 2)[seed % 2])
    stand.wire.latency = (0.01, 0.05)
    n_pages = 150 if stand.connector.limits.pack > 1 else 60
    stand.fill(n_pages * stand.crm.page)
    stand.pull()
    Truth(stand).content()
    few_requests(stand, stand.wire.n_requests, n_probe_requests=_n_probe_requests(stand))
    paced(stand)
    return stand


def _n_probe_requests(stand: Stand) -> int:
    n_probes = len(stand.connector.probes())
    pack = stand.connector.limits.pack
    return -(-n_probes // pack) if n_probes else 0


__all__ = ["TRIALS", "Crash", "Trial"]
