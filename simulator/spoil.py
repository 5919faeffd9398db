"""Faults that let the exchange answer and then spoil the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from simulator.faults import Fault

Rows = list[list[object]]


def spoilt(body: object, fault: Fault | None) -> object:
    """The answer as the fault leaves it."""
    if fault is None:
        return body
    if fault.name == "repeated_fills" and isinstance(body, list):
        return [row for row in body for _ in range(2)]
    if fault.name == "malformed_candles" and isinstance(body, bytes):
        rows: Rows = orjson.loads(body)
        return spoilt_candles(rows, str(fault.args["flavour"]))
    return body


def spoilt_candles(rows: Rows, flavour: str) -> Rows:
    """Candles with one thing wrong with them, in the middle where nobody looks first."""
    if len(rows) < 3:
        return rows
    return FLAVOURED[flavour](rows, len(rows) // 2)


def _nan(rows: Rows, middle: int) -> Rows:
    rows[middle][4] = "NaN"
    return rows


def _negative(rows: Rows, middle: int) -> Rows:
    rows[middle][3] = f"-{rows[middle][3]}"
    return rows


def _high_below_low(rows: Rows, middle: int) -> Rows:
    row = rows[middle]
    high, low = float(str(row[2])), float(str(row[3]))
    row[2], row[3] = str(min(high, low) * 0.99), str(max(high, low) * 1.01)
    return rows


def _off_grid(rows: Rows, middle: int) -> Rows:
    rows[middle][0] = int(str(rows[middle][0])) + 1234
    return rows


def _shuffled(rows: Rows, middle: int) -> Rows:
    rows[middle - 1], rows[middle] = rows[middle], rows[middle - 1]
    return rows


def _missing(rows: Rows, middle: int) -> Rows:
    return rows[:middle] + rows[middle + 1 :]


def _duplicate(rows: Rows, middle: int) -> Rows:
    return [*rows[: middle + 1], *rows[middle:]]


def spoilt_event(event: dict[str, Any], flavour: str) -> list[dict[str, Any]]:
    """A candle event of a stream, spoilt: what is sent in its place."""
    candle = dict(event["k"])
    if flavour == "missing":
        return []
    if flavour == "duplicate":
        return [event, event]
    if flavour == "nan":
        candle["c"] = "NaN"
    elif flavour == "negative":
        candle["l"] = f"-{candle['l']}"
    elif flavour == "off_grid":
        candle["t"] += 1234
    else:
        candle["h"], candle["l"] = f"{float(candle['l']) * 0.99:f}", f"{float(candle['h']) * 1.01:f}"
    return [event | {"k": candle}]


FLAVOURED: dict[str, Callable[[Rows, int], Rows]] = {
    "nan": _nan,
    "negative": _negative,
    "high_below_low": _high_below_low,
    "off_grid": _off_grid,
    "shuffled": _shuffled,
    "missing": _missing,
    "duplicate": _duplicate,
}
