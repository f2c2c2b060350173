"""What a user meets on the command line: the main job, and every foreseeable fault as a sentence and an exit code."""

import json
import socket
import stat
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from connectors.demo import ALWAYS, Fault
from pipeline.cli import main, payback
from pipeline.errors import Exit
from pipeline.warehouse import Warehouse
from tests.pipeline.conftest import Office, build_salon
from tests.variants import first

RECORD_TABLES = ("leads", "deals", "stage_changes", "stages", "pipelines", "crm_sources", "owners", "contacts")


def n_versions(office: Office) -> dict[str, int]:
    warehouse = Warehouse(office.warehouse_url)
    return {table: warehouse.n_versions(table) for table in (*RECORD_TABLES, "snapshots")}


def test_night_measures_reports_and_repeats_itself_to_the_byte(
    warehouse_url: str, open_office: Callable[..., Office], tmp_path: Path
) -> None:
    office = open_office(warehouse_url)
    out = tmp_path / "out"
    run = ("run", "--out", str(out), "--format", "html,json")
    assert office.payback(*run) == Exit.OK
    first, stored = (out / "assistant.json").read_bytes(), n_versions(office)
    page = (out / "assistant.html").read_bytes()
    assert office.payback(*run) == Exit.OK
    assert n_versions(office) == stored
    assert (out / "assistant.json").read_bytes() == first
    assert (out / "assistant.html").read_bytes() == page
    assert json.loads(first)["metrics"]["leads"]["post"]["value"] > 100


def test_measure_prints_the_document_and_keeps_it(synced: Office, capsys: pytest.CaptureFixture[str]) -> None:
    assert synced.payback("measure", "assistant", "--json") == Exit.OK
    document = json.loads(capsys.readouterr().out)
    assert document["schema_version"] == 2
    assert document["verdict"]["code"]
    assert n_versions(synced)["snapshots"] == 1


def test_measure_explains_every_figure(synced: Office, capsys: pytest.CaptureFixture[str]) -> None:
    assert synced.payback("measure", "assistant", "--explain", "--lang", "en") == Exit.OK
    told = capsys.readouterr().out
    assert told.startswith("# ")
    assert "payback sql metrics/booking_conversion" in told or "payback sql booking_conversion" in told


