"""The kit as tests: subclass a suite, name the fake, inherit the trials. PAYBACK_TRIALS sets how many (600 by default)."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from connectors.conformance import kit, readers
from connectors.conformance.fake import FakeWire
from connectors.conformance.readers import FakeFiles
from connectors.conformance.trials import TRIALS

DEFAULT_TRIALS = 600


def n_trials() -> int:
    """How many trials one connector goes through."""
    return int(os.environ.get("PAYBACK_TRIALS", DEFAULT_TRIALS))


class ConformanceSuite:
    """For connectors: `class TestMine(ConformanceSuite): proves = Mine; fake = MyWire`."""

    proves: ClassVar[type]  # the connector class, as it is registered
    fake: ClassVar[type[FakeWire]]

    @pytest.mark.parametrize("family", list(TRIALS))
    def test_trials(self, family: str) -> None:
        kit.prove(self.fake(), n_trials(), [family])


class ReaderSuite:
    """For readers of local files: `class TestMine(ReaderSuite): proves = Mine; fake = MyFiles`."""

    proves: ClassVar[type]
    fake: ClassVar[type[FakeFiles]]

    @pytest.mark.parametrize("family", list(readers.TRIALS))
    def test_trials(self, family: str, tmp_path: Path) -> None:
        for seed in range(max(1, n_trials() // 20)):
            readers.run(self.fake(), family, seed, tmp_path / str(seed))


def proven(tests: Path) -> set[type]:
    """The connector classes that some `test_conformance.py` below `tests` puts through a suite."""
    return {suite.proves for path in sorted(tests.rglob("test_conformance.py")) for suite in _suites(path)}


def _suites(path: Path) -> Iterator[type[ConformanceSuite] | type[ReaderSuite]]:
    spec = importlib.util.spec_from_file_location(f"proofs_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for found in vars(module).values():
        if isinstance(found, type) and issubclass(found, (ConformanceSuite, ReaderSuite)) and hasattr(found, "proves"):
            yield found
