import json
from datetime import datetime
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.bitrix24 import wire
from connectors.contract import Answer, Call, Verdict
from connectors.errors import PayloadError


def error(code, text="", status=400):
    return Answer(status=status, body={"error": code, "error_description": text})


# --- batch


def test_a_batch_carries_its_commands_in_order():
    batch = wire.pack(
        {"c0": Call("crm.lead.list", {"filter": {">ID": 5}, "select": ["ID", "PHONE"], "start": -1}), "c1": Call("profile")}
    )
    assert batch.method == "batch"
    assert batch.params == {
        "halt": 0,
        "cmd": {"c0": "crm.lead.list?filter[%3EID]=5&select[]=ID&select[]=PHONE&start=-1", "c1": "profile"},
    }
    assert list(batch.params["cmd"]) == ["c0", "c1"]


def test_the_plus_of_an_offset_survives_the_query():
    command = wire.command(Call("crm.lead.list", {"filter": {">=DATE_MODIFY": "2026-11-16T00:00:00+03:00"}}))
    assert command == "crm.lead.list?filter[%3E%3DDATE_MODIFY]=2026-11-16T00%3A00%3A00%2B03%3A00"


def test_a_reference_stays_readable_for_the_server():
    command = wire.command(Call("crm.lead.list", {"filter": {">ID": "$result[c3][49][ID]"}}))
    assert command == "crm.lead.list?filter[%3EID]=$result[c3][49][ID]"


@given(st.dictionaries(st.text(min_size=1), st.text() | st.integers() | st.lists(st.integers(), min_size=1), min_size=1))
def test_a_server_decodes_exactly_what_was_sent(conditions):
    command = wire.command(Call("m", {"filter": conditions}))
    expected = []
    for name, value in conditions.items():
        expected += (
            [(f"filter[{name}][]", str(one)) for one in value] if isinstance(value, list) else [(f"filter[{name}]", str(value))]
        )
    sent = parse_qsl(command.partition("?")[2], keep_blank_values=True, encoding="utf-8", errors="surrogatepass")
    assert sent == expected


@pytest.mark.parametrize("name", ["0", "12", "", "c-1", "c.1", "c]", "_x"])
def test_names_that_php_would_lose_are_refused(name):
    with pytest.raises(ValueError, match="letter"):
        wire.pack({name: Call("profile")})


def batch(result, errors=(), **members):
    inner = {"result": result, "result_error": errors or [], "result_total": [], "result_next": [], "result_time": []}
    return {"result": inner | members, "time": {"date_start": "2026-11-16T00:00:00+03:00"}}


def test_answers_come_out_as_if_alone():
    body = batch(
        {"a": [{"ID": "1"}], "d": []},
        {"b": {"error": "OPERATION_TIME_LIMIT", "error_description": "x"}},
        result_total={"a": 70, "d": 0},
        result_next={"a": 50},
        result_time={"a": {"operating": 1.5}},
    )
    answers = wire.unpack(body, ["a", "b", "c", "d"])
    assert answers["a"] == Answer(status=200, body={"result": [{"ID": "1"}], "total": 70, "next": 50, "time": {"operating": 1.5}})
    assert answers["b"] == Answer(status=400, body={"error": "OPERATION_TIME_LIMIT", "error_description": "x"})
    assert answers["d"].body == {"result": [], "total": 0}
    assert "c" not in answers  # nobody answered: it has to be asked again


def test_an_error_wins_over_a_result():
    for error in ({"error": "", "error_description": ""}, {}, [], "", None, "text"):
        answers = wire.unpack(batch({"a": []}, {"a": error}), ["a"])
        assert wire.verdict(answers["a"]).verdict is Verdict.RETRY


def test_a_null_result_is_no_answer():
    assert wire.unpack(batch({"a": None, "b": []}), ["a", "b"]).keys() == {"b"}


def test_list_shapes_are_read_where_positions_are_certain():
    names = ["a", "b"]
    both = wire.unpack(batch([[{"ID": "1"}], []], result_total=[1, 0]), names)
    assert both["a"].body == {"result": [{"ID": "1"}], "total": 1}
    assert both["b"].body == {"result": [], "total": 0}
    failed = wire.unpack(batch([], [{"error": "X_Y"}, {"error": "NOT_FOUND"}]), names)
    assert [failed[name].body["error"] for name in names] == ["X_Y", "NOT_FOUND"]
    # One error for two silent commands: nobody knows whose it is, so both are asked again.
    assert wire.unpack(batch([], [{"error": "X_Y"}]), names) == {}


@pytest.mark.parametrize(
    "body", [None, [], {}, {"result": []}, {"result": {}}, {"result": {"result_error": []}}, {"result": "x"}]
)
def test_what_is_no_batch_answer_is_refused(body):
    with pytest.raises(PayloadError, match="batch"):
        wire.unpack(body, ["a"])


