"""Who gets the weekly report: the `[[deliveries]]` tables of payback.toml, and what in them is secret."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from connectors.connections import is_loopback
from connectors.secrets import Secret
from pipeline.errors import ConfigError
from pipeline.languages import check_language
from pipeline.recipients import secret_parts
from pipeline.strict import MissableSecret, Place, check_name, nearest

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# How an address begins, and the way it means. The plain ones are for this machine itself.
WAYS = {
    "tgram": "telegram", "mailto": "mail", "mailtos": "mail", "wecombot": "wecom", "json": "webhook", "jsons": "webhook",
}  # fmt: skip
PLAIN = {"mailto": "mailtos", "json": "jsons"}
TAKES_FILES = ("telegram", "mail")
SHAPES = {
    "telegram": "tgram://BOT-TOKEN/CHAT-ID",
    "mail": "mailtos://USER:PASSWORD@SERVER?from=payback@example.ru&to=owner@example.ru",
    "wecom": "wecombot://KEY, the key of the group robot's address",
    "webhook": "jsons://HOST/PATH",
}


@dataclass(frozen=True, slots=True)
class PortalDialog:
    """A dialog of a Bitrix24 portal: `chat17` or a user's id; through the webhook of a configured source, which needs im."""

    source: str
    dialog_id: str


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One `[[deliveries]]` table: a person or a group, and what is sent there on which day.

    `to` is an address as in `[alerts]`: `tgram://`, `mailtos://`, `wecombot://`, `jsons://`.
    `launches` may name programmes, too; empty: everything that has a report. `files` None: the HTML report where the channel
    takes files.
    """

    name: str
    to: MissableSecret | None = None  # one that is missing must not cost the night
    bitrix24: PortalDialog | None = None
    language: str | None = None  # None: the language of the reports
    launches: tuple[str, ...] = ()
    weekday: Weekday = "monday"
    files: tuple[Literal["html", "xlsx", "pdf", "json"], ...] | None = None

    @property
    def way(self) -> str:
        """telegram, mail, wecom, webhook or bitrix24; empty for an address that begins like none of them."""
        if self.bitrix24 is not None:
            return "bitrix24"
        return WAYS.get(scheme_of(self.to), "") if self.to else ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of report that go along as files."""
        return self.files if self.files is not None else ("html",) if self.way in TAKES_FILES else ()

    @property
    def weekday_number(self) -> int:
        """0 is Monday, as `date.weekday` counts."""
        return WEEKDAYS.index(self.weekday)

    def wants(self, launch: str) -> bool:
        """Whether the report of that launch goes there."""
        return not self.launches or launch in self.launches

    def secrets(self) -> list[Secret]:
        """The address and its parts."""
        return list(secret_parts(self.to)) if self.to else []


def scheme_of(address: Secret) -> str:
    """How an address begins: no secret by itself."""
    return address.reveal().partition("://")[0].lower()


def check_subscribers(
    subscribers: Sequence[Subscriber], sources: dict[str, str], launches: Sequence[str], place: Place
) -> None:
    """Values that cannot be meant; `sources` are kinds by name. Raises ConfigError, which never shows an address."""
    for number, one in enumerate(subscribers, 1):
        here = Place(place.file, f"{place.path}[{number}]")
        check_name(one.name, here.of("name"))
        if one.language is not None:
            check_language(one.language, here.of("language"))
        if (one.to is None) == (one.bitrix24 is None):
            raise ConfigError(f"{here}: give either to or bitrix24", hint='for example to = "env:OWNER_TELEGRAM"')
        for launch in one.launches:
            if launch not in launches:
                said = f"{here.of('launches')}: no launch or programme {launch!r}{nearest(launch, launches)}"
                raise ConfigError(said, hint=f"known: {', '.join(launches) or 'none'}")
        if one.bitrix24 is not None:
            _check_dialog(one.bitrix24, sources, here.of("bitrix24"))
        if one.files and one.way not in TAKES_FILES:
            raise ConfigError(f"{here.of('files')}: only Telegram and e-mail take files", hint="leave files out here")
    for first, second in combinations(subscribers, 2):
        if first.name == second.name:
            raise ConfigError(f"{place}: two of them are named {first.name!r}", hint="give each a name of its own")
        if _is_same_place(first, second) and have_launch_in_common(first, second):
            raise ConfigError(
                f"{place}: {first.name!r} and {second.name!r} have the same address, and a launch in common",
                hint="each address gets one report a launch and week: keep one of the two, or give them different launches",
            )


