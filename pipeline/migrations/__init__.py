"""The way of the warehouse's tables from the first version on: one file a step in `versions`, named NNNN_what.py.

Alembic runs the steps; it is imported only when there is one to run, because it is slow to import.
"""

from pathlib import Path

from sqlalchemy import Connection, text

VERSIONS = Path(__file__).parent / "versions"


def known(versions: Path = VERSIONS) -> list[str]:
    """Numbers of the steps this program has, ascending."""
    return sorted(path.name[:4] for path in versions.glob("[0-9][0-9][0-9][0-9]_*.py"))


def current(connection: Connection) -> str | None:
    """The step the warehouse is at; None when it has no tables yet."""
    exists = text(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_name = 'alembic_version' "
        "AND table_schema = current_schema() AND table_catalog = current_database()"
    )
    if not connection.execute(exists).scalar_one():
        return None
    number: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return number


def upgrade(connection: Connection, versions: Path = VERSIONS) -> None:
    """Run all steps the warehouse lacks, in the connection's transaction."""
    from alembic.config import Config
    from alembic.ddl.impl import DefaultImpl
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    class _OnDuckDB(DefaultImpl):  # alembic registers it by its dialect's name
        __dialect__ = "duckdb"
        transactional_ddl = True

    script = ScriptDirectory(str(versions.parent), version_locations=[str(versions)])
    head = known(versions)[-1]
    with EnvironmentContext(Config(), script, fn=lambda at, _: script._upgrade_revs(head, at)) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()
