from dataclasses import replace
from datetime import datetime

import pytest

from connectors.bitrix24 import Bitrix24, Options
from connectors.contract import Answer, Call, Deletes, Fate, Slice, Walk
from connectors.errors import AccessError, OptionError, PayloadError
from connectors.secrets import Secret, mask

CODE = "s3cr3tc0de"


# --- options


@pytest.mark.parametrize(
    "address",
    [
        f"https://salon.bitrix24.ru/rest/1/{CODE}/",
        f"https://salon.bitrix24.ru/rest/1/{CODE}",
        f" https://salon.bitrix24.ru/rest/1/{CODE}/profile.json ",
        f"https://salon.bitrix24.ru/rest/1/{CODE}/crm.lead.list",
    ],
)
def test_webhook_addresses_as_people_paste_them(surroundings, address):
    connector = Bitrix24.open(Options(webhook=Secret(address)), surroundings)
    assert connector.endpoint.base == Secret(f"https://salon.bitrix24.ru/rest/1/{CODE}/")


def test_plain_http_is_for_this_machine_only(surroundings):
    for host in ("127.0.0.1:8080", "localhost:99"):
        assert Bitrix24.open(Options(webhook=Secret(f"http://{host}/rest/1/{CODE}/")), surroundings)
    with pytest.raises(OptionError, match="https"):
        Bitrix24.open(Options(webhook=Secret(f"http://salon.bitrix24.ru/rest/1/{CODE}/")), surroundings)


@pytest.mark.parametrize(
    "address",
    [
        "",
        CODE,
        "https://salon.bitrix24.ru/",
        f"https://salon.bitrix24.ru/rest/{CODE}/",
        f"https://salon.bitrix24.ru/rest/api/1/{CODE}/",
        f"https://user:pass@salon.bitrix24.ru/rest/1/{CODE}/",
        f"ftp://salon.bitrix24.ru/rest/1/{CODE}/",
        f"https://salon.bitrix24.ru/rest/1/{CODE}/../../",
        f"https://salon.bitrix24.ru/rest/1/{CODE}.json",
        f"https://salon.bitrix24.ru/rest/1/{CODE}/?auth=1",
    ],
)
def test_a_wrong_address_is_refused_without_repeating_it(surroundings, address):
    with pytest.raises(OptionError) as caught:
        Bitrix24.open(Options(webhook=Secret(address)), surroundings)
    assert CODE not in str(caught.value) + caught.value.hint
    assert "/rest/USER/CODE/" in mask(caught.value.hint)  # what is masked is shown as ***, and nobody could read the hint


def test_other_options_are_checked():
    secret = Secret("x")
    with pytest.raises(OptionError, match="entities"):
        Options(webhook=secret, entities=("leads", "contacts"))
    with pytest.raises(OptionError, match="entities"):
        Options(webhook=secret, entities=())
    with pytest.raises(OptionError, match="country"):
        Options(webhook=secret, country="+7")
    with pytest.raises(OptionError, match=r"custom_fields\.a-b"):
        Options(webhook=secret, custom_fields={"a-b": "Филиал"})
    assert CODE not in repr(Options(webhook=Secret(CODE)))


# --- what a portal has


def names(connector):
    return [stream.name for stream in connector.streams()]


def test_streams_of_a_classic_portal(connect, answers):
    connector = connect(answers)
    assert names(connector) == [
        "stages", "crm_sources", "pipelines", "owners", "leads", "deals", "contacts", "lead_history", "deal_history",
    ]  # fmt: skip
    streams = {stream.name: stream for stream in connector.streams()}
    for name in ("leads", "deals", "contacts"):
        assert (streams[name].is_incremental, streams[name].deletes, streams[name].walk) == (True, Deletes.COUNT, Walk.KEYSET)
    for name, entity in (("lead_history", "lead"), ("deal_history", "deal")):
        assert (streams[name].is_append_only, streams[name].deletes) == (True, Deletes.NONE)
        assert streams[name].only == {"entity": entity}
    assert names(connect()) == names(connector)


