"""`payback serve` as a process of its own: what it answers, whom it lets in, and how it ends in the middle of a sync."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families
from starlette.requests import Request

from connectors.demo import ALWAYS, Costs, DemoPortal, Fault, PortalOptions
from connectors.secrets import Secret
from pipeline.cli import main
from pipeline.errors import Exit
from pipeline.init import Answers, write_config
from pipeline.logbook import Hop, Run
from pipeline.run import sync_sources
from pipeline.schedule import Nights, timetable
from pipeline.settings import Business, Settings, load_settings
from pipeline.troubles import Lack
from pipeline.warehouse import Warehouse, utc_now
from pipeline.web.board import Board, SourceLine, Standing
from pipeline.web.guard import names_this_machine
from pipeline.web.health import sync_facts
from pipeline.web.page import Press, Viewer, asset
from tests.browser import opened
from tests.pipeline.conftest import build_salon
from tests.pipeline.reports.test_browser import measured, sound

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse battery"
CONTENT = {
    table: f"select {key}, content_hash, is_deleted from {table} order by {key}, content_hash"
    for table, key in {"leads": "lead_id", "deals": "deal_id", "stage_changes": "entity, change_id", "owners": "owner_id"}.items()
}


@dataclass
class Served:
    """A running `payback serve`."""

    process: subprocess.Popen[str]
    url: str
    session: requests.Session

    def get(self, path: str, **options: object) -> requests.Response:
        return self.session.get(self.url + path, timeout=20, **options)  # type: ignore[arg-type]  # what requests takes

    def until(self, path: str, status: int, seconds: float = 40.0) -> requests.Response:
        """The first answer with that status."""
        deadline = time.monotonic() + seconds
        while (answer := self.get(path)).status_code != status:
            assert time.monotonic() < deadline, answer.text
            time.sleep(0.1)
        return answer

    def until_idle(self, seconds: float = 40.0) -> None:
        """No run is in progress."""
        deadline = time.monotonic() + seconds
        while figures(self.get("/metrics").text)["payback_run_in_progress",]:
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Its exit code and how long it took to end."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(timeout=40), time.monotonic() - began


Start = Callable[..., Served]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """start(*options) -> Served, on a free port, with the configuration in `tmp_path`; killed after the test if it still runs."""
    served: list[Served] = []

    def begin(*options: str, **environ: str) -> Served:
        command = [sys.executable, "-c", "from pipeline.cli import run; run()", "--config", str(tmp_path / "config"), "serve"]
        known = {name: value for name, value in os.environ.items() if not name.startswith("PAYBACK_")}
        with (tmp_path / "serve.log").open("a", encoding="utf-8") as log:
            process = subprocess.Popen(
                [*command, "--port", "0", *options], env={**known, "PYTHONPATH": str(ROOT), **environ}, stdout=subprocess.PIPE,
                stderr=log, text=True, encoding="utf-8",
            )  # fmt: skip
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"serving http://\S+?:(\d+)", said)
        assert found, (tmp_path / "serve.log").read_text(encoding="utf-8")
        session = requests.Session()
        session.trust_env = False
        served.append(Served(process, f"http://127.0.0.1:{found[1]}", session))
        return served[-1]

    yield begin
    for one in served:
        one.session.close()
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate()


def configure(folder: Path, portal: DemoPortal, **changes: str) -> None:
    """A configuration without launches: a night is a sync. `changes` are written over the file's own words."""
    assert portal.store.truth is not None
    answers = Answers(
        name="Salon <b>&'", profile="salon", timezone="Europe/Berlin", webhook=Secret(portal.webhook_url), branch="Филиал",
        started_on=portal.store.truth.launch_on, margin=0.6, one_off=0.0, monthly=0.0,
    )  # fmt: skip
    write_config(folder / "config", answers, {})
    (folder / "config" / "launches.toml").write_text("", encoding="utf-8")
    with (folder / "config" / "payback.toml").open("a", encoding="utf-8") as file:
        file.write("".join(f"\n{text}\n" for text in changes.values()))


def figures(text: str) -> dict[tuple[str, ...], float]:
    """Samples of /metrics by name and label values."""
    families = text_string_to_metric_families(text)
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def content(warehouse: Warehouse) -> dict[str, list[tuple[object, ...]]]:
    with warehouse.reading() as reading:
        return {table: [tuple(row) for row in reading.rows(sql)] for table, sql in CONTENT.items()}


