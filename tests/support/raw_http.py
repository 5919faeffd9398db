"""A server that answers every request with prepared bytes: below HTTP libraries, so it can be as wrong as a
real network.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class Raw:
    """One prepared answer. `promised` more bytes than the body has are announced and never sent; `mute` says
    nothing at all; `reset` breaks the connection once the request was read; `drips_s` lies between any two bytes.
    """

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    promised: int = 0
    mute: bool = False
    reset: bool = False
    drips_s: float = 0.0

    def as_bytes(self) -> bytes:
        content = self.body.encode()
        reason = HTTPStatus(self.status).phrase if self.status in set(HTTPStatus) else "Odd"
        told = {"Content-Type": "application/json", **self.headers}
        told |= {"Content-Length": str(len(content) + self.promised), "Connection": "close"}
        lines = [f"HTTP/1.1 {self.status} {reason}", *(f"{name}: {value}" for name, value in told.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


class RawServer:
    """Listens on a free loopback port. `answer` is what the next requests get; `requests` counts them."""

    def __init__(self) -> None:
        self.answer = Raw()
        self.requests: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._held: list[socket.socket] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for held in self._held:
            held.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._one(connection)

    def _one(self, connection: socket.socket) -> None:
        request = _read_request(connection)
        self.requests.append(request)
        if self.answer.mute:
            self._held.append(connection)
            return
        if self.answer.reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif self.answer.drips_s:
            self._drip(connection, self.answer)
        else:
            connection.sendall(self.answer.as_bytes())
        connection.close()

    def _drip(self, connection: socket.socket, answer: Raw) -> None:
        """Until it is whole, or whoever asked has gone."""
        with contextlib.suppress(OSError):
            for byte in answer.as_bytes():
                if self._ended.wait(answer.drips_s):
                    return
                connection.sendall(bytes((byte,)))


def _read_request(connection: socket.socket) -> bytes:
    """The whole request: answering before its body was read would reset the connection."""
    read = b""
    while b"\r\n\r\n" not in read:
        read += connection.recv(65536)
    head, _, body = read.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    wanted = int(lengths[0].split(b":")[1]) if lengths else 0
    while len(body) < wanted:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body
