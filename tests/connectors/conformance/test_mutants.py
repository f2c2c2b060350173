"""The kit is not blind: every planted fault is caught, and by the check that is meant for it."""

import pytest

from connectors.bitrix24 import Bitrix24
from connectors.conformance import kit
from connectors.conformance.fake import FakeWire
from tests.connectors.bitrix24.fake_wire import BitrixWire
from tests.connectors.conformance.engine_mutants import ENGINE
from tests.connectors.conformance.mutants import CONNECTORS, PARSERS, Plant

TRIALS = 800  # of which the family's share is tried until the mutant is caught


def assert_caught(fake: FakeWire, family: str, check: str) -> None:
    met = set()
    for _, _, violation in kit.violations(fake, TRIALS, [family]):
        met.add(violation.check)
        if violation.check == check:
            return
    pytest.fail(f"survives {family}; checks that failed: {sorted(met) or 'none'}")


@pytest.mark.parametrize("mutant", CONNECTORS, ids=lambda mutant: mutant.__name__)
def test_a_fault_in_the_connector_is_caught(mutant: type[Bitrix24]) -> None:
    class MutantWire(BitrixWire):
        connector_type = mutant

    assert_caught(MutantWire(), *CONNECTORS[mutant])


@pytest.mark.parametrize("name", PARSERS)
def test_a_wrongly_read_column_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    PARSERS[name](monkeypatch)
    assert_caught(BitrixWire(), "completeness", "values")


@pytest.mark.parametrize("plant", ENGINE, ids=lambda plant: plant.__name__)
def test_a_fault_in_the_engine_is_caught(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    assert_caught(BitrixWire(), *ENGINE[plant])
