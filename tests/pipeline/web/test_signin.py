"""Who gets in, who does not, and what a session survives: over real HTTP."""

import io
import re
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from connectors.secrets import Secret
from pipeline.cli import main
from pipeline.errors import ConfigError, Exit
from pipeline.passwords import hash_password, is_hash, is_right
from pipeline.settings import load_settings
from pipeline.state import State
from pipeline.strict import Place
from pipeline.users import Dashboard, User, check_dashboard
from pipeline.warehouse import utc_now
from pipeline.web.serve import needed_password
from pipeline.web.sessions import IDLE, LONGEST, NOTED, Sessions
from pipeline.web.signin import ADDRESS, PAIR, Limits, own_path
from tests.pipeline.web.conftest import Site, sign_in
from tests.pipeline.web.dashboard_made import PASSWORDS, configure, served

PAGES = ("/", "/quality", "/sync", "/launches/assistant", "/launches/assistant/compare", "/nowhere")
pytestmark = pytest.mark.xdist_group("dashboard")


def test_whoever_is_not_signed_in_sees_the_sign_in_form_and_nothing_else(site: Site) -> None:
    session = site.visitor()
    for path in PAGES:
        answer = session.get(site.url + path, timeout=20, allow_redirects=False)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in")
        assert answer.text == ""
    assert session.get(f"{site.url}/healthz", timeout=20).text == "ok\n"
    for path in ("/metrics", "/readyz"):  # a proxy makes every request look local: they need the password
        assert session.get(site.url + path, timeout=20).status_code == 403
    assert session.get(f"{site.url}/hooks/none", timeout=20).status_code == 404
    assert session.get(f"{site.url}/assets/../page.py", timeout=20, allow_redirects=False).status_code in (303, 404)


def test_the_right_password_opens_and_signing_out_shuts(site: Site) -> None:
    session = site.visitor()
    answer = sign_in(session, site.url, "anna", PASSWORDS["anna"], next="/quality?lang=en")
    assert answer.headers["location"] == "/quality?lang=en"
    cookie = next(text for text in answer.headers["set-cookie"].split(", ") if "payback-session" in text)
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert "secure" not in cookie.lower()  # plain http on this machine
    page = session.get(f"{site.url}/", timeout=20)
    assert page.status_code == 200
    token = re.search(r'name="token" value="(\w+)"', page.text)
    assert token is not None
    kept = dict(session.cookies)
    assert session.post(f"{site.url}/sign-out", data={"token": "0" * 64}, timeout=20).status_code == 403
    assert session.post(f"{site.url}/sign-out", data={"token": token[1]}, timeout=20).status_code == 200
    again = requests.get(f"{site.url}/", cookies=kept, timeout=20, allow_redirects=False)  # the old cookie is worth nothing
    assert again.status_code == 303


def test_behind_https_the_cookie_is_bound_to_it(site: Site) -> None:
    session = site.visitor()
    session.headers["X-Forwarded-Proto"] = "https"
    page = session.get(f"{site.url}/sign-in", timeout=20)
    cookie, token = page.headers["set-cookie"], page.text.partition('name="token" value="')[2].partition('"')[0]
    assert cookie.startswith("__Host-payback-form=")
    form = {"token": token, "name": "anna", "password": PASSWORDS["anna"]}
    sent = {"Cookie": cookie.partition(";")[0]}
    answer = session.post(f"{site.url}/sign-in", data=form, headers=sent, timeout=20, allow_redirects=False)
    assert answer.status_code == 303
    assert "__Host-payback-session=" in answer.headers["set-cookie"]
    assert "Secure" in answer.headers["set-cookie"]


def test_wrong_names_and_passwords_are_told_alike_and_take_alike(site: Site) -> None:
    took, said = {}, {}
    for name in ("anna", "nobody"):
        session = site.visitor()
        session.headers["X-Forwarded-For"] = f"192.0.2.{len(took)}"
        sign_in(session, site.url, name, "wrong once already")
        began = time.process_time()  # of the server's threads too: it runs in this process
        answer = sign_in(session, site.url, name, "wrong password 12")
        took[name], said[name] = time.process_time() - began, re.sub(r'value="[^"]*"', "", answer.text)
        assert answer.status_code == 403
        assert "payback-session" not in answer.headers.get("set-cookie", "")
    assert said["anna"] == said["nobody"]
    assert 0.5 < took["anna"] / took["nobody"] < 2.0