def test_observed_batches(sample):
    body = sample("batch.observed.list_shaped_result.json")
    (answer,) = wire.unpack(body, ["a"]).values()
    assert [row["STATUS_ID"] for row in answer.body["result"]][:2] == ["NEW", "PREPARATION"]
    assert wire.meter(answer.body).spent_s == 0
    body = sample("batch.observed.all_errors.json")
    answers = wire.unpack(body, ["a", "b"])
    assert [wire.error_of(answers[name].body)[1] for name in "ab"] == ["id is not defined or invalid.", "not found"]
    assert wire.unpack(body, ["a", "b", "c"]) == {}
    body = sample("batch.observed.empty_list_page.json")
    assert wire.unpack(body, ["order0000000000"])["order0000000000"].body["result"] == []
    body = sample("batch.error.halt0.json")
    answers = wire.unpack(body, ["get_user", "get_department"])
    assert {wire.verdict(answer).verdict for answer in answers.values()} == {Verdict.REAUTH}
    body = sample("batch.success.json")
    assert wire.unpack(body, ["get_user", "get_department"])["get_department"].body["total"] == 1


# --- meters


def test_meters():
    body = {"time": {"date_start": "2026-11-16T03:00:05+03:00", "operating": 3.3, "operating_reset_at": 1_763_251_800}}
    meter = wire.meter(body)
    assert (meter.now, meter.spent_s, meter.reset_at) == (datetime(2026, 11, 16, 0, 0, 5), 3.3, datetime(2025, 11, 16, 0, 10))
    assert wire.meter({"time": {"operating": 0, "operating_reset_at": 1_763_251_800.5}}).reset_at == datetime(2025, 11, 16, 0, 10)
    assert wire.meter({"time": {"operating_reset_at": "2026-11-16T03:10:00+03:00"}}).reset_at == datetime(2026, 11, 16, 0, 10)
    for body in (
        None,
        [],
        {},
        {"time": None},
        {"time": []},
        {"time": {"date_start": "x", "operating_reset_at": 1e30, "operating": "1"}},
    ):
        meter = wire.meter(body)
        assert (meter.now, meter.spent_s, meter.reset_at) == (None, None, None)


def test_documented_times(sample):
    meter = wire.meter(sample("time.2026.json"))
    assert meter.now == datetime(2026, 5, 14, 8, 26, 32)
    assert meter.spent_s == pytest.approx(3.3076, abs=1e-3)
    assert meter.reset_at == datetime(2026, 5, 14, 8, 36, 32)
    assert wire.meter(sample("crm.activity.list.json")).reset_at is not None  # ISO on this page only


# --- verdicts


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("QUERY_LIMIT_EXCEEDED", Verdict.SLOW),
        ("OPERATION_TIME_LIMIT", Verdict.WAIT),
        ("INTERNAL_SERVER_ERROR", Verdict.RETRY),
        ("ERROR_UNEXPECTED_ANSWER", Verdict.RETRY),
        ("OVERLOAD_LIMIT", Verdict.REAUTH),
        ("NO_AUTH_FOUND", Verdict.REAUTH),
        ("INVALID_CREDENTIALS", Verdict.REAUTH),
        ("AUTHORIZATION_ERROR", Verdict.REAUTH),
        ("expired_token", Verdict.REAUTH),
        ("insufficient_scope", Verdict.REAUTH),
        ("ACCESS_DENIED", Verdict.REAUTH),
        ("PORTAL_DELETED", Verdict.REAUTH),
        ("PAYMENT_REQUIRED", Verdict.REAUTH),
        ("METHOD_CONFIRM_WAITING", Verdict.REAUTH),
        ("ERROR_METHOD_NOT_FOUND", Verdict.FATAL),
        ("ERROR_BATCH_LENGTH_EXCEEDED", Verdict.FATAL),
        ("INVALID_ARG_VALUE", Verdict.FATAL),
        ("NOT_FOUND", Verdict.FATAL),
        (100, Verdict.FATAL),
        ("1021", Verdict.FATAL),
        ("SOMETHING_NEW", Verdict.FATAL),
        ({"code": "INTERNAL_SERVER_ERROR", "message": "v3"}, Verdict.RETRY),
    ],
)
def test_the_code_decides_whatever_the_status_and_case(code, verdict):
    for status in (200, 400, 401, 403, 429):
        assert wire.verdict(error(code, status=status)).verdict is verdict
        if isinstance(code, str):
            assert wire.verdict(error(code.lower(), status=status)).verdict is verdict


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Not found", Verdict.FATAL),
        ("Access denied.", Verdict.REAUTH),
        ("ID is not defined or invalid.", Verdict.FATAL),
        ("Parameter 'filter' must be array.", Verdict.FATAL),
        ("Failed to get list. General error.", Verdict.RETRY),
        ("", Verdict.RETRY),
        ("Что-то пошло не так", Verdict.RETRY),
    ],
)
def test_empty_codes_are_told_by_their_fixed_texts(text, verdict):
    assert wire.verdict(error("", text)).verdict is verdict


