"""Runs as records: what was written survives a kill and an unreachable warehouse; one run at a time on one installation."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline import lease
from pipeline.errors import Busy, Exit
from pipeline.logbook import last_runs, written_run
from pipeline.schedule import Nights, timetable
from pipeline.state import State
from pipeline.status import WIDTH, status_document, status_lines
from pipeline.warehouse import Warehouse, utc_now
from pipeline.web.board import Board
from tests.pipeline.shop_made import Shop

ROOT = Path(__file__).parents[2]
IN_THE_MIDDLE = """
import os, sys
from pathlib import Path
from pipeline import pull, run
from pipeline.settings import load_settings
def wait(*_, **__):
    print("under way", flush=True)
    sys.stdin.readline()
pull.pull_source = wait
run.sync_sources(load_settings(Path(sys.argv[1]) / "config", dict(os.environ)))
"""


@pytest.fixture
def shop(tmp_path: Path, warehouse_url: str) -> Shop:
    """A shop with its warehouse on each engine."""
    shop = Shop.made(tmp_path / "shop")
    shop.environ["PAYBACK_WAREHOUSE"] = warehouse_url
    return shop


@pytest.fixture
def small_shop(tmp_path: Path, migrated_file: Path) -> Shop:
    """A shop with its warehouse in a file."""
    shop = Shop.made(tmp_path / "shop")
    shutil.copy(migrated_file, shop.home / "payback.duckdb")
    return shop


@contextmanager
def run_elsewhere(shop: Shop) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of the sync of its source; it is killed at the end."""
    command = [sys.executable, "-c", IN_THE_MIDDLE, str(shop.home)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, env=shop.environ, text=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "under way\n"
        try:
            yield process
        finally:
            process.kill()


def document(shop: Shop, capsys: pytest.CaptureFixture[str], code: Exit = Exit.OK) -> dict:
    capsys.readouterr()
    assert shop.payback("status", "--json") == code
    return json.loads(capsys.readouterr().out)


def test_a_run_and_its_hops_are_in_the_warehouse(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    (shop.exports / "leads.csv").write_text("ID;Дата создания\n1;01.10.2026\n2;no date\n3;02.10.2026\n", encoding="utf-8")
    assert shop.payback("sync") == Exit.OK
    warehouse = Warehouse(shop.environ["PAYBACK_WAREHOUSE"])
    (run,) = warehouse.runs()
    (hop,) = warehouse.hops(run["started_at"])
    assert (run["kind"], run["outcome"]) == ("sync", "ok")
    assert run["started_at"] <= hop["started_at"] <= hop["ended_at"] <= run["ended_at"]
    facts = (hop["kind"], hop["subject"], hop["outcome"], hop["n_received"], hop["n_quarantined"])
    assert facts == ("sync", "crm", "ok", 3, 1)
    assert hop["n_appended"] >= 2
    assert warehouse.n_quarantined("crm") == hop["detail"]["n_open"] == 1
    (told,) = document(shop, capsys)["runs"]
    assert told["hops"][0]["n_appended"] == hop["n_appended"]
    # another machine, which has no state file, reads the same
    for name in (lease.RUNS, lease.ALERTS, "payback-state.sqlite3"):
        (shop.home / name).unlink(missing_ok=True)
    assert document(shop, capsys)["runs"] == [told]


def test_a_killed_run_is_seen_as_interrupted_and_while_it_runs_as_running(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    with run_elsewhere(shop) as process:
        (run,) = document(shop, capsys, Exit.FINDINGS)["runs"]  # the first one ever: nothing is known yet
        assert (run["outcome"], run["hops"][0]["outcome"]) == ("running", "running")
        process.send_signal(signal.SIGKILL)
        process.wait()
        told = document(shop, capsys, Exit.FINDINGS)
        (run,) = told["runs"]
        assert (run["outcome"], run["ended_at"], run["hops"][0]["outcome"]) == ("interrupted", None, "interrupted")
        assert [one["kind"] for one in told["incidents"]] == ["run_failed"]
    assert shop.payback("sync") == Exit.OK  # nothing has to be cleared away
    told = document(shop, capsys)
    assert [run["outcome"] for run in told["runs"]] == ["ok", "interrupted"]
    assert told["is_healthy"]


def test_a_run_without_a_warehouse_leaves_a_trace(small_shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    small_shop.environ["PAYBACK_WAREHOUSE"] = f"duckdb:///{small_shop.home}/no/folder/w.duckdb"
    assert small_shop.payback("sync") == Exit.WAREHOUSE
    assert "error run_ended" in capsys.readouterr().err
    told = document(small_shop, capsys, Exit.WAREHOUSE)
    assert told["runs"][0]["outcome"] == "failed"
    assert "no/folder" in told["runs"][0]["error"]
    assert told["warehouse"]["hint"]
    assert [one["kind"] for one in told["incidents"]] == ["run_failed"]


def test_the_fault_of_one_source_is_the_fault_of_one_hop(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    config = shop.home / "config" / "payback.toml"
    gone = '[sources.gone]\nkind = "files"\npath = "gone"\n[sources.crm]'
    text = config.read_text(encoding="utf-8").replace("[sources.crm]", gone)
    config.write_text(text, encoding="utf-8")
    assert shop.payback("sync") == Exit.PARTIAL
    told = document(shop, capsys, Exit.FINDINGS)
    (run,) = told["runs"]
    assert run["outcome"] == "partial"
    assert [(hop["subject"], hop["outcome"]) for hop in run["hops"]] == [("gone", "failed"), ("crm", "ok")]
    assert [(one["kind"], one["subject"]) for one in told["incidents"]] == [("hop_failed", "gone")]


def test_a_second_run_waits_and_then_says_who_holds_the_lease(
    small_shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "WAIT_SECONDS", 0.3)
    with run_elsewhere(small_shop) as process:
        assert small_shop.payback("sync") == Exit.TEMPORARY
        printed = capsys.readouterr().err
        assert f"another run is under way: sync, process {process.pid}, since 20" in printed
        assert "waiting_for_lock" in printed
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert small_shop.payback("sync") == Exit.OK  # at once: the system frees the lock of a process that is gone


def test_a_run_that_ends_in_time_lets_the_next_one_in(small_shop: Shop) -> None:
    order: list[str] = []
    settings = small_shop.settings()
    is_held, may_end = threading.Event(), threading.Event()

    def first() -> None:
        with lease.one_run(settings.home, "sync", "first"):
            is_held.set()
            may_end.wait(10)
            order.append("first")

    def second() -> None:
        with lease.one_run(settings.home, "sync", "second", wait_seconds=20):
            order.append("second")

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert is_held.wait(10)
    threads[1].start()
    with pytest.raises(Busy, match="under way"), lease.one_run(settings.home, "sync", "third", wait_seconds=0):
        pass
    may_end.set()
    for thread in threads:
        thread.join()
    assert order == ["first", "second"]


def test_a_warehouse_lost_in_the_middle_ends_the_run_as_failed_and_the_state_file_knows(small_shop: Shop) -> None:
    settings = small_shop.settings()
    warehouse = Warehouse(settings.warehouse_url.reveal())
    warehouse.migrate()
    file = small_shop.home / "payback.duckdb"
    with pytest.raises(Exception, match="damaged"), written_run(settings, "night") as book:  # noqa: PT012
        book.attach(warehouse)
        with book.hop("sync", "crm"):
            file.write_bytes(b"not a warehouse at all" * 1000)
            warehouse.n_versions("leads")
    runs, fault = last_runs(settings, warehouse)
    assert fault is not None
    assert [(run.outcome, run.detail["error_kind"]) for run in runs] == [("failed", "warehouse")]
    assert [hop.outcome for hop in runs[0].hops] == ["failed"]


def test_ctrl_c_ends_a_run_and_is_no_trouble(small_shop: Shop) -> None:
    settings = small_shop.settings()
    with pytest.raises(KeyboardInterrupt), written_run(settings, "night") as book, book.hop("sync", "crm"):
        raise KeyboardInterrupt
    told = status_document(settings)
    assert [(run["outcome"], run["hops"][0]["outcome"]) for run in told["runs"]] == [("failed", "interrupted")]
    assert told["incidents"] == []
    assert ["was interrupted" in reason or "never heard" in reason for reason in told["reasons"]] == [True, True]


def test_no_night_ever_is_not_well_and_neither_is_one_that_was_cut_off(
    small_shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    """`payback status` and /readyz say the same."""

    def reasons() -> list[str]:
        capsys.readouterr()
        code = small_shop.payback("status", "--json")
        told = json.loads(capsys.readouterr().out)["reasons"]
        nights = Nights(timetable(small_shop.settings()), lambda moment: [], lambda: None)
        standing = Board(small_shop.settings, nights).standing()
        assert [lack.text for lack in standing.reasons] == told
        assert code == (Exit.FINDINGS if told else Exit.OK)
        return told

    def cut_off(kind: str) -> None:
        with pytest.raises(KeyboardInterrupt), written_run(small_shop.settings(), kind) as book:  # noqa: PT012
            book.attach(warehouse)
            raise KeyboardInterrupt

    warehouse = Warehouse(small_shop.settings().warehouse_url.reveal())
    assert reasons() == ["no run has ended yet"]
    cut_off("night")
    assert len(reasons()) == 2
    assert small_shop.payback("sync") == Exit.OK
    cut_off("sync")
    (reason,) = reasons()  # no sync makes up for a night
    assert "the last run (night" in reason
    assert "was interrupted" in reason
    with written_run(small_shop.settings(), "night") as book:
        book.attach(warehouse)
        assert reasons() == []  # it is being made up for
    cut_off("sync")
    assert reasons() == []  # what somebody stopped by hand says nothing of the nights


def test_the_state_file_keeps_the_last_runs_only(small_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.logbook.KEPT", 3)
    settings = small_shop.settings()
    ids = []
    for _ in range(5):
        with written_run(settings, "sync") as book, book.hop("sync", "crm"):
            ids.append(book.run_id)
    with State(settings.home).reading() as connection:
        assert [row["run_id"] for row in connection.execute("select run_id from runs order by started_at")] == ids[2:]
        assert [row["run_id"] for row in connection.execute("select run_id from hops order by run_id")] == ids[2:]


def test_status_is_no_wider_than_a_phone(small_shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    small_shop.payback("sync")
    small_shop.lose_exports()
    small_shop.payback("sync")
    capsys.readouterr()
    assert small_shop.payback("status") == Exit.FINDINGS
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "NEEDS ATTENTION"
    assert max(map(len, lines)) <= WIDTH
    assert any(line.startswith("next run") and "as [schedule]" in line for line in lines)
    assert any("crm: heard just now" in line for line in lines)


def test_hostile_names_stay_on_their_line(small_shop: Shop) -> None:
    settings = small_shop.settings()
    with written_run(settings, "sync") as book, book.hop("sync", "crm") as hop:
        book.fail(hop, RuntimeError("x\n\x1b[31mall well\u202e\rall well"))
    lines = status_lines(status_document(settings, next_run=None), settings)
    assert not [line for line in lines if not line.isprintable()]
    assert lines.count("all well") == 0


def test_before_anything_ran(small_shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    (small_shop.home / "payback.duckdb").unlink()
    assert small_shop.payback("status") == Exit.WAREHOUSE
    assert "payback sync" in capsys.readouterr().err
    assert not (small_shop.home / "payback-state.sqlite3").exists()


def test_a_silent_source_is_stale(small_shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    import time_machine

    small_shop.payback("sync")
    with time_machine.travel(utc_now() + timedelta(hours=35), tick=False):
        assert small_shop.payback("status") == Exit.OK
    with time_machine.travel(utc_now() + timedelta(hours=37), tick=False):
        assert small_shop.payback("status") == Exit.FINDINGS
    assert "No news of source" in capsys.readouterr().out