def test_simple_mode_has_no_leads_unless_they_are_wanted(connect, answers):
    simple = answers | {"mode": {"result": 2}}
    assert not {"leads", "lead_history"} & set(names(connect(simple)))
    assert {"deals", "deal_history"} <= set(names(connect(simple)))
    assert {"leads", "lead_history"} <= set(names(connect(simple, entities=("leads", "deals"))))
    assert "deals" not in names(connect(answers, entities=("leads",)))
    assert "contacts" not in names(connect(answers, contacts=False))


def test_a_webhook_without_crm_scope_stops(connect, answers):
    with pytest.raises(AccessError, match="crm") as caught:
        connect(answers | {"scope": {"result": ["user", "task"]}})
    assert "tick" in caught.value.hint


def test_without_user_scope_owners_are_left_out_and_said(connect, answers, stream, lead_row):
    connector = connect(answers | {"scope": {"result": ["crm"]}})
    assert "owners" not in names(connector)
    assert [(finding.code, finding.subject) for finding in connector.findings()] == [("scope_missing", "owners")]
    assert connector.page(stream(connector, "leads"), {"result": [lead_row]}).records[0].owner_id == "7"
    assert connect(answers).findings() == ()


def test_a_webhook_of_no_administrator_is_said(connect, answers):
    connector = connect(answers | {"profile": {"result": {"ID": "4", "ADMIN": False}}})
    assert [finding.code for finding in connector.findings()] == ["webhook_not_admin"]


def test_fields_are_found_by_code_and_title(connect, answers):
    with pytest.raises(OptionError, match="Филлиал") as caught:
        connect(answers, branch="Филлиал")
    assert "did you mean 'Филиал'" in caught.value.hint
    with pytest.raises(OptionError, match="UF_CRM_5, UF_CRM_6"):
        connect(answers, custom_fields={"amount": "Сумма"})
    with pytest.raises(OptionError, match="UF_CRM_99"):
        connect(answers, custom_fields={"amount": "UF_CRM_99"})
    with pytest.raises(OptionError, match=r"custom_fields\.who"):
        connect(answers, custom_fields={"who": "NAME"})  # people's names are not for sale
    empty = answers | {"lead_fields": {"result": []}, "deal_fields": {"result": {}}}
    with pytest.raises(OptionError, match="branch"):
        connect(empty, branch="Филиал")


def test_a_field_is_asked_for_where_it_exists(connect, answers, stream):
    connector = connect(answers, branch="Филиал", custom_fields={"service": "Услуга"})

    def asked(name):
        return set(connector.call(stream(connector, name), Slice()).params["select"])

    assert {"UF_CRM_1", "UF_CRM_2"} <= asked("leads")
    assert "UF_CRM_7" in asked("deals")
    assert not {"UF_CRM_1", "UF_CRM_2"} & asked("deals")


@pytest.mark.parametrize("probe", ["scope", "mode", "time", "lead_fields", "profile"])
def test_an_odd_probe_is_refused(connect, answers, probe):
    for body in (None, {}, {"result": None}, {"result": "x" if probe != "mode" else []}):
        with pytest.raises(PayloadError):
            connect(answers | {probe: body})


def test_documented_probes(connect, sample):
    connector = connect(
        {
            "profile": sample("profile.json"),
            "scope": {"result": [*sample("scope.json")["result"], "crm"]},
            "mode": sample("crm.settings.mode.get.json"),
            "time": sample("server.time.json"),
            "lead_fields": sample("crm.lead.fields.json"),
            "deal_fields": sample("crm.deal.fields.json"),
            "pipelines": sample("crm.category.list.json"),
        },
        branch="pipeline",
    )
    assert "leads" in names(connector)


# --- asking


