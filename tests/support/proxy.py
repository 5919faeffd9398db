"""A way over TCP that can be closed: what is sent goes nowhere then, and nobody is told."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from urllib.parse import urlsplit, urlunsplit


class Way:
    """Relays connections on a free loopback port to the server of `url`; clients use the way's own `url`."""

    def __init__(self, url: str) -> None:
        told = urlsplit(url)
        self._server = (told.hostname or "127.0.0.1", told.port or 0)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = urlunsplit(told._replace(netloc=f"127.0.0.1:{self._listening.getsockname()[1]}"))
        self._is_open = threading.Event()
        self._is_open.set()
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Connections stay, and new ones are taken, but nothing arrives any more, on either side."""
        self._is_open.clear()

    def open(self) -> None:
        """What was sent meanwhile arrives now."""
        self._is_open.set()

    def stop(self) -> None:
        self._is_open.set()
        for end in (self._listening, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._server)
            except OSError:
                return
            self._ends += [client, server]
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._relay, args=(one, other), daemon=True).start()

    def _relay(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while told := one.recv(65_536):
                self._is_open.wait()
                other.sendall(told)
            other.shutdown(socket.SHUT_RDWR)
