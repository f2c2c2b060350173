"""Processes that die at random moments leave a warehouse that the next run completes; two runs at once do no harm."""

import time
from collections.abc import Callable, Iterator

import pytest

from bench.kill import Office
from pipeline.warehouse import Warehouse
from tests.faults import kills

pytestmark = pytest.mark.xdist_group("kills")  # one portal and one undisturbed sync for all


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    with kills.open_office() as opened:
        yield opened


@pytest.fixture(scope="module")
def undisturbed(office: Office) -> str:
    """URL of a warehouse that one quiet sync filled."""
    url = f"duckdb:///{office.folder / 'undisturbed.duckdb'}"
    ended = kills.run(office, url, "sync")
    assert ended.code == 0, ended.said
    return url


@pytest.mark.thorough
@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_killed_syncs_and_a_killed_measurement(office: Office, undisturbed: str, new_warehouse_url: Callable[[], str]) -> None:
    url = new_warehouse_url()
    assert kills.kill_syncs(office, url, n_kills=1, seed=3) == []
    assert kills.compared(url, undisturbed) == []
    assert kills.kill_measures(office, url, n_kills=1, seed=5) == []


@pytest.mark.parametrize("engine", ["duckdb"], indirect=True)
def test_a_killed_serve_leaves_nothing_locked_and_nothing_half(
    office: Office, undisturbed: str, new_warehouse_url: Callable[[], str]
) -> None:
    assert kills.kill_serve(office, new_warehouse_url(), undisturbed, seed=2) == []


@pytest.mark.thorough
def test_a_sync_and_then_the_database_server_are_killed(office: Office, undisturbed: str) -> None:
    with kills.private_postgres() as server:
        assert kills.kill_server_mid_sync(office, server, undisturbed, seed=1) == []


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("engine", "commands"), [("duckdb", ("run", "sync")), ("postgresql", ("sync", "sync"))], indirect=["engine"]
)
def test_runs_at_once_store_everything_once(
    office: Office, commands: tuple[str, ...], undisturbed: str, new_warehouse_url: Callable[[], str]
) -> None:
    """The last command is of another installation with the same warehouse; and a reader polls beside them."""
    url = new_warehouse_url()
    counts = []
    with kills.second_office(office) as other:
        processes = [kills.start(office, url, command) for command in commands[:-1]] + [kills.start(other, url, commands[-1])]
        kills.wait_for_commits(url, 1, processes[-1])
        while any(process.poll() is None for process in processes):
            with Warehouse(url).reading() as reading:
                (row,) = reading.rows(
                    "select (select count(*) from leads) as n_leads, (select sum(n_versions) from commits) as told, "
                    "(select count(*) from leads) + (select count(*) from deals) + (select count(*) from stage_changes) as seen"
                )
            assert row.told >= row.seen  # a commit and its rows are seen together or not at all
            counts.append(row.n_leads)
            time.sleep(0.1)
        ended = [kills.end(process) for process in processes]
    assert [one.code for one in ended] == [0] * len(commands), "\n".join(one.said for one in ended)
    assert counts == sorted(counts)
    assert len(counts) > 2
    assert kills.compared(url, undisturbed) == []
    assert Warehouse(url).n_versions("snapshots") == min(1, commands.count("run"))