def test_a_form_that_is_not_ours_does_nothing(site: Site) -> None:
    session, good = site.visitor(), {"name": "anna", "password": PASSWORDS["anna"]}
    url = f"{site.url}/sign-in"
    assert session.post(url, data=good, timeout=20).status_code == 403  # no token, no cookie
    token = session.get(url, timeout=20).text.partition('name="token" value="')[2].partition('"')[0]
    assert session.post(url, data={**good, "token": token[::-1]}, timeout=20).status_code == 403
    other = site.visitor().post(url, data={**good, "token": token}, timeout=20)  # another browser's token
    assert other.status_code == 403
    for header in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert session.post(url, data={**good, "token": token}, headers=header, timeout=20).status_code == 403
    assert session.post(url, json={**good, "token": token}, timeout=20).status_code == 400
    assert session.post(url, data={**good, "token": token, "more": "x" * 10_000}, timeout=20).status_code == 400
    assert "payback-session" not in session.cookies


def test_guessing_is_limited_by_person_and_address_and_a_right_guess_tells_nothing(site: Site) -> None:
    session = site.visitor()
    session.headers["X-Forwarded-For"] = "198.51.100.9"
    answers = [sign_in(session, site.url, "oleg", f"guess number {n}").status_code for n in range(PAIR[0] + 1)]
    assert answers == [403] * PAIR[0] + [429]
    limited = sign_in(session, site.url, "oleg", PASSWORDS["oleg"])
    assert limited.status_code == 429
    assert 0 < int(limited.headers["retry-after"]) <= PAIR[1] + 1
    session.headers["X-Forwarded-For"] = "198.51.100.10"  # oleg himself, elsewhere, is not locked out
    assert sign_in(session, site.url, "oleg", PASSWORDS["oleg"]).status_code == 303


def test_limits_bound_an_address_that_tries_many_names_and_forgive_success() -> None:
    limits = Limits()
    waits = [limits.wait(f"user{n}", "192.0.2.1") for n in range(ADDRESS[0] + 1)]
    assert waits[:-1] == [0.0] * ADDRESS[0]
    assert waits[-1] > 0
    for _ in range(50):
        assert limits.wait("anna", "192.0.2.2") == 0.0
        limits.forgive("anna", "192.0.2.2")


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:x", "/a\r\nb", ""])
def test_after_signing_in_nobody_is_sent_to_another_host(target: str) -> None:
    assert own_path(target) == "/"


# --- sessions ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def sessions(site: Site, tmp_path: Path) -> Sessions:
    return Sessions(State(tmp_path), site.settings.dashboard.users, site.settings.hash_key)


def anna(site: Site) -> User:
    return next(user for user in site.settings.dashboard.users if user.name == "anna")


def test_a_session_survives_a_restart_and_holds_no_secret_on_disk(site: Site, sessions: Sessions, tmp_path: Path) -> None:
    session_id = sessions.open(anna(site))
    after = Sessions(State(tmp_path), site.settings.dashboard.users, site.settings.hash_key)
    found = after.find(session_id)
    assert found is not None
    assert found.user.name == "anna"
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert session_id.encode() not in kept
    assert anna(site).password_hash.reveal().encode() not in kept
    after.end(session_id)
    assert Sessions(State(tmp_path), site.settings.dashboard.users, site.settings.hash_key).find(session_id) is None


def test_a_changed_password_or_a_removed_user_ends_the_sessions(site: Site, sessions: Sessions, tmp_path: Path) -> None:
    session_id = sessions.open(anna(site))
    changed = User("anna", "owner", Secret(hash_password("another long password")))
    assert Sessions(State(tmp_path), [changed], site.settings.hash_key).find(session_id) is None
    assert Sessions(State(tmp_path), [], site.settings.hash_key).find(session_id) is None
    demoted = User("anna", "ops", anna(site).password_hash)
    found = Sessions(State(tmp_path), [demoted], site.settings.hash_key).find(session_id)
    assert found is not None
    assert found.user.role == "ops"


