"""Who is signed in: sessions in the state file, so that a restart or a kill neither locks anybody out nor lets anybody in.

A session is a random id in a cookie; what is stored is its digest, the user's name and a digest of the password hash it was
opened with: a changed password, or a user taken out of payback.toml, ends the user's sessions.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from connectors.secrets import Secret
from pipeline.state import State
from pipeline.users import User
from pipeline.warehouse import utc_now

LONGEST = timedelta(days=7)  # then everybody signs in anew
IDLE = timedelta(hours=12)
NOTED = timedelta(minutes=5)  # how often it is written down that somebody is still there
ID_LENGTH = 43  # of 32 random bytes


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in; times are UTC without zone."""

    digest: str
    user: User
    began_at: datetime
    seen_at: datetime

    def is_over(self, now: datetime) -> bool:
        return now - self.began_at > LONGEST or now - self.seen_at > IDLE


class Sessions:
    """Opens, finds and ends sessions. Any thread. Raises WarehouseError when the state file cannot be used."""

    def __init__(self, state: State, users: Sequence[User], key: Secret) -> None:
        self._state = state
        self._users = {user.name: user for user in users}
        self._key = hmac.digest(key.reveal().encode(), b"payback dashboard forms", "sha256")
        self._known: dict[str, Session] = {}
        self._lock = threading.Lock()

    def user(self, name: str) -> User | None:
        """The configured user of that name."""
        return self._users.get(name)

    def open(self, user: User) -> str:
        """A new session's id, for the cookie; the row is on disk before anybody has it."""
        session_id, now = secrets.token_urlsafe(32), utc_now()
        oldest_start, oldest_sign = (now - LONGEST).isoformat(), (now - IDLE).isoformat()
        with self._state.writing() as connection:
            connection.execute("delete from sessions where began_at < ? or seen_at < ?", (oldest_start, oldest_sign))
            row = (_digest(session_id), user.name, _credential(user), now.isoformat(), now.isoformat())
            connection.execute("insert into sessions values (?, ?, ?, ?, ?)", row)
        with self._lock:
            self._known = {digest: known for digest, known in self._known.items() if not known.is_over(now)}
        return session_id

    def find(self, session_id: str) -> Session | None:
        """The session of a cookie; None when it is unknown, over, or its user or password has changed."""
        if len(session_id) != ID_LENGTH:
            return None
        digest, now = _digest(session_id), utc_now()
        with self._lock:
            session = self._known.get(digest)
        session = session or self._stored(digest)
        if session is None or session.is_over(now):
            return None
        if now - session.seen_at > NOTED:
            session = replace(session, seen_at=now)
            with self._state.writing() as connection:
                found = connection.execute("update sessions set seen_at = ? where digest = ?", (now.isoformat(), digest))
                if found.rowcount == 0:  # ended meanwhile
                    return None
        with self._lock:
            self._known[digest] = session
        return session

    def end(self, session_id: str) -> None:
        """Sign out: the id is worth nothing from now on."""
        digest = _digest(session_id)
        with self._state.writing() as connection:
            connection.execute("delete from sessions where digest = ?", (digest,))
        with self._lock:
            self._known.pop(digest, None)

    def form_token(self, cookie: str) -> str:
        """What a form of whoever holds this cookie must carry: nobody else can compute it."""
        return hmac.new(self._key, cookie.encode(), hashlib.sha256).hexdigest()

    def is_form_token(self, cookie: str, token: str) -> bool:
        return bool(cookie) and hmac.compare_digest(self.form_token(cookie).encode(), token.encode())

    def _stored(self, digest: str) -> Session | None:
        with self._state.reading() as connection:
            row = connection.execute("select * from sessions where digest = ?", (digest,)).fetchone()
        user = self._users.get(row["user"]) if row else None
        if user is None or not hmac.compare_digest(row["credential"], _credential(user)):
            return None
        return Session(digest, user, datetime.fromisoformat(row["began_at"]), datetime.fromisoformat(row["seen_at"]))


def _digest(session_id: str) -> str:
    return hashlib.sha256(session_id.encode()).hexdigest()


def _credential(user: User) -> str:
    return hashlib.sha256(user.password_hash.reveal().encode()).hexdigest()
