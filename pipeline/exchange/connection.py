"""One HTTP/1.1 connection: the bytes of a request out, its answer in, and nothing ever twice.

Written for orders: what a general client does around a request (redirects, cookies, hooks, sending again when a kept
connection turns out dead) is not wanted here, and costs more than the request itself. The answer is read by llhttp.
"""

from __future__ import annotations

import select
import socket
import ssl
import zlib
from functools import cache
from urllib.parse import urlsplit

import certifi
from httptools import HttpResponseParser

from pipeline.exchange.replies import Reply

RECEIVED_AT_ONCE = 65536
_GZIP = 16 + zlib.MAX_WBITS


class NotSent(Exception):
    """No byte of the request left this machine: it cannot be written, or no connection opened, TLS included."""


class BrokenAnswer(Exception):
    """What came back is no whole answer to one request."""


def connect(origin: str, timeout_s: float) -> Connection:
    """Open a connection to `origin`, `https://host` or `http://host:port`. Raises: NotSent."""
    url = urlsplit(origin)
    secure, host = url.scheme == "https", url.hostname or ""
    try:
        opened = socket.create_connection((host, url.port or (443 if secure else 80)), timeout_s)
    except OSError as problem:
        raise NotSent(f"{origin} cannot be reached: {problem}") from problem
    try:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Connection(_trust().wrap_socket(opened, server_hostname=host) if secure else opened)
    except OSError as problem:  # what ssl raises is one
        opened.close()
        raise NotSent(f"{origin} cannot be trusted: {problem}") from problem


@cache
def _trust() -> ssl.SSLContext:
    """Certificates and host names are checked, always."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


class Connection:
    """Carries one request after another, each answered before the next. `reusable` while nothing stands open on it."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._reader = _Reader()
        self._incoming = select.poll()
        self._incoming.register(opened, select.POLLIN)
        self.reusable = True

    @property
    def is_quiet(self) -> bool:
        """Whether nothing came unasked: what comes between two requests is the other end's good-bye."""
        return not self._incoming.poll(0)

    def ask(self, request: bytes, timeout_s: float) -> Reply:
        """Send the request, once, and wait for each part of its answer for `timeout_s` at most.

        Raises: OSError, BrokenAnswer, HttpParserError, zlib.error; what became of the request is unknown then.
        """
        self.reusable = False
        self._reader.begin()
        self._socket.settimeout(timeout_s)
        self._socket.sendall(request)
        while not self._reader.whole:
            self._reader.feed(self._socket.recv(RECEIVED_AT_ONCE))
        self.reusable = self._reader.keeps
        return self._reader.reply()

    @property
    def head(self) -> Reply | None:
        """Status and headers of the answer asked for last, as soon as they are there; the rest of it may never come."""
        return self._reader.head

    def close(self) -> None:
        self.reusable = False
        self._socket.close()


class _Reader:
    """What llhttp finds in the answers of one connection, one answer at a time."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._is_final = self._tells_its_end = False
        self.whole = self.keeps = False

    @property
    def head(self) -> Reply | None:
        return Reply(self._status, "", None, self._headers) if self._is_final else None

    def feed(self, received: bytes) -> None:
        """Nothing received means that the other end has closed: an answer that told no length is whole then."""
        if received:
            self._parser.feed_data(received)
        elif self._is_final and not self._tells_its_end:
            self.whole = True
        else:
            raise BrokenAnswer("the connection was closed before the answer was whole")

    def reply(self) -> Reply:
        content = b"".join(self._parts)
        if self._headers.get("content-encoding") == "gzip":
            content = zlib.decompress(content, _GZIP)
        return Reply.of(self._status, content, self._headers)

    # What follows is called by the parser.

    def on_message_begin(self) -> None:
        if self.whole:
            raise BrokenAnswer("a second answer came to one request")
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """What is below 200 only announces the answer."""
        self._status = self._parser.get_status_code()
        self._is_final = self._status >= 200
        self.keeps = self._parser.should_keep_alive()
        self._tells_its_end = bool({"content-length", "transfer-encoding"} & self._headers.keys())

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        self.whole = self._is_final
