import json
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.errors import PayloadError
from connectors.people import customer_hash
from connectors.secrets import Secret

KEY = Secret("a key of this house")


@pytest.fixture
def read(connect, stream):
    """Rows of one stream through `page`."""

    def read(name, *rows, connector=None):
        connector = connector or connect()
        one = stream(connector, name)
        box = {"lead_history": "items", "deal_history": "items", "pipelines": "categories"}.get(name)
        return connector.page(one, {"result": {box: list(rows)} if box else list(rows), "total": 0})

    return read


def test_a_lead(read, lead_row):
    (lead,) = read("leads", lead_row).records
    assert {field.name: getattr(lead, field.name) for field in fields(lead)} == {
        "lead_id": "5",
        "created_at": datetime(2026, 9, 30, 21, 30),
        "created_on": date(2026, 10, 1),  # the local day, not the UTC one
        "modified_at": datetime(2026, 10, 3, 7),
        "moved_at": datetime(2026, 10, 2, 6),
        "stage_id": "IN_PROCESS",
        "semantics": "open",
        "pipeline_id": "0",
        "owner_id": "7",
        "crm_source": "webform",
        "utm_source": "yandex",
        "utm_medium": "cpc",
        "utm_campaign": None,
        "utm_content": None,
        "utm_term": "запись к врачу",
        "amount": Decimal("15000.00"),
        "currency": "RUB",
        "contact_id": "2069",
        "customer_hash": customer_hash(KEY, phone="+79161234567"),
        "has_phone": True,
        "is_repeat": False,
        "branch": None,
        "extra": None,
    }


def test_a_deal(read, deal_row):
    (deal,) = read("deals", deal_row).records
    assert {field.name: getattr(deal, field.name) for field in fields(deal)} == {
        "deal_id": "37",
        "lead_id": "5",
        "created_at": datetime(2026, 10, 2, 6),
        "created_on": date(2026, 10, 2),
        "modified_at": datetime(2026, 10, 3, 7),
        "moved_at": None,
        "stage_id": "C3:WON",
        "semantics": "won",
        "pipeline_id": "3",
        "owner_id": "7",
        "crm_source": None,
        "utm_source": None,
        "utm_medium": None,
        "utm_campaign": None,
        "utm_content": None,
        "utm_term": None,
        "amount": Decimal("19999.99"),
        "currency": "RUB",
        "contact_id": None,
        "customer_hash": None,
        "is_repeat": True,
        "is_template": False,
        "branch": None,
        "extra": None,
    }


def test_numbers_and_strings_read_alike(read, lead_row, deal_row):
    numbers = lead_row | {"ID": 5, "ASSIGNED_BY_ID": 7, "OPPORTUNITY": 15000, "CONTACT_ID": 2069, "HAS_PHONE": True}
    assert read("leads", numbers).records == read("leads", lead_row).records
    numbers = deal_row | {"ID": 37, "LEAD_ID": 5, "OPPORTUNITY": 19999.99, "CONTACT_ID": 0, "CATEGORY_ID": 3}
    assert read("deals", numbers).records == read("deals", deal_row).records
    assert read("deals", deal_row | {"CATEGORY_ID": 0}).records[0].pipeline_id == "0"


def test_nothing_is_written_in_many_ways(read, lead_row, deal_row):
    for nothing in (None, "", "0", 0):
        assert read("leads", lead_row | {"CONTACT_ID": nothing}).records[0].contact_id is None
        assert read("deals", deal_row | {"LEAD_ID": nothing}).records[0].lead_id is None
    for nothing in (None, ""):
        lead = read("leads", lead_row | {"MOVED_TIME": nothing, "OPPORTUNITY": nothing, "SOURCE_ID": nothing}).records[0]
        assert (lead.moved_at, lead.amount, lead.crm_source) == (None, None, None)


