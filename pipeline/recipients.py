"""Who is told when something needs a person: the `[alerts]` table of payback.toml, and what in it is secret."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from connectors.secrets import Secret, words_of
from pipeline.errors import ConfigError
from pipeline.languages import check_language
from pipeline.strict import MissableSecret, Place, nearest


@dataclass(frozen=True, slots=True)
class PortalPeople:
    """People of a Bitrix24 portal, by their user ids, told through the webhook of a configured source; it needs the scope im."""

    source: str
    users: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Alerts:
    """`to` holds addresses as apprise writes them: `tgram://TOKEN/CHAT`, `mailtos://USER:PASSWORD@HOST?to=...`, `jsons://HOST/PATH`.

    A source is stale when nothing was heard of it for `stale_hours`; a night may fail once without anybody being woken for that.
    """

    to: tuple[MissableSecret, ...] = ()  # an address that is missing must not cost the night
    bitrix24: PortalPeople | None = None
    language: str | None = None  # None: the language of the reports
    stale_hours: float = 36.0

    def missing(self) -> list[str]:
        """The variables that should hold an address and do not."""
        return [address.name for address in self.to if not address]

    def secrets(self) -> list[Secret]:
        """The addresses and their parts."""
        return [part for address in self.to for part in secret_parts(address)]


def check_alerts(alerts: Alerts, sources: dict[str, str], place: Place) -> None:
    """Values that cannot be meant; `sources` are kinds by name. Raises ConfigError."""
    if alerts.language is not None:
        check_language(alerts.language, place.of("language"))
    if not 1 <= alerts.stale_hours <= 24 * 366:
        raise ConfigError(f"{place.of('stale_hours')}: hours without news, from 1 to 8784", hint="36 lets one night fail")
    if alerts.bitrix24 is None:
        return
    place, name = place.of("bitrix24"), alerts.bitrix24.source
    portals = [source for source, kind in sources.items() if kind == "bitrix24"]
    if name not in portals:
        raise ConfigError(
            f"{place.of('source')}: {name!r} is no source of the kind bitrix24{nearest(name, portals)}",
            hint=f"portals: {', '.join(portals) or 'none'}",
        )
    if not alerts.bitrix24.users or min(alerts.bitrix24.users) < 1:
        raise ConfigError(f"{place.of('users')}: ids of users as in their addresses, for example [1, 17]")


def secret_parts(address: Secret) -> Iterator[Secret]:
    """An address of a recipient, and the tokens in it that other texts may show (its login is found by `mask` itself)."""
    yield address
    value = address.reveal()
    _, _, rest = value.partition("://")
    if token := re.match(r"\d{5,}:[\w-]{20,}", rest):  # a bot's token is one word with a colon in it
        yield Secret(token[0])
    host = re.split(r"[/?#]", rest)[0].rpartition("@")[2]
    for word in (*words_of(value), *([] if "." in host else [host])):  # many services have a token in the place of a host
        if _looks_like_a_token(word):
            yield Secret(word)


def _looks_like_a_token(word: str) -> bool:
    """Neither a name nor a word of ordinary texts."""
    has_capitals_inside = any(map(str.islower, word)) and any(map(str.isupper, word[1:]))
    return (len(word) >= 8 and (any(map(str.isdigit, word)) or has_capitals_inside)) or len(word) >= 20
