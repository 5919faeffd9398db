"""Stage two: what do the strategies make of those bars, and how large would the order be?

Requires: fetch's output, the candle ranges.
Produces: every strategy's verdict; from the chosen one an intent, sized but not yet allowed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from pipeline.domain import timing
from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import Advance, Decision, End, StageEnd, StageRecord
from pipeline.domain.errors import BarsPending, InvariantBroken
from pipeline.domain.events import Area, EventName, Events, Level
from pipeline.domain.instruments import Instrument
from pipeline.domain.intents import Intent
from pipeline.domain.outcomes import EndReason
from pipeline.domain.ports import MarketData, Unit
from pipeline.domain.signals import Side, StrategyVerdict, VerdictKind
from pipeline.domain.timeframes import CandleRange
from pipeline.stages.ports import CandleWindows
from pipeline.stages.running import Conclusion
from pipeline.strategies.interface import AnyStrategy
from pipeline.strategies.judge import Patience, judge
from pipeline.strategies.resolution import Resolution, Rule, resolve
from pipeline.strategies.sizing import AlreadyHeld, SizingRules, TooSmall, Wanted, size
from pipeline.strategies.window import Window

JUMP_BARS = 4
"""How many of the newest bars a jump is looked for in: those that a signal is mostly made of."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """What a chosen signal is sized with. `bar_jump_bps` goes on to the governor."""

    wanted: Wanted
    instrument: Instrument
    bar_jump_bps: str


@dataclass(frozen=True, slots=True)
class Evaluate:
    """The evaluate stage, called with a decision."""

    market: MarketData
    windows: CandleWindows
    strategies: Sequence[AnyStrategy]
    cancel_within: Decimal
    sizing: SizingRules
    trigger: timedelta
    events: Events
    patience: Patience = field(default_factory=Patience)
    rule: Rule = Rule.HIGHEST_SCORE

    def __call__(self, decision: Decision, before: StageRecord | None) -> Conclusion:
        window = self.windows.exact(decision.symbol, read_ranges(before))
        if window.pending:
            raise BarsPending(f"{decision.symbol}: {window.detail}")
        if not window.ok:
            lost = End(EndReason.INSUFFICIENT_DATA, f"the bars that fetch saw are gone: {window.detail}")
            return lambda unit: lost
        resolution = resolve(
            judge(self.strategies, window.candles, self.patience), self.cancel_within, self.rule
        )
        self._tell(resolution)
        wanted = self._wanted(window, resolution.chosen)
        if wanted is None:
            return lambda unit: self._nothing(unit, decision, resolution)
        instrument = self.market.instruments().find(decision.symbol)
        jump = bar_jump_bps(window)
        return lambda unit: self._sized(unit, decision, resolution, Sizing(wanted, instrument, jump))

    def _wanted(self, window: Window, chosen: StrategyVerdict | None) -> Wanted | None:
        if chosen is None or chosen.signal is None:
            return None
        return Wanted(strategy=chosen.strategy, signal=chosen.signal, priced_at=self._priced_at(window))

    def _nothing(self, unit: Unit, decision: Decision, resolution: Resolution) -> StageEnd:
        unit.verdicts.add(decision.decision_id, resolution.verdicts)
        return End(resolution.reason or EndReason.NO_SIGNAL, resolution.detail)

    def _priced_at(self, window: Window) -> datetime:
        """When the bar closed whose close is the decision price."""
        last_open = window.ranges[0].last_open
        if last_open is None:
            raise InvariantBroken(f"{window.symbol}: a window without bars was judged")
        return last_open + self.trigger

    def _sized(self, unit: Unit, decision: Decision, resolution: Resolution, sizing: Sizing) -> StageEnd:
        unit.verdicts.add(decision.decision_id, resolution.verdicts)
        equity = unit.equity.latest(decision.account)
        if equity is None:
            return End(
                CheckCode.EQUITY_STALE,
                f"no equity was ever recorded for {decision.account}: nothing can be sized",
            )
        held = unit.positions.open_of(decision.account, decision.symbol)
        sized = size(sizing.wanted, sizing.instrument, equity.equity, held, self.sizing)
        if isinstance(sized, TooSmall):
            return End(EndReason.TOO_SMALL, sized.detail)
        if isinstance(sized, AlreadyHeld):
            return End(EndReason.POSITION_HELD, sized.detail)
        return self._candidate(sized, sizing.bar_jump_bps)

    def _candidate(self, intent: Intent, jump: str) -> Advance:
        self.events.emit(
            EventName.BUY_CANDIDATE if intent.side is Side.BUY else EventName.SELL_CANDIDATE,
            strategy=intent.strategy,
            leg=intent.leg.value,
            side=intent.side.value,
            score=str(intent.score),
            qty=str(intent.qty),
            limit_px=str(intent.limit_price),
            why=intent.reason,
        )
        return Advance({"intent": intent.as_record(), "bar_jump_bps": jump})

    def _debug(self, resolution: Resolution) -> None:
        if self.events.wants(Area.STRATEGIES):
            data = {each.strategy: {**_in_words(each), "error": each.error} for each in resolution.verdicts}
            told = {"verdicts": data, "resolution": resolution.detail, "parts": timing.so_far()}
            self.events.emit(EventName.DEBUG, area=Area.STRATEGIES.value, what="the judgement", data=told)

    def _tell(self, resolution: Resolution) -> None:
        for verdict in resolution.verdicts:
            level = Level.ERROR if verdict.kind is VerdictKind.FAILED else None
            self.events.emit(EventName.STRATEGY_CHECK, level=level, **_in_words(verdict))
            if verdict.signal is not None:
                told = verdict.signal.as_record()
                self.events.emit(EventName.SIGNAL_GENERATED, level=None, strategy=verdict.strategy, **told)
        self._debug(resolution)
        if resolution.chosen is None or resolution.chosen.signal is None:
            self.events.emit(EventName.NO_SIGNAL, why=resolution.detail)
            return
        signal = resolution.chosen.signal
        self.events.emit(
            EventName.BUY_TRIGGERED if signal.side is Side.BUY else EventName.SELL_TRIGGERED,
            strategy=resolution.chosen.strategy,
            side=signal.side.value,
            score=str(signal.score),
            regime=signal.regime.value,
            why=signal.reason,
        )


def bar_jump_bps(window: Window) -> str:
    """The largest move between two closes among the trigger timeframe's newest bars, in basis points.

    A bar that is marked as a jump counts with how far it reaches, in whichever timeframe it lies.
    """
    closes = next(iter(window.candles.values())).close[-JUMP_BARS:]
    moves = [abs(after / before - 1) * 10_000 for before, after in itertools.pairwise(closes.tolist())]
    marked = [float(each.jump_bps) for each in window.ranges if each.jump_bps]
    return f"{max([*moves, *marked], default=math.nan):.2f}"


def _in_words(verdict: StrategyVerdict) -> dict[str, object]:
    said: dict[str, object] = {
        "strategy": verdict.strategy,
        "verdict": verdict.kind.value,
        "regime": verdict.regime.value,
        "chosen": verdict.chosen,
        "run_ms": verdict.run_ms,
    }
    if verdict.nearest_miss is not None:
        miss = verdict.nearest_miss
        said |= {
            "condition": miss.condition,
            "observed": round(miss.value, 6),
            "threshold": round(miss.threshold, 6),
        }
    if verdict.error:
        said["error"] = verdict.error
    return said


def read_ranges(before: StageRecord | None) -> tuple[CandleRange, ...]:
    """The candle ranges that fetch stored. Raises: InvariantBroken when there are none."""
    records = before.output.get("ranges") if before is not None else None
    if not isinstance(records, list) or not records:
        raise InvariantBroken("fetch passed on without candle ranges")
    return tuple(CandleRange.from_record(record) for record in records)