def test_a_page_of_leads(connect, answers, stream):
    connector = connect(answers)
    call = connector.call(stream(connector, "leads"), Slice(after=100, upto=200, since=datetime(2026, 11, 15, 21, 0, 0, 999)))
    assert call.method == "crm.lead.list"
    assert call.params["order"] == {"ID": "ASC"}
    assert call.params["filter"] == {">ID": 100, "<=ID": 200, ">=DATE_MODIFY": "2026-11-16T00:00:00+03:00"}
    assert call.params["start"] == -1
    select = call.params["select"]
    assert len(select) == len(set(select)) < 30
    assert not {"*", "UF_*", "NAME", "LAST_NAME", "TITLE", "COMMENTS"} & set(select)


@pytest.mark.parametrize(
    ("portal", "expected"),
    [("+03:00", "2026-11-16T00:00:00+03:00"), ("-05:30", "2026-11-15T15:30:00-05:30"), ("+00:00", "2026-11-15T21:00:00+00:00")],
)
def test_times_are_sent_with_the_portals_own_offset(connect, answers, stream, portal, expected):
    connector = connect(answers | {"time": {"result": f"2026-11-16T03:00:00{portal}"}})
    call = connector.call(stream(connector, "deals"), Slice(since=datetime(2026, 11, 15, 21)))
    assert call.params["filter"][">=DATE_MODIFY"] == expected


def test_counting_and_the_last_key_ask_for_ids_only(connect, stream):
    connector = connect()
    leads = stream(connector, "leads")
    count = connector.call(leads, Slice(after=5, upto=9), count=True)
    assert (count.params["select"], count.params["start"], count.params["filter"]) == (["ID"], 0, {">ID": 5, "<=ID": 9})
    last = connector.call(leads, Slice(), last=True)
    assert (last.params["select"], last.params["start"], last.params["order"]) == (["ID"], -1, {"ID": "DESC"})
    assert connector.count(leads, {"result": [{"ID": "9"}, {"ID": 8}], "total": "70"}) == (70, [9, 8])
    assert connector.count(leads, {"result": [{"ID": "9"}], "total": 0}) == (0, [9])
    assert connector.count(leads, {"result": []}) == (0, [])
    with pytest.raises(PayloadError):
        connector.count(leads, {"result": [], "total": "many"})


def test_known_keys_are_asked_for_by_name(connect, stream):
    connector = connect()
    call = connector.call(stream(connector, "leads"), Slice(keys=(4, 9)))
    assert call.params["filter"] == {"@ID": [4, 9]}


def test_history_pages(connect, stream):
    connector = connect()
    for name, entity_type, stage in (("lead_history", 1, "STATUS_ID"), ("deal_history", 2, "STAGE_ID")):
        call = connector.call(stream(connector, name), Slice(after=7))
        assert call.method == "crm.stagehistory.list"
        assert call.params["entityTypeId"] == entity_type
        assert call.params["filter"] == {">ID": 7}
        assert stage in call.params["select"]


def test_chains_point_at_the_last_row_of_a_full_page(connect, stream):
    connector = connect()
    assert connector.chain(stream(connector, "leads"), "c3") == "$result[c3][49][ID]"
    assert connector.chain(stream(connector, "deal_history"), "c3") == "$result[c3][items][49][ID]"
    connector.limits = replace(connector.limits, page=7)
    assert connector.chain(stream(connector, "leads"), "c3") == "$result[c3][6][ID]"


def test_dictionaries_are_read_whole(connect, stream):
    connector = connect()
    assert connector.call(stream(connector, "crm_sources"), Slice()) == Call(
        "crm.status.list", {"filter": {"ENTITY_ID": "SOURCE"}}
    )
    assert connector.call(stream(connector, "pipelines"), Slice()) == Call("crm.category.list", {"entityTypeId": 2})
    owners = stream(connector, "owners")
    assert "FILTER" not in connector.call(owners, Slice()).params  # dismissed people own old leads
    assert connector.call(owners, Slice(start=50)).params["start"] == 50
    rows = [{"ID": str(n), "NAME": "A", "ACTIVE": True} for n in range(1, 51)]
    assert connector.page(owners, {"result": rows, "next": 50, "total": 70}).more is True
    assert connector.page(owners, {"result": rows[:20], "total": 70}).more is False


