"""From what the socket said to bars in the store: checked, then merged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.events import EventName, Events
from pipeline.exchange.klines import Kline
from pipeline.market.quality import check
from pipeline.market.series import newest_run
from pipeline.market.source import BarStore


@dataclass(frozen=True, slots=True)
class Written:
    """A bar that is in the store now. `bars`: how many there are without a gap, up to the newest."""

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

    def write(self, klines: Iterable[Kline]) -> list[Written]:
        """Returns what could be written. What is refused, or cannot be stored, is missing and asked for again."""
        written = [self._one(kline) for kline in klines]
        return [each for each in written if each is not None]

    def _one(self, kline: Kline) -> Written | None:
        checked = check([kline.row], kline.timeframe, datetime.fromtimestamp(kline.event_ms / 1000, UTC))
        if not len(checked.sound):
            self._refuse(kline, checked.summary or "not over by the exchange's clock")
            return None
        try:
            after = self.store.merge(kline.symbol, kline.timeframe.name, checked.sound, self.keep)
        except StoreUnavailable as problem:
            self._refuse(kline, str(problem))
            return None
        whole = len(newest_run(after, kline.timeframe))
        return Written(kline.symbol, kline.timeframe.name, int(checked.sound.open_time[0]), whole)

    def _refuse(self, kline: Kline, problem: str) -> None:
        self.events.emit(
            EventName.BAR_REFUSED,
            symbol=kline.symbol,
            timeframe=kline.timeframe.name,
            bar=_shown(kline.row),
            problem=problem,
        )


def _shown(row: Sequence[object]) -> str:
    return ", ".join(str(value)[:24] for value in row)