@pytest.mark.parametrize("limit", [LONGEST, IDLE])
def test_a_session_ends_by_itself(site: Site, sessions: Sessions, monkeypatch: pytest.MonkeyPatch, limit: timedelta) -> None:
    session_id, began = sessions.open(anna(site)), utc_now()
    step = min(IDLE, limit) - timedelta(minutes=1) if limit == LONGEST else limit
    moment = began
    while moment + step < began + limit:  # somebody is there all the time
        moment += step
        monkeypatch.setattr("pipeline.web.sessions.utc_now", lambda now=moment: now)
        assert sessions.find(session_id) is not None
    monkeypatch.setattr("pipeline.web.sessions.utc_now", lambda: began + limit + NOTED)
    assert sessions.find(session_id) is None


def test_made_up_ids_are_nobody(sessions: Sessions) -> None:
    for made_up in ("", "x", "0" * 43, "'; drop table sessions; --", "ю" * 43):
        assert sessions.find(made_up) is None


# --- set-up --------------------------------------------------------------------------------------------------------------


def test_hashes_are_salted_and_only_the_password_fits() -> None:
    first, second = hash_password(PASSWORDS["anna"]), hash_password(PASSWORDS["anna"])
    assert first != second
    assert is_hash(first)
    assert is_right(PASSWORDS["anna"], first)
    assert not is_right(PASSWORDS["anna"] + " ", first)
    assert not is_right("anything at all", None)
    for bad in ("", "scrypt", PASSWORDS["anna"], first.replace("scrypt:15", "scrypt:30"), first[:-1]):
        assert not is_hash(bad)


def test_payback_password_prints_a_hash_and_nothing_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a long password\na long password\n"))
    assert main(["password"], {}) == Exit.OK
    told = capsys.readouterr()
    assert is_right("a long password", told.out.strip())
    assert "a long password" not in told.err
    for given in ("short\nshort\n", "a long password\nanother password\n", "once only, no more\n"):
        monkeypatch.setattr("sys.stdin", io.StringIO(given))
        assert main(["password"], {}) == Exit.CONFIG
        assert capsys.readouterr().out == ""


def test_users_nobody_could_sign_in_as_are_refused(tmp_path: Path) -> None:
    configure(tmp_path)
    main_file = tmp_path / "config" / "payback.toml"
    text = main_file.read_text(encoding="utf-8")
    wrong = {
        'role = "boss"': ('role = "owner"', "'boss' is not possible"),
        'name = "oleg"': ('name = "anna"', "two users are called 'oleg'"),
        'password_hash = "plain text"': ('password_hash = "env:PAYBACK_PASSWORD_ANNA"', "must not stand in this file"),
        'password_hash = "env:PAYBACK_HASH_KEY"': ('password_hash = "env:PAYBACK_PASSWORD_ANNA"', "no hash of a password"),
    }
    for new, (old, said) in wrong.items():
        main_file.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(ConfigError, match=re.escape(said)):
            load_settings(tmp_path / "config", {})


def test_serve_starts_for_other_machines_where_people_sign_in_and_refuses_unknown_languages(tmp_path: Path) -> None:
    settings = configure(tmp_path, users=("anna",))
    assert needed_password(settings, "0.0.0.0") is None
    with pytest.raises(ConfigError, match="no password"):
        needed_password(configure(tmp_path, users=()), "0.0.0.0")
    (user,) = settings.dashboard.users
    with pytest.raises(ConfigError, match="'tlh' is not possible"):
        check_dashboard(Dashboard((replace(user, language="tlh"),)), Place(tmp_path / "payback.toml", "dashboard"))


def test_without_users_figures_stay_shut_and_sync_health_is_for_this_machine(site: Site, tmp_path: Path) -> None:
    settings = configure(tmp_path, users=())
    with served(settings) as url:
        session = site.visitor()
        assert session.get(f"{url}/", timeout=20).url == f"{url}/sync"
        for path in ("/quality", "/launches/assistant", "/sign-in"):
            shut = session.get(url + path, timeout=20)
            assert shut.status_code == 403
            assert "payback password" in shut.text
        assert session.get(f"{url}/sync", headers={"Host": "evil.example"}, timeout=20).status_code == 421
        assert session.get(f"{url}/metrics", timeout=20).status_code == 200
