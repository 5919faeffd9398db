"""A page that asks who is there."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

USER = "throughline"


def login(password: str) -> str:
    """What the header `Authorization` has to say."""
    return "Basic " + b64encode(f"{USER}:{password}".encode()).decode()


def guarded(page: WSGIApplication, password: str) -> WSGIApplication:
    """The page, for those who say the password; 401 for the others."""
    opens = login(password).encode()

    def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if hmac.compare_digest(str(environ.get("HTTP_AUTHORIZATION", "")).encode(), opens):
            return page(environ, start)
        start("401 Unauthorized", [("WWW-Authenticate", 'Basic realm="metrics"')])
        return [b""]

    return answer
