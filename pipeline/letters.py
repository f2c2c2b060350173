"""A report as an e-mail, over SMTP: text and HTML side by side, charts inside it, the report's files attached."""

import smtplib
import ssl
from contextlib import suppress
from email.errors import MessageError
from email.headerregistry import Address as Mailbox
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP, compat32
from email.utils import format_datetime
from urllib.parse import unquote

from connectors.text import GLUE, clean_name
from pipeline.couriers import Courier, Doubtful, NotTaken, Parcel, writing
from pipeline.errors import ConfigError
from pipeline.subscribers import SHAPES, Address, Subscriber, read_address
from pipeline.warehouse import utc_now

SECONDS = 30.0
IMPLICIT_TLS, SUBMISSION, RELAY = 465, 587, 25


def mail(one: Subscriber, business: str) -> Courier:
    """One mail to one address. Mail servers do not promise to recognise a repeat (the Message-ID is the same, and some do).

    Raises ConfigError.
    """
    address = read_address(one)
    to, sender = _mailbox(one, address, "to", ""), _mailbox(one, address, "from", business)
    if address.path.strip("/") or not address.host:
        raise ConfigError(f"deliveries: {one.name}: no mail server", hint=f"it looks like {SHAPES['mail']}")

    def send(parcel: Parcel) -> None:
        with writing():
            content = written(letter(parcel, sender, to))
        try:
            server = _connected(address)
        except (smtplib.SMTPException, OSError) as error:
            raise _not_taken(one.name, error) from None
        try:
            _hand_over(server, one.name, sender.addr_spec, to.addr_spec, content)
        finally:
            with suppress(smtplib.SMTPException, OSError):
                server.quit()
            server.close()

    return Courier(is_repeatable=False, send=send)


def letter(parcel: Parcel, sender: Mailbox, to: Mailbox) -> EmailMessage:
    """The mail: text, HTML with its images, attachments."""
    message = EmailMessage(policy=SMTP)
    message["Subject"] = _literal(parcel.subject)
    message["From"] = Mailbox(_literal(sender.display_name), sender.username, sender.domain)
    message["To"] = to
    message["Date"] = format_datetime(utc_now())
    message["Message-ID"] = f"<payback.{parcel.identity}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(parcel.text, cte="base64")
    if parcel.html:
        message.add_alternative(parcel.html, subtype="html", cte="base64")
        parts = message.get_payload()
        assert isinstance(parts, list)
        html = parts[-1]
        assert isinstance(html, EmailMessage)
        for cid, image in parcel.images.items():
            html.add_related(image, "image", "png", cid=f"<{cid}>", filename=f"{cid.partition('@')[0]}.png", disposition="inline")
    for one in parcel.files:
        kind, _, subkind = one.media_type.partition("/")
        message.add_attachment(one.content, kind, subkind, filename=one.name)
    return message


def written(message: EmailMessage) -> bytes:
    """The mail as it travels. Raises ValueError when its head has another line than those that were put there."""
    content = message.as_bytes(policy=SMTP)
    names = [name for name, _ in BytesParser(policy=compat32).parsebytes(content, headersonly=True).items()]
    if names != list(message.keys()) or any({"\r", "\n"} & set(str(value)) for value in message.values()):
        raise ValueError("a mail whose head is not the one that was written")
    return content


def _literal(text: str) -> str:
    """A name as a header shows it: what looks like an encoded word is none, or it could hold lines of its own."""
    return clean_name(text).replace("=?", f"={GLUE}?")


def _mailbox(one: Subscriber, address: Address, key: str, shown: str) -> Mailbox:
    spec = address.query.get(key, "")
    if key == "from" and not spec and "@" in unquote(address.user):
        spec = unquote(address.user)
    try:
        found = Mailbox(display_name=clean_name(shown), addr_spec=spec)
    except (ValueError, IndexError, MessageError):
        found = Mailbox()
    if not found.username or not found.domain or not spec.isascii():
        hint = f"one address each, also several people are several [[deliveries]]: {SHAPES['mail']}"
        raise ConfigError(f"deliveries: {one.name}: `{key}` is not one mail address", hint=hint)
    return found


def _connected(address: Address) -> smtplib.SMTP:
    """A session with the server: encrypted, certificate checked, except with this machine itself."""
    host = address.query.get("smtp", address.host) if not address.is_plain else address.host
    if address.is_plain:
        return smtplib.SMTP(host, address.port or RELAY, timeout=SECONDS)
    port, trusted = address.port or SUBMISSION, ssl.create_default_context()
    if port == IMPLICIT_TLS:
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=SECONDS, context=trusted)
    else:
        server = smtplib.SMTP(host, port, timeout=SECONDS)
    try:
        if port != IMPLICIT_TLS:
            server.starttls(context=trusted)  # raises where the server has none: nothing goes in the clear
        if address.user:
            server.login(unquote(address.user), unquote(address.password))
    except (smtplib.SMTPException, OSError):
        server.close()
        raise
    return server


def _hand_over(server: smtplib.SMTP, name: str, sender: str, to: str, content: bytes) -> None:
    """MAIL, RCPT, DATA. Until the server has the whole mail nothing is sent; what breaks after that leaves a doubt."""
    try:
        server.ehlo_or_helo_if_needed()
        for code, said in (server.mail(sender), server.rcpt(to)):
            if not 200 <= code < 300:
                raise smtplib.SMTPResponseException(code, said)
    except (smtplib.SMTPException, OSError) as error:
        raise _not_taken(name, error) from None
    try:
        code, said = server.data(content)
    except smtplib.SMTPDataError as error:  # refused before the mail itself
        raise _not_taken(name, error) from None
    except (smtplib.SMTPException, OSError) as error:
        told = f"{name}: the connection to the mail server broke at the end ({type(error).__name__})"
        raise Doubtful(told, code="no_answer") from None
    if not 200 <= code < 300:
        raise _not_taken(name, smtplib.SMTPResponseException(code, said))


def _not_taken(name: str, error: Exception) -> NotTaken:
    """By the code of the answer: from 500 on the server will not take it later either. Its words may quote addresses."""
    if isinstance(error, smtplib.SMTPResponseException):
        is_login = isinstance(error, smtplib.SMTPAuthenticationError)
        hint = "check user and password" if is_login else "check the addresses in from= and to=, and what the server allows"
        told = f"{name}: the mail server answered {error.smtp_code}"
        return NotTaken(told, code="answer", answer=f"SMTP {error.smtp_code}", hint=hint, is_final=error.smtp_code >= 500)
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "check the server's name; a company's certificate goes into SSL_CERT_FILE"
        return NotTaken(f"{name}: the certificate of the mail server is not valid", code="certificate", hint=hint)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        told = f"{name}: the mail server offers no encryption or no login"
        return NotTaken(told, code="no_encryption", hint="choose another port", is_final=True)
    told = f"{name}: no session with the mail server ({type(error).__name__})"
    return NotTaken(told, code="no_connection", hint="check the server's name and port")
