"""A dashboard to look at: a real measurement, the weeks of a history made of it, and the application over real HTTP."""

import copy
import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import uvicorn

from pipeline.accounting import measure_programme
from pipeline.accounting_document import programme_document
from pipeline.document import document, document_bytes
from pipeline.launches import Scope
from pipeline.measurement import measure
from pipeline.passwords import hash_password
from pipeline.periods import AsOf
from pipeline.programmes import Programme
from pipeline.schedule import Nights, timetable
from pipeline.settings import ChannelRule, Settings, load_settings
from pipeline.warehouse import Warehouse
from pipeline.web.app import build_app
from pipeline.web.board import Board
from pipeline.web.serve import listen
from tests.pipeline.salon_made import launch, salon, settings

Document = dict[str, Any]
AS_OF = AsOf(date(2026, 8, 3), datetime(2200, 1, 1), "2026-08-03")
PASSWORDS = {"anna": "correct horse battery", "oleg": "staple under the stairs"}
HOSTILE = "<img src=x onerror=alert(1)>\u202e</title><script>alert(2)</script>{{7*7}}" + "ё" * 60
LAUNCHES = ("assistant", "stable", "young", "none-yet", "hostile", "old", "ünïcode 1.0")


def measured(folder: Path) -> Document:
    """A launch that pays."""
    made = Warehouse(f"duckdb:///{folder / 'measured.duckdb'}")
    made.migrate()
    made.append(salon(lift=0.5, channels=("google", HOSTILE)), "crm", "r1")
    rules = (ChannelRule("Поиск", utm_source=("google",)),)
    with made.reading(AS_OF.seen_until) as reading:
        return document(measure(reading, launch(title="AI-ассистент"), settings(channels=rules), AS_OF))


def programme_measured(folder: Path) -> Document:
    """A programme of the same leads: two modules that began together, and one on a channel of its own weeks later."""
    later = launch(name="later", title="Позже", started_on=date(2026, 6, 8), scope=Scope(channels=("Поиск",)))
    launches = (launch(title="AI-ассистент"), launch(name="hostile", title=HOSTILE), later)
    configured = settings(channels=(ChannelRule("Поиск", utm_source=("google",)),), launches=launches)
    programme = Programme("ai", HOSTILE, ("assistant", "hostile", "later"))
    with Warehouse(f"duckdb:///{folder / 'measured.duckdb'}").reading(AS_OF.seen_until) as reading:
        return programme_document(measure_programme(reading, programme, configured, AS_OF))


def history(found: Document, name: str, n_weeks: int, *, title: str | None = None, size: float = 1.0) -> Iterator[Document]:
    """The document as it could have been week by week: a range that narrows, trust that grows, the last one as measured."""
    for n in range(n_weeks):
        left = n_weeks - 1 - n
        made = copy.deepcopy(found)
        made["as_of"] = (date(2026, 8, 3) - timedelta(weeks=left)).isoformat()
        made["launch"] |= {"name": name, "title": title or made["launch"]["title"]}
        wide, shift = 1 + 3.5 * left / (n + 1.5), ((n * 7) % 5 - 2) * 0.09 * left / (n + 1)
        for key in ("roi", "monthly_benefit", "net"):
            bounds = made["money"][key]
            middle = bounds["estimate"] * (1 + shift) * size
            made["money"][key] = {
                "estimate": middle,
                "low": middle - (bounds["estimate"] - bounds["low"]) * wide,
                "high": middle + (bounds["high"] - bounds["estimate"]) * wide,
            }
        if made["money"]["monthly_benefit"]["low"] < 0:
            reason = {"code": "zero_inside", "figures": {**made["money"]["monthly_benefit"], "break_even": None}}
            made["verdict"] = {"code": "not_enough_data", "reason": reason}
            made["money"]["payback_months"] = {**made["money"]["payback_months"], "high": None}
        made["trust"]["score"] = max(40, made["trust"]["score"] - 2 * left)
        made["provenance"]["n_leads"] -= 55 * left
        yield made


def findings() -> list[Document]:
    """One of each severity, and one that this version has no words for."""
    base = {"subject": "portal", "detail": {}}
    return [
        {**base, "code": "unmapped_stages", "severity": "error", "n": 3, "points": 12.0,
         "detail": {"stages": "C1:HOT,C1:" + HOSTILE}},
        {**base, "code": "leads_without_source", "severity": "warning", "n": 41, "points": 4.5, "detail": {"share": 0.08}},
        {**base, "code": "a_check_of_tomorrow", "severity": "strange", "n": 2, "points": 0},
    ]


