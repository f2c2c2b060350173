"""Which column is what: the headings CRMs write, the ones a user maps, and the words when something is missing."""

import json
import tomllib
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.errors import OptionError
from connectors.files import Files, Options
from connectors.files.headings import FIELDS, n_known, plain, recognise
from connectors.files.options import check_options
from connectors.people import customer_hash
from pipeline.strict import Place, build
from tests.connectors.files.exports import HEADINGS, ROW, csv_bytes, read_bytes, surroundings

FACTS = Path(__file__).parents[4] / "shared" / "data" / "export_headings_ru.json"


def test_an_english_export_of_bitrix24(tmp_path: Path) -> None:
    headings = ("ID", "Created", "Stage", "Source", "Responsible person", "Opportunity", "Currency", "Pipeline",
                "UTM Medium", "Repeat lead", "Mobile phone", "Work e-mail", "Modified on")  # fmt: skip
    row = (
        "5",
        "2026-10-01 03:04 pm",
        "Visited",
        "Web site",
        "Ann  Lee",
        "12.50",
        "usd",
        "Main",
        "CPC",
        "Y",
        "",
        "Ann@Example.com",
        "",
    )
    outcome = read_bytes(tmp_path, csv_bytes([headings, row], delimiter=","))
    lead = outcome.leads["5"]
    assert (lead.created_at, lead.stage_id, lead.crm_source) == (datetime(2026, 10, 1, 12, 4), "visited", "web site")
    assert (lead.amount, lead.currency, lead.pipeline_id) == (Decimal("12.50"), "USD", "main")
    assert (lead.utm_medium, lead.is_repeat, lead.has_phone, lead.modified_at) == ("cpc", True, False, None)
    assert lead.customer_hash == customer_hash(surroundings().hash_key, email="ann@example.com")
    assert [(owner.owner_id, owner.name) for owner in outcome.records("owners")] == [("ann lee", "Ann Lee")]
    assert [(one.pipeline_id, one.name) for one in outcome.records("pipelines")] == [("main", "Main")]


def test_an_export_of_amocrm(tmp_path: Path) -> None:
    headings = ("ID", "Название сделки", "Бюджет ", "Ответственный", "Дата создания сделки", "Дата редактирования",
                "Дата закрытия", "Этап сделки", "Воронка", "Рабочий телефон", "Мобильный телефон", "utm_source",
                "Источник", "utm_source", "Источник")  # fmt: skip
    row = ("31", "Окрашивание", "5000", "Анна", "01-10-2026 10:00:00", "02-10-2026 11:00:00", "не закрыта",
           "Визит назначен", "Салон", "", "'+7 999 123-45-67", "", "", "vk", "Instagram")  # fmt: skip
    outcome = read_bytes(tmp_path, csv_bytes([headings, row], delimiter=","), record="deals", columns={"moved": "Дата закрытия"})
    (deal,) = outcome.records("deals")
    assert (deal.deal_id, deal.lead_id, deal.amount, deal.pipeline_id) == ("31", None, Decimal("5000.00"), "салон")
    assert (deal.utm_source, deal.crm_source, deal.owner_id) == ("vk", "instagram", "анна")
    assert deal.created_at == datetime(2026, 10, 1, 7, 0)
    assert deal.moved_at == datetime(2026, 10, 2, 8, 0)  # not closed: the last change stands in
    assert deal.customer_hash == customer_hash(surroundings().hash_key, phone="+79991234567")
    assert not deal.is_template
    assert {change.entity for change in outcome.records("deal_history")} == {"deal"}


@pytest.mark.skipif(not FACTS.exists(), reason="../shared/data/export_headings_ru.json is not here")
def test_the_column_lists_of_real_exports_are_recognised() -> None:
    facts = json.loads(FACTS.read_text(encoding="utf-8"))
    amo = facts["amocrm_deals_export_base_columns"] + facts["amocrm_tracking_columns"]
    columns = recognise("amo.csv", amo, "deals", {}, {})
    named = {field: [amo[place] for place in places] for field, places in columns.fields.items()}
    assert named["created"] == ["Дата создания сделки"]
    assert named["amount"] == ["Бюджет "]
    assert named["owner"] == ["Ответственный"]
    assert named["utm_term"] == ["utm_term"]
    assert set(named["phone"]) >= {"Рабочий телефон", "Мобильный телефон"}
    bitrix = facts["bitrix24_leads_csv_columns"]
    with pytest.raises(OptionError, match="date of creation"):
        recognise("leads.csv", bitrix, "leads", {}, {})
    columns = recognise("leads.csv", [*bitrix, "Дата создания", "UTM Source"], "leads", {}, {})
    assert bitrix[columns.fields["stage"][0]] == "Стадия"
    assert bitrix[columns.fields["amount"][0]] == "Возможная сумма"
    assert columns.has_products


def test_bitrix24_without_the_date_of_creation_says_what_to_add(tmp_path: Path) -> None:
    with pytest.raises(OptionError) as caught:
        read_bytes(tmp_path, csv_bytes([("ID", "Стадия", "Источник"), ("1", "Новый", "Сайт")]))
    assert "leads.csv" in str(caught.value)
    assert "found: ID, Стадия, Источник" in str(caught.value)
    assert "Дата создания" in caught.value.hint
    assert "columns.created" in caught.value.hint


