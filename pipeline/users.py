"""Who may sign in to the dashboard: `[[dashboard.users]]` of payback.toml."""

from dataclasses import dataclass
from typing import Literal

from connectors.secrets import Secret
from pipeline.errors import ConfigError
from pipeline.languages import check_language
from pipeline.passwords import is_hash
from pipeline.strict import Place

Role = Literal["owner", "ops"]
LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class User:
    """One person. `owner` sees everything; `ops` sees how the service runs and the quality of the data, no money."""

    name: str
    role: Role
    password_hash: Secret  # what `payback password` prints
    language: str | None = None  # None: the business's


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The `[dashboard]` table. Without users nobody can sign in, and the pages with figures stay shut."""

    users: tuple[User, ...] = ()


def check_dashboard(dashboard: Dashboard, place: Place) -> None:
    """Raises ConfigError for what nobody could sign in with."""
    seen: set[str] = set()
    for user in dashboard.users:
        if not user.name.strip() or len(user.name) > LONGEST_NAME:
            raise ConfigError(f"{place.of('users')}: a name of a user has 1 to {LONGEST_NAME} characters")
        if user.name in seen:
            raise ConfigError(f"{place.of('users')}: two users are called {user.name!r}")
        seen.add(user.name)
        if user.language is not None:
            check_language(user.language, place.of("users").of(user.name))
        if not is_hash(user.password_hash.reveal()):
            raise ConfigError(
                f"{place.of('users')}: the password_hash of {user.name!r} is no hash of a password",
                hint="`payback password` asks for one and prints the line for .env",
            )
