"""Where each exchange writes its own word for what happened: the code and the text of an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.exchange.replies import Reply


@dataclass(frozen=True, slots=True)
class Words:
    """The exchange's own code and text. An empty `code` means that it complains about nothing."""

    code: str = ""
    text: str = ""


ReadWords = Callable[[Reply], Words]


def binance(reply: Reply) -> Words:
    """`{"code": -2019, "msg": "Margin is insufficient."}`, whatever the HTTP status."""
    return Words(_text(_member(reply.data, "code")), _text(_member(reply.data, "msg")))


def bybit(reply: Reply) -> Words:
    """`{"retCode": 110007, "retMsg": "ab not enough for new order", ...}` under HTTP 200; 0 is no complaint."""
    code = _text(_member(reply.data, "retCode"))
    return Words() if code == "0" else Words(code, _text(_member(reply.data, "retMsg")))


def okx(reply: Reply) -> Words:
    """`{"code": "1", "data": [{"sCode": "51008", "sMsg": "..."}]}`: the order's own code stands inside."""
    rows = _member(reply.data, "data")
    first = rows[0] if isinstance(rows, list) and rows else None
    inner, outer = _text(_member(first, "sCode")), _text(_member(reply.data, "code"))
    if inner not in {"", "0"}:
        return Words(inner, _text(_member(first, "sMsg")))
    return Words() if outer == "0" else Words(outer, _text(_member(reply.data, "msg")))


def kraken(reply: Reply) -> Words:
    """`{"error": ["EOrder:Insufficient funds"]}` under HTTP 200. Several errors at once are one unlisted word."""
    told = _member(reply.data, "error")
    errors = [str(each) for each in told] if isinstance(told, list) else []
    return Words(", ".join(errors))


def _member(data: object, key: str) -> object:
    return data.get(key) if isinstance(data, dict) else None


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
