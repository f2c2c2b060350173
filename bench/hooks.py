"""200 events a second at a real `payback serve`: how fast is the answer, and is every answered one there after kill -9?

    python -m bench.hooks [--rate 200] [--seconds 60]        (two minutes)

Events are sent at fixed moments, whether the earlier ones are answered or not, each on a connection of its own; the answer time
counts from the moment an event was due, so a server that stalls cannot hide it. Half of the events name a row that is waiting
already. The portal of the source cannot be reached, so everything stays in the inbox. Two servers, one after the other: one is
stopped at the end, the other killed in the middle; then every row whose event was answered with 200 must be in the inbox.
load: processes that wanted a core in the last minute, as the system tells it at the end of the trial.
"""

import argparse
import asyncio
import os
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from bench.portal import PAYBACK, ROOT, table
from pipeline.inbox import Inbox
from pipeline.state import State

TOKEN = "0123456789abcdef0123456789abcdef"
NOBODY = "http://127.0.0.1:9/rest/1/nobody0is0here/"  # the discard port: connections are refused
ANSWER_SECONDS = 30.0
HEADINGS = ("server", "events", "answered 200", "p50 ms", "p99 ms", "slowest ms", "rows answered for", "rows lost", "load")


@dataclass
class Sent:
    """What became of the events: answers by status (0: none), seconds to each answer, rows whose event was answered with 200."""

    statuses: "Counter[int]" = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    rows: set[tuple[str, int]] = field(default_factory=set)

    def at(self, share: float) -> float:
        """Milliseconds within which that share of the events was answered."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def events(n: int, seed: int) -> list[tuple[str, int]]:
    """Rows that change: one half for the first time, the other half again, leads and deals mixed."""
    rng = random.Random(seed)
    rows: list[tuple[str, int]] = []
    for number in range(n):
        is_again = rows and rng.random() < 0.5
        rows.append(rng.choice(rows) if is_again else (rng.choice(("lead", "deal")), number + 1))
    return rows


async def send(port: int, rows: list[tuple[str, int]], rate: float) -> Sent:
    """Send an event for each row, `rate` a second."""
    sent = Sent()
    began = time.perf_counter()

    async def one(place: int, entity: str, key: int) -> None:
        due = began + place / rate
        await asyncio.sleep(due - time.perf_counter())
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                status = await _posted(port, entity, key)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            status = 0
        sent.statuses[status] += 1
        if status == 200:
            sent.seconds.append(time.perf_counter() - due)
            sent.rows.add((f"{entity}s", key))

    await asyncio.gather(*(one(place, *row) for place, row in enumerate(rows)))
    return sent


async def _posted(port: int, entity: str, key: int) -> int:
    """The status of the answer to one event."""
    form = {
        "event": f"ONCRM{entity.upper()}UPDATE",
        "event_handler_id": "975",
        "data[FIELDS][ID]": str(key),
        "ts": str(int(time.time())),
        "auth[domain]": "salon.bitrix24.ru",
        "auth[client_endpoint]": "https://salon.bitrix24.ru/rest/",
        "auth[server_endpoint]": "https://oauth.bitrix.info/rest/",
        "auth[member_id]": "d897063e1ce7c5eb9f04b9751eef5915",
        "auth[application_token]": TOKEN,
    }
    body = urlencode(form).encode()
    head = (
        "POST /hooks/bitrix24/salon HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head.encode() + body)
        line = await reader.readuntil(b"\r\n")
        return int(line.split()[1])
    finally:
        writer.close()


def write_config(folder: Path, webhook: str = NOBODY) -> dict[str, str]:
    """A configuration with one portal that sends events; the environment its commands need."""
    (folder / "config").mkdir(parents=True)
    source = '[sources.salon]\nkind = "bitrix24"\nwebhook = "env:HOOKS_WEBHOOK"\napplication_token = "env:HOOKS_TOKEN"\n'
    (folder / "config" / "payback.toml").write_text(source, encoding="utf-8")
    secrets = {"HOOKS_WEBHOOK": webhook, "HOOKS_TOKEN": TOKEN, "PAYBACK_HASH_KEY": "0123456789abcdef"}
    return {**os.environ, **secrets, "PYTHONPATH": str(ROOT)}


@contextmanager
def serving(folder: Path, environ: dict[str, str]) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """`payback serve` in a process of its own, and its port; ended with the block, if it has not ended before."""
    command = [*PAYBACK, "--config", str(folder / "config"), "serve", "--port", "0"]
    with (
        (folder / "serve.log").open("a") as log,
        subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=log, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            told = process.stdout.readline()
            if not told.startswith("serving http://127.0.0.1:"):
                raise RuntimeError(f"payback serve did not start: {told}{(folder / 'serve.log').read_text()[-2000:]}")
            yield process, int(told.split(";")[0].strip().rsplit(":", 1)[1])
        finally:
            process.terminate()


def stored(folder: Path) -> set[tuple[str, int]]:
    """The rows that wait in the inbox."""
    return {(entry.stream, entry.key) for entry in Inbox(State(folder)).entries("salon", 1_000_000)}


async def send_and_kill(process: "subprocess.Popen[str]", port: int, rows: list[tuple[str, int]], rate: float) -> Sent:
    """Send events, and kill the server when half of the time is over."""
    sending = asyncio.create_task(send(port, rows, rate))
    await asyncio.sleep(len(rows) / rate / 2)
    process.send_signal(signal.SIGKILL)
    return await sending


def wait_for_night(folder: Path) -> None:
    """Until the night that is owed at the start has failed, because nobody answers: it is no part of what is measured."""
    deadline = time.monotonic() + 120.0
    while time.monotonic() < deadline and "run_ended" not in (folder / "serve.log").read_text():
        time.sleep(0.5)


def trial(rate: float, seconds: float, *, is_killed: bool) -> list[object]:
    """A row of the table."""
    rows = events(int(rate * seconds), seed=7)
    with tempfile.TemporaryDirectory(prefix="payback-bench-") as name:
        folder = Path(name)
        with serving(folder, write_config(folder)) as (process, port):
            wait_for_night(folder)
            sent = asyncio.run(send_and_kill(process, port, rows, rate) if is_killed else send(port, rows, rate))
        lost = sent.rows - stored(folder)
    figures = [f"{value:.1f}" for value in (sent.at(0.5), sent.at(0.99), sent.at(1.0))]
    title = "killed in the middle" if is_killed else "stopped at the end"
    return [title, len(rows), sent.statuses[200], *figures, len(sent.rows), len(lost), f"{os.getloadavg()[0]:.1f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    rows = [trial(given.rate, given.seconds, is_killed=is_killed) for is_killed in (False, True)]
    print(table(HEADINGS, rows))
    if any(row[-2] for row in rows):
        raise SystemExit("answered events were lost")


if __name__ == "__main__":
    main()
