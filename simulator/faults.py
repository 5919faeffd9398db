"""Faults on demand: what can go wrong, where, how often. `KINDS` is the one table of all of them."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from enum import Enum

from simulator.errors import (
    BACKEND_TIMEOUT,
    BANNED,
    INTERNAL_503,
    NO_SUCH_ORDER,
    OUTSIDE_WINDOW,
    OVERLOADED,
    TOO_MANY_ORDERS,
    TOO_MANY_REQUESTS,
    UNAVAILABLE_503,
    UNEXPECTED_RESPONSE,
    UNKNOWN_503,
    Refusal,
)

ORDER = "/fapi/v1/order"
TRADES = "/fapi/v1/userTrades"
KLINES = "/fapi/v1/klines"
SOCKET = "/"
FLAVOURS = ("nan", "negative", "high_below_low", "off_grid", "shuffled", "missing", "duplicate")
STREAM_FLAVOURS = ("nan", "negative", "high_below_low", "off_grid", "missing", "duplicate")


class Effect(Enum):
    """How a fault acts; the gateway has one function for each."""

    DELAY = "delay"
    SILENCE = "silence"
    RESET = "reset"
    LATE = "late"
    REFUSE = "refuse"
    REPLACE = "replace"
    CHANGE = "change"
    SOCKET = "socket"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that can go wrong.

    `args` are its own fields with their defaults; `endpoint` and `method` hold unless the caller names
    others. `processed` says whether the request takes effect before the fault answers for it; where that is
    among `args`, the caller may choose.
    """

    effect: Effect
    meaning: str
    args: dict[str, Value] = field(default_factory=dict)
    endpoint: str = "/fapi/"
    method: str = ""
    refusal: Refusal | None = None
    processed: bool = False


Value = float | str | bool
HOLD: dict[str, Value] = {"hold_s": 120.0}
UNTOLD: dict[str, Value] = {"retry_after_s": 0.0}
"""The answer does not say how long to wait."""