def test_an_error_is_an_error_by_presence_not_by_truth():
    for code in ("", 0, "0", None, False, [], {}):
        assert wire.verdict(Answer(status=200, body={"error": code, "result": []})).verdict is not Verdict.OK


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.RETRY),  # HTML with 200: a proxy's or a portal's page
        (400, Verdict.FATAL),
        (401, Verdict.FATAL),
        (403, Verdict.FATAL),
        (404, Verdict.FATAL),
        (408, Verdict.RETRY),
        (413, Verdict.SPLIT),
        (429, Verdict.SLOW),
        (500, Verdict.RETRY),
        (502, Verdict.SPLIT),
        (503, Verdict.RETRY),
        (504, Verdict.SPLIT),
    ],
)
def test_no_json(status, verdict):
    answer = Answer(status=status, is_json=False, content_type="text/html", length=512)
    ruling = wire.verdict(answer)
    assert ruling.verdict is verdict
    assert str(status) in ruling.reason
    assert wire.verdict(Answer(status=status, body="a text")).verdict is verdict


@pytest.mark.parametrize("status", [200, 204])
def test_a_web_page_in_place_of_json_points_to_the_address(status):
    ruling = wire.verdict(Answer(status=status, is_json=False, content_type="text/html", length=512))
    assert ruling.verdict is Verdict.RETRY  # a login page of a firewall goes away, a wrong address does not
    assert "web page instead of JSON" in ruling.reason
    assert "address" in ruling.hint
    cut = wire.verdict(Answer(status=200, is_json=False, content_type="application/json", length=512))
    assert "web page" not in cut.reason


def test_success_and_half_success():
    assert wire.verdict(Answer(status=200, body={"result": []})).verdict is Verdict.OK
    assert wire.verdict(Answer(status=200, body={"result": None})).verdict is Verdict.OK
    assert wire.verdict(Answer(status=500, body={"result": []})).verdict is Verdict.RETRY
    assert wire.verdict(Answer(status=200, body={"total": 5})).verdict is Verdict.FATAL


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_moved_portal_is_named_by_host_only(status):
    ruling = wire.verdict(Answer(status=status, is_json=False, location_host="new.bitrix24.ru"))
    assert ruling.verdict is Verdict.REAUTH
    assert "new.bitrix24.ru" in ruling.reason
    assert ".env" in ruling.hint


def test_waiting_until_the_budget_frees_when_the_body_says_so():
    body = {"error": "OPERATION_TIME_LIMIT", "time": {"operating_reset_at": 1_763_251_800}}
    assert wire.verdict(Answer(status=429, body=body)).until == datetime(2025, 11, 16, 0, 10)
    assert wire.verdict(error("OPERATION_TIME_LIMIT", status=429)).until is None


def test_a_person_is_told_what_to_do():
    assert "crm and user_basic" in wire.verdict(error("insufficient_scope", status=401)).hint
    assert "webhook" in wire.verdict(error("INVALID_CREDENTIALS", status=401)).hint
    assert "support" in wire.verdict(error("OVERLOAD_LIMIT", status=503)).hint
    for answer in (error("PORTAL_DELETED"), error("ACCESS_DENIED"), error("", "Access denied.")):
        assert wire.verdict(answer).hint


@given(st.text(min_size=6), st.sampled_from([200, 400, 401, 500]))
def test_no_ruling_repeats_what_the_portal_wrote(text, status):
    for code in ("", text, f"K-{text}", "INVALID_CREDENTIALS"):
        ruling = wire.verdict(error(code, f"about +79161234567 {text}", status))
        for words in (ruling.reason, ruling.hint):
            assert "79161234567" not in words
            assert f"K-{text}" not in words


def test_all_documented_errors(sample):
    expected = {
        "backoff": {Verdict.SLOW, Verdict.RETRY},
        "wait_operating_reset_at": {Verdict.WAIT},
        "refresh_token": {Verdict.REAUTH},
    }
    systems = sample("errors.system.json")
    assert len(systems) >= 15
    for one in systems:
        for status in (one["http_docs_2026_09"], one["http_docs_2026_08"]):
            ruling = wire.verdict(Answer(status=status or 400, body=one["body"]))
            assert ruling.verdict in expected.get(one["retry"], {Verdict.REAUTH, Verdict.FATAL}), one["error"]
            assert one["error"].upper() in ruling.reason.upper()
    for one in sample("errors.methods.json"):
        ruling = wire.verdict(Answer(status=400, body=one["body"]))
        assert ruling.verdict in (Verdict.FATAL, Verdict.REAUTH, Verdict.RETRY), json.dumps(one)
        if one["body"]["error"] not in ("", 0, "0"):
            assert ruling.verdict is not Verdict.RETRY
