"""Stage one: which closed bars does this decision see?

Requires: an open decision.
Produces: the candle ranges that the later stages read again; the bars themselves stay in the candle store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.domain.decisions import Advance, Decision, End, StageEnd, StageRecord
from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable, UnknownSymbol
from pipeline.domain.events import EventName, Events
from pipeline.domain.outcomes import EndReason
from pipeline.domain.ports import MarketData
from pipeline.governor.universe import Universe
from pipeline.stages.ports import CandleWindows
from pipeline.stages.running import Conclusion


@dataclass(frozen=True, slots=True)
class Fetch:
    """The fetch stage, called with a decision."""

    market: MarketData
    windows: CandleWindows
    universe: Callable[[], Universe]
    timeframes: tuple[str, ...]
    bars: int
    events: Events

    def __call__(self, decision: Decision, before: StageRecord | None) -> Conclusion:
        try:
            finish = self._look(decision)
        except (ExchangeUnavailable, ExchangeRefused) as error:
            finish = End(EndReason.INSUFFICIENT_DATA, f"the exchange cannot be asked: {error}")
        return lambda unit: finish

    def _look(self, decision: Decision) -> StageEnd:
        outside = self._outside(decision.symbol)
        if outside is not None:
            return outside
        window = self.windows.window(decision.symbol, self.timeframes, self.market.now(), self.bars)
        self.events.emit(
            EventName.DATA_FETCH,
            timeframes=window.summary,
            sources={each.timeframe: each.source for each in window.ranges},
        )
        output = {"ranges": [each.as_record() for each in window.ranges]}
        if window.ok:
            return Advance(output)
        return End(
            EndReason.STALE_CANDLES if window.only_stale else EndReason.INSUFFICIENT_DATA,
            window.detail,
            output,
        )

    def _outside(self, symbol: str) -> End | None:
        if symbol in self.universe().symbols:
            return None
        try:
            instrument = self.market.instruments().find(symbol)
        except UnknownSymbol as error:
            return End(EndReason.SYMBOL_NOT_TRADED, str(error))
        if not instrument.active:
            return End(EndReason.SYMBOL_NOT_TRADED, f"{symbol} is listed, but not open for trading now")
        return End(EndReason.OUTSIDE_UNIVERSE, f"{symbol} is not in the universe; see `throughline universe`")
