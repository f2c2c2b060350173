"""Proves a connector: runs its fake wire through all trials. Works without pytest; `suite` is for tests."""

from collections.abc import Iterable, Iterator

from connectors.conformance.fake import FakeWire, Violation
from connectors.conformance.trials import TRIALS
from connectors.conformance.verdicts import no_secrets

_DEEP_EVERY = 8  # rows are searched for secrets in every eighth trial: the search costs more than the trial


def seeds(family: str, trials: int) -> range:
    """The seeds of a family's share of `trials`, at least one."""
    whole = sum(one.weight for one in TRIALS.values())
    return range(max(1, round(trials * TRIALS[family].weight / whole)))


def run(fake: FakeWire, family: str, seed: int) -> None:
    """One trial. Raises Violation, which says how to repeat it."""
    try:
        stand = TRIALS[family].run(fake, seed)
        no_secrets(stand, is_deep=seed % _DEEP_EVERY == 0)
    except Violation as violation:
        violation.add_note(_repeat(fake, family, seed))
        raise
    except Exception as error:
        failure = Violation("error", f"the sync failed with {type(error).__name__}: {error}")
        failure.add_note(_repeat(fake, family, seed))
        raise failure from error


def prove(fake: FakeWire, trials: int, families: Iterable[str] = tuple(TRIALS)) -> int:
    """Run all trials of the families; their number. Raises the first Violation."""
    n = 0
    for family in families:
        for seed in seeds(family, trials):
            run(fake, family, seed)
            n += 1
    return n


def violations(fake: FakeWire, trials: int, families: Iterable[str] = tuple(TRIALS)) -> Iterator[tuple[str, int, Violation]]:
    """Family, seed and violation of every trial that fails: which checks catch a planted fault."""
    for family in families:
        for seed in seeds(family, trials):
            try:
                run(fake, family, seed)
            except Violation as violation:
                yield family, seed, violation


def _repeat(fake: FakeWire, family: str, seed: int) -> str:
    return f"to repeat: connectors.conformance.kit.run({type(fake).__name__}(), {family!r}, {seed})"
