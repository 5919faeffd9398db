"""Everything that the simulated exchange can do wrong to an order, done to orders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.fault.accidents import Traffic, until
from tests.fault.audit.evidence import market_of
from tests.fault.rehearsal import Rehearsal, rehearsal

ORDER, TRADES, GUARD = "/fapi/v1/order", "/fapi/v1/userTrades", "/fapi/v1/algoOrder"
OWN: Mapping[str, Mapping[str, Any]] = {
    "latency": {"seconds": 2.5},  # longer than the receive window and than our patience
    "late_acceptance": {"delay_s": 1.5},
    "http_429": {"retry_after_s": 0.5},  # everybody waits as long
    "http_418": {"retry_after_s": 0.5},
    "code_1003": {"retry_after_s": 0.5},
    "code_1015": {"retry_after_s": 0.5},
    "partial_fill": {"fraction": 0.4},
}
MOST_OPEN = 12
"""Decisions at a time: each of them holds a process for as long as it waits for its answer."""
ON_SOCKETS = frozenset({"drop_socket", "mute_socket", "malformed_stream"})
"""No order travels there: what they do to candles is tested where candles are."""


@pytest.fixture(scope="module")
def on() -> Iterator[Rehearsal]:
    with rehearsal(seed=11, symbols=70) as made:
        made.start()
        with made.beat():
            yield made


def test_no_fault_of_the_exchange_doubles_an_order_or_loses_one(on: Rehearsal) -> None:
    """Each kind strikes one order, then the first question about it; a stop; and once more the list of its trades."""
    kinds = [each["kind"] for each in on.control("faults", None, "GET")["kinds"]]
    kinds = [kind for kind in kinds if kind not in ON_SOCKETS]
    markets = iter(on.symbols)
    for kind in kinds:
        symbol = next(markets)
        if kind == "false_not_found":
            strike(on, symbol, "timeout_after", endpoint=ORDER, method="POST", count=1)
        strike(on, symbol, kind, endpoint=ORDER, method="", count=2)
    for kind in kinds:
        if kind not in {"partial_fill", "late_acceptance", "malformed_candles", "false_not_found"}:
            strike(on, next(markets), kind, endpoint=TRADES, method="GET", count=2)
            strike(on, next(markets), kind, endpoint=GUARD, method="POST", count=1)
    traffic = Traffic(on)
    steps = (lambda: traffic.keep(MOST_OPEN),)
    assert until(lambda: not on.quiet_faults(), steps, 150), f"never struck: {on.quiet_faults()}"
    on.drain(60)
    assert on.audit() == []


def strike(on: Rehearsal, symbol: str, kind: str, **where: Any) -> None:
    """Where a kind has a place of its own, it strikes there."""
    if kind in {"false_not_found", "repeated_fills", "malformed_candles"}:
        where = {"count": where["count"]}
    on.chain.fault(kind, symbol=market_of(symbol), **where, **OWN.get(kind, {}))
