"""Attempts against the pages and the sign-in, over real HTTP: each has to lead nowhere."""

import http.client
import threading
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import requests

from pipeline.current import Current
from pipeline.passwords import hash_password
from pipeline.settings import load_settings
from pipeline.web import signin
from pipeline.web.signin import ADDRESS, PAIR, Limits, block_of
from tests.pipeline.web.conftest import Site, sign_in
from tests.pipeline.web.dashboard_made import PASSWORDS, configure, served
from tests.pipeline.web.test_pages import get, keys

pytestmark = pytest.mark.xdist_group("dashboard")


def raw(site: Site, method: str, target: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], str]:
    """A request line as it is written here: no client tidies it up."""
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=20)
    connection.putrequest(method, target, skip_host=bool(headers and "Host" in headers))
    for name, value in (headers or {}).items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode("utf-8", "replace")
    connection.close()
    return found


def cookie(session: requests.Session) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{one.name}={one.value}" for one in session.cookies)}


ODD = ["//evil.example/", "/\\evil.example/", "//evil.example/?next=//evil.example", "/%5Cevil.example"]


@pytest.mark.parametrize("target", ODD)
def test_no_link_and_no_redirect_of_an_odd_address_leads_to_another_host(
    site: Site, owner: requests.Session, target: str
) -> None:
    status, headers, page = raw(site, "GET", target, cookie(owner))
    assert status == 404
    assert 'href="//' not in page
    assert 'href="/\\' not in page
    status, headers, _ = raw(site, "GET", target)
    assert status == 303
    assert headers["location"].startswith("/sign-in")
    assert "next=%2F%2F" not in headers["location"]
    assert "next=%2F%5C" not in headers["location"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1@evil.example", ""])
def test_the_host_that_a_request_names_is_never_repeated(site: Site, owner: requests.Session, host: str) -> None:
    for path in ("/launches/assistant", "/quality/", "/launches/assistant/"):
        for sent in ({}, cookie(owner)):
            _, headers, page = raw(site, "GET", path, {"Host": host, "X-Forwarded-Host": "evil.example", **sent})
            assert "evil.example" not in page
            assert "evil.example" not in headers.get("location", "")


def test_links_of_strange_names_come_back(site: Site, owner: requests.Session) -> None:
    page = get(owner, site, "/launches/%C3%BCn%C3%AFcode%201.0?series=profit").text
    assert 'href="/launches/%C3%BCn%C3%AFcode%201.0?series=profit&amp;lang=en"' in page


def test_no_figure_is_kept_by_a_cache_and_no_other_method_reaches_one(site: Site, owner: requests.Session) -> None:
    snapshot = f"/launches/assistant/snapshots/{keys(get(owner, site, '/launches/assistant').text)[0]}"
    pages = ("/", "/quality", "/launches/assistant", snapshot, f"{snapshot}/report.html", f"{snapshot}/document.json")
    for path in pages:
        assert get(owner, site, path).headers["cache-control"] == "no-store"
        assert raw(site, "HEAD", path)[0] == 303  # nobody signed in: not even the size
        for method in ("OPTIONS", "TRACE", "PROPFIND", "POST"):
            status, headers, page = raw(site, method, path, cookie(owner))
            assert status == 405
            assert "access-control-allow-origin" not in headers
            assert "₽" not in page
    assert raw(site, "GET", f"{site.url}/", {"Host": "evil.example"})[0] in (303, 404)  # a proxy's form of a request


@pytest.mark.parametrize(
    "key", ["..", "%2e%2e", "....//", "0" * 15, "0" * 17, "A" * 16, "0" * 16 + "%0a", "٠" * 16, "%00" * 16, "0" * 16 + "/../../x"]
)
def test_made_up_snapshots_are_missing(site: Site, owner: requests.Session, key: str) -> None:
    target = f"/launches/assistant/snapshots/{quote(key, safe='%./')}"
    assert raw(site, "GET", target, cookie(owner))[0] == 404
    assert raw(site, "GET", f"{target}/document.json", cookie(owner))[0] == 404


def test_a_snapshot_is_only_found_under_its_own_launch(site: Site, owner: requests.Session) -> None:
    own = keys(get(owner, site, "/launches/assistant").text)[0]
    for launch in ("stable", "none-yet", "nobody"):
        assert get(owner, site, f"/launches/{launch}/snapshots/{own}").status_code == 404
        assert get(owner, site, f"/launches/{launch}/snapshots/{own}/document.json").status_code == 404


def test_a_password_changed_in_the_file_ends_the_sessions_of_a_running_server(site: Site, tmp_path: Path) -> None:
    settings = configure(tmp_path)
    current = Current(lambda: load_settings(tmp_path / "config", {}))
    with served(settings, current) as url:
        place = Site(url, settings, tmp_path)
        anna, oleg = place.signed_in("anna"), place.signed_in("oleg")
        for n in range(PAIR[0]):
            sign_in(place.visitor(), url, "anna", f"guess number {n}")
        time.sleep(0.02)  # the file's time stamp has to differ
        secrets = tmp_path / ".env"
        lines = [line for line in secrets.read_text(encoding="utf-8").splitlines() if "ANNA" not in line]
        secrets.write_text("\n".join([*lines, f"PAYBACK_PASSWORD_ANNA={hash_password('another long one')}"]), encoding="utf-8")
        assert anna.get(f"{url}/", timeout=20, allow_redirects=False).status_code == 303
        assert oleg.get(f"{url}/sync", timeout=20, allow_redirects=False).status_code == 200
        answer = sign_in(place.visitor(), url, "anna", "another long one")
        assert answer.status_code == 429  # a change of the configuration is no fresh start for who guesses


def test_one_customer_s_ipv6_addresses_are_one(site: Site) -> None:
    limits = Limits()
    waits = [limits.wait(f"user{n}", f"2001:db8:1:2::{n:x}") for n in range(ADDRESS[0] + 1)]
    assert waits[-2] == 0.0
    assert waits[-1] > 0
    assert limits.wait("anna", "2001:db8:1:3::1") == 0.0
    assert block_of("::ffff:192.0.2.1") == block_of("192.0.2.1")


def test_a_crowd_of_guesses_leaves_threads_for_the_pages(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    entered, leave = threading.Semaphore(0), threading.Event()

    def slow(password: str, known: str | None) -> bool:
        entered.release()
        leave.wait(20)
        return False

    monkeypatch.setattr(signin, "is_right", slow)
    monkeypatch.setattr(signin, "MOST_WAITING", 1)
    with served(site.settings) as url:
        guess = threading.Thread(target=sign_in, args=(site.visitor(), url, "anna", "a first wrong guess"))
        guess.start()
        assert entered.acquire(timeout=20)
        busy = sign_in(site.visitor(), url, "oleg", PASSWORDS["oleg"])
        leave.set()
        guess.join(20)
    assert busy.status_code == 429
    assert int(busy.headers["retry-after"]) >= 1


def test_a_form_that_never_ends_is_hung_up_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signin, "FORM_SECONDS", 0.2)
    connection = http.client.HTTPConnection(urlsplit(site.url).netloc, timeout=10)
    connection.putrequest("POST", "/sign-in")
    connection.putheader("Content-Type", "application/x-www-form-urlencoded")
    connection.putheader("Content-Length", "1000")
    connection.endheaders()
    connection.send(b"name=anna&")
    assert connection.getresponse().status == 400
    connection.close()
