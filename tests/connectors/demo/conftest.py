from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from connectors.demo import DemoPortal, PortalOptions, Store
from tests.connectors.demo.portal_client import Client, small_salon


@pytest.fixture
def serve() -> Iterator[Callable[..., Client]]:
    """serve(store=None, **options) -> Client of a portal that is closed after the test."""
    with ExitStack() as stack:

        def start(store: Store | None = None, **options: Any) -> Client:
            portal = stack.enter_context(DemoPortal(store or small_salon(), PortalOptions(**options)))
            client = Client(portal)
            stack.callback(client.session.close)
            return client

        yield start


@pytest.fixture
def client(serve: Callable[..., Client]) -> Iterator[Client]:
    """A client of a small salon without limits; the portal must not have stumbled itself."""
    client = serve(has_limits=False)
    yield client
    assert client.portal.counters()["failures"] == 0
