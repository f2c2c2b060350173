"""Passwords of the dashboard's users: only a slow, salted hash is ever kept (scrypt of the standard library).

The text is `scrypt:15:8:3:SALT:HASH` (log2 of N, r, p; URL-safe Base64): no character in it means anything to a shell or to .env.
32 MB and about a quarter of a second a guess, one of the settings OWASP calls equal.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets

LOG_N, R, P = 15, 8, 3
SHORTEST, LONGEST = 12, 200  # characters of a password
_FORM = re.compile(r"scrypt:(\d{2}):(\d{1,2}):(\d{1,2}):([\w-]{22,44}):([\w-]{43})", re.ASCII)


def hash_password(password: str) -> str:
    """What goes into .env for a password. Raises ValueError when it is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ValueError(f"a password has {SHORTEST} to {LONGEST} characters")
    salt = secrets.token_bytes(16)
    return f"scrypt:{LOG_N}:{R}:{P}:{_text(salt)}:{_text(_digest(password, salt, LOG_N, R, P))}"


def is_hash(text: str) -> bool:
    """Whether `text` is a hash of `hash_password`, at bounds no sign-in could be made to choke on."""
    found = _FORM.fullmatch(text)
    return found is not None and 14 <= int(found[1]) <= 17 and 1 <= int(found[2]) <= 8 and 1 <= int(found[3]) <= 8


def is_right(password: str, known: str | None) -> bool:
    """Whether the password is the one behind the hash. None (nobody of that name) takes as long, and is never right."""
    found = _FORM.fullmatch(known or _NOBODY)
    if found is None or len(password) > LONGEST:
        return False
    log_n, r, p = (int(found[n]) for n in (1, 2, 3))
    try:
        salt, expected = _bytes(found[4]), _bytes(found[5])
    except (binascii.Error, ValueError):
        return False
    is_same = hmac.compare_digest(_digest(password, salt, log_n, r, p), expected)
    return is_same and known is not None


def _digest(password: str, salt: bytes, log_n: int, r: int, p: int) -> bytes:
    secret = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=1 << log_n, r=r, p=p, maxmem=256 << 20, dklen=32)


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


# Compared with when there is no such user; no password has this hash.
_NOBODY = f"scrypt:{LOG_N}:{R}:{P}:{_text(bytes(16))}:{_text(bytes(32))}"
