"""What a user sets for one portal, and what is wrong with it in words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.contract import Endpoint
from connectors.errors import OptionError
from connectors.secrets import Secret

ENTITIES = ("leads", "deals")
# People paste the address with the method of the portal's own example at its end: that part is dropped.
_WEBHOOK = re.compile(
    r"(?P<base>(?P<scheme>https?)://(?P<host>(?:[\w.-]+|\[[0-9a-fA-F:]+\])(?::\d{1,5})?)/rest/[1-9]\d{0,17}/[A-Za-z0-9_-]+)"
    r"(?:/(?:[a-z][a-z.]*/?)?)?"
)
_SHORTEST_TOKEN = 16  # a shorter text could be guessed
_LOOPBACK = re.compile(r"(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?")


@dataclass(frozen=True)
class Options:
    """One portal.

    webhook: address of an incoming webhook, `https://PORTAL/rest/USER/CODE/`; it is a password.
    custom_fields: our name -> code ("UF_CRM_1700000001") or title ("Филиал") of a field of leads or deals.
    branch: "pipeline" (deals only), or the code or title of the field that names the branch.
    entities: "leads", "deals" or both; None means what the portal works with (in simple CRM mode there are no leads).
    contacts: read contacts' phones and e-mails to tell customers apart; only a keyed hash is kept.
    country: calling code of phone numbers written without one.
    application_token: what the portal's outgoing webhook proves itself with; without it no event is accepted.
    member_id, domain: if given, an event must name them, too (the portal's permanent id, its host name).
    private_network: the portal stands in the company's own network, at a private address.
    """

    webhook: Secret
    custom_fields: Mapping[str, str] = field(default_factory=dict)
    branch: str | None = None
    entities: tuple[str, ...] | None = None
    contacts: bool = True
    country: str = "7"
    application_token: Secret | None = None
    member_id: str | None = None
    domain: str | None = None
    private_network: bool = False

    def __post_init__(self) -> None:
        if self.entities is not None:
            strange = [entity for entity in self.entities if entity not in ENTITIES]
            if strange or not self.entities:
                raise OptionError("entities: only 'leads' and 'deals' exist", hint='leave it out, or write entities = ["deals"]')
        if not (self.country.isascii() and self.country.isdigit() and len(self.country) <= 3):
            raise OptionError("country: not a calling code", hint='write the digits only, for example country = "7"')
        if self.application_token is not None and len(self.application_token.reveal()) < _SHORTEST_TOKEN:
            raise OptionError(
                "application_token: too short to be one", hint="copy the token that the portal shows with the outgoing webhook"
            )
        for name, wanted in self.custom_fields.items():
            if not name.isidentifier() or not wanted.strip():
                raise OptionError(
                    f"custom_fields.{name}: not a usable name or an empty field",
                    hint='write for example custom_fields = { service = "Услуга" }',
                )


def endpoint(webhook: Secret, *, private_network: bool = False) -> Endpoint:
    """Where calls go. Raises OptionError saying what the address must look like, never what it is."""
    match = _WEBHOOK.fullmatch(webhook.reveal().strip())
    if match is None:
        raise OptionError(
            "webhook: not the address of an incoming webhook",
            hint="it must look like https://PORTAL.bitrix24.ru/rest/USER/CODE/ : in the portal open Developer resources > "
            "Other > Inbound webhook (Разработчикам > Другое > Входящий вебхук) and copy the whole address into .env",
        )
    if match["scheme"] == "http" and not _LOOPBACK.fullmatch(match["host"]):
        raise OptionError("webhook: must begin with https://", hint="the address is a password; Bitrix24 refuses plain http")
    return Endpoint(base=Secret(match["base"] + "/"), private_network=private_network)
