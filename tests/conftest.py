"""Fixtures for all tests. `warehouse` runs a test on every engine; PostgreSQL is started here, on any machine, as root too."""

import gc
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from pipeline.warehouse import Warehouse
from tests.embedded import server_in

ENGINES = ("duckdb", "postgresql")


@dataclass(frozen=True)
class PostgresTestServer:
    """A PostgreSQL of this test session, on a socket only."""

    url: str
    folder: Path
    _numbers: Iterator[int]

    def new_database(self, template: str = "template1") -> str:
        """URL of a new database that is a copy of `template`."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return make_url(self.url).set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        """Remove a database, or stopping the server would write hundreds of them to disk."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresTestServer]:
    """One server a session. Skips when the embedded server cannot start here."""
    # Not in pytest's own folder: every pytest that starts on the machine closes that one to other users, and as root the
    # server runs as another user.
    with tempfile.TemporaryDirectory(prefix="payback-postgresql-", ignore_cleanup_errors=True) as parent:
        folder = Path(parent) / "data"
        try:
            server = server_in(folder)
        except Exception as error:
            pytest.skip(f"the embedded PostgreSQL cannot start on this machine: {type(error).__name__}: {error}")
        url = server.get_uri()
        try:
            with psycopg.connect(url, autocommit=True) as connection:  # this server need not wait for the disk
                connection.execute("ALTER SYSTEM SET fsync = off")
                connection.execute("SELECT pg_reload_conf()")
            yield PostgresTestServer(url, folder, itertools.count(1))
        finally:
            server.cleanup()


# What tells the databases apart is here: every query by itself, storage, a whole night, its loss and its repair.
BOTH_DATABASES = (
    "test_sql", "test_warehouse", "test_sink", "test_migrations", "test_released", "test_pull", "test_metrics", "test_checks",
    "test_cli", "test_disasters", "test_erasure", "test_backups", "test_locks", "test_kills",
)  # fmt: skip


def pytest_configure() -> None:
    gc.disable()  # what collecting makes stays


def pytest_collection_finish() -> None:
    """Thousands of tests and their modules need not be looked through again and again: a tenth of the time of all tests."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 50, 50)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Elsewhere the test on PostgreSQL is a further variant of the one on DuckDB."""
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if parameters.get("engine") == "postgresql" and item.path.stem not in BOTH_DATABASES:
            item.add_marker(pytest.mark.thorough)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """The name of each engine in turn; a test that takes it runs on each."""
    return str(request.param)


@pytest.fixture
def new_warehouse_url(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Gives the URL of one more empty warehouse, without tables, on the test's engine."""
    if engine == "duckdb":
        numbers = itertools.count(1)
        yield lambda: f"duckdb:///{tmp_path / f'warehouse_{next(numbers)}.duckdb'}"
        return
    server: PostgresTestServer = request.getfixturevalue("postgresql_server")
    made: list[str] = []

    def make() -> str:
        made.append(server.new_database())
        return made[-1]

    yield make
    for url in made:
        server.drop(url)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DuckDB warehouse with its tables, to copy."""
    path = tmp_path_factory.mktemp("duckdb") / "migrated.duckdb"
    Warehouse(f"duckdb:///{path}").migrate()
    return path


@pytest.fixture(scope="session")
def migrated_database(postgresql_server: PostgresTestServer) -> str:
    """The name of a PostgreSQL warehouse with its tables, to copy."""
    url = postgresql_server.new_database()
    Warehouse(url).migrate()
    return str(make_url(url).database)


@pytest.fixture
def warehouse_url(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a warehouse of its own for the test, with its tables and without rows, on each engine."""
    if engine == "duckdb":
        yield f"duckdb:///{shutil.copy(request.getfixturevalue('migrated_file'), tmp_path / 'warehouse.duckdb')}"
        return
    server: PostgresTestServer = request.getfixturevalue("postgresql_server")
    url = server.new_database(request.getfixturevalue("migrated_database"))
    yield url
    server.drop(url)


@pytest.fixture
def warehouse(warehouse_url: str) -> Warehouse:
    """The warehouse at `warehouse_url`."""
    return Warehouse(warehouse_url)
