"""Stage one: which closed bars does this decision see?

Requires: an open decision.
Produces: the candle ranges that the later stages read again; the bars themselves stay in the candle store.
          A scheduled pass over bars that were judged already ends here, naming the decision that did.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from pipeline.domain.decisions import Advance, Decision, End, StageEnd, StageRecord
from pipeline.domain.errors import BarsPending, ExchangeRefused, ExchangeUnavailable, UnknownSymbol
from pipeline.domain.events import Area, EventName, Events
from pipeline.domain.ids import DecisionId
from pipeline.domain.outcomes import EndReason
from pipeline.domain.ports import MarketData, Unit
from pipeline.governor.universe import Universe
from pipeline.stages.ports import CandleWindows, Window
from pipeline.stages.running import Conclusion


@dataclass(frozen=True, slots=True)
class Fetch:
    """The fetch stage, called with a decision.

    `unchanged_for`: how long ago a judgement over the same bars may have been enqueued; longer than the
    newest bar stays the newest. None judges the same bars again in every pass.
    """

    market: MarketData
    windows: CandleWindows
    universe: Callable[[], Universe]
    timeframes: tuple[str, ...]
    bars: int
    events: Events
    unchanged_for: timedelta | None = None

    def __call__(self, decision: Decision, before: StageRecord | None) -> Conclusion:
        try:
            seen = self._outside(decision.symbol) or self._window(decision.symbol)
        except (ExchangeUnavailable, ExchangeRefused) as error:
            seen = End(EndReason.INSUFFICIENT_DATA, f"the exchange cannot be asked: {error}")
        if isinstance(seen, End):
            end = seen
            return lambda unit: end
        window, output = seen, _output(seen)
        return lambda unit: self._conclude(unit, decision, window, output)

    def _window(self, symbol: str) -> Window:
        window = self.windows.window(symbol, self.timeframes, self.market.now(), self.bars)
        self._tell(window)
        if window.pending:
            raise BarsPending(f"{symbol}: {window.detail}")
        return window

    def _tell(self, window: Window) -> None:
        self.events.emit(
            EventName.DATA_FETCH,
            timeframes=window.summary,
            sources={each.timeframe: each.source for each in window.ranges},
        )
        if self.events.wants(Area.FETCH):
            self.events.emit(EventName.DEBUG, area=Area.FETCH.value, what="the window", data=_output(window))

    def _conclude(
        self, unit: Unit, decision: Decision, window: Window, output: dict[str, object]
    ) -> StageEnd:
        if not window.ok:
            lack = EndReason.STALE_CANDLES if window.only_stale else EndReason.INSUFFICIENT_DATA
            return End(lack, window.detail, output)
        judged_by = self._judged_by(unit, decision, output["bars"])
        if judged_by is None:
            return Advance(output)
        detail = f"{judged_by} judged these bars under this configuration already ({window.summary})"
        return End(EndReason.UNCHANGED, detail, {**output, "judged_by": judged_by})

    def _judged_by(self, unit: Unit, decision: Decision, bars: object) -> DecisionId | None:
        """The decision whose judgement over exactly these bars stands. Who asks by hand is always answered."""
        if self.unchanged_for is None or decision.origin.is_manual or decision.dry_run:
            return None
        since = decision.enqueued_at - self.unchanged_for
        last = unit.decisions.last_judgement(decision.account, decision.symbol, decision.config_hash, since)
        return last.decision_id if last is not None and last.bars == bars else None

    def _outside(self, symbol: str) -> End | None:
        if symbol in self.universe():
            return None
        try:
            instrument = self.market.instruments().find(symbol)
        except UnknownSymbol as error:
            return End(EndReason.SYMBOL_NOT_TRADED, str(error))
        if not instrument.active:
            return End(EndReason.SYMBOL_NOT_TRADED, f"{symbol} is listed, but not open for trading now")
        return End(EndReason.OUTSIDE_UNIVERSE, f"{symbol} is not in the universe; see `throughline universe`")


def _output(window: Window) -> dict[str, object]:
    """What the stage stores. Made before the ledger is locked: every bar is read for it."""
    return {"ranges": [each.as_record() for each in window.ranges], "bars": window.fingerprint}
