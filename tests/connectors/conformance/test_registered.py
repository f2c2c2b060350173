"""A connector that can be configured has been proven."""

from pathlib import Path

from connectors import registry
from connectors.bitrix24 import Bitrix24
from connectors.conformance.suite import proven

TESTS = Path(__file__).resolve().parents[1]


def test_every_registered_connector_inherits_a_suite() -> None:
    classes = proven(TESTS)
    missing = sorted(name for name, kind in registry.kinds().items() if kind not in classes)
    assert not missing, f"no test_conformance.py below tests/connectors puts these through a suite: {', '.join(missing)}"


def test_a_suite_is_found_by_its_file(tmp_path: Path) -> None:
    assert proven(tmp_path) == set()
    suite = """
from connectors.bitrix24 import Bitrix24
from connectors.conformance.suite import ConformanceSuite

class TestIt(ConformanceSuite):
    proves = Bitrix24
"""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "test_conformance.py").write_text(suite, encoding="utf-8")
    assert proven(tmp_path) == {Bitrix24}
