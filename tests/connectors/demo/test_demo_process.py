"""`python -m connectors.demo`: a portal in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import requests

ROOT = Path(__file__).parents[3]


def test_the_command_serves_until_it_is_told_to_stop() -> None:
    arguments = ["--bulk", "3000", "--gap-share", "0.1", "--page-ms", "1", "--no-limits"]
    command = [sys.executable, "-m", "connectors.demo", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            assert ready["pid"] == process.pid
            with requests.Session() as session:
                page = session.get(f"{ready['webhook_url']}crm.lead.list?order[ID]=ASC&select[]=ID", timeout=20).json()
                assert (page["total"], len(page["result"]), "operating" in page["time"]) == (3000, 50, False)
                base = ready["webhook_url"].split("/rest/")[0]
                assert session.get(f"{base}/_counters", timeout=20).json()["pages"] == 1
                assert session.get(f"{base}/_nothing", timeout=20).status_code == 404
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
