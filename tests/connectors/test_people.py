import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.people import PERSONAL, customer_hash, impersonal, normal_email, normal_phone
from connectors.secrets import Secret

KEY = Secret("a key that is long enough")


@pytest.mark.parametrize(
    "text",
    [
        "+79161234567",
        "8 (916) 123-45-67",
        "89161234567",
        "9161234567",
        "7 916 123 45 67",
        "+7(916)123-45-67",
        "+8 916 123-45-67",
        "8-916-123-45-67 доб. 12",
        "+7 916 1234567 ext 5",
        "007 916 123-45-67",
        "8 10 7 916 123-45-67",
        "8\u00a0916\u00a0123\u201145\u201167",
    ],
)
def test_one_number_however_it_is_typed(text):
    assert normal_phone(text) == "+79161234567"


@pytest.mark.parametrize(
    "text", ["", None, "нет", "123", "12-34-56", "00000000000", "+7 999 999 99 99", "1" * 30, "8916123456"[:9]]
)
def test_no_number(text):
    assert normal_phone(text) is None


@given(
    st.sampled_from(["+7", "8", "7"]),
    st.from_regex(r"9[0-9]{9}", fullmatch=True),
    st.sampled_from(["{}{}{}{}", " {} {} {} {}", " ({}) {}-{}-{}", "({}){}-{}-{}", "-{}-{}-{}-{}", "{} {} {}{}"]),
)
def test_russian_mobile_numbers(start, national, shape):
    parts = (national[:3], national[3:6], national[6:8], national[8:])
    expected = None if len(set(national)) == 1 else f"+7{national}"
    assert normal_phone(start + shape.format(*parts)) == expected


def test_other_countries():
    assert normal_phone("+15454777777") == "+15454777777"
    assert normal_phone("+852 5123 4567") == "+85251234567"
    assert normal_phone("0171 1234567", "49") == normal_phone("+49 171 1234567") == "+491711234567"
    assert normal_phone("491711234567", "49") == "+491711234567"


@given(st.from_regex(r"\+?[0-9 ()-]{5,22}", fullmatch=True), st.sampled_from(["7", "1", "49", "380"]))
def test_normalising_twice_changes_nothing(text, country):
    number = normal_phone(text, country)
    assert number is None or normal_phone(number, country) == number


def test_email():
    assert normal_email(" Ivan.Petrov@Example.RU ") == "ivan.petrov@example.ru"
    for text in ("", None, "нет", "a@b", "a b@c.ru", "a@b@c.ru", "@c.ru", "a@c.ru,b@c.ru"):
        assert normal_email(text) is None


def test_customer_hash_tells_people_apart_and_phone_wins():
    same = {customer_hash(KEY, phone="8 916 123-45-67"), customer_hash(KEY, phone="+79161234567", email="x@example.com")}
    assert len(same) == 1
    others = {
        customer_hash(KEY, phone="+79161234568"),
        customer_hash(KEY, email="x@example.com"),
        customer_hash(Secret("another key"), phone="+79161234567"),
    }
    assert len(others | same) == 4
    assert all(value is not None and len(value) == 32 and set(value) <= set("0123456789abcdef") for value in others | same)
    assert customer_hash(KEY, phone="123", email="X@example.com") == customer_hash(KEY, email="x@example.com")
    assert customer_hash(KEY) is None


def test_customer_hash_is_hmac_sha256():
    """Hashes are stored: another formula would make every known customer a new one."""

    def hashed(message):
        return hmac.new(KEY.reveal().encode(), message, hashlib.sha256).hexdigest()[:32]

    for length in (1, 63, 64, 65, 200):
        key = Secret("k" * length)
        expected = hmac.new(key.reveal().encode(), b"phone:+79161234567", hashlib.sha256).hexdigest()[:32]
        assert customer_hash(key, phone="9161234567") == expected
    assert customer_hash(KEY, phone="8(916)1234567") == hashed(b"phone:+79161234567")
    assert customer_hash(KEY, email="A@Example.com") == hashed(b"email:a@example.com")


def test_an_empty_key_is_refused():
    with pytest.raises(ValueError, match="key"):
        customer_hash(Secret(""), phone="+79161234567")


@pytest.mark.parametrize(
    "text",
    [
        "79161234567",
        "8 (916) 123-45-67",
        "+7-916-123-45-67",
        "+7 (495) 123.45.67",
        "(+375) 29 123–45–67",
        "tel:+79161234567",
        "%2b7%20916%201234567",
        "+4915112345678",
        "ivan.petrov@example.ru",
        "ivan%40example.ru",
        "from ivan@example.ru, autumn",
        "mailto:ivan@example.ru",
    ],
)
def test_a_person_in_a_utm_value_is_not_kept(text):
    assert impersonal(text) == PERSONAL


@pytest.mark.parametrize(
    "text",
    [
        "12345678",  # ids of campaigns, ads and phrases
        "9161234567",
        "16512345678",
        "712345678901",
        "+7 916",
        "20261001-20261031",
        "79161234567_retarget",
        "autumn 2026",
        "@salon",
        "50%",
        "1+1",
        "()",
    ],
)
def test_an_id_of_a_campaign_stays(text):
    assert impersonal(text) == text


@given(st.text(max_size=40))
def test_what_is_impersonal_stays_so(text):
    once = impersonal(text)
    assert impersonal(once) == once
    assert impersonal(None) is None
