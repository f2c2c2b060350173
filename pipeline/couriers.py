"""How a report reaches its recipient: Telegram, Bitrix24, WeCom's group robot and webhooks over HTTP; e-mail stands in
`pipeline.letters`.

A courier says of each parcel: taken, not taken (`NotTaken`, with when to try again), or that nobody knows (`Doubtful`). Texts are
plain texts on every way; addresses are secrets, and nothing here prints one.
"""

import base64
import json
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import PurePath
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


class Undelivered(PipelineError):
    """A report did not arrive, or nobody knows. `reason`: why, as a `code` (`delivery.why.<code>` in the catalogues) and its
    figures."""

    def __init__(self, message: str, *, code: str, hint: str = "", **figures: str) -> None:
        super().__init__(message, hint=hint)
        self.reason = {"code": code, **figures}


class NotTaken(Undelivered):
    """A report was not taken. `pause`: seconds the channel asks to wait; `is_final`: it will not be taken later either."""

    def __init__(
        self, message: str, *, code: str, hint: str = "", pause: float | None = None, is_final: bool = False, **figures: str
    ) -> None:  # fmt: skip
        super().__init__(message, code=code, hint=hint, **figures)
        self.pause = pause
        self.is_final = is_final


class Doubtful(Undelivered):
    """A report was sent and no answer came, or none that can be read."""