def place_of(one: Subscriber) -> str:
    """Where a subscriber is reached, whatever lets Payback in there: a chat, a mailbox, a robot, a dialog; a webhook by its name.

    A new token or password leaves it as it is, and so does another way to write it. Empty for an address that cannot be read.
    """
    if one.bitrix24 is not None:
        kind = one.bitrix24.dialog_id.rstrip("0123456789")
        return f"bitrix24 dialog {one.bitrix24.source} {kind}{int(one.bitrix24.dialog_id.removeprefix(kind))}"
    if not one.to or not one.way:
        return ""
    if one.way == "webhook":  # its address may be a password from end to end
        return f"webhook {one.name}"
    try:
        address = read_address(one)
    except ConfigError:
        return ""
    found = {"telegram": address.path.strip("/"), "mail": address.query.get("to", ""), "wecom": address.host}[one.way]
    if one.way == "telegram" and re.fullmatch(r"-?\d{1,20}", found, re.ASCII):
        found = str(int(found))
    return f"{one.way} {found.lower()}" if found else ""


def have_launch_in_common(first: Subscriber, second: Subscriber) -> bool:
    """Whether the report of some launch goes to both."""
    return not first.launches or not second.launches or bool(set(first.launches) & set(second.launches))


def _is_same_place(first: Subscriber, second: Subscriber) -> bool:
    place = place_of(first)
    return (bool(place) and place == place_of(second)) or (bool(first.to) and first.to == second.to)


def _check_dialog(dialog: PortalDialog, sources: dict[str, str], place: Place) -> None:
    portals = [source for source, kind in sources.items() if kind == "bitrix24"]
    if dialog.source not in portals:
        raise ConfigError(
            f"{place.of('source')}: {dialog.source!r} is no source of the kind bitrix24{nearest(dialog.source, portals)}",
            hint=f"portals: {', '.join(portals) or 'none'}",
        )
    number = dialog.dialog_id.removeprefix("chat").removeprefix("sg")
    if not (number.isascii() and number.isdigit() and int(number) > 0):
        raise ConfigError(f"{place.of('dialog_id')}: no dialog", hint='"chat17" is a chat, "sg5" a group\'s chat, "1" a user')


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of an address, read. `path` begins with a slash or is empty."""

    scheme: str
    user: str
    password: str
    host: str
    port: int | None
    path: str
    query: dict[str, str]
    is_plain: bool  # unencrypted, to this machine itself


def read_address(one: Subscriber) -> Address:
    """The address of a subscriber that is not a portal. Raises ConfigError, which never shows it."""
    assert one.to is not None
    where = f"deliveries: {one.name}"
    if not one.way:
        ways = ", ".join(f"{scheme}://" for scheme in WAYS if scheme not in PLAIN)
        hint = f"it begins with one of {ways}; docs/deliveries.md shows how each kind is written"
        raise ConfigError(f"{where}: not an address that can be used", hint=hint)
    scheme, _, rest = one.to.reveal().partition("://")
    try:  # a token holds a colon: what stands before the first slash is then no host and port
        parts = urlsplit(f"//{rest}")
        port = None if one.way == "telegram" else parts.port
        # A plus is part of many mail addresses, and a space of none.
        written = parts.query.replace("+", "%2B") if one.way == "mail" else parts.query
        pairs = parse_qsl(written, strict_parsing=True) if written else []
    except ValueError:
        raise ConfigError(f"{where}: not readable as an address", hint=f"it looks like {SHAPES[one.way]}") from None
    query = dict(pairs)
    if one.way == "mail" and len(query) < len(pairs):
        hint = "one address each, also several people are several [[deliveries]]"
        raise ConfigError(f"{where}: a name stands twice after the question mark", hint=hint)
    host = parts.netloc if one.way == "telegram" else _host(parts.netloc)
    scheme = scheme.lower()
    if scheme in PLAIN and not is_loopback(host):
        raise ConfigError(f"{where}: would be sent unencrypted", hint=f"write {PLAIN[scheme]}:// instead of {scheme}://")
    if query.get("verify", "yes").lower() not in ("yes", "true", "1"):
        hint = "leave it out; a company's certificate goes into REQUESTS_CA_BUNDLE"
        raise ConfigError(f"{where}: verify=no is not allowed", hint=hint)
    user, password = parts.username or "", parts.password or ""
    return Address(scheme, user, password, host, port, parts.path, query, scheme in PLAIN)


def _host(netloc: str) -> str:
    """The host as it is written: urlsplit would make its letters small, and a key is no host name."""
    host = netloc.rpartition("@")[2]
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
