"""A funnel of one's own: what it means for the money chain, which steps a stage says were reached, and what is refused."""

import os
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.records import Stage
from pipeline.cli import main
from pipeline.errors import ConfigError, Exit
from pipeline.funnel import ROLES, OwnFunnel, read_funnel
from pipeline.init import profiles_folder
from pipeline.journeys import build_journeys
from pipeline.languages import LANGUAGES
from pipeline.launches import Scope
from pipeline.own_figures import count_steps
from pipeline.own_metrics import TABLES
from pipeline.periods import split_periods
from pipeline.proposals import propose, read_profile
from pipeline.settings import load_settings
from pipeline.stages import MILESTONES, StageRule
from tests.pipeline.funnels_made import LAUNCH, REPAIR_CONFIG, REPAIR_FUNNEL, REPAIR_STAGES, SAME_DAY
from tests.pipeline.salon_made import deal, lead_with

ENVIRON = {"PAYBACK_HASH_KEY": "k" * 32}
MORNING = datetime(2026, 1, 5, 10, 0)
SCHOOL = """
[[steps]]
key = "enquiry"
role = "lead"
name = "Заявка"
[[steps]]
key = "test"
name = "Тест"
skippable = true
[[steps]]
key = "called"
name = "Созвон"
[[steps]]
key = "trial"
role = "booked"
name = "Пробный"
[[steps]]
key = "missed"
role = "no_show"
name = "Пропуск"
[[steps]]
key = "attended"
role = "visited"
name = "Был"
[[steps]]
key = "contract"
name = "Договор"
[[steps]]
key = "paid"
name = "Оплата"
[[steps]]
key = "renewed"
name = "Продление"
"""


def funnel(folder: Path, text: str = SCHOOL, **files: str) -> OwnFunnel:
    (folder / "metrics").mkdir(exist_ok=True)
    (folder / "funnel.toml").write_text(text, encoding="utf-8")
    for name, body in files.items():
        (folder / "metrics" / f"{name}.sql").write_text(body, encoding="utf-8")
    return read_funnel(folder)


def test_without_a_funnel_every_word_means_itself(tmp_path: Path) -> None:
    own = read_funnel(tmp_path)
    assert own.is_empty
    assert own.words == MILESTONES
    assert {own.milestone_of(word) for word in (*MILESTONES, "none", "unmapped")} == {*MILESTONES, "none", "unmapped"}
    assert own.reached_by("paid") == ()


def test_a_step_means_the_milestone_it_plays_or_follows(tmp_path: Path) -> None:
    own = funnel(tmp_path)
    meant = {word: own.milestone_of(word) for word in own.words}
    assert meant == {
        "enquiry": "none", "test": "none", "called": "none", "trial": "booked", "missed": "no_show", "attended": "visited",
        "contract": "visited", "paid": "paid", "renewed": "paid",
        "qualified": "qualified", "booked": "booked", "confirmed": "confirmed", "visited": "visited", "no_show": "no_show",
        "cancelled": "cancelled", "lost": "lost",
    }  # fmt: skip
    assert own.milestone_of("unmapped") == "unmapped"


def test_whoever_reached_a_step_reached_those_before_it(tmp_path: Path) -> None:
    own = funnel(tmp_path)
    assert own.reached_by("enquiry") == ()
    assert own.reached_by("test") == ("test",)
    assert own.reached_by("called") == ("called",)  # the test may be skipped
    assert own.reached_by("trial") == own.reached_by("booked") == ("called",)
    assert own.reached_by("missed") == own.reached_by("no_show") == own.reached_by("confirmed") == ("called",)
    assert own.reached_by("contract") == own.reached_by("paid") == ("called", "contract")
    assert own.reached_by("attended") == ("called",)
    assert own.reached_by("renewed") == ("called", "contract", "renewed")
    assert own.reached_by("qualified") == own.reached_by("lost") == own.reached_by("cancelled") == own.reached_by("none") == ()