# --- fates


@pytest.mark.parametrize(
    ("answer", "fate"),
    [
        (Answer(status=400, body={"error": "", "error_description": "Not found"}), Fate.GONE),
        (Answer(status=400, body={"error": "NOT_FOUND", "error_description": "Element not found"}), Fate.GONE),
        (Answer(status=400, body={"error": "", "error_description": "Access denied."}), Fate.HIDDEN),
        (Answer(status=403, body={"error": "ACCESS_DENIED", "error_description": "Access denied!"}), Fate.HIDDEN),
        (Answer(status=200, body={"result": {"ID": "5"}}), Fate.ALIVE),
    ],
)
def test_fates(connect, stream, answer, fate):
    connector = connect()
    leads = stream(connector, "leads")
    assert connector.confirm(leads, 5) == Call("crm.lead.get", {"id": 5})
    assert connector.fate(leads, answer) is fate


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=401, body={"error": "INVALID_CREDENTIALS", "error_description": "Not found, access denied"}),
        Answer(status=404, is_json=False),
        Answer(status=404, body={"error": "ERROR_METHOD_NOT_FOUND", "error_description": "Method not found!"}),
        Answer(status=500, body={"error": "INTERNAL_SERVER_ERROR", "error_description": ""}),
        Answer(status=200, body={"result": []}),
        Answer(status=200, body={"result": None}),
        Answer(status=200, body={"error": "", "error_description": "", "result": {"ID": "5"}}),
    ],
)
def test_no_fate_is_guessed(connect, stream, answer):
    connector = connect()
    with pytest.raises(PayloadError, match=r"crm\.deal\.get"):
        connector.fate(stream(connector, "deals"), answer)


# --- documented answers


@pytest.mark.parametrize(
    ("name", "file", "n_records", "n_rejects"),
    [
        ("leads", "crm.lead.list.json", 2, 0),
        ("contacts", "crm.contact.list.json", 5, 0),
        ("deal_history", "crm.stagehistory.list.json", 1, 0),
        ("owners", "user.get.json", 2, 0),
        ("pipelines", "crm.category.list.json", 4, 0),
        ("stages", "crm.status.list.json", 8, 0),
        ("deals", "crm.deal.list.json", 6, 0),
    ],
)
def test_documented_lists(connect, stream, sample, name, file, n_records, n_rejects):
    connector = connect()
    body = sample(file)
    page = connector.page(stream(connector, name), body)
    assert (len(page.records), len(page.rejects)) == (n_records, n_rejects)
    assert page.total == body["total"]


def test_the_documented_lead(connect, stream, sample):
    connector = connect()
    body = {"result": [sample("crm.lead.get.json")["result"]]}
    (lead,) = connector.page(stream(connector, "leads"), body).records
    assert (lead.lead_id, lead.stage_id, lead.created_at) == ("123", "IN_PROCESS", datetime(2024, 5, 23, 16, 18, 25))
    assert lead.customer_hash is not None
    assert lead.has_phone is True  # the documented row carries a number although its flag says no
    (deal,) = connector.page(stream(connector, "deals"), {"result": [sample("crm.deal.get.json")["result"]]}).records
    assert (deal.deal_id, deal.lead_id, deal.contact_id, deal.pipeline_id) == ("410", None, "84", "0")
    (contact,) = connector.page(stream(connector, "contacts"), {"result": [sample("crm.contact.get.json")["result"]]}).records
    assert contact.customer_hash is not None


def test_observed_history_keeps_walking(connect, stream, sample):
    """A capture asked for four columns only: its rows are quarantined by name of what is missing, their keys are kept."""
    connector = connect()
    body = connector.unpack(sample("crm.stagehistory.list.observed.json"), ["order0000000000"])["order0000000000"].body
    page = connector.page(stream(connector, "deal_history"), body)
    assert page.keys == [10653, 10665, 10765]
    assert {reject.column for reject in page.rejects} == {"CATEGORY_ID"}
