"""A person as a keyed hash: two leads of one customer get equal hashes, nobody can turn a hash back into a phone number."""

import hashlib
import re
from functools import lru_cache
from urllib.parse import unquote

from connectors.secrets import Secret

_EXTENSION = re.compile(r"(?:доб|ext|вн\.|x|#|,|;)", re.IGNORECASE)
# Nearly every number in a Russian CRM, in one match; everything else takes the long way.
_RUSSIAN = re.compile(r"(?:\+?7|8)[ (-]{0,2}(9\d\d)[ )-]{0,2}(\d{3})[ -]?(\d\d)[ -]?(\d\d)", re.ASCII)
_UNUSUAL = re.compile(r"[^0-9+() .-]")
_NOT_DIGIT = re.compile(r"[^0-9]+")
_USUAL_MARKS = str.maketrans("", "", "+() .-")
_EMAIL = re.compile(r"[^@\s,;<>]{1,64}@[^@\s,;<>]+\.[^@\s.,;<>]{2,}")
_WRITTEN_AS_PHONE = re.compile(r"(?:tel:)?[0-9+() .\-‐–—]+")  # by its form alone; how many digits decides
PERSONAL = "(personal)"
# Countries whose national number always has ten digits, so that a bare ten-digit number is complete.
_TEN_DIGIT_COUNTRIES = ("7", "1")


def normal_phone(text: str | None, default_country: str = "7") -> str | None:
    """`+` and digits of a phone number however it was typed (E.164 order), None when it is too short or an obvious filler.

    Russian habits are known: 8 XXX, a bare ten-digit number, +8 9XX, 8-10-country, an extension after the number.
    Normalising a normal number changes nothing.
    """
    if not text:
        return None
    if default_country == "7":
        usual = _RUSSIAN.fullmatch(text)
        if usual is not None:
            number = "+7" + usual[1] + usual[2] + usual[3] + usual[4]
            return number if number != "+79999999999" else None
    if _UNUSUAL.search(text) is None:
        head = text.strip()
        digits = head.translate(_USUAL_MARKS)
    else:
        head = _EXTENSION.split(text, maxsplit=1)[0].strip()
        digits = _NOT_DIGIT.sub("", head)
    is_international = head.startswith(("+", "(+"))
    if not is_international and digits.startswith("00"):
        digits, is_international = digits[2:], True
    if default_country == "7":
        if digits.startswith("810") and len(digits) >= 13:
            digits, is_international = digits[3:], True
        elif len(digits) == 11 and digits[0] == "8" and (not is_international or digits[1] == "9"):
            digits, is_international = "7" + digits[1:], True
    if not is_international:
        digits = _with_country(digits, default_country)
    if not 8 <= len(digits) <= 15 or len(set(digits[-10:])) == 1:
        return None
    return "+" + digits


def _with_country(digits: str, country: str) -> str:
    """National digits with the country in front; too short ones become empty."""
    if country in _TEN_DIGIT_COUNTRIES:
        if len(digits) == 10:
            return country + digits
        return digits if len(digits) >= 11 else ""
    if digits.startswith(country) and len(digits) >= len(country) + 8:
        return digits
    national = digits.removeprefix("0")
    return country + national if len(national) >= 7 else ""


def normal_email(text: str | None) -> str | None:
    """The address in lower case, None when it is no address."""
    if not text:
        return None
    address = text.strip().lower()
    return address if len(address) <= 254 and _EMAIL.fullmatch(address) else None


def impersonal(text: str | None) -> str | None:
    """The text of a field that is stored as it is (UTM, source); `PERSONAL` when a person stands in it.

    That is an e-mail address anywhere in it, or a phone number as the whole of it: 11 digits that begin with 7 or 8, or + and 10
    to 15 digits, with the usual spaces, brackets and dashes. Other numbers are ids of campaigns and stay.
    """
    if text is None:
        return None
    plain = unquote(text) if "%" in text else text
    if "@" in plain and _EMAIL.search(plain) is not None:
        return PERSONAL
    if _WRITTEN_AS_PHONE.fullmatch(plain.strip()) is None:
        return text
    digits = _NOT_DIGIT.sub("", plain)
    is_phone = 10 <= len(digits) <= 15 if "+" in plain else len(digits) == 11 and digits[0] in "78"
    return PERSONAL if is_phone else text


def customer_hash(key: Secret, *, phone: str | None = None, email: str | None = None, country: str = "7") -> str | None:
    """HMAC-SHA256 (first 32 hex digits) of the phone number, else of the e-mail address; None when there is neither.

    Takes raw or normal forms. Raises ValueError when the key is empty: an unkeyed hash of a phone number can be undone.
    """
    if not key:
        raise ValueError("customer hashes need a key")
    number = normal_phone(phone, country)
    if number is not None:
        message = f"phone:{number}"
    else:
        address = normal_email(email)
        if address is None:
            return None
        message = f"email:{address}"
    inner, outer = _pads(key)
    inner, outer = inner.copy(), outer.copy()
    inner.update(message.encode("utf-8", "replace"))
    outer.update(inner.digest())
    return outer.hexdigest()[:32]


@lru_cache(maxsize=4)
def _pads(key: Secret) -> "tuple[hashlib._Hash, hashlib._Hash]":
    """The key's two half-done hashes of RFC 2104; `hmac` sets them up for every message, which costs three times as much."""
    raw = key.reveal().encode()
    block = (hashlib.sha256(raw).digest() if len(raw) > 64 else raw).ljust(64, b"\0")
    return hashlib.sha256(bytes(byte ^ 0x36 for byte in block)), hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