@pytest.mark.parametrize("heading", ["Regион", "Рeгиoн", "  РЕГИОН ", "Регион:"])
def test_headings_that_mix_alphabets(tmp_path: Path, heading: str) -> None:
    content = csv_bytes([("ID", "Дата создания", heading), ("1", "01.10.2026", "Тверь")])
    assert read_bytes(tmp_path, content, columns={"branch": "Регион"}).leads["1"].branch == "Тверь"


def test_look_alike_letters_in_known_headings(tmp_path: Path) -> None:
    content = csv_bytes([("ІD", "Датa coздaния", "Cтатуc", "Бюджет, ₽"), ("1", "01.10.2026", "Новый", "100")])
    lead = read_bytes(tmp_path, content).leads["1"]
    assert (lead.stage_id, lead.amount) == ("новый", Decimal(100))


def test_the_right_column_wins_over_its_twin_in_another_alphabet() -> None:
    assert recognise("a.csv", ["ID", "Created", "Cтатус", "Статус"], "leads", {}, {}).fields["stage"] == (3,)


def test_a_mapped_column_wins_over_a_recognised_one_and_lists_fall_through(tmp_path: Path) -> None:
    headings = (*HEADINGS, "Салон", "Город")
    rows = [headings, (*ROW, "", "Тверь"), ("2", *ROW[1:], "Центр", "Москва"), ("3", *ROW[1:], "", "")]
    leads = read_bytes(
        tmp_path, csv_bytes(rows), columns={"branch": ["Салон", "Город"], "stage": "Источник"}, branch="Сеть"
    ).leads
    assert [leads[key].branch for key in "123"] == ["Тверь", "Центр", "Сеть"]
    assert leads["1"].stage_id == "сайт"


def test_a_mapped_heading_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"columns\.branch") as caught:
        read_bytes(tmp_path, csv_bytes([(*HEADINGS, "Филиал сети"), (*ROW, "")]), columns={"branch": "Филиал сетки"})
    assert "Филиал сети" in caught.value.hint
    with pytest.raises(OptionError, match=r"milestones\.visited"):
        read_bytes(tmp_path, csv_bytes([HEADINGS, ROW]), milestones={"visited": "Дата визита"})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"record": "lead"}, "leads"),
        ({"columns": {"utm_sorce": "x"}}, "utm_source"),
        ({"columns": {"branch": ""}}, "columns.branch"),
        ({"columns": {"branch": []}}, "columns.branch"),
        ({"milestones": {"visited": 5}}, "milestones.visited"),
        ({"encoding": "cp1252x"}, "cp1252x"),
        ({"delimiter": "|"}, "delimiter"),
        ({"date_order": "ydm"}, "date_order"),
        ({"country": "+7"}, "country"),
        ({"path": " "}, "path"),
    ],
)
def test_wrong_options_say_which_and_what_else(options: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError) as caught:
        check_options(Options(**{"path": "exports", **options}))
    assert words in f"{caught.value} {caught.value.hint}"


def test_no_two_fields_share_a_heading() -> None:
    every = [heading for headings in FIELDS.values() for heading in headings]
    assert len(set(every)) == len(every)
    assert all(plain(heading) == heading for heading in every)
    for field in FIELDS:  # the look-alike comparison does not mix fields up either
        for heading in FIELDS[field]:
            columns = recognise("a.csv", ["ID", "Created", heading], "leads", {}, {})
            assert {one for one, places in columns.fields.items() if 2 in places} <= {field}
    assert n_known(["id", "nothing", "UTM-Source"], []) == 2


def test_any_phone_or_mail_of_a_lead_tells_who_it_is(tmp_path: Path) -> None:
    headings = ("ID", "Created", "Рабочий телефон", "Мобильный телефон", "Частный e-mail", "Рабочий e-mail")
    rows = [headings, ("1", "01.10.2026", "8 999 123-45-67", "", "", ""), ("2", "01.10.2026", "", "", "", "a@example.com")]
    leads = read_bytes(tmp_path, csv_bytes(rows)).leads
    key = surroundings().hash_key
    assert leads["1"].customer_hash == customer_hash(key, phone="+79991234567")
    assert leads["2"].customer_hash == customer_hash(key, email="a@example.com")
    assert (leads["1"].has_phone, leads["2"].has_phone) == (True, False)


def test_options_as_a_user_writes_them(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_bytes(csv_bytes([(*HEADINGS, "Салон", "Город", "Визит"), (*ROW, "", "Тверь", "02.10.2026")]))
    text = f"""
        path = "{tmp_path.as_posix()}"
        date_order = "dmy"
        [columns]
        branch = ["Салон", "Город"]
        owner = "Город"
        [milestones]
        visited = "Визит"
    """
    options = build(Options, tomllib.loads(text), Place(tmp_path / "payback.toml"), {})
    reader = Files.open(options, surroundings())
    (lead,) = [lead for chunk in reader.read({}) for lead in chunk.records if chunk.stream.name == "leads"]
    assert (lead.branch, lead.owner_id) == ("Тверь", "тверь")