def test_serves_status_health_and_metrics_of_the_night_it_ran(start: Start, tmp_path: Path) -> None:
    with DemoPortal(build_salon(weeks=12, weeks_after=4), PortalOptions(has_limits=False)) as portal:
        configure(tmp_path, portal)
        began, n_requests = time.time(), portal.counters()["requests"]
        served = start()
        assert served.get("/healthz").text == "ok\n"
        assert served.until("/readyz", 200).json() == {"ready": True, "reasons": []}

        found = figures(served.get("/metrics").text)
        rows = found["payback_last_run_rows", "portal"]
        assert rows > 1_000
        assert found["payback_runs_total", "night", "ok"] == 1
        assert found["payback_last_success_timestamp_seconds", "night"] >= began - 1
        assert found["payback_last_run_requests", "portal"] == portal.counters()["requests"] - n_requests
        assert found["payback_last_run_hop_seconds", "sync", "portal"] > 0
        assert 0 <= found["payback_source_age_seconds", "portal"] < 60
        assert found["payback_warehouse_up",] == found["payback_ready",] == 1

        page = served.get("/sync")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["x-frame-options"] == "DENY"
        assert "Salon &lt;b&gt;" in page.text
        assert "<b>" not in page.text
        assert not re.search(r"(?:src|href|url\()\s*=?[\"'(]?http", page.text)
        assert f">{int(rows):,}<".replace(",", "\u00a0") in page.text
        assert "успешно" in page.text
        assert portal.options.secret not in page.text + served.get("/metrics").text

        assert served.get("/", headers={"Host": "evil.example"}).status_code == 421  # a name that somebody pointed here
        assert served.get("/healthz", headers={"Host": "evil.example"}).status_code == 200
        assert served.get("/nowhere").status_code == 404
        assert served.session.post(served.url + "/", timeout=20).status_code == 405
        code, took = served.stop(signal.SIGINT)
        assert (code, took < 10) == (0, True)


def test_stopped_in_the_middle_of_a_sync_it_goes_on_after_a_restart(start: Start, tmp_path: Path) -> None:
    slow = PortalOptions(has_limits=False, costs=Costs(page_ms=40.0))
    with DemoPortal(build_salon(weeks=10, weeks_after=4), slow) as portal:
        configure(tmp_path, portal)
        served = start()
        hit = threading.Event()
        portal.after(25, hit.set, unit="pages")
        assert hit.wait(40)
        assert figures(served.get("/metrics").text)["payback_run_in_progress",] == 1
        code, took = served.stop()
        assert code == 0
        assert took < 30

        warehouse = Warehouse(f"duckdb:///{tmp_path / 'payback.duckdb'}")
        (run,) = warehouse.runs()
        assert run["outcome"] == "failed"
        assert run["detail"]["is_interrupted"]
        assert "told to stop" in str(run["detail"])
        n_told, n_first = portal.counters()["pages"], warehouse.n_versions("stage_changes")

        served = start()  # the night is owed again, and goes on where it was
        served.until("/readyz", 200)  # the sources are fresh; the night's last steps may still be under way
        served.until_idle()
        assert served.stop()[0] == 0
        n_rest = portal.counters()["pages"] - n_told
        assert [run["outcome"] for run in warehouse.runs()] == ["ok", "failed"]
        settings = load_settings(tmp_path / "config", {"PAYBACK_WAREHOUSE": f"duckdb:///{tmp_path / 'undisturbed.duckdb'}"})
        n_told = portal.counters()["pages"]
        sync_sources(settings)
        n_whole = portal.counters()["pages"] - n_told
        undisturbed = Warehouse(settings.warehouse_url.reveal())
        assert content(warehouse) == content(undisturbed)
        assert n_rest < n_whole
        assert n_first < undisturbed.n_versions("stage_changes")


def test_other_machines_need_the_password_and_a_second_signal_ends_at_once(start: Start, tmp_path: Path) -> None:
    with DemoPortal(build_salon(weeks=12, weeks_after=4), PortalOptions(has_limits=False)) as portal:
        configure(tmp_path, portal, serve='[serve]\npassword = "env:PAYBACK_PASSWORD"')
        portal.fail(Fault("*", "slow", ALWAYS, value=60.0))  # the night hangs
        served = start("--host", "0.0.0.0", PAYBACK_PASSWORD=PASSWORD)
        assert served.get("/healthz").status_code == 200
        for path in ("/", "/readyz", "/metrics", "/nowhere", "/healthz/../metrics"):
            refused = served.get(path)
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"].startswith("Basic")
            assert "payback_" not in refused.text
        for wrong in ("", PASSWORD[:-1], f"{PASSWORD} "):
            assert served.get("/metrics", auth=("ops", wrong)).status_code == 401
        assert served.get("/", headers={"Authorization": "Basic %%%"}).status_code == 401
        known = {"auth": ("ops", PASSWORD)}
        ready = served.get("/readyz", **known)
        assert ready.status_code == 503
        assert ready.json()["reasons"]
        assert PASSWORD not in ready.text
        found = figures(served.get("/metrics", **known).text)
        assert found["payback_run_in_progress",] == 1

        served.process.send_signal(signal.SIGTERM)
        time.sleep(1.0)
        assert served.process.poll() is None  # it waits for the request in flight
        code, took = served.stop()
        assert code == -signal.SIGTERM
        assert took < 3