def test_a_recurring_template_is_marked(read, deal_row):
    assert read("deals", deal_row | {"IS_RECURRING": "Y"}).records[0].is_template is True


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("DATE_CREATE", ""),
        ("DATE_CREATE", None),
        ("DATE_CREATE", "0000-00-00T00:00:00+03:00"),
        ("DATE_CREATE", "2026-10-01T00:30:00"),
        ("DATE_MODIFY", "yesterday"),
        ("MOVED_TIME", {}),
        ("OPPORTUNITY", "12 000 руб"),
        ("OPPORTUNITY", "NaN"),
        ("STATUS_ID", ""),
        ("STATUS_ID", None),
        ("STATUS_SEMANTIC_ID", "X"),
        ("STATUS_SEMANTIC_ID", []),
        ("ASSIGNED_BY_ID", "Иван"),
        ("CONTACT_ID", "-4"),
        ("UTM_SOURCE", ["a"]),
        ("HAS_PHONE", "perhaps"),
        ("PHONE", "+79161234567"),
        ("PHONE", ["+79161234567"]),
    ],
)
def test_an_unreadable_row_is_quarantined_and_the_rest_goes_on(read, lead_row, column, value):
    page = read("leads", lead_row, lead_row | {"ID": "6", column: value}, lead_row | {"ID": "7"})
    assert page.keys == [5, 6, 7]
    assert [lead.lead_id for lead in page.records] == ["5", "7"]
    (reject,) = page.rejects
    assert (reject.key, reject.column) == ("6", column)
    assert reject.reason
    assert not isinstance(value, str) or len(value) < 3 or value not in repr(reject)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_any_value_in_any_column_is_read_or_quarantined(read, lead_row, data):
    column = data.draw(st.sampled_from([name for name in lead_row if name != "ID"]))
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    value = data.draw(st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5))
    page = read("leads", lead_row | {column: value})
    assert len(page.records) + len(page.rejects) == 1
    assert all(reject.column == column for reject in page.rejects)


@pytest.mark.parametrize("row", [{}, {"ID": None}, {"ID": ""}, {"ID": "x"}, {"ID": "0"}, {"ID": -3}])
def test_a_row_without_a_place_in_the_walk_is_refused(read, lead_row, row):
    with pytest.raises(PayloadError, match=r"crm\.lead\.list.*ID"):
        read("leads", {key: value for key, value in lead_row.items() if key != "ID"} | row)


@pytest.mark.parametrize(
    "body", [None, [], "", {}, {"result": None}, {"result": {}}, {"result": "x"}, {"result": [1]}, {"result": 5}]
)
def test_what_is_no_list_of_rows_is_refused(connect, stream, body):
    connector = connect()
    with pytest.raises(PayloadError, match=r"crm\.lead\.list"):
        connector.page(stream(connector, "leads"), body)


def test_empty_lists(connect, stream):
    connector = connect()
    for name, body in {
        "leads": {"result": []},
        "lead_history": {"result": {"items": []}},
        "deal_history": {"result": []},
    }.items():
        page = connector.page(stream(connector, name), body)
        assert (page.records, page.keys, page.rejects) == ([], [], [])


def test_new_columns_are_reported_by_name_only(read, lead_row):
    page = read("leads", lead_row | {"NEW_COLUMN": "+79161234567"}, lead_row | {"ID": "6", "ANOTHER": 1})
    assert page.unknown == {"NEW_COLUMN", "ANOTHER"}
    assert len(page.records) == 2
    assert read("leads", lead_row).unknown == frozenset()


def test_customers_of_phones_and_mails(read, lead_row):
    def hashed(**columns):
        return read("leads", lead_row | columns).records[0].customer_hash

    def values(*texts):
        return [{"ID": "1", "VALUE": text} for text in texts]

    phone = customer_hash(KEY, phone="+79161234567")
    mail = customer_hash(KEY, email="a@example.com")
    assert hashed(PHONE=values("нет", "", "9161234567"), EMAIL=values("a@example.com")) == phone
    assert hashed(PHONE=values("нет"), EMAIL=values("кто", "A@Example.com")) == mail
    assert hashed(PHONE={"3": {"VALUE": "+7 916 123 45 67"}}) == phone  # PHP maps with gaps arrive as objects
    assert hashed(PHONE=values(89161234567)) == phone
    for nothing in ([], None, "", False):
        assert hashed(PHONE=nothing) is None
    assert read("leads", {key: value for key, value in lead_row.items() if key != "HAS_PHONE"}).records[0].has_phone is True
    assert read("leads", lead_row | {"HAS_PHONE": "N", "PHONE": []}).records[0].has_phone is False