KINDS: dict[str, Kind] = {
    "latency": Kind(
        Effect.DELAY, "answers late by seconds, plus up to jitter_s", {"seconds": 1.0, "jitter_s": 0.0}
    ),
    "timeout_before": Kind(Effect.SILENCE, "not processed, never answered", HOLD),
    "timeout_after": Kind(Effect.SILENCE, "processed, never answered", HOLD, processed=True),
    "reset_before": Kind(Effect.RESET, "connection reset, not processed"),
    "reset_after": Kind(Effect.RESET, "connection reset after processing", processed=True),
    "late_acceptance": Kind(
        Effect.LATE,
        "connection reset at once, the request is processed delay_s later",
        {"delay_s": 10.0},
        ORDER,
        "POST",
    ),
    "http_503_unknown": Kind(
        Effect.REFUSE, f"503 '{UNKNOWN_503.msg}': outcome unknown", {"processed": True}, refusal=UNKNOWN_503
    ),
    "http_503_unavailable": Kind(
        Effect.REFUSE, f"503 '{UNAVAILABLE_503.msg}': not processed", refusal=UNAVAILABLE_503
    ),
    "http_503_internal": Kind(
        Effect.REFUSE, f"503 '{INTERNAL_503.msg}': not processed", refusal=INTERNAL_503
    ),
    "code_1006": Kind(
        Effect.REFUSE, "-1006, outcome unknown", {"processed": True}, refusal=UNEXPECTED_RESPONSE
    ),
    "code_1007": Kind(Effect.REFUSE, "-1007, outcome unknown", {"processed": True}, refusal=BACKEND_TIMEOUT),
    "code_1008": Kind(Effect.REFUSE, "-1008 overloaded, not processed", refusal=OVERLOADED),
    "code_1021": Kind(Effect.REFUSE, "-1021 outside recvWindow, not processed", refusal=OUTSIDE_WINDOW),
    "code_1003": Kind(
        Effect.REFUSE, "-1003 too many requests, not processed", dict(UNTOLD), refusal=TOO_MANY_REQUESTS
    ),
    "code_1015": Kind(
        Effect.REFUSE, "-1015 too many orders, not processed", dict(UNTOLD), ORDER, "POST", TOO_MANY_ORDERS
    ),
    "http_429": Kind(
        Effect.REFUSE, "429 with Retry-After", {"retry_after_s": 5.0}, refusal=TOO_MANY_REQUESTS
    ),
    "http_418": Kind(Effect.REFUSE, "418 with Retry-After", {"retry_after_s": 120.0}, refusal=BANNED),
    "false_not_found": Kind(Effect.REFUSE, "-2013 for an order that exists", {}, ORDER, "GET", NO_SUCH_ORDER),
    "empty_body": Kind(Effect.REPLACE, "200 with an empty body", {"processed": True, "body": ""}),
    "html_body": Kind(
        Effect.REPLACE,
        "200 with an HTML page",
        {
            "processed": True,
            "body": "<html><head><title>Maintenance</title></head><body>Back soon</body></html>",
        },
    ),
    "wrong_json": Kind(
        Effect.REPLACE, "200 with JSON cut in the middle", {"processed": True, "body": '{"orderId":12,"sym'}
    ),
    "partial_fill": Kind(
        Effect.CHANGE, "IOC and market orders get only this fraction", {"fraction": 0.4}, ORDER, "POST"
    ),
    "repeated_fills": Kind(Effect.CHANGE, "each trade is listed twice", {}, TRADES, "GET"),
    "malformed_candles": Kind(
        Effect.CHANGE,
        f"spoilt candles; flavour is one of {', '.join(FLAVOURS)}",
        {"flavour": "nan"},
        KLINES,
        "GET",
    ),
    "drop_socket": Kind(Effect.SOCKET, "WebSocket connections are cut", {}, SOCKET, "GET"),
    "mute_socket": Kind(
        Effect.SOCKET,
        "WebSocket connections stay open and silent for seconds",
        {"seconds": 60.0},
        SOCKET,
        "GET",
    ),
    "malformed_stream": Kind(
        Effect.STREAM,
        f"closed candles of the sockets are spoilt; flavour is one of {', '.join(STREAM_FLAVOURS)}",
        {"flavour": "nan"},
        SOCKET,
        "GET",
    ),
}

ON_SOCKETS = {Effect.SOCKET, Effect.STREAM}
COMMON = ("kind", "endpoint", "method", "symbol", "probability", "count")


class BadFault(Exception):
    """The fault asked for does not exist or has a wrong field; the text names what exists."""


@dataclass(slots=True)
class Fault:
    """One fault that was set. `left` is how often it may still strike, None without end."""

    fault_id: int
    name: str
    endpoint: str
    method: str
    symbol: str
    probability: float
    left: int | None
    args: dict[str, Value]
    struck: int = 0

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    def number(self, name: str) -> float:
        return float(self.args[name])

    @property
    def processed(self) -> bool:
        """Whether the request takes effect before the fault answers for it."""
        return bool(self.args.get("processed", self.kind.processed))

    def fits(self, method: str, path: str, symbol: str) -> bool:
        return (
            path.startswith(self.endpoint)
            and self.method in {"", method}
            and self.symbol in {"", symbol}
            and self.left != 0
        )

    def as_dict(self) -> dict[str, object]:
        return {
            "id": self.fault_id,
            "kind": self.name,
            "endpoint": self.endpoint,
            "method": self.method,
            "symbol": self.symbol,
            "probability": self.probability,
            "left": self.left,
            "struck": self.struck,
            **self.args,
        }


