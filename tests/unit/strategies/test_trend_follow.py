"""`trend_follow`: the stories of its docstring, told in prices."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from pipeline.domain.signals import Side, StrategyVerdict
from pipeline.strategies.candles import Candles, Floats
from pipeline.strategies.judge import judge
from pipeline.strategies.registry import build
from tests.unit.strategies.markets import BARS, from_path

EVEN = np.full((2, BARS), 0.001)


def path(way: int, last: float) -> Floats:
    """A steady march with ripples, and a last step."""
    steps = 100 + way * np.arange(BARS + 1) * 0.05 + 0.1 * np.sin(np.arange(BARS + 1))
    steps[-1] = steps[-2] + last
    return steps


def verdict(trigger: Candles, slow: Candles, **params: object) -> StrategyVerdict:
    strategy = build(["trend_follow"], {"trend_follow": params})
    return judge(strategy, {"1m": trigger, "5m": slow, "15m": slow})[0]


@pytest.mark.parametrize(("way", "side"), [(1, Side.BUY), (-1, Side.SELL)])
def test_a_break_out_with_the_trend_is_followed_both_ways(way: int, side: Side) -> None:
    """Up or down, a trend is a trend."""
    bars = from_path(path(way, way * 0.6), EVEN)
    answer = verdict(bars, from_path(path(way, way * 0.1), EVEN))
    assert answer.signal is not None, answer.nearest_miss
    assert answer.signal.side is side


@pytest.mark.parametrize(
    ("way", "last", "slow", "missed"),
    [
        (1, -0.6, 1, "close above the channel"),
        (1, 0.6, -1, "close below the channel"),
        (1, 6.0, 1, "ATR from the mean below"),
    ],
)
def test_what_keeps_it_out_is_named(way: int, last: float, slow: int, missed: str) -> None:
    """No break-out; a trend the other way; a move already spent."""
    answer = verdict(from_path(path(way, last), EVEN), from_path(path(slow, slow * 0.1), EVEN))
    assert answer.nearest_miss is not None
    assert answer.nearest_miss.condition == missed


def test_a_slow_timeframe_that_turns_keeps_it_out() -> None:
    """A close above a mean that falls is a rally in a downtrend."""
    turning = np.append(np.linspace(130, 100, BARS), 105.0)
    answer = verdict(from_path(path(1, 0.6), EVEN), from_path(turning, EVEN))
    assert answer.nearest_miss is not None
    assert answer.nearest_miss.condition == "slow mean above the mean before"


def test_the_stop_is_wider_the_wilder_the_market() -> None:
    """A volatility stop that does not adapt is only a stop."""
    bars = from_path(path(1, 0.6), EVEN)
    slow = from_path(path(1, 0.1), EVEN)
    risks = [_risk(verdict(bars, slow, stop_wild_atr=wild)) for wild in (2.5, 5.0)]
    assert risks[1] > risks[0]


def _risk(answer: StrategyVerdict) -> Decimal:
    assert answer.signal is not None, answer.nearest_miss
    return answer.signal.entry - answer.signal.stop_loss