STAGES = tuple(
    StageRule("crm", entity, "*", stage, word)
    for entity, stage, word in (
        ("lead", "NEW", "enquiry"), ("lead", "CALLED", "called"), ("lead", "TRIAL", "trial"), ("lead", "JUNK", "lost"),
        ("deal", "CAME", "attended"), ("deal", "SIGNED", "contract"), ("deal", "WON", "paid"),
    )
)  # fmt: skip


def test_the_steps_of_a_lead_and_of_its_deals_count_together(warehouse, tmp_path: Path) -> None:
    own = funnel(tmp_path)
    warehouse.append(
        [
            *lead_with(1, MORNING, [("NEW", 0.0), ("CALLED", 2.0), ("TRIAL", 5.0)]),
            deal(10, "1", datetime(2026, 1, 6, 10, 0), "SIGNED", Decimal(100)),  # a day later, as the stage it stands in
            *lead_with(2, MORNING, [("NEW", 0.0), ("TRIAL", 3.0)]),  # the call was skipped in the CRM, not in the funnel
            *lead_with(3, MORNING, [("NEW", 0.0), ("CALLED", 1.0), ("JUNK", 4.0)], utm_source="vk"),
            deal(11, None, MORNING, "WON", Decimal(50), utm_source="vk"),
        ],
        "crm",
        "r1",
    )
    with warehouse.reading() as reading:
        shared = {"stages": STAGES, "channels": (), "seen_until": datetime.max, "currency": "RUB", "funnel": own}
        build_journeys(reading, **shared)
        columns = ("enquiry", "test", "called", "trial", "attended", "contract", "paid", "renewed")
        rows = reading.columns("select * from funnel").to_pylist()
        found = {(row["entity"], row["journey_id"]): [row[f"{key}_hours"] for key in columns] for row in rows}
        plain = reading.columns("select * from journeys order by entity, journey_id").to_pylist()
        build_journeys(reading, **{**shared, "scope": Scope(pipelines=("none of these",))})
        outside = reading.columns("select * from funnel").num_rows
        meant = tuple(replace(rule, milestone=own.milestone_of(rule.milestone)) for rule in STAGES)
        build_journeys(reading, **{**shared, "stages": meant, "funnel": None})
        assert reading.columns("select * from journeys order by entity, journey_id").to_pylist() == plain
    assert found == {
        ("lead", "1"): [0, None, 2, 5, 24, 24, None, None],
        ("lead", "2"): [0, None, 3, 3, None, None, None, None],
        ("lead", "3"): [0, None, 1, None, None, None, None, None],
        ("deal", "11"): [0, None, 0, 0, 0, 0, 0, None],
    }
    assert outside == 0


@pytest.mark.parametrize("engine", ["duckdb"])
def test_whoever_came_after_all_has_not_missed_it_and_what_comes_late_does_not_count(warehouse, tmp_path: Path, engine) -> None:
    own = funnel(tmp_path)
    stages = (*STAGES, StageRule("crm", "lead", "*", "MISSED", "missed"), StageRule("crm", "lead", "*", "ATTENDED", "attended"))
    after = MORNING + timedelta(weeks=3)
    warehouse.append(
        [
            *lead_with(1, MORNING, [("NEW", 0.0), ("MISSED", 5.0)]),
            *lead_with(2, MORNING, [("NEW", 0.0), ("MISSED", 5.0), ("ATTENDED", 30.0)]),  # missed the first, came to the second
            *lead_with(3, MORNING, [("NEW", 0.0), ("MISSED", 5.0), ("ATTENDED", 200.0)]),  # came after the horizon
            *lead_with(4, after, [("NEW", 0.0), ("ATTENDED", 30.0)]),
        ],
        "crm",
        "r1",
    )
    with warehouse.reading() as reading:
        build_journeys(reading, stages=stages, channels=(), seen_until=datetime.max, currency="RUB", funnel=own)
        periods = split_periods(after.date() - timedelta(weeks=1), MORNING.date(), after.date() + timedelta(weeks=4), 7)
        found = {step.key: (step.pre, step.post) for step in count_steps(reading, own, stages, periods, 7 * 24)}
    assert {key: found[key] for key in ("enquiry", "trial", "missed", "attended")} == {
        "enquiry": (3, 1), "trial": (3, 1), "missed": (2, 0), "attended": (1, 1),
    }  # fmt: skip