def test_status_knows_when_a_source_was_heard(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    office.payback("sync")
    capsys.readouterr()
    assert office.payback("status", "--json") == Exit.OK
    document = json.loads(capsys.readouterr().out)
    assert document["sources"][0]["last_seen"] is not None
    assert document["runs"][0]["outcome"] == "ok"


def test_sql_prints_what_runs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", "show_rate"], {}) == Exit.OK
    assert ":horizon_hours" in capsys.readouterr().out
    assert main(["sql", "shaw_rate"], {}) == Exit.CONFIG
    assert "did you mean 'show_rate'?" in capsys.readouterr().err


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses between tries are short: all five are still made."""
    monkeypatch.setattr("connectors.dispatch._FIRST_PAUSE", 0.05)


@pytest.mark.parametrize("name", sorted(payback.commands))
def test_every_command_has_help_and_is_documented(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"], {}) == Exit.OK
    assert "Usage: payback" in capsys.readouterr().out
    readme = Path(__file__).parents[2] / "README.md"
    assert f"payback {name}" in readme.read_text(encoding="utf-8")


# --- a portal that cannot be read ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("fault", "code", "words"),
    first(4, [
        (Fault("*", "credentials", ALWAYS), Exit.ACCESS, "webhook"),
        (Fault("*", "redirect", ALWAYS, value="https://renamed.bitrix24.ru"), Exit.ACCESS, "renamed.bitrix24.ru"),
        (Fault("*", "html502", ALWAYS), Exit.TEMPORARY, "later"),
        (Fault("crm.lead.list", "ignore_filter", ALWAYS), Exit.PAYLOAD, "crm.lead.list"),
        (Fault("crm.lead.list", "scope", ALWAYS), Exit.ACCESS, "scope"),
        (Fault("*", "plan", ALWAYS), Exit.ACCESS, "plan"),
        (Fault("*", "deleted_portal", ALWAYS), Exit.ACCESS, "portal"),
        (Fault("*", "truncated", ALWAYS), Exit.TEMPORARY, "JSON"),
        (Fault("*", "close", ALWAYS), Exit.TEMPORARY, "127.0.0.1"),
    ]),
    ids=lambda value: f"{value.match}-{value.action}" if isinstance(value, Fault) else "",
)
def test_unreadable_portal_is_said_and_loses_nothing(
    synced: Office, fault: Fault, code: Exit, words: str, capsys: pytest.CaptureFixture[str], impatient: None
) -> None:
    stored = n_versions(synced)
    for key in synced.portal.store.leads.ids[:120]:
        synced.portal.update_lead(int(key), STATUS_ID="JUNK")
    capsys.readouterr()
    synced.portal.fail(fault)
    assert synced.payback("sync", "--full") == code
    printed = "".join(capsys.readouterr())
    assert words.lower() in printed.lower()
    assert "demo0secret0" not in printed
    assert "Traceback" not in printed
    now = n_versions(synced)
    assert all(now[table] >= stored[table] for table in RECORD_TABLES)
    synced.portal.heal()
    assert synced.payback("sync") == Exit.OK


def test_wrong_webhook(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    env = office.folder / ".env"
    env.write_text(env.read_text().replace("demo0secret0", "another0secret"), encoding="utf-8")
    assert office.payback("sync") == Exit.ACCESS
    assert "another0secret" not in "".join(capsys.readouterr())


@pytest.mark.usefixtures("impatient")
def test_no_network(office: Office, impatient: None, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = office.folder / ".env"
    lines = [line if "WEBHOOK" not in line else f"BITRIX24_WEBHOOK=http://127.0.0.1:{port}/rest/1/demo0secret0/" for line in
             env.read_text().splitlines()]  # fmt: skip
    env.write_text("\n".join(lines), encoding="utf-8")
    assert office.payback("sync") == Exit.TEMPORARY
    printed = "".join(capsys.readouterr())
    assert "127.0.0.1" in printed
    assert "demo0secret0" not in printed


# --- a configuration that is wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("payback.toml", "timezone =", "timezonne =", "did you mean 'timezone'?"),
        ("payback.toml", "Europe/Moscow", "Europe/Mosow", "IANA"),
        ("payback.toml", 'kind = "bitrix24"', 'kind = "bitrix42"', "bitrix24"),
        ("payback.toml", "webhook = ", "webhok = ", "did you mean 'webhook'?"),
        ("payback.toml", '"env:BITRIX24_WEBHOOK"', '"https://portal/rest/1/code/"', ".env"),
        ("payback.toml", '"env:BITRIX24_WEBHOOK"', '"env:BITRIX42_WEBHOOK"', "BITRIX42_WEBHOOK"),
        ("payback.toml", "[business]", "[business", "TOML"),
        ("stages.toml", '"paid"', '"payd"', "did you mean 'paid'?"),
        ("launches.toml", "margin = 0.6", "margin = 60", "0.6"),
        ("launches.toml", "margin = 0.6", "margn = 0.6", "did you mean 'margin'?"),
        ("launches.toml", "one_off", "one_of", "did you mean 'one_off'?"),
        ("launches.toml", "one_off = 30000.0", "one_off = -30000.0", "not negative"),
        ("launches.toml", "margin = 0.6", "margin = 0.6\nwashout_days = -5", "washout_days"),
        ("launches.toml", "margin = 0.6", "margin = 0.6\nhorizon_days = 0", "horizon_days"),
        ("launches.toml", "margin = 0.6", 'margin = 0.6\nholdout = {started_on = 2199-01-07, salt = "a", shar = 1}', "'share'?"),
        ("launches.toml", "margin = 0.6", 'margin = 0.6\nholdout = {started_on = 2199-01-07, salt = "a", share = 50}', "below 1"),
        ("launches.toml", "margin = 0.6", 'margin = 0.6\nholdout = {started_on = 2199-01-07, salt = " "}', "salt is empty"),
        ("launches.toml", "margin = 0.6", 'margin = 0.6\nholdout = {started_on = 2020-01-06, salt = "a"}', "before the launch"),
        ("launches.toml", "margin = 0.6", 'margin = 0.6\nholdout = {salt = "a"}', "'started_on' is missing"),
        ("stages.toml", "[portal.lead]", "[portal]\nlead = 1\n[portal.other]", "table"),
    ],
)
def test_typo_names_file_key_and_the_nearest(
    office: Office, file: str, old: str, new: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    office.edit(file, old, new)
    assert office.payback("run") == Exit.CONFIG
    printed = capsys.readouterr().err
    assert file in printed
    assert words in printed


def test_no_configuration_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "nowhere"), "run"], {}) == Exit.CONFIG
    assert "payback init" in capsys.readouterr().err


def test_unknown_launch_names_the_nearest(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    assert office.payback("measure", "asistant") == Exit.CONFIG
    assert "did you mean 'assistant'?" in capsys.readouterr().err


# --- nothing to measure ---------------------------------------------------------------------------------------------


def set_start(office: Office, on: str) -> None:
    assert office.portal.store.truth is not None
    office.edit("launches.toml", str(office.portal.store.truth.launch_on), on)


@pytest.mark.parametrize(("start", "words"), [("2199-01-07", "after it has started"), ("2020-01-06", "before")])
def test_launch_without_a_period_to_measure(synced: Office, start: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    set_start(synced, start)
    assert synced.payback("measure", "assistant") == Exit.NOTHING
    assert words in capsys.readouterr().err
    assert synced.payback("run", "--out", str(synced.folder)) == Exit.NOTHING


def test_zero_leads(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    Warehouse(office.warehouse_url).migrate()
    assert office.payback("measure", "assistant") == Exit.NOTHING
    assert "lead" in capsys.readouterr().err


def test_missing_margin_and_zero_cost(synced: Office, capsys: pytest.CaptureFixture[str]) -> None:
    synced.edit("launches.toml", "margin = 0.6", "")
    assert synced.payback("measure", "assistant", "--json") == Exit.OK
    money = json.loads(capsys.readouterr().out)["money"]
    assert money["incremental_profit"] is None
    assert money["missing"]["roi"] == "margin_missing"
    synced.edit("launches.toml", "started_on", "margin = 0.6\nstarted_on")
    synced.edit("launches.toml", "one_off = 30000.0", "one_off = 0")
    synced.edit("launches.toml", "monthly = 5000.0", "monthly = 0")
    assert synced.payback("measure", "assistant", "--json") == Exit.OK
    money = json.loads(capsys.readouterr().out)["money"]
    assert money["roi"] is None
    assert money["missing"]["roi"] == "cost_zero"


def test_unmapped_stage_is_a_finding_with_a_count(synced: Office, capsys: pytest.CaptureFixture[str]) -> None:
    assert synced.payback("check") == Exit.FINDINGS
    printed = capsys.readouterr().out
    assert "unmapped_stages" in printed
    assert "stand nowhere in stages.toml" in printed


# --- init -------------------------------------------------------------------------------------------------------------


def test_init_writes_secrets_only_to_env(office: Office) -> None:
    env = office.folder / ".env"
    assert "demo0secret0" in env.read_text(encoding="utf-8")
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    for path in office.config.iterdir():
        assert "demo0secret0" not in path.read_text(encoding="utf-8")


def test_init_does_not_overwrite_unasked(office: Office, capsys: pytest.CaptureFixture[str]) -> None:
    before = (office.config / "launches.toml").read_text(encoding="utf-8")
    arguments = ("init", "--name", "X", "--profile", "clinic", "--webhook", office.portal.webhook_url)
    assert office.payback(*arguments) == Exit.CONFIG
    assert "exists already" in capsys.readouterr().err
    assert (office.config / "launches.toml").read_text(encoding="utf-8") == before
    assert office.payback(*arguments, "--replace") == Exit.OK


def test_init_proposes_every_stage_its_words_know(office: Office) -> None:
    text = (office.config / "stages.toml").read_text(encoding="utf-8")
    assert 'WON = "paid"' in text.replace('"WON"', "WON")
    assert 'APOLOGY = "no_show"' in text.replace('"APOLOGY"', "APOLOGY")
    assert text.count("# not recognised:") == 1  # the stage somebody made for herself


def test_init_survives_quotes_in_every_answer(office: Office) -> None:
    names = ("--name", 'Салон "Ромашка" \\', "--launch-title", 'Бот "Катя"')
    assert office.payback("init", "--replace", "--webhook", office.portal.webhook_url, *names) == Exit.OK
    assert office.payback("status") in (Exit.OK, Exit.WAREHOUSE)
    assert 'Салон \\"Ромашка\\" \\\\' in (office.config / "payback.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize("answer", [("--timezone", "Mars/Phobos"), ("--launch", "ИИ бот")])
def test_init_refuses_answers_it_could_not_read_back(office: Office, answer: tuple[str, str]) -> None:
    arguments = ("init", "--replace", "--name", "X", "--webhook", office.portal.webhook_url)
    assert office.payback(*arguments, *answer) == Exit.CONFIG


def test_init_closes_an_open_env(office: Office) -> None:
    env = office.folder / ".env"
    env.chmod(0o644)
    key = next(line for line in env.read_text().splitlines() if line.startswith("PAYBACK_HASH_KEY="))
    env.write_text(f"# mine\n{key}\n")
    assert office.payback("init", "--replace", "--name", "X", "--webhook", office.portal.webhook_url) == Exit.OK
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    assert env.read_text().startswith(f"# mine\n{key}\n")


def test_init_without_anybody_to_ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(tmp_path / "config"), "init", "--name", "X"], {}) == Exit.CONFIG
    assert "--webhook is missing" in capsys.readouterr().err


def test_one_stage_name_in_two_funnels(tmp_path: Path) -> None:
    (tmp_path / "deals.csv").write_text(
        "ID;Дата создания;Стадия сделки;Воронка;Сумма\n1;05.10.2026;Записан;Стрижки;100\n2;06.10.2026;Записан;Окрашивание;200\n",
        encoding="utf-8-sig",
    )
    config = str(tmp_path / "config")
    arguments = ["--config", config, "init", "--name", "X", "--files", str(tmp_path / "deals.csv")]
    assert main(arguments, {}) == Exit.OK
    assert main(["--config", config, "sync"], {}) == Exit.OK


def test_as_of_is_a_moment_that_was(synced: Office, capsys: pytest.CaptureFixture[str]) -> None:
    assert synced.payback("measure", "assistant", "--as-of", "2199-01-01") == Exit.CONFIG
    assert "future" in capsys.readouterr().err
    assert synced.payback("measure", "assistant", "--as-of", "2020-01-01") == Exit.NOTHING
    assert "the first sync was on" in capsys.readouterr().err
    now = datetime.now(UTC) + timedelta(hours=3)
    there = now.replace(tzinfo=timezone(timedelta(hours=3))).isoformat(timespec="seconds")
    assert synced.payback("measure", "assistant", "--as-of", there, "--json") == Exit.OK
    seen_until = datetime.fromisoformat(json.loads(capsys.readouterr().out)["seen_until"])
    assert abs(seen_until - datetime.now(UTC).replace(tzinfo=None)) < timedelta(minutes=5)


def test_init_from_export_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "leads.csv").write_text(
        "ID;Дата создания;Стадия;Источник;Сумма;UTM Source\n1;05.10.2026 10:00:00;Записан;Сайт;1 500,00;yandex\n",
        encoding="utf-8-sig",
    )
    arguments = [
        "--config",
        str(tmp_path / "config"),
        "init",
        "--name",
        "X",
        "--profile",
        "salon",
        "--files",
        str(tmp_path / "leads.csv"),
    ]
    assert main(arguments, {}) == Exit.OK
    assert "booked" in (tmp_path / "config" / "stages.toml").read_text(encoding="utf-8")


# --- the demo -----------------------------------------------------------------------------------------------------------


def test_demo_measures_its_own_true_effect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.demo import play

    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert play(tmp_path / "demo", seed=3, leads_per_week=120.0, is_opened=True) == Exit.OK
    printed = capsys.readouterr().out
    assert printed.count("the interval") == 2  # inside in 19 of 20: whether on this very day is chance, see bench/demo_truth.py
    assert "same as the stored snapshot" in printed  # once more: nothing doubled
    document = json.loads((tmp_path / "demo" / "assistant.json").read_text(encoding="utf-8"))
    since = date.fromisoformat(document["changes"]["since"]["as_of"])
    assert date.fromisoformat(document["as_of"]) - since == timedelta(days=7)
    assert document["changes"]["rows"]["deals_corrected"] == 2
    assert document["changes"]["figures"]["profit_a_month"]["data"] < 0  # the zero too many is gone
    assert f"open {tmp_path / 'demo' / 'assistant.html'} in a browser" in printed  # there is no screen
    assert (tmp_path / "demo" / "assistant.html").stat().st_size > 10_000
    assert (tmp_path / "demo" / "assistant.xlsx").stat().st_size > 10_000


def test_demo_leaves_foreign_folders_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    assert main(["demo", "--out", str(tmp_path)], {}) == Exit.CONFIG
    assert "no demo made it" in capsys.readouterr().err


def test_hostile_utm_values_end_as_plain_text(office: Office, tmp_path: Path) -> None:
    key = office.portal.insert_lead(
        STATUS_ID="NEW", UTM_SOURCE="<script>alert(1)</script>", UTM_CAMPAIGN='=HYPERLINK("http://x")'
    )
    assert key > 0
    assert office.payback("run", "--out", str(tmp_path / "out")) == Exit.OK
    page = (tmp_path / "out" / "assistant.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page


def test_salon_without_leads_is_measured_by_deals(open_office: Callable[..., Office], tmp_path: Path) -> None:
    office = open_office(f"duckdb:///{tmp_path / 'simple.duckdb'}", build_salon(mode="simple"))
    assert office.payback("run", "--out", str(tmp_path / "out"), "--format", "json") == Exit.OK
    document = json.loads((tmp_path / "out" / "assistant.json").read_text(encoding="utf-8"))
    assert document["metrics"]["leads"]["post"]["value"] > 100
