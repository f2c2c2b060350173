"""What an outgoing webhook says, and who said it."""

from urllib.parse import urlencode

import pytest

from connectors.bitrix24 import Options
from connectors.bitrix24.events import Event, is_genuine, read_event
from connectors.errors import OptionError
from connectors.secrets import Secret
from tests.connectors.bitrix24.conftest import WEBHOOK

TOKEN = "f0e1d2c3b4a5968778695a4b3c2d1e0f"
MEMBER = "d897063e1ce7c5eb9f04b9751eef5915"


def form(**changed: str | None) -> bytes:
    pairs: dict[str, str | None] = {
        "event": "ONCRMDEALADD",
        "event_handler_id": "975",
        "data[FIELDS][ID]": "7405",
        "ts": "1766047124",
        "auth[domain]": "some-domain.bitrix24.com",
        "auth[member_id]": MEMBER,
        "auth[application_token]": TOKEN,
    }
    names = {"id": "data[FIELDS][ID]", "token": "auth[application_token]"}
    pairs |= {names.get(name, name): text for name, text in changed.items()}
    return urlencode({name: text for name, text in pairs.items() if text is not None}).encode()


def options(**more: object) -> Options:
    return Options(webhook=Secret(WEBHOOK), **{"application_token": Secret(TOKEN), **more})


@pytest.mark.parametrize("body_name", ["body_outgoing_webhook", "body_application"])
def test_the_documented_bodies_are_read(sample, body_name):
    event = read_event(sample("event.form_encoding.json")[body_name].encode())
    assert event == Event("deals", 7405, "EXAMPLE_APPLICATION_TOKEN", MEMBER, "some-domain.bitrix24.com")


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("ONCRMLEADADD", "leads"),
        ("OnCrmLeadUpdate", "leads"),
        ("ONCRMLEADDELETE", "leads"),
        ("ONCRMDEALUPDATE", "deals"),
        ("ONCRMDEALDELETE", "deals"),
        ("ONCRMDEALMOVETOCATEGORY", ""),
        ("ONCRMDEALUSERFIELDADD", ""),
        ("ONCRMCONTACTADD", ""),
        ("ONIMBOTMESSAGEADD", ""),
        ("", ""),
    ],
)
def test_only_changes_of_leads_and_deals_are_of_interest(name, stream):
    assert read_event(form(event=name)).stream == stream


@pytest.mark.parametrize("id_", ["", "0", "-5", "007", "1e3", "٣", "7405 ", "1" * 19, "$result[a]", None])
def test_an_id_that_is_none_is_no_key(id_):
    assert read_event(form(id=id_)).key == 0


NO_EVENTS = [b"", b"\xff\xfe", b"%ff=%fe", b'{"event": "ONCRMLEADADD"}', b"&" * 60_000, b"a=1&" * 5_000, b"\x00"]


@pytest.mark.parametrize("body", NO_EVENTS)
def test_a_body_that_is_no_event_is_nobodys(body):
    event = read_event(body)
    assert (event.stream, event.key, event.token) == ("", 0, "")
    assert not is_genuine(event, options())


def test_the_token_decides():
    assert is_genuine(read_event(form()), options())
    for wrong in ("", None, TOKEN[:-1], TOKEN + "0", TOKEN.upper(), "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")):
        assert not is_genuine(read_event(form(token=wrong)), options())


def test_without_a_configured_token_nobody_is_genuine():
    for token in (TOKEN, "", None):
        assert not is_genuine(read_event(form(token=token)), options(application_token=None))
        assert not is_genuine(read_event(form(token=token)), None)


def test_member_and_domain_are_checked_where_they_are_configured():
    event = read_event(form())
    assert is_genuine(event, options(member_id=MEMBER, domain="Some-Domain.bitrix24.com"))
    assert not is_genuine(event, options(member_id="0" * 32))
    assert not is_genuine(event, options(domain="other.bitrix24.com"))
    assert not is_genuine(read_event(form(token="wrong" * 5)), options(member_id=MEMBER))


def test_a_token_that_can_be_guessed_is_refused():
    with pytest.raises(OptionError) as caught:
        options(application_token=Secret("short"))
    assert "application_token" in str(caught.value)
    assert "short" not in str(caught.value).replace("too short", "")