def test_files_are_tried_on_the_tables_that_there_are(warehouse, tmp_path: Path) -> None:
    """The columns that a file is checked against are those it meets."""
    own = funnel(tmp_path)
    with warehouse.reading() as reading:
        build_journeys(reading, stages=STAGES, channels=(), seen_until=datetime.max, currency="RUB", funnel=own)
        for name, columns in TABLES.items():
            assert set(reading.columns(f"select * from {name}").column_names) == set(columns)
        steps = [f"{step.key}_hours" for step in own.steps if step.key != "paid"]  # which journeys has
        assert set(reading.columns("select * from funnel").column_names) == {*TABLES["journeys"], *steps}


def settings_of(home: Path, **changed: str) -> tuple[str, OwnFunnel]:
    """Fingerprint and funnel of a repair shop with some of its files changed."""
    config = home / "config"
    (config / "metrics").mkdir(parents=True, exist_ok=True)
    texts = {"payback": REPAIR_CONFIG, "stages": REPAIR_STAGES, "launches": LAUNCH, "funnel": REPAIR_FUNNEL} | changed
    for name, text in texts.items():
        path = config / ("metrics/same_day.sql" if name == "same_day" else f"{name}.toml")
        path.write_text(text, encoding="utf-8")
    loaded = load_settings(config, ENVIRON)
    return loaded.fingerprint(loaded.launches[0]), loaded.funnel


def test_whatever_changes_in_the_funnel_changes_the_fingerprint(tmp_path: Path) -> None:
    changes = (
        {},
        {"funnel": REPAIR_FUNNEL.replace("Согласие после", "Согласились после")},
        {"funnel": REPAIR_FUNNEL.replace('of = "diagnosed"', 'of = "call"')},
        {"funnel": REPAIR_FUNNEL.replace('name = "Звонок"', 'name = "Вызов"')},
        {"funnel": REPAIR_FUNNEL.replace('"Диагностика", en = "Diagnosed" }', '"Диагностика" }\nskippable = true')},
        {"same_day": SAME_DAY},
        {"same_day": SAME_DAY.replace("24", "48")},
    )
    prints = [settings_of(tmp_path, **change)[0] for change in changes]
    assert len(set(prints)) == len(changes)
    (tmp_path / "config" / "metrics" / "same_day.sql").unlink()
    assert settings_of(tmp_path)[0] == prints[0]


def test_a_changed_file_of_a_metric_is_noticed(tmp_path: Path) -> None:
    settings_of(tmp_path, same_day=SAME_DAY)
    loaded = load_settings(tmp_path / "config", ENVIRON)
    assert loaded.is_current
    path = tmp_path / "config" / "metrics" / "same_day.sql"
    path.write_text(SAME_DAY.replace("24", "48"), encoding="utf-8")
    os.utime(path, ns=(1, 1))
    assert not loaded.is_current


def test_an_empty_funnel_is_none(tmp_path: Path) -> None:
    empty, own = settings_of(tmp_path, funnel="# nothing yet\n", stages="")
    assert own.is_empty
    (tmp_path / "config" / "funnel.toml").unlink()
    loaded = load_settings(tmp_path / "config", ENVIRON)
    assert loaded.fingerprint(loaded.launches[0]) == empty


