"""The HTTP session underneath ccxt: one request is one request, and in mode paper it goes to the
simulated exchange.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

from pipeline.domain.events import Area, EventName
from pipeline.domain.timing import timed
from pipeline.exchange.budget.gate import Gate
from pipeline.exchange.budget.ports import Unlimited
from pipeline.trace.events import LoggedEvents

_SECRETS_IN_QUERY = re.compile(r"(signature|listenKey)=[^&\s\"')]+")


class Transport(HTTPAdapter):
    """Sends each request once, over connections of this process only, diverted to `base_url` if there is one.

    It is the one place through which every request leaves, so the rate budget stands here, at the `gate`.

    ccxt picks its table of errors by the real host's name, so the URL it signs stays the real one; only
    the address that is dialled changes.
    """

    def __init__(
        self, base_url: str = "", gate: Gate | None = None, public_timeout_s: float | None = None
    ) -> None:
        """`public_timeout_s` is for what only reads public data: a late price is worth less than a free worker."""
        self._base_url = base_url.rstrip("/")
        self._gate = gate or Gate(Unlimited())
        self._public_timeout_s = public_timeout_s
        self._pid = os.getpid()
        super().__init__(max_retries=0, pool_connections=2, pool_maxsize=8)

    def send(  # noqa: PLR0917 -- the signature of requests
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True,
        cert: str | tuple[str, str] | None = None,
        proxies: dict[str, str] | None = None,
    ) -> requests.Response:
        """Raises: Held when the budget does not let it leave; what requests raises."""
        self._leave_the_parents_connections()
        if self._base_url:
            request.url = self._base_url + request.path_url
        leave = self._gate.leave(request)
        if leave.public and self._public_timeout_s is not None:
            timeout = self._public_timeout_s
        with timed("exchange"):
            response = super().send(request, stream, timeout, verify, cert, proxies)
        _debug(request, response)
        self._gate.came_back(leave, response)
        return response

    def _leave_the_parents_connections(self) -> None:
        """A forked child that wrote to its parent's socket could read the answer to another's order."""
        if os.getpid() != self._pid:
            self._pid = os.getpid()
            self.init_poolmanager(2, 8)


def _debug(request: requests.PreparedRequest, response: requests.Response) -> None:
    """Without the query: it has a signature in it."""
    events = LoggedEvents()
    if events.wants(Area.EXCHANGE):
        data = {
            "status": response.status_code,
            "ms": round(response.elapsed.total_seconds() * 1000, 1),
            "bytes": len(response.content),
        }
        what = f"{request.method} {urlsplit(request.url or '').path}"
        events.emit(EventName.DEBUG, area=Area.EXCHANGE.value, what=str(what), data=data)


class Session(requests.Session):
    """What ccxt takes for a session of requests: no retries, no redirects (a redirected POST is a second request),
    no proxy from outside, no cookies.

    It hands each request straight to the transport. Merging settings, hooks and cookies that there are none of
    costs `requests` as much CPU as the request itself.
    """

    def request(  # type: ignore[override]  # the part of it that ccxt uses
        self,
        method: str,
        url: str,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        verify: bool | str = True,
        **_unused: object,
    ) -> requests.Response:
        """Raises: Held when the budget does not let it leave; what requests raises."""
        request = requests.PreparedRequest()
        request.method, request.url, request.body = method, url, data
        request.headers = CaseInsensitiveDict(headers)
        request.prepare_content_length(data)
        response = self.get_adapter(url).send(request, timeout=timeout, verify=verify)
        if response.is_redirect:
            response.close()
            raise requests.TooManyRedirects("the exchange answered with a redirect", response=response)
        return response


def open_session(
    base_url: str = "", gate: Gate | None = None, public_timeout_s: float | None = None
) -> requests.Session:
    """A session for ccxt.

    Raises: ValueError when `base_url` is no http address.
    """
    if base_url and urlsplit(base_url).scheme not in {"http", "https"}:
        raise ValueError(f"'{base_url}' is not an address; write it as http://host:port")
    session = Session()
    transport = Transport(base_url, gate, public_timeout_s)
    session.mount("https://", transport)
    session.mount("http://", transport)
    return session


def never_left(error: BaseException | None) -> bool:
    """Whether the connection could not even be opened, so that no byte of the request left this machine."""
    while error is not None:
        inner = error.args[0] if error.args else None
        reason = inner.reason if isinstance(inner, MaxRetryError) else inner
        if isinstance(reason, NewConnectionError | ConnectTimeoutError):
            return True
        error = error.__cause__ or error.__context__
    return False


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
