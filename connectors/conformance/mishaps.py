"""Trials of mishaps: deaths of the reader, faults of the line, servers that lie. One function a family, seeded."""

from connectors.conformance.fake import FakeWire, Violation
from connectors.conformance.faults import LASTING, PASSING, PASSING_INNER, scattered
from connectors.conformance.stand import Stand, small_stand
from connectors.conformance.verdicts import Truth, few_requests, flat, nothing_new, nothing_recovered, paced
from connectors.errors import AccessError, PayloadError, TemporaryError


def crashes(fake: FakeWire, seed: int) -> Stand:
    """A reader that dies before or after any commits, and resumes, ends with what an uninterrupted one has."""
    stand = small_stand(fake, seed, "crashes")
    stand.fill()
    span = stand.rng.choice((4, 12, 30))
    stand.sink.deaths = {number: stand.rng.choice(("before", "after")) for number in range(span) if stand.rng.random() < 0.5}
    nothing_recovered(stand.pull_until_done())
    truth = Truth(stand)
    truth.content()
    for _ in range(stand.rng.randrange(1, 12)):
        stand.crm.change("insert edit edit delete")
    first = stand.sink.n_tries + stand.rng.randrange(8)
    stand.sink.deaths = {first + number: stand.rng.choice(("before", "after")) for number in range(3)}
    stand.pull_until_done()
    truth.content()
    nothing_new(stand.quiet_pull())
    return stand


def every_commit(fake: FakeWire, seed: int) -> Stand:
    """One small CRM, and a death before and after each single commit of its sync in turn."""
    number = 0
    while True:
        for moment in ("before", "after"):
            stand = small_stand(fake, seed, "every_commit")
            stand.fill(stand.crm.page + 3)
            stand.sink.deaths = {number: moment}
            nothing_recovered(stand.pull_until_done())
            Truth(stand).content()
            if stand.sink.n_tries <= number:
                return stand
        number += 1


def stopped(fake: FakeWire, seed: int) -> Stand:
    """A sync that is asked to stop says so, keeps what it has, and the next one goes on from there."""
    stand = small_stand(fake, seed, "stopped")
    stand.fill()
    n_asked, most = 0, stand.rng.choice((0, 1, 2, 5, 9))

    def stop() -> bool:
        nonlocal n_asked
        n_asked += 1
        return n_asked > most

    report = stand.pull(stop=stop)
    if n_asked > most and not any(finding.code == "stopped" for finding in report.findings):
        raise Violation("stopped", "a sync that was stopped does not say so")
    nothing_recovered(stand.quiet_pull())
    Truth(stand).content()
    nothing_new(stand.quiet_pull())
    return stand


def short_lives(fake: FakeWire, seed: int) -> Stand:
    """A reader that only ever lives for a few commits gets there: commits are progress, nothing is asked all over."""
    stand = small_stand(fake, seed, "short_lives")
    stand.fill()
    stand.sink.lifespan = 3 * len(stand.streams)  # dictionaries are read anew in each life
    stand.pull_until_done(most=20)
    Truth(stand).content()
    nothing_new(stand.quiet_pull())
    return stand


def faults(fake: FakeWire, seed: int) -> Stand:
    """One kind of passing fault, anywhere: the sync ends complete without help."""
    stand = small_stand(fake, seed, "faults")
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


def storm(fake: FakeWire, seed: int) -> Stand:
    """Everything at once: faults of requests and calls, deaths, changes between pages."""
    stand = small_stand(fake, seed, "storm")
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


def locked_out(fake: FakeWire, seed: int) -> Stand:
    """A dead password or a moved address, at any request, is an AccessError with advice; later all is well."""
    stand = small_stand(fake, seed, "locked_out")
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


def liar(fake: FakeWire, seed: int) -> Stand:
    """A server that ignores the filter, the order or the offset fails the sync; it neither loops nor leaves wrong rows behind."""
    stand = small_stand(fake, seed, "liar")
    is_later = seed % 8 >= 4  # the server begins to lie after the first export
    big = stand.rng.choice([stream for stream in stand.keyset if stream.is_incremental or not is_later])
    table = stand.fill(stand.crm.page * 2 + stand.rng.randrange(1, 3 * stand.crm.page), big=big)
    if is_later:
        stand.pull()
        stand.later(20)
        for key in table.keys:
            table.rows[key].modified = stand.crm.now
    stand.crm.ignores = frozenset((("filter",), ("order",), ("filter", "order"), ("start",))[seed % 4])
    stand.wire.most_requests = stand.wire.n_requests + 150
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


def budget(fake: FakeWire, seed: int) -> Stand:
    """A method whose budget is used up is waited for; nothing is lost and nothing given up."""
    stand = small_stand(fake, seed, "budget")
    stand.fill()
    if stand.crm.budget_s is not None:
        stand.crm.cost_s = stand.crm.budget_s / stand.rng.choice((3, 8, 30))
    stand.pull()
    Truth(stand).content()
    return stand


def threads(fake: FakeWire, seed: int) -> Stand:
    """With as many requests in flight as the CRM allows, the content is the same."""
    stand = Stand(fake, f"threads-{seed}", pack=(3, None)[seed % 2], parallel=64)
    stand.fill()
    stand.crm.plan.outer = scattered(stand.rng, PASSING, share=0.05, span=200)
    stand.pull_until_done()
    Truth(stand).content()
    return stand


def economy(fake: FakeWire, seed: int) -> Stand:
    """A long export stays near the floor of requests, and is paced, not bounced."""
    stand = Stand(fake, f"economy-{seed}", pack=(2, 10)[seed % 2])
    stand.wire.latency = (0.01, 0.05)
    n_pages = 150 if stand.connector.limits.pack > 1 else 60
    stand.fill(n_pages * stand.crm.page)
    stand.pull()
    Truth(stand).content()
    paced(stand)
    flat(stand)
    few_requests(stand)
    return stand
