"""A server on loopback that takes what Sentry's SDK sends, as Sentry does."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class SentrySink(ThreadingHTTPServer):
    """Answers from the moment it is made until `stop`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.items: list[tuple[str, dict[str, Any]]] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def dsn(self) -> str:
        """What a program is told, so that it sends here."""
        return f"http://public-key@127.0.0.1:{self.server_address[1]}/1"

    def of(self, kind: str) -> list[dict[str, Any]]:
        """What was received of one kind: `event`, `transaction`."""
        return [item for found, item in self.items if found == kind]

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: SentrySink

    def do_POST(self) -> None:
        """An envelope: a line about it, then for each item a line about it and its content."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        lines = [json.loads(line) for line in body.split(b"\n") if line]
        for header, payload in zip(lines[1::2], lines[2::2], strict=False):
            self.server.items.append((header["type"], payload))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: tests ask what was received."""
