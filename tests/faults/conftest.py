"""Where the stories of the fault harness are stored, by name of the engine."""

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.warehouse import Warehouse
from tests.conftest import PostgresTestServer
from tests.faults.truth import Ground


@pytest.fixture
def new_ground(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Ground]:
    """new_ground("memory" | "duckdb" | "postgresql") -> an empty one."""
    numbers = itertools.count(1)

    def make(engine: str) -> Ground:
        if engine == "memory":
            return Ground()
        if engine == "duckdb":
            path = shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / f"story_{next(numbers)}.duckdb")
            return Ground(Warehouse(f"duckdb:///{path}"))
        server: PostgresTestServer = request.getfixturevalue("postgresql_server")
        url = server.new_database(request.getfixturevalue("migrated_database"))
        request.addfinalizer(lambda: server.drop(url))
        return Ground(Warehouse(url))

    return make