def shown(standing: Standing, settings: Settings) -> str:
    """The page of the sync's health as one file."""
    press, language = Press(settings), settings.business.language
    facts = sync_facts(standing, settings, press.numbers(language))
    request = Request({"type": "http", "method": "GET", "path": "/sync", "query_string": b"", "headers": []})
    page = press.page("sync", Viewer("", "guest", language, ""), request, title="x", section="sync", **facts)
    style = asset("dashboard.css").decode()
    return re.sub(r"<script.*?</script>|<link.*?>", "", page).replace("</head>", f"<style>{style}</style></head>")


# --- what keeps it from starting ----------------------------------------------------------------------------------------


def refused(config: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["--config", str(config), "serve", *options], {}) == Exit.CONFIG
    return capsys.readouterr().err


def test_port_in_use_is_said(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = refused(config, capsys, "--port", str(port))
    assert f"port {port} of 127.0.0.1 is taken" in said
    assert "--port" in said


def test_no_open_door_without_a_password(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.7"):
        said = refused(config, capsys, "--host", host)
        assert "no password" in said
        assert "[serve]" in said
    (config / "payback.toml").write_text('[serve]\npassword = "env:SHORT"\n', encoding="utf-8")
    assert "shorter than 12" in refused(config, capsys, "--host", "0.0.0.0")
    (config / "payback.toml").write_text('[serve]\npassword = "hunter2hunter2"\n', encoding="utf-8")
    assert "must not stand in this file" in refused(config, capsys)


def test_wrong_schedule_and_unknown_host_are_said(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config / "payback.toml").write_text('[schedule]\nrun = "25:99"\n', encoding="utf-8")
    assert "[schedule.run]" in refused(config, capsys)
    (config / "payback.toml").write_text('[schedule]\nruns = "03:30"\n', encoding="utf-8")
    assert "did you mean 'run'" in refused(config, capsys)
    (config / "payback.toml").write_text("", encoding="utf-8")
    assert "--host nosuchhost.invalid is no address of this machine" in refused(config, capsys, "--host", "nosuchhost.invalid")


def test_warehouse_that_is_away_is_a_reason_not_an_end(config: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    url = f"postgresql://payback:s3cretword@127.0.0.1:{port}/payback"
    settings = load_settings(config, {"PAYBACK_WAREHOUSE": url})
    warehouse = Warehouse(url)
    ran: list[int] = []
    nights = Nights(timetable(settings), lambda moment: warehouse.runs_since("night", moment), lambda: ran.append(1))
    assert not nights.look()
    assert ran == []
    standing = Board(lambda: settings, nights).standing()
    assert not standing.has_warehouse
    assert standing.next_runs
    (reason,) = standing.reasons
    assert f"PostgreSQL does not answer at postgresql://payback:***@127.0.0.1:{port}" in reason.text
    page = shown(standing, settings)
    assert "Needs attention" in page
    assert "s3cretword" not in page


def test_board_is_not_asked_more_often_than_it_changes(config: Path, warehouse: Warehouse, warehouse_url: str) -> None:
    settings = load_settings(config, {"PAYBACK_WAREHOUSE": warehouse_url})
    nights = Nights(timetable(settings), lambda moment: [], lambda: None)
    board = Board(lambda: settings, nights)
    assert [lack.code for lack in board.standing().reasons] == ["no_run"]
    now = utc_now()
    warehouse.record_run("sync-1", "sync", now, now, "failed", {"error": "the portal is <gone>", "is_interrupted": False})
    assert [lack.code for lack in board.standing().reasons] == ["no_run"]
    (reason,) = Board(lambda: settings, nights).standing().reasons
    assert reason.text.endswith("failed: the portal is <gone>")
    assert "the portal is &lt;gone&gt;" in shown(Board(lambda: settings, nights).standing(), settings)


def test_a_phone_shows_the_status_without_scrolling_sideways(tmp_path: Path) -> None:
    now = utc_now()
    long = "ОченьДлинноеНазваниеИсточникаБезПробелов" * 2
    hop = Hop("night-1", 1, "sync", long, now, now, "failed", n_received=1_234_567)
    runs = [Run("night-1", "night", now, now, outcome, {}, (hop,)) for outcome in ("failed", "ok", "interrupted", "partial")]
    standing = Standing(
        now, (Lack("never_heard", long, subject=f"<script>alert(1)</script>{long}"),), True, True, (now.replace(tzinfo=UTC),) * 3,
        (SourceLine(long, "bitrix24", now - timedelta(hours=12_345)), SourceLine("b", "files", None)), runs,
    )  # fmt: skip
    business = Business(name=long, language="ru")  # the longer words
    settings = Settings(tmp_path, business, Secret("duckdb:///x"), (), (), (), (), Secret("k" * 32))
    with opened() as browser:
        assert measured(browser, shown(standing, settings), 360) == sound(360, 0)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost:8080", True), ("127.0.0.1", True), ("127.1.2.3:80", True), ("[::1]:8080", True), ("::1", True),
        ("", False), ("evil.example", False), ("127.0.0.1.evil.example", False), ("10.0.0.1:80", False), ("[fe80::1]", False),
    ],
)  # fmt: skip
def test_names_of_this_machine(host: str, expected: bool) -> None:
    assert names_this_machine(host) is expected