def unforeseen(error: Exception) -> NotTaken:
    """What nobody foresaw, without its text: that may hold anything."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    kind = type(error).__name__
    return NotTaken(f"a fault of Payback or of a library: {kind}{where}", code="fault", fault=kind)


@contextmanager
def writing() -> Iterator[None]:
    """Around what is done before anything is sent: raises NotTaken for whatever goes wrong there."""
    try:
        yield
    except Exception as error:
        raise unforeseen(error) from error


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
        with writing():
            method, fields = _documents(parcel, plain)
            content = _multipart(fields)
        answer = _posted(where, method, *content, one.name)
        if parcel.files and answer.status in (400, 413):
            with writing():
                content = _multipart(_text(parcel, plain))
            answer = _posted(where, "sendMessage", *content, one.name)
        is_taken = answer.body.get("ok") is True if isinstance(answer.body.get("ok"), bool) else None
        _judge(one.name, answer, is_taken, _code(answer.body.get("description")))

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
        with writing():
            content = json.dumps(params).encode()
        answer = _posted(where, method, content, "application/json", one.name)
        code = _code(answer.body.get("error"))
        is_busy = code in ("QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT", "OVERLOAD_LIMIT")
        is_known = "result" in answer.body or "error" in answer.body
        is_taken = bool(answer.body.get("result")) and not code if is_known else None
        _judge(one.name, replace(answer, status=503) if is_busy else answer, is_taken, code)
        return answer.body["result"]

    def send(parcel: Parcel) -> None:
        text = parcel.text.translate(_NO_MARKUP)
        call("im.message.add", {"DIALOG_ID": dialog.dialog_id, "MESSAGE": text, "SYSTEM": "N", "URL_PREVIEW": "N"})

    def was_taken(parcel: Parcel) -> bool:
        found = call("im.dialog.messages.get", {"DIALOG_ID": dialog.dialog_id, "LIMIT": N_READ})
        messages = found.get("messages") if isinstance(found, Mapping) else None
        if not isinstance(messages, list):
            raise NotTaken(f"{one.name}: the portal does not show the messages of the dialog", code="unasked", is_final=True)
        return any(parcel.identity in str(message.get("text")) for message in messages if isinstance(message, Mapping))

    return Courier(is_repeatable=True, send=send, was_taken=was_taken)


def wecom(one: Subscriber) -> Courier:
    """A group robot: it only writes, cannot recognise a repeat, and takes 20 messages a minute. Raises ConfigError."""
    address = read_address(one)
    if not re.fullmatch(r"[\w-]{16,64}", address.host, re.ASCII):
        raise ConfigError(f"deliveries: {one.name}: no key of a group robot", hint=f"it looks like {SHAPES['wecom']}")
    where = Endpoint(Secret(WECOM), suffix=f"?{urlencode({'key': address.host})}")

    def send(parcel: Parcel) -> None:
        with writing():
            content = json.dumps({"msgtype": "text", "text": {"content": parcel.text}}, ensure_ascii=False).encode()
        answer = _posted(where, "send", content, "application/json", one.name)
        code = answer.body.get("errcode")
        said = f"errcode {code}" if isinstance(code, int) else ""
        if code == WECOM_TOO_MANY:
            told = f"{one.name}: the robot has sent too many messages in a minute"
            raise NotTaken(told, code="answer", answer=said, pause=60.0)
        if code == -1:
            raise NotTaken(f"{one.name}: the server is busy", code="answer", answer=said)
        _judge(one.name, answer, code == 0 if said else None, said)

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
        with writing():
            content = json.dumps({**parcel.payload, "text": parcel.text}, ensure_ascii=False, sort_keys=True).encode()
        headers = {"Idempotency-Key": parcel.identity}
        answer = _posted(where, address.path.lstrip("/"), content, "application/json", one.name, headers)
        _judge(one.name, answer, 200 <= answer.status < 300, "")

    return Courier(is_repeatable=True, send=send)


@dataclass(frozen=True, slots=True)
class _Answer:
    """`body` is empty when it is no JSON object; `pause`: seconds asked for."""

    status: int
    body: Mapping[str, Any]
    pause: float | None


def _posted(
    where: Endpoint, method: str, content: bytes, media_type: str, name: str, headers: Mapping[str, str] | None = None
) -> _Answer:
    """What was answered. Raises NotTaken, Doubtful."""
    from connectors.transport import HttpWire  # requests takes long to import

    wire = None
    try:
        wire = HttpWire(where)
        answer = wire.upload(method, content, media_type, SECONDS, headers=headers).opened()
    except Unanswered as error:
        raise Doubtful(f"{name}: {error}", code="no_answer") from None
    except TemporaryError as error:
        raise NotTaken(f"{name}: {error}", code="no_connection", hint=error.hint) from None
    except AccessError as error:
        raise NotTaken(f"{name}: {error}", code="certificate", hint=error.hint) from None
    except SourceError as error:
        raise NotTaken(f"{name}: {error}", code="address", hint=error.hint, is_final=True) from None
    finally:
        if wire is not None:
            wire.close()
    body = answer.body if isinstance(answer.body, Mapping) else {}
    return _Answer(answer.status, body, _pause(body, answer.retry_after))


def _judge(name: str, answer: _Answer, is_taken: bool | None, code: str) -> None:
    """Raises what an answer means; nothing when the parcel was taken. `is_taken` None: the answer does not say."""
    status, is_good = answer.status, 200 <= answer.status < 300
    if is_good and is_taken:
        return
    said = code if code and status == 200 else f"HTTP {status} {code}".rstrip()
    told = f"{name}: the other side answered {said}"
    if is_good and is_taken is None:  # the page of a proxy, which may have let the parcel through or not
        raise Doubtful(f"{told}, but not what its interface promises", code="strange_answer", answer=said)
    if status == 504:  # a gateway gave up waiting for who may have taken it
        raise Doubtful(told, code="no_answer")
    if status in (408, 425, 429) or status >= 500:
        raise NotTaken(told, code="answer", answer=said, hint="it is tried again by itself", pause=answer.pause)
    if 300 <= status < 400:
        hint = "redirects are not followed: write the address it leads to"
        raise NotTaken(told, code="redirect", answer=said, hint=hint, is_final=True)
    hint = "check the address, and that the recipient still lets us write there"
    raise NotTaken(told, code="answer", answer=said, hint=hint, is_final=True)


def _pause(body: Mapping[str, Any], pause: float | None) -> float | None:
    """Telegram says in the body how long to wait."""
    parameters = body.get("parameters")
    asked = parameters.get("retry_after") if isinstance(parameters, Mapping) else None
    return float(asked) if isinstance(asked, int) and 0 < asked < 86_400 else pause


def _code(said: object) -> str:
    """What the other side said, if it is a code or a short plain sentence: anything else could be anything."""
    text = str(said or "")
    return text if re.fullmatch(r"[A-Za-z][\w ,.:'-]{0,80}", text, re.ASCII) else ""


def _text(parcel: Parcel, plain: Mapping[str, str]) -> dict[str, Any]:
    return {**plain, "text": parcel.text, "link_preview_options": json.dumps({"is_disabled": True})}


def _documents(parcel: Parcel, plain: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """One document with the text as its caption; several go as one album, so that all arrive or none; none: the text alone."""
    files = {f"file{n}": (one.name, one.content, one.media_type) for n, one in enumerate(parcel.files)}
    if not files:
        return "sendMessage", _text(parcel, plain)
    if len(files) == 1:
        return "sendDocument", {**plain, "caption": parcel.text, "document": files["file0"]}
    media = [{"type": "document", "media": f"attach://{name}"} for name in files]
    media[-1]["caption"] = parcel.text  # an album shows the caption of its last file below all of them
    return "sendMediaGroup", {**plain, "media": json.dumps(media, ensure_ascii=False), **files}


def _multipart(fields: Mapping[str, Any]) -> tuple[bytes, str]:
    from urllib3 import encode_multipart_formdata

    content, media_type = encode_multipart_formdata(fields)
    return content, media_type
