"""What an exchange does wrong on a bad day, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

ORDER, TRADES, KLINES = "/fapi/v1/order", "/fapi/v1/userTrades", "/fapi/v1/klines"
GUARD, GUARDS = "/fapi/v1/algoOrder", "/fapi/v1/openAlgoOrders"
FLAVOURS = ("nan", "negative", "high_below_low", "off_grid", "shuffled", "missing", "duplicate")

Fault = Mapping[str, Any]

SENDING: Fault = {"endpoint": ORDER, "method": "POST"}

UNKNOWN: Sequence[Fault] = (
    {"kind": "http_503_unknown"},
    {"kind": "http_503_unknown", "processed": False},
    {"kind": "code_1006"},
    {"kind": "code_1007", "processed": False},
    {"kind": "empty_body"},
    {"kind": "html_body"},
    {"kind": "wrong_json", "processed": False},
    {"kind": "reset_before"},
    {"kind": "reset_after"},
    {"kind": "late_acceptance", "delay_s": 0.8},
    {"kind": "late_acceptance", "delay_s": 2.5},
)
"""Answers that settle nothing: the order may be there, or not."""

SLOW: Sequence[Fault] = (
    {"kind": "timeout_before"},
    {"kind": "timeout_after"},
    {"kind": "latency", "seconds": 0.6, "jitter_s": 0.8},
    {"kind": "latency", "seconds": 1.4, "jitter_s": 0.5},
)
"""The same, and a process waits for each as long as its patience lasts."""

REFUSED: Sequence[Fault] = (
    {"kind": "http_503_unavailable"},
    {"kind": "http_503_internal"},
    {"kind": "code_1008"},
    {"kind": "code_1021"},
)
STOPPED: Sequence[Fault] = (
    {"kind": "code_1015", "retry_after_s": 0.3, "endpoint": ORDER, "method": "POST"},
    {"kind": "code_1003", "retry_after_s": 0.3},
    {"kind": "http_429", "retry_after_s": 0.3},
    {"kind": "http_418", "retry_after_s": 0.3},
)
"""Whoever is told so stops everybody."""


def bad_day(seed: int) -> list[Fault]:
    """The faults of one seed: of sending orders, of asking about them, of their trades, of stops and targets, of all
    the rest.
    """
    dice = random.Random(seed)
    faults: list[Fault] = [
        {**draw(dice, UNKNOWN, 0.02, 0.2), "endpoint": ORDER, "method": "POST"},
        {**draw(dice, UNKNOWN, 0.02, 0.2), "endpoint": ORDER, "method": "POST"},
        {**draw(dice, SLOW, 0.005, 0.03), "endpoint": ORDER, "method": "POST"},
        {**draw(dice, REFUSED, 0.02, 0.2), "endpoint": ORDER, "method": "POST"},
        {"kind": "partial_fill", "fraction": round(dice.uniform(0, 1), 2), "probability": 0.2, **SENDING},
        {"kind": "false_not_found", "probability": round(dice.uniform(0, 0.7), 2), **asking(ORDER)},
        {**draw(dice, (*UNKNOWN[:9], *REFUSED), 0.05, 0.4), "endpoint": ORDER, "method": "GET"},
        {"kind": "repeated_fills", "probability": round(dice.uniform(0, 1), 2), **asking(TRADES)},
        {**draw(dice, (*UNKNOWN[:9], *REFUSED), 0.05, 0.4), "endpoint": TRADES, "method": "GET"},
        {**draw(dice, UNKNOWN, 0.02, 0.15), "endpoint": GUARD, "method": "POST"},
        {**draw(dice, SLOW, 0.002, 0.01), "endpoint": GUARD, "method": "POST"},
        {**draw(dice, REFUSED, 0.02, 0.15), "endpoint": GUARD, "method": "POST"},
        {"kind": "false_not_found", "probability": round(dice.uniform(0, 0.4), 2), **asking(GUARD)},
        {**draw(dice, (*UNKNOWN[:9], *REFUSED), 0.02, 0.2), "endpoint": GUARD, "method": "GET"},
        {**draw(dice, (*UNKNOWN[:9], *REFUSED), 0.02, 0.2), "endpoint": GUARD, "method": "DELETE"},
        {**draw(dice, (*UNKNOWN[:9], *REFUSED), 0.02, 0.2), "endpoint": GUARDS, "method": "GET"},
        {**draw(dice, (*UNKNOWN[:9], *REFUSED), 0.005, 0.05), "endpoint": "/fapi/", "method": "GET"},
        {"endpoint": "/fapi/", "method": "", **draw(dice, STOPPED, 0.0005, 0.002)},
        {"kind": "malformed_candles", "flavour": dice.choice(FLAVOURS), "probability": 0.3, **asking(KLINES)},
    ]
    dice.shuffle(faults)
    return faults


def asking(endpoint: str) -> Fault:
    """Where questions are asked."""
    return {"endpoint": endpoint, "method": "GET"}


def draw(dice: random.Random, kinds: Sequence[Fault], least: float, most: float) -> Fault:
    return {**dice.choice(kinds), "probability": round(dice.uniform(least, most), 4)}
