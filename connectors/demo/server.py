"""The HTTP server under the demo portal: sockets, requests in, bytes out."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from .columns import json_text
from .wire import read_body, read_query


class Site(Protocol):
    """What answers the requests."""

    def serve(self, wire: Wire, path: str, params: Mapping[str, Any]) -> None:
        """Answer one REST request through `wire.send`."""

    def side(self, path: str, given: Any) -> Any:
        """Value for a side URL; LookupError for an unknown one, ValueError or TypeError for bad input."""

    def bug(self) -> None:
        """Note that `serve` raised what it should not."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], site: Site) -> None:
        self.site, self._open = site, set[socket.socket]()
        super().__init__(address, Wire)

    def note(self, connection: socket.socket, is_open: bool) -> None:
        (self._open.add if is_open else self._open.discard)(connection)

    def hang_up(self) -> None:
        """End kept-alive connections, which would otherwise outlive the server."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Wire(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a small answer waits 40 ms for a delayed acknowledgement
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        cast(Server, self.server).note(self.connection, True)

    def finish(self) -> None:
        cast(Server, self.server).note(self.connection, False)
        with suppress(OSError, ValueError):
            super().finish()

    def handle(self) -> None:
        with suppress(ConnectionError):  # a client may leave at any time
            super().handle()

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _serve(self, body: bytes) -> None:
        site = cast(Server, self.server).site
        url = urlsplit(self.path)
        params = read_query(url.query)
        try:
            if url.path.startswith("/_"):
                self._side(site, url.path, json.loads(body) if body else params)
            else:
                params |= read_body(self.headers.get("Content-Type", ""), body)
                site.serve(self, url.path, params)
        except ConnectionError:
            raise
        except Exception:
            site.bug()
            self.send(500, b'{"error":"DEMO_PORTAL_BUG","error_description":"see the portal\'s stderr"}')

    def _side(self, site: Site, path: str, given: Any) -> None:
        try:
            self.send(200, json_text(site.side(path, given)).encode())
        except LookupError as error:
            self.send(404, json_text({"error": f"nothing at {error}"}).encode())
        except (ValueError, TypeError) as error:
            self.send(400, json_text({"error": str(error)}).encode())

    def send(
        self, status: int, body: bytes, kind: str = "application/json", headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def cut(self, body: bytes) -> None:
        """Promise the whole body, send half of it, hang up."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2])
        self.wfile.flush()
        self.hang_up()

    def hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: a request line holds the webhook's secret."""