def store(warehouse: Warehouse, found: Document, programme: Document | None = None, *, n_long: int = 60) -> None:
    """Every kind of history a dashboard must cope with."""
    told = copy.deepcopy(found)
    told["trust"] = {"score": 81, "findings": findings()}
    told["unclosed"] = [
        {"key": "7", "title": "Анна <b>Петрова</b>", "n": 12, "examples": ["101", "102"]},
        {"key": "unknown", "title": None, "n": 1, "examples": []},
    ]
    step = {"then": 9000.0, "settings": 0.0, "data": -300.0, "weeks": 450.5, "now": 9150.5}
    told["changes"] = {
        "since": {"as_of": "2026-07-27", "known_on": "2026-07-27", "verdict": "pays"}, "figures": {"profit_a_month": step},
        "n_new_weeks": 1, "has_new_rules": False, "rows": {"leads_changed": 3},
    }  # fmt: skip
    made: list[Document] = [
        *history(told, "assistant", 12),
        *history(found, "stable", n_long, title="Новая запись", size=0.4),
        *history(found, "young", 1, title="Напоминания в мессенджере"),
        *history(told, "hostile", 3, title=HOSTILE),
        *history(found, "ünïcode 1.0", 2, title="Ünïcode & Co"),
    ]
    old = {"schema_version": 1, "launch": {"name": "old", "title": "Старый"}, "as_of": "2026-01-05",
           "provenance": {"code_version": "0.0.1"}}  # fmt: skip
    odd = {"as_of": "2026-01-12", "launch": [], "money": {"roi": {"estimate": "x"}}, "trust": {"findings": "none"}, "verdict": 5}
    rows = [(one["launch"]["name"], one) for one in (*made, old)] + [("old", odd)]
    if programme is not None:
        rows += [("ai", {**programme, "as_of": "2026-07-27"}), ("ai", programme)]
        # A programme had the launch's name before, and a document of tomorrow has no parts that this version can read.
        rows += [("hostile", {**programme, "as_of": "2026-07-06"}), ("unread", {**programme, "rest": None})]
    texts = [document_bytes(one).decode() for _, one in rows]
    columns = {
        "launch": [name for name, _ in rows],
        "as_of": [one["as_of"] for _, one in rows],
        "document": texts,
        "document_hash": [hashlib.sha256(text.encode()).hexdigest() for text in texts],
        "seen_at": [datetime(2026, 8, 3, 1, 30) + timedelta(seconds=n) for n in range(len(rows))],
        "run_id": ["night-1"] * len(rows),
    }
    with warehouse._database.writing() as connection:  # at once: a hundred transactions would take seconds
        warehouse._database.append(connection, "snapshots", pa.table(columns))
    night = datetime(2026, 8, 3, 1, 30)
    warehouse.record_run("night-1", "night", night, night + timedelta(minutes=4), "ok", {})


def configure(folder: Path, *, users: Sequence[str] = ("anna", "oleg"), language: str = "ru") -> Settings:
    """The configuration in `folder`; anna is the owner, oleg is operations staff."""
    (folder / "config").mkdir(exist_ok=True)
    lines = [f'[business]\nname = "Салон «Ромашка» <b>"\nlanguage = "{language}"\ntimezone = "Europe/Moscow"\n']
    lines.append('[sources.portal]\nkind = "files"\npath = "exports"\n')
    secrets = ["PAYBACK_HASH_KEY=0123456789abcdef0123"]
    for name in users:
        role = "owner" if name == "anna" else "ops"
        secret = f"PAYBACK_PASSWORD_{name.upper()}"
        lines.append(f'[[dashboard.users]]\nname = "{name}"\nrole = "{role}"\npassword_hash = "env:{secret}"\n')
        secrets.append(f"{secret}={_hash(name)}")
    (folder / "config" / "payback.toml").write_text("\n".join(lines), encoding="utf-8")
    (folder / ".env").write_text("\n".join(secrets) + "\n", encoding="utf-8")
    titles = {"assistant": "AI-ассистент", "none-yet": "Ещё не начат", "hostile": HOSTILE.replace("\u202e", "")}
    names = [name for name in LAUNCHES if name not in ("old", "ünïcode 1.0")]
    launches = [f'["{name}"]\ntitle = \'{titles.get(name, name)}\'\nstarted_on = 2026-05-04\nmargin = 0.5\n' for name in names]
    launches.append(f"[programme.ai]\ntitle = '{titles['hostile']}'\nmodules = [\"assistant\", \"hostile\"]\n")
    (folder / "config" / "launches.toml").write_text("\n".join(launches), encoding="utf-8")
    return load_settings(folder / "config", {})


@contextmanager
def served(found: Settings, current: Callable[[], Settings] | None = None) -> Iterator[str]:
    """The application of `payback serve` on a free port; its address. `current` gives the configuration as it is now."""
    now = current or (lambda: found)
    nights = Nights(timetable(found), lambda moment: [], lambda: None)
    with listen("127.0.0.1", 0) as listening:
        app = build_app(now, Board(now, nights), found.serve.password)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", proxy_headers=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)


_HASHES: dict[str, str] = {}


def _hash(name: str) -> str:
    if name not in _HASHES:
        _HASHES[name] = hash_password(PASSWORDS[name])
    return _HASHES[name]
