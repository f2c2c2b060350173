"""The Bitrix24 connector keeps the kit's promises, on small pages (many requests for few rows) and on the portal's own."""

import pytest

from connectors.bitrix24 import Bitrix24
from connectors.conformance import kit
from connectors.conformance.suite import ConformanceSuite, n_trials
from tests.connectors.bitrix24.fake_wire import BitrixWire


class FullPages(BitrixWire):
    page = None


class TestBitrix24(ConformanceSuite):
    proves = Bitrix24
    fake = BitrixWire


@pytest.mark.parametrize("family", ["completeness", "nightly", "moving", "crashes", "storm", "economy"])
def test_pages_of_fifty(family: str) -> None:
    kit.prove(FullPages(), n_trials() // 10, [family])
