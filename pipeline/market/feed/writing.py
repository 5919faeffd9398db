"""From what the socket said to bars in the store: checked one by one, written many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.events import EventName, Events
from pipeline.exchange.klines import Kline
from pipeline.market.quality import check_each
from pipeline.market.source import BarStore
from pipeline.market.updates import Update
from pipeline.strategies.candles import Candles


@dataclass(frozen=True, slots=True)
class Written:
    """A bar that is in the store now. `bars`: how many of its series are."""

    symbol: str
    timeframe: str
    open_ms: int
    bars: int


@dataclass(frozen=True, slots=True)
class Writer:
    """Blocks while it works: to be called in a thread of its own."""

    store: BarStore
    keep: int
    events: Events

    def write(self, klines: Sequence[Kline]) -> list[Written]:
        """Returns what could be written. What is refused, or cannot be stored, is missing and asked for again."""
        good = self._checked(klines)
        try:
            stored = self.store.update([update for _, update in good], self.keep) if good else []
        except StoreUnavailable as problem:
            for kline, _ in good:
                self._refuse(kline, str(problem))
            return []
        return [
            Written(update.symbol, update.timeframe, int(update.candles.open_time[0]), len(each.candles))
            for (_, update), each in zip(good, stored, strict=True)
        ]

    def _checked(self, klines: Sequence[Kline]) -> list[tuple[Kline, Update]]:
        """Closed is what the exchange says to be closed, when its own clock agrees."""
        good = []
        verdicts = check_each(
            [each.row for each in klines],
            [each.timeframe for each in klines],
            [each.event_ms for each in klines],
        )
        for kline, verdict in zip(klines, verdicts, strict=True):
            if isinstance(verdict, Candles):
                good.append((kline, Update(kline.symbol, kline.timeframe.name, verdict)))
            else:
                self._refuse(kline, verdict.flaw if verdict else "not over by the exchange's clock")
        return good

    def _refuse(self, kline: Kline, problem: str) -> None:
        self.events.emit(
            EventName.BAR_REFUSED,
            symbol=kline.symbol,
            timeframe=kline.timeframe.name,
            bar=", ".join(str(value)[:24] for value in kline.row),
            problem=problem,
        )
