"""A report as an e-mail, handed over to a real SMTP server: its parts, its images, and what happens when the server will not."""

import json
import re
import shutil
import socket
import ssl
from collections.abc import Callable, Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from lxml import html as parser

from pipeline import deliver
from pipeline.couriers import NotTaken, Parcel
from pipeline.deliveries import Deliveries
from pipeline.document import document_bytes
from pipeline.letters import mail, written
from pipeline.reports.charts import png_of, waterfall
from pipeline.reports.mail import mail_of
from pipeline.reports.tables import Part
from pipeline.state import State
from pipeline.warehouse import Warehouse
from tests.pipeline.deliveries.delivering import AS_OF, LAUNCHES, TODAY, snapshot
from tests.pipeline.shop_made import Shop

PNG = b"\x89PNG\r\n"


class Keeper:
    """Keeps what is mailed; `answer` is the reply to DATA, or None to hang up without one."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.answer: str | None = "250 taken"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer is None or self.answer.startswith("2"):
            found = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(found, EmailMessage)
            self.mails.append(found)
            self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        if self.answer is None:
            server.transport.abort()
            return "250 never heard"
        return self.answer


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def serve(keeper: Keeper) -> Iterator[Callable[..., int]]:
    """serve(**options) -> the port of an SMTP server."""
    running: list[Controller] = []

    def start(**options: Any) -> int:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        running.append(Controller(keeper, hostname="127.0.0.1", port=port, **options))
        running[-1].start()
        return port

    yield start
    for one in running:
        one.stop()


@pytest.fixture
def made(tmp_path: Path, warehouse_file: Path) -> Callable[..., Shop]:
    """made(address, more) -> a shop whose report goes there by mail."""

    def make(address: str, more: str = "", *, name: str = "Ромашка <b>") -> Shop:
        table = f'\n[[deliveries]]\nname = "owner"\nto = "env:OWNER"\nweekday = "{TODAY}"\n{more}\n'
        shop = Shop.made(tmp_path / "shop", name=name, more=table)
        (shop.home / "config" / "launches.toml").write_text(LAUNCHES.format(title='"T"'), encoding="utf-8")
        shutil.copy(warehouse_file, shop.home / "payback.duckdb")
        shop.environ["OWNER"] = address
        return shop

    return make


def sent(shop: Shop) -> list[str]:
    return [one.state for one in deliver.deliver_measured(shop.settings(), {"assistant": AS_OF}, linger=0.0)]


def local(port: int) -> str:
    return f"mailto://127.0.0.1:{port}?from=payback@example.com&to=owner@example.com"


def test_a_mail_has_text_html_with_its_charts_and_the_report(
    made: Callable[..., Shop], serve: Callable[..., int], keeper: Keeper
) -> None:
    shop = made(local(serve()))
    assert sent(shop) == ["delivered"]
    assert sent(shop) == []
    (mail,) = keeper.mails
    assert keeper.envelopes == [("payback@example.com", ["owner@example.com"])]
    assert mail["To"] == "owner@example.com"
    assert mail["From"].addresses[0].display_name == "Ромашка <b>"
    assert "неделя 31. Окупается" in mail["Subject"]
    assert re.fullmatch(r"<payback\.[0-9a-f]{16}@example\.com>", mail["Message-ID"])
    kinds = [part.get_content_type() for part in mail.walk()]
    assert kinds == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png", "image/png",
        "text/html",
    ]  # fmt: skip
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert page is not None
    assert text.get_content().startswith("ROI за неделю 31")
    check_page(page.get_content(), {part["Content-ID"].strip("<>") for part in mail.walk() if part["Content-ID"]})
    images = [part.get_payload(decode=True) for part in mail.walk() if part.get_content_type() == "image/png"]
    assert all(isinstance(image, bytes) and image.startswith(PNG) and 3_000 < len(image) < 120_000 for image in images)
    (report,) = mail.iter_attachments()
    assert report.get_filename() == "assistant-2026-08-03.html"
    assert "<svg" in report.get_content()


def check_page(text: str, cids: set[str]) -> None:
    """What mail programs show and nothing else; every image that is named is there."""
    tree = parser.document_fromstring(text)
    assert not tree.xpath("//script|//link|//style|//iframe|//form|//svg|//a|//object|//video")
    assert {image.removeprefix("cid:") for image in tree.xpath("//img/@src")} == cids
    assert len(cids) == 2
    assert all(alt.strip() for alt in tree.xpath("//img/@alt"))
    assert not re.search(r"url\(|@import|javascript|<\w[^>]*https?:", text, re.IGNORECASE)
    assert not [name for element in tree.iter() for name in element.attrib if name.startswith("on")]
    seen = " ".join(tree.itertext())
    assert "evil.example" not in seen  # untied: no program makes it a link
    assert "[URL=" in seen
    assert all("position" not in style and "flex" not in style and "var(" not in style for style in tree.xpath("//@style"))


def test_the_same_document_gives_the_same_page(warehouse_file: Path) -> None:
    stored = Warehouse(f"duckdb:///{warehouse_file}").snapshot("assistant", AS_OF)
    assert stored is not None
    figures = json.loads(stored)
    assert mail_of(figures, "ru") == mail_of(json.loads(document_bytes(figures)), "ru")
    assert mail_of(figures, "ru").html != mail_of(figures, "en").html


def test_letters_the_fonts_lack_are_no_picture_of_boxes() -> None:
    assert png_of(lambda: waterfall([Part("ok", 1, "1 ₽", None)], width=560, name="x")) is not None
    assert png_of(lambda: waterfall([Part("\U0001f980", 1, "1 ₽", None)], width=560, name="x")) is None


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [("451 later", "waiting", "451"), ("554 never", "given up", "554"), (None, "in doubt", "broke at the end")],
)
def test_what_the_server_answers_decides(
    made: Callable[..., Shop], serve: Callable[..., int], keeper: Keeper, answer: str | None, state: str, words: str
) -> None:
    shop = made(local(serve()))
    keeper.answer = answer
    assert sent(shop) == [state]
    (one,) = Deliveries(State(shop.home)).newest()
    assert words in one.error
    keeper.answer = "250 taken"
    assert sent(shop) == []
    assert len(keeper.mails) == (1 if answer is None else 0)


def test_a_server_that_is_away_is_tried_again(made: Callable[..., Shop]) -> None:
    shop = made(local(1))
    assert sent(shop) == ["waiting"]


def test_encrypted_or_not_at_all(
    made: Callable[..., Shop], serve: Callable[..., int], keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)

    def known(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        is_known = data.password == b"pass word@1" and data.login == b"me@example.com"
        return AuthResult(success=is_known, handled=False)

    port = serve(tls_context=tls, require_starttls=True, authenticator=known, auth_required=True)
    secure = f"mailtos://me%40example.com:pass%20word%401@127.0.0.1:{port}?to=owner@example.com"
    shop = made(secure, name="Rose")
    assert sent(shop) == ["waiting"]  # nobody vouches for that certificate
    assert "certificate" in Deliveries(State(shop.home)).newest()[0].error
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    settings = shop.settings()
    assert [one.state for one in deliver.send_test(settings, snapshot(shop), settings.deliveries)] == ["sent"]
    assert keeper.mails[0]["Subject"].startswith("Проверка: ")
    assert keeper.envelopes[0][0] == "me@example.com"
    shop.environ["OWNER"] = secure.replace("word%401", "wrong")
    (outcome,) = deliver.send_test(shop.settings(), snapshot(shop), shop.settings().deliveries)
    assert "535" in outcome.error
    plain = serve()  # offers no encryption: nothing may go there
    shop.environ["OWNER"] = f"mailtos://127.0.0.1:{plain}?from=payback@example.com&to=owner@example.com"
    (outcome,) = deliver.send_test(shop.settings(), snapshot(shop), shop.settings().deliveries)
    assert "offers no encryption" in outcome.error
    assert len(keeper.mails) == 1


CODED = "=?utf-8?Q?Hi=0D=0ABcc:_x@y.example=0D=0A=0D=0A<h1>?= bot"


@pytest.mark.parametrize("name", [CODED, "=?utf-8?B?SGkNCkJjYzogeEB5?=", "= ?utf-8?Q?=0AX:_?=", "=\u200b?utf-8?Q?=0D=0AX:_y?="])
def test_no_name_writes_a_line_of_the_head(
    made: Callable[..., Shop], serve: Callable[..., int], keeper: Keeper, name: str
) -> None:
    shop = made(local(serve()), "files = []", name=name)
    figures = snapshot(shop)
    figures["launch"]["title"] = name
    Warehouse(shop.settings().warehouse_url.reveal()).save_snapshot("assistant", AS_OF, document_bytes(figures))
    assert sent(shop) == ["delivered"]
    (mail,) = keeper.mails
    assert set(mail.keys()) <= {
        "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type", "X-Peer", "X-MailFrom",
        "X-RcptTo",
    }  # fmt: skip
    shown = f"{mail['Subject']} {mail['From'].addresses[0].display_name}".replace("\u2060", "")
    assert shown.count("utf-8?") == 2  # to be read as it is written
    assert not {"\r", "\n"} & set(shown)
    assert keeper.envelopes == [("payback@example.com", ["owner@example.com"])]


def test_a_head_with_another_line_is_never_sent(made: Callable[..., Shop], serve: Callable[..., int], keeper: Keeper) -> None:
    message = EmailMessage()
    message["Subject"] = CODED  # as the standard library takes it, or refuses it, by its version
    with pytest.raises(ValueError, match=r"head|HeaderParseError|linefeed|newline|carriage"):
        written(message)


def test_a_mail_that_cannot_be_written_is_no_doubt(made: Callable[..., Shop], serve: Callable[..., int], keeper: Keeper) -> None:
    shop = made(local(serve()), "files = []")
    one = shop.settings().deliveries[0]
    parcel = Parcel(identity="0" * 16, subject="x", text="half a character: \ud800")
    with pytest.raises(NotTaken, match="UnicodeEncodeError"):
        mail(one, "Rose").send(parcel)
    assert keeper.mails == []


def test_a_plus_in_a_mail_address_is_a_plus(made: Callable[..., Shop], serve: Callable[..., int], keeper: Keeper) -> None:
    port = serve()
    shop = made(local(port).replace("owner@", "owner+reports@"), "files = []")
    assert sent(shop) == ["delivered"]
    shop.environ["OWNER"] = local(port).replace("owner@", "owner%2Breports@")
    assert sent(shop) == []  # the same mailbox
    assert keeper.envelopes == [("payback@example.com", ["owner+reports@example.com"])]
