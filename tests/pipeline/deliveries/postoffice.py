"""A local HTTP server that takes weekly reports as Telegram, Bitrix24, WeCom and a webhook do, with their limits."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "123456789:abcdefghijklmnopqrstuvwxyzabcdefghi"
ROBOT = "0a1b2c3d-aaaa-bbbb-cccc-robotsecret01"
CAPTION, TEXT, WECOM = 1024, 4096, 2048  # UTF-16 units, units, bytes
WECOM_A_MINUTE = 20

Answer = tuple[int, dict[str, str], Any]


@dataclass
class Received:
    """One request that was answered with success: `fields` are form fields or JSON, `files` name and content."""

    path: str
    headers: dict[str, str]
    fields: dict[str, Any]
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)


class PostOffice:
    """`trouble` may answer instead: (path, number of the request) -> an answer, or None. `drop` closes without one."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.n_asked = 0
        self.trouble: Callable[[str, int], Answer | None] = lambda path, n: None
        self.after: Callable[[str, int], bool] = lambda path, n: False  # whether to hang up instead of answering
        self.dialog: list[str] = []
        self._lock = threading.Lock()
        office = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                with office._lock:
                    office.n_asked += 1
                    n = office.n_asked
                    status, headers, told = office.trouble(self.path, n) or office._take(self.path, dict(self.headers), content)
                if office.after(self.path, n):
                    self.connection.close()
                    return
                text = json.dumps(told).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Content-Length": str(len(text)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, path: str, headers: dict[str, str], content: bytes) -> Answer:
        fields, files = _read(headers, content)
        one = Received(path, headers, fields, files)
        if path.startswith("/bot"):
            return self._telegram(one)
        if "/rest/" in path:
            return self._portal(one)
        if path.startswith("/cgi-bin/"):
            return self._robot(one)
        self.received.append(one)
        return 200, {}, {"ok": True}

    def _telegram(self, one: Received) -> Answer:
        said, most = one.fields.get("caption", one.fields.get("text", "")), CAPTION if one.files else TEXT
        if not one.path.startswith(f"/bot{TOKEN}/"):
            return 401, {}, {"ok": False, "error_code": 401, "description": "Unauthorized"}
        if len(said.encode("utf-16-le")) // 2 > most:
            return 400, {}, {"ok": False, "error_code": 400, "description": "Bad Request: message caption is too long"}
        self.received.append(one)
        return 200, {}, {"ok": True, "result": {"message_id": len(self.received)}}

    def _portal(self, one: Received) -> Answer:
        if one.path.endswith("im.dialog.messages.get"):
            return 200, {}, {"result": {"messages": [{"id": n, "text": text} for n, text in enumerate(self.dialog)]}}
        self.dialog.append(one.fields["MESSAGE"])
        self.received.append(one)
        return 200, {}, {"result": len(self.dialog)}

    def _robot(self, one: Received) -> Answer:
        if len(one.fields["text"]["content"].encode()) > WECOM:
            return 200, {}, {"errcode": 40058, "errmsg": "content exceed max length"}
        if sum(other.path == one.path for other in self.received) >= WECOM_A_MINUTE:
            return 200, {}, {"errcode": 45009, "errmsg": "api freq out of limit"}
        self.received.append(one)
        return 200, {}, {"errcode": 0, "errmsg": "ok"}


def _read(headers: dict[str, str], content: bytes) -> tuple[dict[str, Any], dict[str, tuple[str, bytes]]]:
    kind = headers.get("Content-Type", "")
    if not kind.startswith("multipart/"):
        return json.loads(content), {}
    fields: dict[str, Any] = {}
    files: dict[str, tuple[str, bytes]] = {}
    for part in message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + content).get_payload():
        assert not isinstance(part, str)
        name = str(part.get_param("name", header="content-disposition"))
        value = part.get_payload(decode=True)
        assert isinstance(value, bytes)
        if part.get_filename():
            files[name] = (str(part.get_filename()), value)
        else:
            fields[name] = value.decode()
    return fields, files
