"""Where every request leaves: one request is one request, and in mode paper it goes to the simulated exchange."""

from __future__ import annotations

import logging
import os
import re
import time
import weakref
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pipeline.domain.events import Area, EventName
from pipeline.domain.timing import timed
from pipeline.exchange.budget.gate import Gate, Leave
from pipeline.exchange.budget.ports import Unlimited
from pipeline.exchange.connection import Connection, NotSent, connect
from pipeline.exchange.replies import Reply
from pipeline.trace.events import LoggedEvents

KEPT_AT_MOST = 8
"""Connections to one place that nobody uses just now."""
_ALWAYS = "Accept: */*\r\nAccept-Encoding: gzip\r\nUser-Agent: throughline"
_SECRETS_IN_QUERY = re.compile(r"(signature|listenKey)=[^&\s\"')]+")


class Transport:
    """Sends each request once, over connections of this process only, diverted to `base_url` if there is one.

    It is the one place through which every request leaves, so the rate budget stands here, at the `gate`. It follows
    no redirect (a redirected POST is a second request), takes no proxy from outside and keeps no cookies.
    """

    def __init__(
        self,
        base_url: str = "",
        gate: Gate | None = None,
        timeout_s: float = 8.0,
        public_timeout_s: float | None = None,
    ) -> None:
        """`public_timeout_s` is for what only reads public data: a late price is worth less than a free worker.

        Raises: ValueError when `base_url` is no http address.
        """
        if base_url and urlsplit(base_url).scheme not in {"http", "https"}:
            raise ValueError(f"'{base_url}' is not an address; write it as http://host:port")
        self._diverted, self._prefix = _divided(base_url.rstrip("/"))
        self._gate = gate or Gate(Unlimited())
        self.timeout_s = timeout_s
        self._public_timeout_s = public_timeout_s
        self._idle: dict[str, list[Connection]] = {}
        self._pid = os.getpid()
        weakref.finalize(self, _close_all, self._idle)

    def send(self, method: str, url: str, headers: Mapping[str, str], body: str | None = None) -> Reply:
        """Raises: Held when the budget does not let it leave; NotSent; what `Connection.ask` raises."""
        self._leave_the_parents_connections()
        origin, target = _divided(url)
        origin = self._diverted or origin
        request = _message(method, origin, self._prefix + target, headers, body)
        leave = self._gate.leave(method, target, body)
        timeout_s = (self._public_timeout_s if leave.public else None) or self.timeout_s
        began = time.perf_counter()
        with timed("exchange"):
            reply = self._answer(origin, request, timeout_s, leave)
        _debug(leave.what, reply, time.perf_counter() - began)
        self._gate.came_back(leave, reply)
        return reply

    def _answer(self, origin: str, request: bytes, timeout_s: float, leave: Leave) -> Reply:
        """`timeout_s` is for all of it, the opening of a connection included."""
        until = time.monotonic() + timeout_s
        idle = self._idle.setdefault(origin, [])
        connection = _usable(idle) or connect(origin, timeout_s)
        try:
            return connection.ask(request, until - time.monotonic())
        except Exception:
            if connection.head is not None:  # what it says of limits counts, whatever became of the rest
                self._gate.came_back(leave, connection.head)
            raise
        finally:
            if connection.reusable and len(idle) < KEPT_AT_MOST:
                idle.append(connection)
            else:
                connection.close()

    def _leave_the_parents_connections(self) -> None:
        """A forked child that wrote to its parent's socket could read the answer to another's order."""
        if os.getpid() != self._pid:
            self._pid = os.getpid()
            _close_all(self._idle)  # of this process: its parent's stay open


def _close_all(idle: dict[str, list[Connection]]) -> None:
    while idle:
        for connection in idle.popitem()[1]:
            connection.close()


def _divided(url: str) -> tuple[str, str]:
    """`https://host` and `/path?query` of a URL."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}" if host else "", slash + path


def _usable(idle: list[Connection]) -> Connection | None:
    """The connection used last, if its other end has not closed it meanwhile. Other threads take from the list too."""
    while idle:
        try:
            connection = idle.pop()
        except IndexError:
            break
        if connection.is_quiet:
            return connection
        connection.close()
    return None


def _message(method: str, origin: str, target: str, headers: Mapping[str, str], body: str | None) -> bytes:
    """Raises: NotSent when a line of it would be two, or is no plain text."""
    content = (body or "").encode()
    lines = [f"{method} {target} HTTP/1.1", f"Host: {origin.partition('://')[2]}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if method != "GET":
        lines.append(f"Content-Length: {len(content)}")
    written = "".join(lines)
    if " " in target or not (written.isascii() and written.isprintable()):
        raise NotSent("its address or a header cannot be written into a request")
    return "\r\n".join((*lines, _ALWAYS, "\r\n")).encode() + content


def _debug(what: str, reply: Reply, took_s: float) -> None:
    """Without the query: it has a signature in it."""
    events = LoggedEvents()
    if events.wants(Area.EXCHANGE):
        data = {"status": reply.status, "ms": round(took_s * 1000, 1), "bytes": len(reply.body)}
        events.emit(EventName.DEBUG, area=Area.EXCHANGE.value, what=what, data=data)


def innermost(error: BaseException) -> str:
    """The lowest cause of a failed request in one line, without its signature."""
    while (below := error.__cause__ or error.__context__) is not None:
        error = below
    text = " ".join(str(error).split()) or type(error).__name__
    return _SECRETS_IN_QUERY.sub(r"\1=***", text)[:200]


class Redacted(logging.Filter):
    """ccxt logs request headers at DEBUG, the API key among them: this takes secrets out of what it logs."""

    def __init__(self, *secrets: str) -> None:
        super().__init__()
        self._secrets = [secret for secret in secrets if secret]

    def filter(self, record: logging.LogRecord) -> bool:
        text = _SECRETS_IN_QUERY.sub(r"\1=***", record.getMessage())
        for secret in self._secrets:
            text = text.replace(secret, "***")
        record.msg, record.args = text, ()
        return True


def redacting_logger(*secrets: str) -> Any:
    """The logger that ccxt is given instead of its own."""
    logger = logging.getLogger("throughline.ccxt")
    for old in [known for known in logger.filters if isinstance(known, Redacted)]:
        logger.removeFilter(old)
    logger.addFilter(Redacted(*secrets))
    return logger
