"""One dashboard for all tests of this folder: measured once, stored once, served once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from pipeline.settings import Settings
from pipeline.warehouse import Warehouse
from tests.browser import opened
from tests.pipeline.web.dashboard_made import PASSWORDS, configure, measured, programme_measured, served, store


@dataclass(frozen=True)
class Site:
    """A served dashboard."""

    url: str
    settings: Settings
    folder: Path

    def visitor(self) -> requests.Session:
        """Somebody's browser, without scripts."""
        session = requests.Session()
        session.trust_env = False
        return session

    def signed_in(self, name: str = "anna") -> requests.Session:
        session = self.visitor()
        answer = sign_in(session, self.url, name, PASSWORDS[name])
        assert answer.status_code == 303, answer.text
        return session


def sign_in(session: requests.Session, url: str, name: str, password: str, **fields: Any) -> requests.Response:
    """Open the form and send it, as a browser would."""
    page = session.get(f"{url}/sign-in", timeout=20).text
    token = page.partition('name="token" value="')[2].partition('"')[0]
    form = {"token": token, "name": name, "password": password, "next": "/", **fields}
    return session.post(f"{url}/sign-in", data=form, timeout=20, allow_redirects=False)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("dashboard")
    settings = configure(folder)
    warehouse = Warehouse(settings.warehouse_url.reveal())
    warehouse.migrate()
    store(warehouse, measured(folder), programme_measured(folder))
    with served(settings) as url:
        yield Site(url, settings, folder)


@pytest.fixture(scope="session")
def owner(site: Site) -> requests.Session:
    return site.signed_in("anna")


@pytest.fixture(scope="module")  # while it is open its event loop runs: no test of another module could start one
def browser() -> Iterator[Any]:
    with opened() as found:
        yield found