@pytest.mark.parametrize("path", sorted((profiles_folder() / "funnels").glob("*.toml")), ids=lambda path: path.stem)
def test_a_ready_made_funnel_fits_its_profile_and_every_language(tmp_path: Path, path: Path) -> None:
    own = funnel(tmp_path, path.read_text(encoding="utf-8"))
    profile = read_profile(profiles_folder() / path.name)
    assert {milestone for milestone, _ in profile.words} <= {*own.words, "none"}
    names = [*(step.names for step in own.steps), *(one.titles for one in own.metrics), *own.titles.values()]
    assert all(set(one) == set(LANGUAGES) for one in names)
    assert propose(Stage("lead", "0", "N", "Новое обращение", "open", 1), profile) == "none"
    assert {milestone for milestone, _ in profile.words} >= {step.key for step in own.steps if not step.role}
    signed = Stage("deal", "0", "SIGNED", "Договор подписан", "open", 1)
    assert propose(signed, profile) == "contract"
    # the last good stage of a deal is where money is counted, whatever it is called
    assert propose(replace(signed, semantics="won"), profile) == "paid"


def test_a_broken_funnel_hides_no_query_of_ours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "funnel.toml").write_text("steps = 7\n", encoding="utf-8")
    assert main(["--config", str(tmp_path), "sql", "show_rate"], {}) == Exit.OK
    assert main(["--config", str(tmp_path), "sql"], {}) == Exit.CONFIG
    assert "funnel.toml" in capsys.readouterr().err


# --- bad input ----------------------------------------------------------------------------------------------------

STEP = '[[steps]]\nkey = "came"\nrole = "visited"\nname = "Был"\n'
CONTRACT = '[[steps]]\nkey = "contract"\nname = "Договор"\n'
RATE = '[metrics.contract_rate]\nreached = "contract"\nof = "came"\ntitle = "Договор"\n'
BAD = {
    "unknown role": (STEP.replace('"visited"', '"visitde"'), "did you mean 'visited'?"),
    "unknown key": (STEP + "roel = 1\n", "did you mean 'role'?"),
    "role twice": (STEP + STEP.replace('"came"', '"seen"'), "'came' and 'seen' both play the role 'visited'"),
    "step twice": (STEP + CONTRACT + CONTRACT, "'contract' stands there twice"),
    "steps of one name": (STEP + CONTRACT.replace("Договор", " БЫЛ"), "'came' and 'contract' are both called 'БЫЛ'"),
    "steps of one name in a language": (
        STEP + CONTRACT.replace('"Договор"', '{ ru = "Был", en = "Contract" }'), "'came' and 'contract' are both called 'Был'",
    ),
    "metrics of one name": (STEP + CONTRACT + RATE + RATE.replace("contract_rate", "again"), "and 'again' are both called"),
    "nobody comes": (CONTRACT, "no step plays the role 'visited'"),
    "only booked": ('[[steps]]\nkey = "booked"\nname = "Запись"\n', "no step plays the role 'visited'"),
    "upside down": (STEP + '[[steps]]\nkey = "booked"\nname = "Запись"\n', "they follow each other as booked, visited"),
    "leads last": (STEP + '[[steps]]\nkey = "lead"\nname = "Заявка"\n', "lead, visited"),
    "own step before leads": (CONTRACT + '[[steps]]\nkey = "lead"\nname = "Заявка"\n' + STEP, "is not the first step"),
    "role of another": (STEP.replace('"came"', '"paid"'), "is called like a role and plays another one"),
    "skippable role": (STEP + "skippable = true\n", "cannot be skippable"),
    "empty name": (STEP.replace("Был", " "), "an empty name"),
    "no names": (STEP.replace('"Был"', "{}"), "needs a name"),
    "name of no language": (STEP.replace('"Был"', '{ rus = "Был" }'), "did you mean 'ru'?"),
    "name a number": (STEP.replace('"Был"', "7"), "needs a name"),
    "long name": (STEP.replace("Был", "Б" * 81), "more than 80 characters"),
    "acting name": (STEP.replace("Был", "\u202eБыл"), "invisible control or direction character"),
    "key with a quote": (STEP.replace('"came"', '"a\' or 1=1"'), "cannot be the key of a step"),
    "key taken by tables": (STEP.replace('"came"', '"next_visit"'), "cannot be the key of a step"),
    "sixty steps": (STEP + "".join(CONTRACT.replace('"contract"', f'"c{n}"') for n in range(59)), "60 steps, at most 40"),
    "sixty metrics": (
        STEP + CONTRACT + "".join(RATE.replace("contract_rate", f"c{n}") for n in range(60)), "60 metrics, at most 40",
    ),
    "metric of no step": (STEP + CONTRACT + RATE.replace('"contract"', '"contrakt"'), "'contrakt', did you mean 'contract'?"),
    "metric of all": (STEP + CONTRACT + RATE.replace('reached = "contract"', 'reached = "lead"'), "every lead has reached"),
    "metric of one step": (STEP + CONTRACT + RATE.replace('of = "came"', 'of = "contract"'), "are the same step"),
    "metric of one step by its role": (STEP + RATE.replace("contract\"", "visited\""), "are the same step"),
    "metric backwards": (
        STEP + CONTRACT + '[metrics.x]\nreached = "came"\nof = "contract"\ntitle = "X"\n', "stands before 'contract'",
    ),
    "metric of ours": (STEP + CONTRACT + RATE.replace("contract_rate", "show_rate"), "one of Payback's own metrics"),
    "metric without title": (STEP + CONTRACT + RATE.replace('title = "Договор"\n', ""), "the key 'title' is missing"),
    "metric better": (STEP + CONTRACT + RATE + 'better = "hgiher"\n', "did you mean 'higher'?"),
    "metric's name": (STEP + CONTRACT + RATE.replace("contract_rate", '"contract-rate"'), "cannot name a metric"),
    "title of no metric": (STEP + '[titles]\nshow_rat = "Пришли"\n', "did you mean 'show_rate'?"),
    "title empty": (STEP + '[titles]\nshow_rate = ""\n', "an empty name"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "words"), BAD.values(), ids=list(BAD))