def test_a_contact_keeps_nothing_but_the_hash(read):
    row = {
        "ID": "9",
        "DATE_CREATE": "2026-10-01T00:30:00+03:00",
        "DATE_MODIFY": "",
        "EMAIL": [{"VALUE": "x@example.com"}],
    }
    (contact,) = read("contacts", row).records
    assert contact.customer_hash == customer_hash(KEY, email="x@example.com")
    assert contact.modified_at is None
    assert "example.com" not in repr(contact)


def test_stage_history_in_both_spellings(read):
    strings = {
        "ID": "35",
        "OWNER_ID": "21",
        "CREATED_TIME": "2026-10-01T00:30:00+03:00",
        "STATUS_ID": "NEW",
        "STATUS_SEMANTIC_ID": "P",
    }
    numbers = strings | {"ID": 35, "OWNER_ID": 21}
    (move,) = read("lead_history", strings).records
    assert read("lead_history", numbers).records == [move]
    assert (move.entity, move.change_id, move.entity_id, move.stage_id, move.pipeline_id) == ("lead", "35", "21", "NEW", "0")
    assert (move.moved_at, move.moved_on, move.semantics) == (datetime(2026, 9, 30, 21, 30), date(2026, 10, 1), "open")
    deal = {
        "ID": 36,
        "OWNER_ID": 4,
        "CREATED_TIME": "2026-10-01T00:30:00+03:00",
        "CATEGORY_ID": 0,
        "STAGE_ID": "LOSE",
        "STAGE_SEMANTIC_ID": "F",
    }
    (move,) = read("deal_history", deal).records
    assert (move.entity, move.stage_id, move.pipeline_id, move.semantics) == ("deal", "LOSE", "0", "lost")
    assert read("deal_history", deal | {"CATEGORY_ID": "3"}).records[0].pipeline_id == "3"


def test_the_stage_dictionary_keeps_leads_and_deals_only(read):
    def entry(directory, status, **more):
        return {
            "ID": "1",
            "ENTITY_ID": directory,
            "STATUS_ID": status,
            "NAME": " Стадия ",
            "SORT": "10",
            "SEMANTICS": None,
        } | more

    page = read(
        "stages",
        entry("STATUS", "NEW"),
        entry("DEAL_STAGE", "WON", ID="2", SEMANTICS="S"),
        entry("DEAL_STAGE_3", "C3:LOSE", ID="3", SEMANTICS="F", SORT=20),
        entry("SOURCE", "CALL", ID="4"),
        entry("SMART_INVOICE_STAGE_1", "DT31_1:N", ID="5"),
    )
    assert page.keys == [1, 2, 3, 4, 5]
    found = [(stage.entity, stage.pipeline_id, stage.stage_id, stage.name, stage.semantics, stage.sort) for stage in page.records]
    assert found == [
        ("lead", "0", "NEW", "Стадия", "open", 10),
        ("deal", "0", "WON", "Стадия", "won", 10),
        ("deal", "3", "C3:LOSE", "Стадия", "lost", 20),
    ]
    (source,) = read("crm_sources", entry("SOURCE", "UC_ABC", NAME="Авито")).records
    assert (source.crm_source, source.name) == ("uc_abc", "Авито")  # as leads carry it


