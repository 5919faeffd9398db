"""From what the socket said to bars in the store: checked one by one, written many at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.events import EventName, Events
from pipeline.exchange.klines import Kline
from pipeline.market.quality import check
from pipeline.market.source import BarStore
from pipeline.market.updates import Update


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
        checked = [(kline, self._update(kline)) for kline in klines]
        good = [(kline, update) for kline, update in checked if update is not None]
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

    def _update(self, kline: Kline) -> Update | None:
        """Closed is what the exchange says to be closed, when its own clock agrees."""
        at = datetime.fromtimestamp(kline.event_ms / 1000, UTC)
        checked = check([kline.row], kline.timeframe, at)
        if len(checked.sound):
            return Update(kline.symbol, kline.timeframe.name, checked.sound)
        self._refuse(kline, checked.summary or "not over by the exchange's clock")
        return None

    def _refuse(self, kline: Kline, problem: str) -> None:
        self.events.emit(
            EventName.BAR_REFUSED,
            symbol=kline.symbol,
            timeframe=kline.timeframe.name,
            bar=", ".join(str(value)[:24] for value in kline.row),
            problem=problem,
        )