def test_a_bad_funnel_is_refused_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        funnel(tmp_path, text)
    told = f"{caught.value} {caught.value.hint}"
    assert words in told
    assert str(tmp_path / "funnel.toml") in told
    assert len(told) < 700


def test_a_stage_of_an_unknown_step_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'diagnosed'"):
        settings_of(tmp_path, stages=REPAIR_STAGES.replace('"diagnosed"', '"diagnozed"'))


def test_steps_need_no_metric_and_metrics_no_steps(tmp_path: Path) -> None:
    own = funnel(tmp_path, '[metrics.paid_of_booked]\nreached = "paid"\nof = "booked"\ntitle = { en = "Paid of booked" }\n')
    assert not own.steps
    assert "paid_hours <= :horizon_hours and booked_hours <= :horizon_hours" in own.metrics[0].query.text
    assert set(ROLES) == {"lead", *MILESTONES}


def test_the_command_line_prints_a_metric_and_names_steps_without_a_stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings_of(tmp_path, same_day=SAME_DAY, stages=REPAIR_STAGES.replace('"diagnosed"', '"none"'))
    config = ["--config", str(tmp_path / "config")]
    assert main([*config, "sql", "agreed_rate"], ENVIRON) == Exit.OK
    assert "count(case when agreed_hours <= :horizon_hours and diagnosed_hours <= :horizon_hours" in capsys.readouterr().out
    assert main([*config, "sql", "same_day"], ENVIRON) == Exit.OK
    assert capsys.readouterr().out.strip() == SAME_DAY.strip()
    assert main([*config, "sql"], ENVIRON) == Exit.OK
    assert "own/same_day" in capsys.readouterr().out
    assert main([*config, "sql", "agred_rate"], ENVIRON) == Exit.CONFIG
    assert "did you mean 'agreed_rate'?" in capsys.readouterr().err
    main([*config, "check"], ENVIRON)
    told = " ".join(capsys.readouterr().out.split())
    assert "the step 'diagnosed' of funnel.toml stands nowhere in stages.toml" in told
    assert "'agreed'" not in told
