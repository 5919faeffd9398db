"""Who is asking: API key, signature, timestamp and receive window."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from simulator import errors
from simulator.account import Account
from simulator.errors import ApiError
from simulator.params import Params

DEFAULT_WINDOW_MS = 5000
MAX_WINDOW_MS = 60_000
AHEAD_MS = 1000


def signing_account(accounts: Mapping[str, Account], api_key: str | None) -> Account:
    """The account of the X-MBX-APIKEY header. Raises: ApiError -2014, -2015."""
    if not api_key or not api_key.isascii() or " " in api_key:
        raise ApiError(errors.BAD_KEY_FORMAT)
    account = accounts.get(api_key)
    if account is None:
        raise ApiError(errors.UNKNOWN_KEY)
    return account


def check_signature(account: Account, query: str, body: str) -> None:
    """HMAC-SHA256 over query and body as sent, less the signature. Raises: ApiError -1102, -1022."""
    payload, signature = split_signature(query, body)
    if signature is None:
        raise ApiError(errors.MISSING_PARAMETER, "signature")
    expected = hmac.digest(account.api_secret, payload.encode(), "sha256").hex()
    if not hmac.compare_digest(expected.encode(), signature.lower().encode()):
        raise ApiError(errors.BAD_SIGNATURE)


def split_signature(query: str, body: str) -> tuple[str, str | None]:
    """The text that was signed, and the signature."""
    signature: str | None = None
    kept: list[str] = []
    for text in (query, body):
        if "signature=" not in text:
            kept.append(text)
            continue
        parts = text.split("&")
        signature = next((part[10:] for part in parts if part.startswith("signature=")), signature)
        kept.append("&".join(part for part in parts if not part.startswith("signature=")))
    return "".join(kept), signature


def check_time(params: Params, now_ms: int, speed: float) -> None:
    """The timestamp must lie inside the receive window before now, and not a second ahead.

    Both grow with the speed of the clock: a request travels in real time.
    Raises: ApiError -1021, -1102, -1131.
    """
    window = params.whole("recvWindow") or DEFAULT_WINDOW_MS
    if not 0 < window <= MAX_WINDOW_MS:
        raise ApiError(errors.BAD_RECV_WINDOW)
    timestamp = params.whole("timestamp")
    if timestamp is None:
        raise ApiError(errors.MISSING_PARAMETER, "timestamp")
    stretch = max(1.0, speed)
    if timestamp >= now_ms + AHEAD_MS * stretch:
        raise ApiError(errors.AHEAD_OF_SERVER)
    if now_ms - timestamp > window * stretch:
        raise ApiError(errors.OUTSIDE_WINDOW)
