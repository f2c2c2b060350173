"""Trials of content: what a sync must store while the CRM lives its ordinary life. One function a family, seeded."""

from connectors.conformance.facts import field_names
from connectors.conformance.fake import FakeWire, Violation
from connectors.conformance.stand import START, Stand, small_stand
from connectors.conformance.verdicts import Truth, few_requests, nothing_new, nothing_recovered, paced, rights_are_no_deletions
from connectors.contract import Deletes, Stream, Walk


def completeness(fake: FakeWire, seed: int) -> Stand:
    """A full export stores every row once, right in every field, whatever gaps and ties; once more, it adds nothing."""
    stand = small_stand(fake, seed, "completeness")
    stand.fill()
    report = stand.pull()
    truth = Truth(stand)
    truth.content()
    nothing_recovered(report)
    few_requests(stand)
    nothing_new(stand.quiet_pull())
    nothing_new(stand.pull(full=True))
    truth.content()
    paced(stand)
    return stand


def nightly(fake: FakeWire, seed: int) -> Stand:
    """A night's changes arrive with the next sync, in a request or two when they are few."""
    stand = small_stand(fake, seed, "nightly")
    stand.fill()
    stand.pull()
    stand.later(20)
    for _ in range(stand.rng.randrange(1, stand.crm.page)):
        stand.crm.change("insert edit edit touch")
    before = stand.wire.n_requests
    n_most = max(sum(row.modified >= START - table.stream.lag for row in table.rows.values()) for table in stand.tables)
    stand.pull()
    Truth(stand).content()
    n_packs = stand.wire.n_requests - before - stand.n_probe_requests
    if stand.connector.limits.pack >= 2 * len(stand.streams) and n_most < stand.crm.page and n_packs > 2:
        raise Violation("requests", f"a night with few changes took {n_packs} requests beside the probes")
    nothing_new(stand.quiet_pull())
    paced(stand)
    return stand


def moving(fake: FakeWire, seed: int) -> Stand:
    """People work while we read: rows nobody touched are all there, and the next quiet sync knows everything."""
    stand = small_stand(fake, seed, "moving")
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


def stamps(fake: FakeWire, seed: int) -> Stand:
    """Rows stamped late or ahead of every clock are found: windows overlap and have no upper end."""
    stand = small_stand(fake, seed, "stamps")
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


def imported(fake: FakeWire, seed: int) -> Stand:
    """Rows that appear below the last key with old stamps (a restored backup, a slow transaction) are found by counting."""
    stand = small_stand(fake, seed, "imported")
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


def deletions(fake: FakeWire, seed: int) -> Stand:
    """Deleted rows are found exactly, among edits, and can come back."""
    stand = small_stand(fake, seed, "deletions")
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


def rights(fake: FakeWire, seed: int) -> Stand:
    """Rows that were only hidden from us are not deleted, few or many, and somebody is told."""
    stand = small_stand(fake, seed, "rights")
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


def granted(fake: FakeWire, seed: int) -> Stand:
    """Old rows that we are allowed to see only later, the newest or all among them, arrive with the next sync."""
    stand = small_stand(fake, seed, "granted")
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


def dirt(fake: FakeWire, seed: int) -> Stand:
    """Unreadable rows are quarantined and counted, unknown columns reported, and both cost no other row."""
    stand = small_stand(fake, seed, "dirt")
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
