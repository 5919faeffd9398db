"""Fetch: which bars a decision sees, and every way it says that it sees none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from pipeline.domain.decisions import Advance, Decision, End, StageEnd
from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.instruments import Instruments
from pipeline.domain.outcomes import EndReason
from pipeline.domain.timeframes import CandleRange
from pipeline.governor.universe import Universe
from pipeline.stages.fetch import Fetch
from pipeline.stages.ports import CandleWindows
from pipeline.strategies.candles import Candles
from pipeline.strategies.window import Window
from pipeline.testing import FakeMarketData, btc
from tests.unit.stages.worlds import BTC, NOON, StageWorld


class Windows:
    """Answers with the ranges it was given, one for each timeframe."""

    def __init__(self, *ranges: CandleRange) -> None:
        self.ranges = ranges

    def window(self, symbol: str, *_: object) -> Window:
        return Window(symbol, NOON, {each.timeframe: Candles.none() for each in self.ranges}, self.ranges)

    def exact(self, symbol: str, *_: object) -> Window:
        return self.window(symbol)


def found(timeframe: str, problem: str = "") -> CandleRange:
    return CandleRange(timeframe, NOON - timedelta(hours=4), NOON, 200, "store", problem)


def fetched(windows: CandleWindows, *, symbol: str = BTC, universe: tuple[str, ...] = (BTC,)) -> StageEnd:
    world = StageWorld()
    old = replace(btc(), symbol="OLD/USDT:USDT", market_id="OLDUSDT", active=False)
    market = FakeMarketData(world.clock, known=Instruments.of([btc(), old]))
    stage = Fetch(market, windows, lambda: Universe.of(universe), ("1m", "5m"), 200, world.events)
    decision: Decision = world.open(symbol).decision
    with world.ledger.begin() as unit:
        return stage(decision, None)(unit)


def test_enough_bars_go_on_as_ranges_never_as_tables() -> None:
    """B6: messages and the ledger carry references."""
    end = fetched(Windows(found("1m"), found("5m")))
    assert isinstance(end, Advance)
    ranges = end.output["ranges"]
    assert isinstance(ranges, list)
    assert [each["timeframe"] for each in ranges] == ["1m", "5m"]


def test_missing_bars_are_named_by_timeframe_with_the_cause() -> None:
    """B4: `1m=ok 5m=missing` and the error behind it."""
    end = fetched(Windows(found("1m"), found("5m", "missing: the exchange answered 503")))
    assert isinstance(end, End)
    assert end.reason is EndReason.INSUFFICIENT_DATA
    assert "1m=ok 5m=missing" in end.detail
    assert "answered 503" in end.detail


def test_bars_that_are_only_too_old_are_called_stale() -> None:
    """Stale and missing have different causes: a mute feed is not an exchange that is down."""
    end = fetched(Windows(found("1m", "stale: 3 bars behind"), found("5m")))
    assert isinstance(end, End)
    assert end.reason is EndReason.STALE_CANDLES


def test_a_symbol_that_the_exchange_lists_but_does_not_trade_is_skipped() -> None:
    end = fetched(Windows(found("1m")), symbol="OLD/USDT:USDT")
    assert isinstance(end, End)
    assert end.reason is EndReason.SYMBOL_NOT_TRADED


def test_a_symbol_outside_the_universe_is_skipped() -> None:
    end = fetched(Windows(found("1m")), universe=())
    assert isinstance(end, End)
    assert end.reason is EndReason.OUTSIDE_UNIVERSE


def test_an_exchange_that_cannot_be_reached_ends_the_decision_with_that_cause() -> None:
    """Retrying in silence until the decision expires would blame a worker that did its work."""

    class Gone(Windows):
        def window(self, symbol: str, *_: object) -> Window:
            raise ExchangeUnavailable("connection refused")

    end = fetched(Gone())
    assert isinstance(end, End)
    assert end.reason is EndReason.INSUFFICIENT_DATA
    assert "connection refused" in end.detail