class FaultBoard:
    """The faults that are set, and the dice they are thrown with."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._faults: list[Fault] = []
        self._next_id = 1

    def __bool__(self) -> bool:
        return bool(self._faults)

    def reseed(self, seed: int) -> None:
        """Throw the dice of this seed from now on."""
        self._dice = random.Random(seed)

    def add(self, wanted: dict[str, object]) -> Fault:
        """Raises: BadFault naming the field and what is possible."""
        fault = parse_fault(wanted, self._next_id)
        self._next_id += 1
        self._faults.append(fault)
        return fault

    def listed(self) -> list[dict[str, object]]:
        return [fault.as_dict() for fault in self._faults]

    def clear(self, fault_id: int | None = None) -> int:
        """Take one fault back, or all; how many it were is the answer."""
        kept = [] if fault_id is None else [fault for fault in self._faults if fault.fault_id != fault_id]
        gone = len(self._faults) - len(kept)
        self._faults = kept
        return gone

    def strike(self, method: str, path: str, symbol: str) -> Fault | None:
        """The first fault that fits and whose dice fall so; it is counted."""
        for fault in self._faults:
            if fault.kind.effect not in ON_SOCKETS and self._hits(fault, method, path, symbol):
                return fault
        return None

    def strike_socket(self, effect: Effect, path: str, symbols: set[str]) -> Fault | None:
        """The same for a connection that carries some symbols, or for one event on it."""
        for fault in self._faults:
            symbol = fault.symbol if fault.symbol in symbols else ""
            if fault.kind.effect is effect and self._hits(fault, "GET", path, symbol):
                return fault
        return None

    def _hits(self, fault: Fault, method: str, path: str, symbol: str) -> bool:
        if not fault.fits(method, path, symbol):
            return False
        if fault.probability < 1 and self._dice.random() >= fault.probability:
            return False
        fault.struck += 1
        if fault.left is not None:
            fault.left -= 1
        return True

    def jitter(self, seconds: float) -> float:
        return self._dice.random() * seconds


def parse_fault(wanted: dict[str, object], fault_id: int) -> Fault:
    name = str(wanted.get("kind", ""))
    if name not in KINDS:
        raise BadFault(f"unknown kind '{name}'; there are: {', '.join(KINDS)}")
    kind = KINDS[name]
    unknown = [key for key in wanted if key not in COMMON and key not in kind.args]
    if unknown:
        raise BadFault(f"{name} has no field '{unknown[0]}'; it has: {', '.join([*COMMON, *kind.args])}")
    flavours = STREAM_FLAVOURS if kind.effect is Effect.STREAM else FLAVOURS
    flavour = wanted.get("flavour", flavours[0])
    if flavour not in flavours:
        raise BadFault(f"unknown flavour {flavour!r}; there are: {', '.join(flavours)}")
    probability = parse_number("probability", wanted.get("probability", 1.0), 0.0, 1.0)
    count = wanted.get("count")
    left = None if count is None else int(parse_number("count", count, 1, 1e9))
    return Fault(
        fault_id,
        name,
        parse_text("endpoint", wanted.get("endpoint", kind.endpoint)),
        parse_text("method", wanted.get("method", kind.method)).upper(),
        parse_text("symbol", wanted.get("symbol", "")).upper().removesuffix(":USDT").replace("/", ""),
        probability,
        left,
        {key: parse_arg(key, wanted.get(key, default), default) for key, default in kind.args.items()},
    )


def parse_arg(name: str, value: object, default: Value) -> Value:
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise BadFault(f"{name} must be true or false, got {value!r}")
        return value
    if isinstance(default, float):
        return parse_number(name, value, 0.0, 1.0 if name == "fraction" else 86_400.0)
    return parse_text(name, value)


def parse_number(name: str, value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise BadFault(f"{name} must be a number, got {value!r}")
    if not low <= value <= high:
        raise BadFault(f"{name} must be from {low:g} to {high:g}, got {value:g}")
    return float(value)


def parse_text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadFault(f"{name} must be a text, got {value!r}")
    return value
