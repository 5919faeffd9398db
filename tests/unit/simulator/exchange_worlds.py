"""A small exchange for unit tests: prices that the test says, a clock that it moves, one rich account."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from simulator.account import Account
from simulator.bars import INTERVALS, Bar, Bars, aggregated, make_bars
from simulator.clock import MINUTE_MS, SimClock
from simulator.engine import Engine
from simulator.instruments import Instrument
from simulator.journal import Journal
from simulator.market import Market
from simulator.orders import AlgoOrder, Order, OrderRequest, OrderType, Side, TimeInForce
from simulator.sweeper import Sweeper

START_MS = 1_700_000_040_000 // MINUTE_MS * MINUTE_MS
SYMBOL = "TESTUSDT"
TEST = Instrument(SYMBOL, "TEST", Decimal("0.1"), Decimal("0.01"), Decimal(100), 0.001, 10_000.0)


class ScriptedSeries:
    """One-minute bars from the closes that a test gives; flat afterwards."""

    base_ms = MINUTE_MS
    first_ms = START_MS
    freeze_ms: int | None = None
    intervals = frozenset(INTERVALS.values())

    def __init__(self, closes: list[float]) -> None:
        ticks = [round(price * 10) for price in [*closes, *[closes[-1]] * 2000]]
        opens = np.array([ticks[0], *ticks[:-1]], np.int32)
        close = np.array(ticks, np.int32)
        times = START_MS + np.arange(len(ticks), dtype=np.int64) * MINUTE_MS
        volume = np.ones(len(ticks), np.float32)
        self._bars = make_bars(
            times, (opens, np.maximum(opens, close), np.minimum(opens, close), close), volume
        )

    def bars(self, interval_ms: int, start_ms: int, end_ms: int) -> Bars:
        return aggregated(self._bars.between(start_ms, end_ms), interval_ms)

    def base_bar(self, at_ms: int) -> Bar:
        return self._bars.bar(min((at_ms - START_MS) // MINUTE_MS, len(self._bars) - 1))


@dataclass(frozen=True, slots=True)
class Scripted:
    """The source of scripted prices, the same for each symbol."""

    closes: list[float]

    def series(self, instrument: Instrument) -> ScriptedSeries:
        return ScriptedSeries(self.closes)


class Desk:
    """An exchange and a trader in front of it."""

    def __init__(self, closes: list[float] | None = None, balance: str = "100000") -> None:
        self.now_ms = START_MS
        self.journal = Journal(SimClock(START_MS))
        self.market = Market((TEST,), Scripted(closes or [100.0]))
        self.engine = Engine(self.market, self.journal)
        self.sweeper = Sweeper(self.engine, START_MS)
        self.account: Account = self.engine.open_account("key", "secret", Decimal(balance), START_MS)

    def order(self, **wanted: Any) -> Order:
        return self.engine.place(self.account, request(**wanted), self.now_ms)

    def algo(self, **wanted: Any) -> AlgoOrder:
        return self.engine.place_algo(self.account, request(**wanted), self.now_ms)

    def wait(self, minutes: float) -> None:
        """Let time pass; orders follow."""
        self.now_ms += int(minutes * MINUTE_MS)
        self.sweeper.advance(self.now_ms)
        self.sweeper.liquidate(self.now_ms)

    @property
    def held(self) -> Decimal:
        return self.account.held(SYMBOL)

    def kinds(self) -> list[object]:
        return [entry["kind"] for entry in self.journal.read(0, 1000)]


_numbers = iter(range(10**9))


def request(
    side: str = "BUY",
    kind: str = "MARKET",
    qty: str = "1",
    price: str | None = None,
    tif: str = "GTC",
    **more: Any,
) -> OrderRequest:
    """An order request; client ids are fresh unless the test names one."""
    fields: dict[str, Any] = {"client_id": f"order-{next(_numbers)}", **more}
    if "trigger" in fields:
        fields["trigger"] = Decimal(str(fields["trigger"]))
    return OrderRequest(
        symbol=SYMBOL,
        side=Side(side),
        type=OrderType(kind),
        qty=Decimal(qty),
        price=None if price is None else Decimal(price),
        time_in_force=TimeInForce(tif),
        **fields,
    )
