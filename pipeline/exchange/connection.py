"""One HTTP/1.1 connection: the bytes of a request out, its answer in, and nothing ever twice.

Written for orders: what a general client does around a request (redirects, cookies, hooks, sending again when a kept
connection turns out dead) is not wanted here, and costs more than the request itself. The answer is read by llhttp.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
import zlib
from functools import cache
from urllib.parse import urlsplit

import certifi
from httptools import HttpResponseParser

from pipeline.exchange.replies import Reply

RECEIVED_AT_ONCE = 65536
MOST_BYTES = 32 * 2**20
"""What an answer may have at most, as it comes and unpacked. The largest true ones, lists of all instruments, have a
few megabytes; what has no end must not fill the memory of a worker that also sends orders.
"""

_TOO_LARGE = f"the answer is larger than {MOST_BYTES // 2**20} MB, and was not read to its end"
_GZIP = 16 + zlib.MAX_WBITS


class NotSent(Exception):
    """No byte of the request left this machine: it cannot be written, or no connection opened, TLS included."""


class BrokenAnswer(Exception):
    """What came back is no whole answer to one request."""


def connect(origin: str, timeout_s: float) -> Connection:
    """Open a connection to `origin`, `https://host` or `http://host:port`, in `timeout_s` at most. Raises: NotSent.

    Only how long it takes to look up the host's name is up to the system.
    """
    until = time.monotonic() + timeout_s
    url = urlsplit(origin)
    secure, host = url.scheme == "https", url.hostname or ""
    try:
        opened = _opened(host, url.port or (443 if secure else 80), until)
    except OSError as problem:
        raise NotSent(f"{origin} cannot be reached: {problem}") from problem
    try:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.settimeout(_left_s(until))
        return Connection(_trust().wrap_socket(opened, server_hostname=host) if secure else opened)
    except OSError as problem:  # what ssl raises is one
        opened.close()
        raise NotSent(f"{origin} cannot be trusted: {problem}") from problem


def _opened(host: str, port: int, until: float) -> socket.socket:
    """To the first of its addresses that answers. One that is silent leaves the others their share of the time."""
    last = OSError("it has no address")
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for others, (*_, address) in zip(reversed(range(len(addresses))), addresses, strict=True):
        try:
            return socket.create_connection((str(address[0]), port), _left_s(until) / (1 + others))
        except OSError as problem:
            last = problem
    raise last


def _left_s(until: float) -> float:
    """Raises: TimeoutError when nothing is left."""
    left_s = until - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the time for the request is over")
    return left_s


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
        """Send the request, once, and read its answer; all of it in `timeout_s`, however it trickles.

        Raises: NotSent when there is no time; OSError, BrokenAnswer, HttpParserError, zlib.error: what became of the
        request is unknown then.
        """
        until = time.monotonic() + timeout_s
        self._reader.begin()
        if timeout_s <= 0:
            raise NotSent("its time was over before it could leave")
        self.reusable = False
        self._socket.settimeout(timeout_s)
        self._socket.sendall(request)
        while not self._reader.whole:
            self._socket.settimeout(_left_s(until))
            self._reader.feed(self._socket.recv(RECEIVED_AT_ONCE))
        reply = self._reader.reply()
        self.reusable = self._reader.keeps
        return reply

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
        self._received = 0

    @property
    def head(self) -> Reply | None:
        return Reply(self._status, "", None, self._headers) if self._is_final else None

    def feed(self, received: bytes) -> None:
        """Nothing received means that the other end has closed: an answer that told no length is whole then."""
        self._received += len(received)
        if self._received > MOST_BYTES:
            raise BrokenAnswer(_TOO_LARGE)
        if received:
            self._parser.feed_data(received)
        elif self._is_final and not self._tells_its_end:
            self.whole = True
        else:
            raise BrokenAnswer("the connection was closed before the answer was whole")

    def reply(self) -> Reply:
        content = b"".join(self._parts)
        if self._headers.get("content-encoding") == "gzip":
            content = _unpacked(content)
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


def _unpacked(content: bytes) -> bytes:
    """Raises: BrokenAnswer, zlib.error. A few packed kilobytes may be gigabytes."""
    unpacking = zlib.decompressobj(_GZIP)
    unpacked = unpacking.decompress(content, MOST_BYTES)
    if not unpacking.eof:
        raise BrokenAnswer(_TOO_LARGE if len(unpacked) == MOST_BYTES else "what was packed is not whole")
    return unpacked
