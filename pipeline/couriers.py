"""How a report reaches its recipient: Telegram, Bitrix24, WeCom's group robot and webhooks over HTTP; e-mail stands in
`pipeline.letters`.

A courier says of each parcel: taken, not taken (`NotTaken`, with when to try again), or that nobody knows (`Doubtful`). Texts are
plain texts on every way; addresses are secrets, and nothing here prints one.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode

from connectors.bitrix24.options import endpoint
from connectors.contract import Endpoint
from connectors.errors import AccessError, OptionError, SourceError, TemporaryError, Unanswered
from connectors.secrets import Secret
from pipeline.errors import ConfigError, PipelineError
from pipeline.settings import Settings
from pipeline.subscribers import SHAPES, Subscriber, read_address

SECONDS = 30.0
TELEGRAM = "https://api.telegram.org/"
WECOM = "https://qyapi.weixin.qq.com/cgi-bin/webhook/"
WECOM_A_MINUTE = 20
WECOM_TOO_MANY = 45009
N_READ = 50  # messages of a dialog that are looked through for one that may have been sent
# Square brackets are Bitrix24's markup, and >> at the beginning of a line its quotation.
_NO_MARKUP = str.maketrans({"[": "(", "]": ")", ">": "›", "<": "‹"})


class NotTaken(PipelineError):
    """A report was not taken. `pause`: seconds the channel asks to wait; `is_final`: it will not be taken later either."""

    def __init__(self, message: str, *, hint: str = "", pause: float | None = None, is_final: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.pause = pause
        self.is_final = is_final


class Doubtful(PipelineError):
    """A report was sent and no answer came."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes along."""

    name: str
    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is sent. `identity` is the same for every repeat; `html` with `images` (content by cid) is for mail, `payload` for
    webhooks; `is_quiet` at night."""

    identity: str
    subject: str
    text: str
    files: tuple[Attachment, ...] = ()
    html: str = ""
    images: Mapping[str, bytes] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)
    is_quiet: bool = False


@dataclass(frozen=True, slots=True)
class Courier:
    """One way to one recipient.

    `is_repeatable`: a repeat does no harm, because the other side recognises it, or because `was_taken` finds out first.
    """

    is_repeatable: bool
    send: Callable[[Parcel], None]  # raises NotTaken, Doubtful
    was_taken: Callable[[Parcel], bool] | None = None  # raises NotTaken
    a_minute: int | None = None


def telegram(one: Subscriber) -> Courier:
    """A bot. Its interface has no way to recognise a repeat, nor to read what it has sent. Raises ConfigError."""
    address = read_address(one)
    token, chat = f"{address.host}", address.path.strip("/")
    if not re.fullmatch(r"\d{5,}:[\w-]{20,}", token, re.ASCII) or not re.fullmatch(r"-?\d{1,20}|@\w{3,}", chat, re.ASCII):
        raise ConfigError(f"deliveries: {one.name}: no bot token with a chat", hint=f"it looks like {SHAPES['telegram']}")
    where = Endpoint(Secret(f"{TELEGRAM}bot{token}/"))

    def send(parcel: Parcel) -> None:
        plain: dict[str, str] = {"chat_id": chat, "disable_notification": "true" if parcel.is_quiet else "false"}
        if parcel.files:
            method, fields = _documents(parcel, plain)
            status, body, pause = _posted(where, method, *_multipart(fields), one.name)
            if status not in (400, 413):
                _judge(one.name, status, body.get("ok") is True, _code(body.get("description")), _pause(body, pause))
                return
        fields = {**plain, "text": parcel.text, "link_preview_options": json.dumps({"is_disabled": True})}
        status, body, pause = _posted(where, "sendMessage", *_multipart(fields), one.name)
        _judge(one.name, status, body.get("ok") is True, _code(body.get("description")), _pause(body, pause))

    return Courier(is_repeatable=False, send=send)


def bitrix24(one: Subscriber, settings: Settings) -> Courier:
    """A message in a dialog, by the person the webhook belongs to; the dialog can be read, so a repeat finds the first one."""
    assert one.bitrix24 is not None
    dialog = one.bitrix24
    options: Any = next(source.options for source in settings.sources if source.name == dialog.source)
    try:
        where = endpoint(options.webhook, private_network=options.private_network)
    except OptionError as error:
        raise ConfigError(f"deliveries: {one.name}: {error}", hint=error.hint) from None

    def call(method: str, params: Mapping[str, Any]) -> Any:
        status, body, pause = _posted(where, method, json.dumps(params).encode(), "application/json", one.name)
        code = _code(body.get("error"))
        is_busy = code in ("QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT", "OVERLOAD_LIMIT")
        _judge(one.name, 503 if is_busy else status, bool(body.get("result")) and not code, code, pause)
        return body["result"]

    def send(parcel: Parcel) -> None:
        text = parcel.text.translate(_NO_MARKUP)
        call("im.message.add", {"DIALOG_ID": dialog.dialog_id, "MESSAGE": text, "SYSTEM": "N", "URL_PREVIEW": "N"})

    def was_taken(parcel: Parcel) -> bool:
        found = call("im.dialog.messages.get", {"DIALOG_ID": dialog.dialog_id, "LIMIT": N_READ})
        messages = found.get("messages") if isinstance(found, Mapping) else None
        if not isinstance(messages, list):
            raise NotTaken(f"{one.name}: the portal does not show the messages of the dialog", is_final=True)
        return any(parcel.identity in str(message.get("text")) for message in messages if isinstance(message, Mapping))

    return Courier(is_repeatable=True, send=send, was_taken=was_taken)


def wecom(one: Subscriber) -> Courier:
    """A group robot: it only writes, cannot recognise a repeat, and takes 20 messages a minute. Raises ConfigError."""
    address = read_address(one)
    if not re.fullmatch(r"[\w-]{16,64}", address.host, re.ASCII):
        raise ConfigError(f"deliveries: {one.name}: no key of a group robot", hint=f"it looks like {SHAPES['wecom']}")
    where = Endpoint(Secret(WECOM), suffix=f"?{urlencode({'key': address.host})}")

    def send(parcel: Parcel) -> None:
        content = json.dumps({"msgtype": "text", "text": {"content": parcel.text}}, ensure_ascii=False).encode()
        status, body, pause = _posted(where, "send", content, "application/json", one.name)
        code = body.get("errcode")
        if code == WECOM_TOO_MANY:
            raise NotTaken(f"{one.name}: the robot has sent too many messages in a minute", pause=60.0)
        if code == -1:
            raise NotTaken(f"{one.name}: the server is busy")
        _judge(one.name, status, code == 0, f"errcode {code}" if isinstance(code, int) else "", pause)

    return Courier(is_repeatable=False, send=send, a_minute=WECOM_A_MINUTE)


def webhook(one: Subscriber) -> Courier:
    """A POST of JSON. Every repeat carries the same `Idempotency-Key`, by which the other side knows it. Raises ConfigError."""
    address = read_address(one)
    query = {key: value for key, value in address.query.items() if key not in ("verify", "private_network")}
    host = f"[{address.host}]" if ":" in address.host else address.host
    port = f":{address.port}" if address.port else ""
    login = base64.b64encode(unquote(f"{address.user}:{address.password}").encode()).decode()
    where = Endpoint(
        Secret(f"http{'' if address.is_plain else 's'}://{host}{port}/"),
        headers={"Authorization": Secret(f"Basic {login}")} if address.user else {},
        suffix=f"?{urlencode(query)}" if query else "",
        private_network=address.query.get("private_network", "").lower() in ("yes", "true", "1"),
    )

    def send(parcel: Parcel) -> None:
        content = json.dumps({**parcel.payload, "text": parcel.text}, ensure_ascii=False, sort_keys=True).encode()
        headers = {"Idempotency-Key": parcel.identity}
        status, _, pause = _posted(where, address.path.lstrip("/"), content, "application/json", one.name, headers)
        _judge(one.name, status, 200 <= status < 300, "", pause)

    return Courier(is_repeatable=True, send=send)


def _posted(
    where: Endpoint, method: str, content: bytes, media_type: str, name: str, headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, Any], float | None]:
    """Status, JSON body (empty when it is none) and the pause asked for. Raises NotTaken, Doubtful."""
    from connectors.transport import HttpWire  # requests takes long to import

    wire = None
    try:
        wire = HttpWire(where)
        answer = wire.upload(method, content, media_type, SECONDS, headers=headers).opened()
    except Unanswered as error:
        raise Doubtful(f"{name}: {error}") from None
    except TemporaryError as error:
        raise NotTaken(f"{name}: {error}", hint=error.hint) from None
    except SourceError as error:
        raise NotTaken(f"{name}: {error}", hint=error.hint, is_final=not isinstance(error, AccessError)) from None
    finally:
        if wire is not None:
            wire.close()
    return answer.status, answer.body if isinstance(answer.body, Mapping) else {}, answer.retry_after


def _judge(name: str, status: int, is_taken: bool, code: str, pause: float | None) -> None:
    """Raises what an answer means; nothing when the parcel was taken."""
    if 200 <= status < 300 and is_taken:
        return
    said = code if code and status == 200 else f"HTTP {status} {code}".rstrip()
    told = f"{name}: the other side answered {said}"
    if status == 504:  # a gateway gave up waiting for who may have taken it
        raise Doubtful(told)
    if status in (408, 425, 429) or status >= 500:
        raise NotTaken(told, hint="it is tried again by itself", pause=pause)
    if 300 <= status < 400:
        raise NotTaken(told, hint="redirects are not followed: write the address it leads to", is_final=True)
    raise NotTaken(told, hint="check the address, and that the recipient still lets us write there", is_final=True)


def _pause(body: Mapping[str, Any], pause: float | None) -> float | None:
    """Telegram says in the body how long to wait."""
    parameters = body.get("parameters")
    asked = parameters.get("retry_after") if isinstance(parameters, Mapping) else None
    return float(asked) if isinstance(asked, int) and 0 < asked < 86_400 else pause


def _code(said: object) -> str:
    """What the other side said, if it is a code or a short plain sentence: anything else could be anything."""
    text = str(said or "")
    return text if re.fullmatch(r"[A-Za-z][\w ,.:'-]{0,80}", text, re.ASCII) else ""


def _documents(parcel: Parcel, plain: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """One document with the text as its caption; several go as one album, so that all arrive or none."""
    files = {f"file{n}": (one.name, one.content, one.media_type) for n, one in enumerate(parcel.files)}
    if len(parcel.files) == 1:
        return "sendDocument", {**plain, "caption": parcel.text, "document": files["file0"]}
    media = [{"type": "document", "media": f"attach://{name}"} for name in files]
    media[-1]["caption"] = parcel.text  # an album shows the caption of its last file below all of them
    return "sendMediaGroup", {**plain, "media": json.dumps(media, ensure_ascii=False), **files}


def _multipart(fields: Mapping[str, Any]) -> tuple[bytes, str]:
    from urllib3 import encode_multipart_formdata

    content, media_type = encode_multipart_formdata(fields)
    return content, media_type
