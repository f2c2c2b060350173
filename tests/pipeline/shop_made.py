"""A small shop whose only source is a folder of exports, and somebody who writes down every message that reaches this machine."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pipeline.cli import main
from pipeline.settings import Settings, load_settings

KEY = "a key of more than sixteen characters"
CONFIG = """
[business]
name = "{name}"
language = "{language}"

[warehouse]
url = "duckdb:///payback.duckdb"

[sources.crm]
kind = "files"
path = "exports"
"""
ROWS = "ID;Дата создания;Стадия\n1;01.10.2026 12:30:00;Новая\n2;02.10.2026 12:30:00;Новая\n"


@dataclass
class Shop:
    """`environ` holds what stands in the .env elsewhere."""

    home: Path
    environ: dict[str, str] = field(default_factory=lambda: {"PAYBACK_HASH_KEY": KEY})

    @classmethod
    def made(cls, home: Path, *, name: str = "Ромашка", language: str = "ru", more: str = "") -> "Shop":
        (home / "config").mkdir(parents=True)
        (home / "exports").mkdir()
        (home / "exports" / "leads.csv").write_text(ROWS, encoding="utf-8")
        (home / "config" / "payback.toml").write_text(CONFIG.format(name=name, language=language) + more, encoding="utf-8")
        return cls(home)

    @property
    def exports(self) -> Path:
        return self.home / "exports"

    def payback(self, *arguments: str) -> int:
        """Run a command here; its exit code."""
        return main(["--config", str(self.home / "config"), *arguments], self.environ)

    def settings(self) -> Settings:
        return load_settings(self.home / "config", self.environ)

    def lose_exports(self) -> None:
        """From now on the source cannot be read."""
        self.exports.rename(self.home / "elsewhere")

    def find_exports(self) -> None:
        """And now it can."""
        (self.home / "elsewhere").rename(self.exports)


class Letterbox:
    """A local HTTP server that keeps what is posted to it; `answer` may refuse."""

    def __init__(self) -> None:
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.answer: Callable[[str], tuple[int, Any]] = lambda path: (200, {"ok": True, "result": 1})
        box = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, told = box.answer(self.path)
                if status == 200:
                    box.received.append((self.path, json.loads(body)))
                text = json.dumps(told).encode()
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def messages(self) -> list[str]:
        """Title and text of each message a generic webhook got."""
        return [f"{body['title']}\n{body['message']}" for _, body in self.received if "message" in body]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
