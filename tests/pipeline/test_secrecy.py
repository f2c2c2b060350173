"""Canaries in every secret, faults of every kind, and then a search through everything the program said or left behind."""

import base64
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from connectors.demo import DemoPortal, PortalOptions
from connectors.secrets import Secret, mask
from pipeline.cli import main
from pipeline.errors import Exit
from pipeline.init import Answers, write_config
from pipeline.settings import load_settings
from pipeline.tables import METADATA
from pipeline.warehouse import Warehouse
from tests.connectors.test_transport_attacks import Listener, answer
from tests.pipeline.conftest import Office, build_salon

CODE, TOKEN, KEY, PASSWORD, BOT, MAIL = (f"{name}C4nary" + "x7" * 8 for name in ("code", "token", "key", "pass", "bot", "mail"))
CANARIES = (CODE, TOKEN, KEY, PASSWORD, BOT, MAIL)
ALERTS = '\n[alerts]\nto = ["env:BOT", "env:MAIL"]\n\n[serve]\npassword = "env:SERVE"\n'


def leaks(told: bytes) -> list[str]:
    """The canaries in these bytes, as they are, percent-encoded or in Base64 at any offset."""
    found = []
    for canary in CANARIES:
        raw = canary.encode()
        packed = [base64.b64encode(b"\0" * n + raw)[4 if n else 0 : -4] for n in range(3)]
        forms = [raw, "".join(f"%{byte:02x}" for byte in raw).encode(), quote(canary).encode(), *packed]
        found += [canary[:6] for form in forms if form.lower() in told.lower()]
    return found


def test_the_search_finds_what_it_looks_for() -> None:
    assert leaks(b"https://x/rest/1/" + CODE.encode() + b"/")
    assert leaks(base64.b64encode(b"Basic u:" + PASSWORD.encode()))
    assert not leaks(b"https://x/rest/1/***/")


def mirror(kind: str) -> Callable[[bytes], bytes]:
    """The body of an answer that quotes the request, as error pages do."""
    pages = {
        "json": lambda path: json.dumps({"error": path, "error_description": f"no such address: {path}"}).encode(),
        "page": lambda path: f"<html><body>502 {path}</body></html>".encode(),
        "rows": lambda path: json.dumps({"result": {"result": {path: [path]}, "result_error": {path: path}}}).encode(),
    }
    return lambda request: pages[kind](request.split()[1].decode())


