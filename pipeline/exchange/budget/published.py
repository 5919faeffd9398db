"""The limits that the exchange publishes beside its instruments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from pipeline.exchange.budget.rules import NO_LIMIT, RateLimits

_LIMITS = re.compile(r'"rateLimits"\s*:\s*(\[[^\]]*\])')
_SECONDS = {"SECOND": 1, "MINUTE": 60}


def published_limits(exchange_info: str) -> RateLimits:
    """The limits in the text of an exchangeInfo answer; what it does not name counts as no limit.

    Only the piece that names them is parsed: the whole is a megabyte, and ccxt has parsed it already.
    """
    found = _LIMITS.search(exchange_info)
    try:
        told = orjson.loads(found[1]) if found else []
    except orjson.JSONDecodeError:
        told = []
    limits = {_of(each): each["limit"] for each in _usable(told)}
    return RateLimits(
        weight_1m=limits.get(("REQUEST_WEIGHT", 60), NO_LIMIT),
        orders_10s=limits.get(("ORDERS", 10), NO_LIMIT),
        orders_1m=limits.get(("ORDERS", 60), NO_LIMIT),
    )


def _usable(told: Iterable[object]) -> Iterable[Mapping[str, Any]]:
    for each in told:
        if isinstance(each, dict) and isinstance(each.get("limit"), int) and each["limit"] > 0:
            yield each


def _of(limit: Mapping[str, Any]) -> tuple[str, int]:
    seconds = _SECONDS.get(str(limit.get("interval")), 0) * int(limit.get("intervalNum") or 0)
    return str(limit.get("rateLimitType")), seconds
