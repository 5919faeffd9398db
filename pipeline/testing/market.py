"""A clock that stands still, an instrument, and a market that shows what it was given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.instruments import Instrument, Instruments
from pipeline.domain.timeframes import Clock


class FixedClock:
    """Shows the time it was given until it is told otherwise."""

    def __init__(self, at: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)) -> None:
        self._now = at

    def now(self) -> datetime:
        return self._now

    def turn(self, by: timedelta) -> datetime:
        """Move it on, or back; returns the new time."""
        self._now += by
        return self._now

    def set(self, to: datetime) -> None:
        self._now = to


@dataclass(frozen=True, slots=True)
class FakeQuote:
    """Best bid and ask, with their time."""

    bid: Decimal
    ask: Decimal
    occurred_at: datetime


def btc(**changes: object) -> Instrument:
    """An instrument as Binance lists it, with what a test wants different."""
    instrument = Instrument(
        symbol="BTC/USDT:USDT",
        market_id="BTCUSDT",
        base="BTC",
        quote="USDT",
        price_tick=Decimal("0.1"),
        qty_step=Decimal("0.001"),
        min_qty=Decimal("0.001"),
        max_qty=Decimal("1000"),
        min_notional=Decimal("100"),
    )
    return replace(instrument, **changes)  # type: ignore[arg-type]  # names of its own fields


@dataclass(slots=True)
class FakeMarketData:
    """A market that shows what it was given. Set `unavailable` to make every question fail; what was told stays
    known.
    """

    clock: Clock
    known: Instruments = field(default_factory=lambda: Instruments.of([btc()]))
    rows: dict[tuple[str, str], list[list[float]]] = field(default_factory=dict)
    bid: Decimal = Decimal("60000.0")
    ask: Decimal = Decimal("60000.1")
    unavailable: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    traded: dict[str, Decimal] = field(default_factory=dict)

    def instruments(self) -> Instruments:
        self._answer("instruments", "")
        return self.known

    def known_instruments(self) -> Instruments:
        return self.known

    def now(self) -> datetime:
        self._answer("now", "")
        return self.clock.now()

    def bars(self, symbol: str, timeframe: str, since: datetime, limit: int) -> Sequence[Sequence[float]]:
        self._answer("bars", f"{symbol} {timeframe}")
        self.known.find(symbol)
        start = since.timestamp() * 1000
        return [row for row in self.rows.get((symbol, timeframe), []) if row[0] >= start][:limit]

    def quote(self, symbol: str) -> FakeQuote:
        self._answer("quote", symbol)
        self.known.find(symbol)
        return FakeQuote(self.bid, self.ask, self.clock.now())

    def quotes(self) -> dict[str, FakeQuote]:
        self._answer("quotes", "")
        return {symbol: FakeQuote(self.bid, self.ask, self.clock.now()) for symbol in self.known.by_symbol}

    def volumes(self) -> dict[str, Decimal]:
        self._answer("volumes", "")
        return dict(self.traded)

    def _answer(self, question: str, about: str) -> None:
        self.asked.append((question, about))
        if self.unavailable:
            raise ExchangeUnavailable(self.unavailable)