def test_pipelines_and_owners(read):
    (default, other) = read(
        "pipelines", {"id": 0, "name": "Общая", "isDefault": "Y"}, {"id": "3", "name": "Клиника", "isDefault": "N"}
    ).records
    assert (default.entity, default.pipeline_id, default.name, default.is_default) == ("deal", "0", "Общая", True)
    assert (other.pipeline_id, other.is_default) == ("3", False)
    page = read(
        "owners",
        {"ID": "1", "NAME": "Анна", "LAST_NAME": "Иванова", "ACTIVE": True, "EMAIL": "a@example.com", "TIMESTAMP_X": {}},
        {"ID": "3", "NAME": "", "LAST_NAME": None, "ACTIVE": False},
    )
    assert [(owner.owner_id, owner.name, owner.is_active) for owner in page.records] == [
        ("1", "Анна Иванова", True),
        ("3", "#3", False),
    ]
    assert page.unknown == frozenset()  # user.get answers with what the webhook's scopes allow, whatever is asked for


def test_custom_fields(connect, stream, answers, lead_row):
    connector = connect(
        answers,
        branch="Филиал",
        custom_fields={"service": "услуга", "visit": "UF_CRM_3", "is_warm": "Тёплый", "sum_b": "uf_crm_6"},
    )
    leads = stream(connector, "leads")

    def lead(**columns):
        page = connector.page(leads, {"result": [lead_row | columns]})
        assert page.unknown == frozenset()
        return page

    # Midnight UTC in the portal's offset is that calendar day.
    full = lead(
        UF_CRM_1="45", UF_CRM_2=["Стрижка", " Окрашивание"], UF_CRM_3="2026-10-02T03:00:00+03:00", UF_CRM_4="1", UF_CRM_6="5|RUB"
    )
    assert full.records[0].branch == "Центр"
    assert json.loads(full.records[0].extra) == {
        "service": ["Стрижка", "Окрашивание"],
        "visit": "2026-10-02",
        "is_warm": True,
        "sum_b": "5|RUB",
    }
    assert full.records[0].extra == json.dumps(
        json.loads(full.records[0].extra), ensure_ascii=False, sort_keys=True, separators=(",", ":")
    )
    for nothing in (None, "", False, []):
        assert lead(UF_CRM_1=nothing, UF_CRM_2=nothing).records[0].branch is None
        assert lead(UF_CRM_1=nothing, UF_CRM_2=nothing).records[0].extra is None
    assert lead(UF_CRM_1="99").records[0].branch == "99"  # an option deleted meanwhile keeps its id
    (reject,) = lead(UF_CRM_3="soon").rejects
    assert (reject.key, reject.column) == ("5", "UF_CRM_3")


def test_the_pipeline_as_branch(connect, stream, answers, deal_row, lead_row):
    connector = connect(answers, branch="pipeline")
    deals = stream(connector, "deals")
    assert connector.page(deals, {"result": [deal_row]}).records[0].branch == "Клиника на Ленина"
    assert connector.page(deals, {"result": [deal_row | {"CATEGORY_ID": "9"}]}).records[0].branch == "9"
    assert connector.page(stream(connector, "leads"), {"result": [lead_row]}).records[0].branch is None


def test_a_person_in_utm_or_source_is_not_kept(read, lead_row, deal_row):
    persons = {
        "SOURCE_ID": "79161234567",
        "UTM_SOURCE": "Ivan@Example.ru",
        "UTM_MEDIUM": "8 (916) 123-45-67",
        "UTM_CAMPAIGN": "12345678",
        "UTM_CONTENT": "+79161234567",
        "UTM_TERM": "ivan%40example.ru",
    }
    for name, row in (("leads", lead_row), ("deals", deal_row)):
        (record,) = read(name, row | persons).records
        assert record.utm_campaign == "12345678"
        others = (record.crm_source, record.utm_source, record.utm_medium, record.utm_content, record.utm_term)
        assert set(others) == {"(personal)"}


def test_a_person_in_the_directory_of_sources_is_not_kept(read):
    row = {"ID": "1", "ENTITY_ID": "SOURCE", "STATUS_ID": "79161234567", "NAME": "+7 916 123-45-67"}
    (source,) = read("crm_sources", row).records
    assert (source.crm_source, source.name) == ("(personal)", "(personal)")
