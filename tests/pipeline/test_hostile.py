"""Hostile names and values of a portal, end to end: portal -> warehouse -> page, terminal, JSON, messages. They stay text."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import html as parser

from connectors.demo import Store
from connectors.demo.columns import Choices
from connectors.demo.schema import BRANCH
from connectors.text import shown
from pipeline.errors import Exit
from pipeline.tables import METADATA
from pipeline.warehouse import Warehouse
from tests.connectors.test_transport_attacks import Listener, fine
from tests.hostile import ACTING, TEXTS
from tests.pipeline.conftest import Office, build_salon

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LAUNCH = "бот 2"
ANSI = re.compile(r"\x1b\[[0-9;]*m")
# The demo portal is a Python program and cannot send half a character; tests/connectors/test_transport_attacks.py does.
SENT = {kind: text for kind, text in TEXTS.items() if kind != "surrogate"}
NESTED: Any = []
for _ in range(200):
    NESTED = [NESTED, {"a": NESTED and 1}]


def hostile_salon(port: int) -> Store:
    """A salon in which everything that somebody can name has a hostile name. `port`: where a page would call home."""
    store = build_salon(leads_per_week=20.0)
    texts = [text.replace("127.0.0.1:9/", f"127.0.0.1:{port}/") for text in SENT.values()]
    random = np.random.default_rng(3)
    for place, row in enumerate([*store.statuses, *store.users, *store.categories]):
        row["name" if "name" in row else "NAME"] = texts[place % len(texts)]
        row["LAST_NAME"] = texts[-place % len(texts)]
    for table in (store.leads, store.deals):
        n = table.n
        for name in (BRANCH, "UTM_MEDIUM", "UTM_CAMPAIGN", "UTM_CONTENT", "UTM_TERM"):
            old = table.columns[name]
            size = len(old.codes) if isinstance(old, Choices) else n
            table.columns[name] = Choices(random.integers(0, len(texts), size).astype(np.int16), texts)
        odd = {"OPPORTUNITY": ["=1+1", float("inf"), NESTED, "9" * 5000, 10**4000],
               "UTM_SOURCE": [*texts, NESTED, "x" * 10_000_000],
               "STATUS_ID": [NESTED, "x" * 1_000_000, "\x1b[31m"], "STAGE_ID": [{}, "y" * 1_000_000], "CURRENCY_ID": texts,
               "DATE_CREATE": ["'; DROP TABLE leads; --", "9" * 100, []], "ASSIGNED_BY_ID": ["1e400", -1, {"a": 1}]}  # fmt: skip
        for name, values in odd.items():
            if name in table.columns:
                rows = random.choice(n, len(values), replace=False)
                table.columns[name].odd.update(dict(zip(rows.tolist(), values, strict=True)))
    return store


@pytest.fixture
def home() -> Iterator[Listener]:
    """A server that hostile pages would call."""
    listener = Listener(fine)
    yield listener
    listener.close()


@pytest.fixture
def hostile_office(open_office: Callable[..., Office], warehouse_url: str, home: Listener) -> Office:
    office = open_office(warehouse_url, hostile_salon(home.port))
    title = json.dumps(TEXTS["closing"] + TEXTS["template"])
    office.edit("launches.toml", 'title = "AI-ассистент"', f"title = {title}")
    office.edit("launches.toml", "[assistant]", f'["{LAUNCH}"]')
    office.edit("launches.toml", "[assistant.costs]", f'["{LAUNCH}".costs]')
    return office


def test_hostile_names_stay_text_on_their_whole_way(
    hostile_office: Office, home: Listener, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office, out = hostile_office, tmp_path / "out"
    assert office.payback("run", "--out", str(out), "--format", "html,json,terminal") == Exit.OK
    if office.warehouse_url.startswith("duckdb"):  # what is printed is the same on every engine
        for command in (("check",), ("status", "--json"), ("measure", LAUNCH, "--explain")):
            assert office.payback(*command) in (Exit.OK, Exit.FINDINGS), command
    told = capsys.readouterr()
    for text in (ANSI.sub("", told.out), ANSI.sub("", told.err)):
        assert shown(text) == text
        assert len(max((line for line in text.splitlines() if line[:1] != "{"), key=len, default="")) < 4000
    assert "quarantined" in told.out
    assert sorted(path.name for path in out.iterdir()) == ["бот_2.html", "бот_2.json"]
    _warehouse_is_whole(office)
    json.loads((out / "бот_2.json").read_text(encoding="utf-8"))
    page = (out / "бот_2.html").read_text(encoding="utf-8")
    _page_is_dead(page)
    if CHROMIUM:
        _browser_sees_nothing(out / "бот_2.html", tmp_path)
    assert home.n_connections == 0


def _warehouse_is_whole(office: Office) -> None:
    """All tables are there, all leads but the quarantined ones, and no text in them acts or is endless."""
    warehouse = Warehouse(office.warehouse_url)
    n_texts = 0
    with warehouse.reading() as reading:
        for table in ("leads", "deals", "stages", "stage_changes", "owners", "crm_sources", "pipelines", "quarantine"):
            rows = reading.columns(f"select * from {METADATA.tables[table].name}")
            for name in rows.column_names:
                for value in rows.column(name).to_pylist():
                    if isinstance(value, str):
                        n_texts += 1
                        assert not ACTING.search(value), (table, name)
                        assert len(value) <= 700, (table, name)
        n_leads = reading.rows("select count(distinct lead_id) as n from leads")[0].n
        n_refused = reading.rows("select count(distinct record_key) as n from quarantine where stream = 'leads'")[0].n
    assert n_texts > 5_000
    assert 5 <= n_refused < 40
    assert n_leads + n_refused >= office.portal.store.leads.n


def _page_is_dead(page: str) -> None:
    """Nothing in the page runs or calls anybody, and the names stand in it as they were written."""
    tree = parser.document_fromstring(page)
    assert not tree.xpath("//script|//img|//iframe|//object|//embed|//link|//base|//form|//input|//*[@src]|//*[@action]")
    assert not tree.xpath("//a[not(starts-with(@href, '#'))]")  # links lead within the page
    attributes = [(name, value) for element in tree.iter() if isinstance(element.tag, str) for name, value in element.items()]
    assert not [name for name, _ in attributes if name.lower().startswith("on")]
    assert not [value for name, value in attributes if name.rpartition("}")[2] == "href" and not value.startswith("#")]
    assert len(tree.xpath("//style")) == 1
    text = "".join(tree.xpath("//body")[0].itertext())
    assert not ACTING.search(text.replace("\u2060", ""))  # ours: between a sign and its amount
    for kind in ("script", "template", "format", "formula", "bb code", "sql", "entity"):
        assert " ".join(TEXTS[kind].split())[:30] in text, kind


def _browser_sees_nothing(page: Path, folder: Path) -> None:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={folder / 'profile'}",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
             "--virtual-time-budget=2000"]  # fmt: skip
    done = subprocess.run([str(CHROMIUM), *flags, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120)
    title = re.search(r"<title>(.*?)</title>", done.stdout, re.DOTALL)
    assert title is not None
    assert title[1] != "hacked"
    assert "CONSOLE" not in done.stderr


def test_the_browser_would_notice(home: Listener, tmp_path: Path) -> None:
    """Put into a page unescaped, the same texts do act."""
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine")
    page = tmp_path / "page.html"
    harm = TEXTS["script"] + TEXTS["request"].replace("127.0.0.1:9/", f"127.0.0.1:{home.port}/")
    page.write_text(f"<!doctype html><title>x</title><body>{harm}", encoding="utf-8")
    with pytest.raises(AssertionError):
        _browser_sees_nothing(page, tmp_path)
    assert home.n_connections > 0


def test_init_writes_hostile_stage_names_as_comments_that_stay_comments(
    open_office: Callable[..., Office], tmp_path: Path
) -> None:
    office = open_office(f"duckdb:///{tmp_path / 'w.duckdb'}", hostile_salon(9))
    for path in office.config.glob("*.toml"):
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n")):
            assert not ACTING.search(line), (path, number)
    stages = (office.config / "stages.toml").read_text(encoding="utf-8")
    assert "hacked" in stages  # they are told to the owner, who has to map them
    assert office.payback("check") in (Exit.OK, Exit.FINDINGS)