class Mirror(Listener):
    """A server that answers with the address it was asked at."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        super().__init__(self._reflect)

    def _reflect(self, peer: object) -> None:
        request = self.requests[-1]
        if self._kind == "redirect":
            path = request.split()[1].decode()
            peer.sendall(f"HTTP/1.1 302 Found\r\nLocation: https://moved.example{path}\r\nContent-Length: 0\r\n\r\n".encode())  # type: ignore[attr-defined]
            return
        answer(mirror(self._kind)(request), "Content-Type: text/html")(peer)  # type: ignore[arg-type]


@pytest.fixture
def watched(tmp_path: Path, warehouse_url: str) -> Iterator[tuple[Path, str]]:
    """A folder with a configuration whose every secret holds a canary, and a warehouse behind a canary, too."""
    from sqlalchemy import make_url

    with DemoPortal(build_salon(leads_per_week=10.0), PortalOptions(has_limits=False, secret=CODE)) as portal:
        answers = Answers(
            name="Salon", profile="salon", timezone="Europe/Moscow", webhook=Secret(portal.webhook_url), branch="Филиал",
            started_on=portal.store.truth.launch_on, margin=0.6, one_off=30_000.0, monthly=5_000.0,
        )  # fmt: skip
        write_config(tmp_path / "config", answers, {"PAYBACK_HASH_KEY": KEY})
        main_toml = tmp_path / "config" / "payback.toml"
        text = main_toml.read_text(encoding="utf-8")
        webhook = 'webhook = "env:BITRIX24_WEBHOOK"\n'
        main_toml.write_text(text.replace(webhook, f'{webhook}application_token = "env:APP"\n') + ALERTS, encoding="utf-8")
        url = make_url(warehouse_url)
        if url.get_backend_name() == "postgresql":
            url = url.set(password=PASSWORD, username=url.username or "postgres")
        with (tmp_path / ".env").open("a") as file:
            file.write(f"APP={TOKEN}\nSERVE={PASSWORD}\nBOT=jsons://name:{BOT}@127.0.0.1:9/hook/{BOT}\n")
            file.write(f"MAIL=mailtos://me:{MAIL}@127.0.0.1:9?to=you@mail.example\n")
        environ = {"PAYBACK_WAREHOUSE": url.render_as_string(hide_password=False)}
        run = ("run", "--out", str(tmp_path / "out"), "--format", "html,json,terminal")
        assert main(["--config", str(tmp_path / "config"), *run], environ) == Exit.OK
        yield tmp_path, environ["PAYBACK_WAREHOUSE"]


def test_no_canary_sings(watched: tuple[Path, str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.dispatch._MOST_TRIES", 1)
    folder, url = watched
    config, env = folder / "config", folder / ".env"
    known = env.read_text()
    _mask_knows_them_all(folder, url)
    told = "".join(capfd.readouterr())

    def attempt(*arguments: str, warehouse: str = url) -> int:
        nonlocal told
        code = main(["--config", str(config), *arguments], {"PAYBACK_WAREHOUSE": warehouse})
        told += "".join(capfd.readouterr())
        return code

    launches = config / "launches.toml"
    launches.rename(config / "launches.later")  # `check` measures every launch, which is slow and tells nothing of faults
    for kind in ("json", "page", "rows", "redirect", "nobody"):
        server = Mirror(kind)
        if kind == "nobody":
            server.close()
        lines = [line for line in known.splitlines() if not line.startswith("BITRIX24_WEBHOOK")]
        env.write_text("\n".join([*lines, f"BITRIX24_WEBHOOK=http://127.0.0.1:{server.port}/rest/1/{CODE}/", ""]))
        assert attempt("--debug", "sync") != Exit.OK
        assert attempt("check") != Exit.OK
        if kind != "nobody":
            assert any(CODE.encode() in request for request in server.requests)  # it was really asked
            server.close()
    env.write_text(known)
    (config / "launches.later").rename(launches)
    for command in (("status",), ("status", "--json"), ("measure", "assistant", "--json"), ("alerts", "test"), ("schedule",)):
        attempt("--debug", *command)
    for unreachable in (
        f"postgresql://me:{PASSWORD}@127.0.0.1:9/none", f"postgresql://me:{PASSWORD}@[::1/none", f"mysql://me:{PASSWORD}@x/y",
        f"postgresql://me:{PASSWORD}@127.0.0.1:x/none", f"postgresql://127.0.0.1:9/none?password={PASSWORD}&user=me",
        f"postgresql://me:%zz{PASSWORD}@127.0.0.1:9/none", f"duckdb:////proc/{PASSWORD}/x?motherduck_token={PASSWORD}",
    ):  # fmt: skip
        assert attempt("--debug", "sync", warehouse=unreachable) != Exit.OK
    assert attempt("check", warehouse=f"postgresql://me:{PASSWORD}@127.0.0.1:9/none") == Exit.FINDINGS
    env.write_text(known.replace(f"{CODE}/", f"{CODE} with a space/"))
    assert attempt("--debug", "sync") != Exit.OK
    main_toml = config / "payback.toml"
    good = main_toml.read_text(encoding="utf-8")
    for harm in (f'webhook = "https://x.bitrix24.ru/rest/1/{CODE}/"', f'language = "/rest/1/{CODE}/"', f'"/rest/1/{CODE}/" = 1'):
        main_toml.write_text(f"{harm}\n{good}", encoding="utf-8")
        assert attempt("--debug", "sync") == Exit.CONFIG
    main_toml.write_text(good, encoding="utf-8")
    assert "Traceback" in told
    assert not leaks(told.encode())
    for path in folder.rglob("*"):
        if path.is_file() and path != env:
            assert not leaks(path.read_bytes()), path
    with Warehouse(url).reading() as reading:
        for table in METADATA.tables:
            assert not leaks(json.dumps(reading.columns(f"select * from {table}").to_pylist(), default=str).encode()), table


def _mask_knows_them_all(folder: Path, url: str) -> None:
    secrets = load_settings(folder / "config", {"PAYBACK_WAREHOUSE": url}).secrets()
    for line in (folder / ".env").read_text().splitlines():
        name, _, value = line.partition("=")
        assert mask(value, secrets) != value, name
        assert not leaks(mask(f"{value} {quote(value, safe='')}", secrets).encode()), name


# --- files --------------------------------------------------------------------------------------------------------------


def test_what_a_run_leaves_is_for_its_user_alone(tmp_path: Path) -> None:
    with DemoPortal(build_salon(leads_per_week=10.0), PortalOptions(has_limits=False)) as portal:
        line = [sys.executable, "-c", "from pipeline.cli import run; run()", "--config", str(tmp_path / "config")]
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        first = ["init", "--webhook", portal.webhook_url, "--name", "Salon", "--started-on", "2026-06-01", "--branch", "Филиал"]
        for arguments in (first, ["run", "--out", str(tmp_path / "out")]):
            done = subprocess.run(
                [*line, *arguments], capture_output=True, text=True, timeout=120, env=environ, cwd=tmp_path, umask=0o022
            )
            assert done.returncode in (Exit.OK, Exit.NOTHING, Exit.PARTIAL), done.stderr
    made = [path for path in tmp_path.rglob("*") if path.name != "out"]
    assert {path.suffix for path in made} >= {".duckdb", ".toml"}
    for path in made:
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_a_secret_file_that_others_may_read_is_found(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    env, warehouse = office.folder / ".env", office.folder / "payback.duckdb"
    Warehouse(office.warehouse_url).migrate()
    for path, mode in ((env, 0o644), (warehouse, 0o640)):
        env.chmod(0o600)
        warehouse.chmod(0o600)
        capsys.readouterr()
        office.payback("check", "--json")
        assert "other users" not in capsys.readouterr().out
        path.chmod(mode)
        office.payback("check", "--json")
        assert f"{path} may be read by other users" in capsys.readouterr().out
