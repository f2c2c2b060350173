"""How a message reaches a person: Telegram, e-mail and generic webhooks by apprise, Bitrix24 by the portal's own REST.

What goes out is one plain text. Each way escapes it for its own markup, so that no name out of a CRM or a file becomes a link, a
tag or another line. Addresses are secrets: nothing here prints one.
"""

import hashlib
import hmac
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.bitrix24.options import endpoint
from connectors.connections import is_loopback
from connectors.contract import Call
from connectors.errors import SourceError
from connectors.secrets import Secret
from pipeline.errors import ConfigError, PipelineError
from pipeline.settings import Settings
from pipeline.strict import MissableSecret

SECONDS = 15.0
# Square brackets are Bitrix24's markup.
_NO_MARKUP = str.maketrans({"[": "(", "]": ")"})


class Undelivered(PipelineError):
    """A message could not be handed over."""


@dataclass(frozen=True, slots=True)
class Message:
    """Plain text; `tag` names what it is about: the same tag replaces the earlier message where that can be done."""

    title: str
    body: str
    tag: str


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody to be told. `key` is the same as long as the address is, and tells nothing of it; `label` is for people."""

    key: str
    label: str
    is_repeatable: bool  # a repeated message replaces the first one
    send: Callable[[Message], None]  # raises Undelivered


def recipients(settings: Settings) -> list[Recipient]:
    """Everybody in `[alerts]`, in its order. Nothing is sent or opened."""
    found = []
    for number, address in enumerate(settings.alerts.to, 1):
        label = _label(number, address)
        found.append(Recipient(_key(settings, address.reveal() or address.name), label, False, _by_apprise(address, label)))
    portal = settings.alerts.bitrix24
    for user in portal.users if portal else ():
        assert portal is not None
        label = f"Bitrix24 {portal.source}, user {user}"
        options: Any = next(source.options for source in settings.sources if source.name == portal.source)
        send = _by_portal(options.webhook, user, label)
        found.append(Recipient(_key(settings, f"bitrix24 {portal.source} {user}"), label, True, send))
    return found


def unusable(settings: Settings) -> list[ConfigError]:
    """What is wrong with the addresses in `[alerts]`, as far as can be told without sending anything."""
    found = []
    for number, address in enumerate(settings.alerts.to, 1):
        try:
            _service(address, _label(number, address))
        except ConfigError as error:
            found.append(error)
    return found


def _label(number: int, address: Secret) -> str:
    scheme = address.reveal().partition("://")[0][:20]
    return f"alerts.to[{number}] ({scheme if scheme.isalnum() else '?'})"


def _key(settings: Settings, address: str) -> str:
    return hmac.new(settings.hash_key.reveal().encode(), address.encode(), hashlib.sha256).hexdigest()[:16]


def _by_apprise(address: MissableSecret, label: str) -> Callable[[Message], None]:
    def send(message: Message) -> None:
        told = _service(address, label)
        if not told.notify(title=message.title, body=message.body, body_format="text"):
            raise Undelivered(f"{label}: the message was not taken", hint="the log says why; `payback alerts test` tries again")

    return send


def _service(address: MissableSecret, label: str) -> Any:
    """An apprise with that one address. Raises ConfigError when it is none, or would send in the clear."""
    if not address:
        hint = f"put {address.name}=... into the .env beside the config folder"
        raise ConfigError(f"{label}: the variable {address.name} is not set: nobody is told there", hint=hint)
    with warnings.catch_warnings():  # it imports what later versions of Python will not have
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise

        asset = apprise.AppriseAsset(
            app_id="Payback", app_desc="Payback", app_url="", theme="", http_redirects=False, async_mode=False, pgp_autogen=False,
            interpret_escapes=False, allow_templates=False, storage_mode="memory", service_timeout=SECONDS * 2,
        )  # fmt: skip
        told = apprise.Apprise(asset=asset)
        is_known = bool(told.add(address.reveal())) and len(told) == 1
    if not is_known:
        raise ConfigError(f"{label}: not an address that can be used", hint="docs/alerts.md shows how each kind is written")
    (service,) = told
    scheme = address.reveal().partition("://")[0].lower()
    plain = service.protocol if isinstance(service.protocol, tuple | list) else (service.protocol,)
    if scheme in plain and not service.secure and not is_loopback(service.host or ""):
        raise ConfigError(f"{label}: would be sent unencrypted", hint=f"write {scheme}s:// instead of {scheme}://")
    if not service.verify_certificate:
        hint = "leave it out; a company's certificate goes into REQUESTS_CA_BUNDLE"
        raise ConfigError(f"{label}: verify=no is not allowed", hint=hint)
    return told


def _by_portal(webhook: Secret, user: int, label: str) -> Callable[[Message], None]:
    def send(message: Message) -> None:
        from connectors.transport import HttpWire  # requests takes long to import

        text = f"{message.title}\n{message.body}".translate(_NO_MARKUP)
        asked: Mapping[str, Any] = {"USER_ID": user, "MESSAGE": text, "TAG": f"payback|{message.tag}"}
        wire = None
        try:
            wire = HttpWire(endpoint(webhook))
            code = _notified(wire, "im.notify.system.add", asked)
            if code == "ERROR_METHOD_NOT_FOUND":
                code = _notified(wire, "im.notify", {**asked, "TYPE": "SYSTEM"})
        except SourceError as error:
            raise Undelivered(f"{label}: {error}", hint=error.hint) from None
        finally:
            if wire is not None:
                wire.close()
        if code:
            hint = "give the webhook the right im, or choose another user"
            raise Undelivered(f"{label}: the portal answered {code}", hint=hint)

    return send


def _notified(wire: Any, method: str, asked: Mapping[str, Any]) -> str:
    """The error code of the answer; empty when the portal took the notification."""
    answer = wire.send(Call(method, asked), SECONDS).opened()
    body = answer.body if isinstance(answer.body, Mapping) else {}
    if answer.status == 200 and body.get("result"):
        return ""
    code = str(body.get("error") or "")
    return code if code.replace("_", "").isalnum() and code.isascii() and len(code) < 60 else f"HTTP {answer.status}"
