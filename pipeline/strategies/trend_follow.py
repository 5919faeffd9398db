"""`trend_follow`: go with a trend when it breaks out, and leave it at a volatility stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from pipeline.strategies.indicators import adx, atr, before, ema, highest, lowest, sma
from pipeline.strategies.interface import (
    Candles,
    Condition,
    Floats,
    Frame,
    NearestMiss,
    Params,
    Regime,
    Side,
    Signal,
    Strategy,
    View,
    above,
    below,
    first_miss,
)

Period = Annotated[int, Field(ge=2, le=50)]


class TrendFollowParams(Params):
    """Periods in bars, ADX in points, margins and distances in ATR, the rest fractions."""

    channel_period: Period = 20
    mean_period: Period = 20
    trend_period: Annotated[int, Field(ge=5, le=100)] = 50
    atr_period: Period = 14
    adx_period: Period = 14
    adx_calm: Annotated[float, Field(ge=0, lt=60)] = 18.0
    adx_wild: Annotated[float, Field(ge=0, lt=60)] = 26.0
    ranging_premium: Annotated[float, Field(ge=0, lt=30)] = 2.0
    margin_wild: Annotated[float, Field(ge=0, le=3)] = 0.5
    overstretched_atr: Annotated[float, Field(gt=0, le=20)] = 4.0
    stop_calm_atr: Annotated[float, Field(ge=0.5, le=10)] = 2.5
    stop_wild_atr: Annotated[float, Field(ge=0.5, le=10)] = 3.5
    reward: Annotated[float, Field(ge=0.5, le=20)] = 2.5
    widest_stop: Annotated[float, Field(gt=0, le=0.5)] = 0.15


class TrendFollow(Strategy[TrendFollowParams]):
    """Buys the break-out of a rising market, shorts that of a falling one.

    Looks for: on the trend timeframe (the slowest), a close above its mean and the mean itself rising: only
        purchases are looked for then; both the other way: only sales; anything else: nothing. On the trigger
        timeframe an ADX above its threshold (the market is directed), then a close beyond the highest high,
        or the lowest low, of the 20 bars before it, and not so many ATR from the fast mean that the move is
        spent.
        The timeframe between must not contradict: its close lies on the same side of its own mean.
    Adapts: the wilder the market against its own last 100 bars, the more directed it must be (ADX 18 rises to
        26), the further the close must lie beyond the channel (up to half an ATR) and the wider the stop
        (2.5 to 3.5 ATR); a ranging market costs 2 points of ADX.
    Exits: the volatility stop, its distance a multiple of the ATR at the entry; target 2.5 times as far away,
        since a trend follower lives on few large wins.
    Source: the channel break-out, Donchian, and the volatility stop of the Turtles, in Faith, Way of the
        Turtle (2007); that trends persist, Moskowitz, Ooi, Pedersen, "Time Series Momentum" (2012); ADX and
        ATR, Wilder (1978).
    Loses: in ranges, where every break-out turns back: many small losses in a row, fewer than half of the
        trades win. And when a spent move snaps back through the stop, which then fills worse than its price.
    """

    name = "trend_follow"
    params_type = TrendFollowParams

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        params = self.params
        return {
            "adx": adx(candles, params.adx_period),
            "atr": atr(candles, params.atr_period),
            "ceiling": before(highest(candles.high, params.channel_period)),
            "floor": before(lowest(candles.low, params.channel_period)),
            "mean": ema(candles.close, params.mean_period),
            "trend_mean": sma(candles.close, params.trend_period),
        }

    def signal(self, view: View) -> Signal | NearestMiss:
        way = 1 if view.trend.close > view.trend.last("trend_mean") else -1
        miss = first_miss(self._conditions(view, way))
        return miss or self._follow(view, way)

    def _conditions(self, view: View, way: int) -> list[Condition]:
        now, params = view.trigger, self.params
        stop_fraction = self._stop_atr(now) * now.last("atr") / now.close
        return [
            above("ATR", now.last("atr"), 0.0),
            *_one_way(view, way),
            above("ADX", now.last("adx"), self._directed(now), "directed"),
            self._breakout(now, way),
            below("ATR from the mean", _atr_beyond_mean(now, way), params.overstretched_atr),
            below("stop distance", stop_fraction, params.widest_stop),
        ]

    def _directed(self, now: Frame) -> float:
        """The ADX above which the market counts as directed."""
        threshold = _between(self.params.adx_calm, self.params.adx_wild, now)
        return threshold + (self.params.ranging_premium if now.climate.regime is Regime.RANGING else 0.0)

    def _breakout(self, now: Frame, way: int) -> Condition:
        margin = self.params.margin_wild * now.climate.volatility * now.last("atr")
        if way > 0:
            return above("close", now.close, now.last("ceiling") + margin, "the channel")
        return below("close", now.close, now.last("floor") - margin, "the channel")

    def _stop_atr(self, now: Frame) -> float:
        return _between(self.params.stop_calm_atr, self.params.stop_wild_atr, now)

    def _follow(self, view: View, way: int) -> Signal:
        now = view.trigger
        risk = way * self._stop_atr(now) * now.last("atr")
        beyond = now.last("adx") - self._directed(now)
        return Signal.from_floats(
            Side.BUY if way > 0 else Side.SELL,
            score=_score(beyond, _atr_beyond_mean(now, way), self.params.overstretched_atr),
            entry=now.close,
            stop_loss=now.close - risk,
            take_profit=now.close + self.params.reward * risk,
            reason=f"break-out {'up' if way > 0 else 'down'} with the trend, ADX {now.last('adx'):.1f}",
            regime=view.regime,
        )


def _between(calm: float, wild: float, now: Frame) -> float:
    """A threshold at the market's present volatility."""
    return calm + (wild - calm) * now.climate.volatility


def _one_way(view: View, way: int) -> list[Condition]:
    """The slow timeframes point the way: the trend's mean moves, the middle's close lies on the right
    side.
    """
    beside = above if way > 0 else below
    trend, middle = view.trend, view.middle
    return [
        beside("slow close", trend.close, trend.last("trend_mean"), "its mean"),
        beside("slow mean", trend.last("trend_mean"), trend.last("trend_mean", back=1), "the mean before"),
        beside("middle close", middle.close, middle.last("mean"), "its mean"),
    ]


def _atr_beyond_mean(now: Frame, way: int) -> float:
    """How many ATR the close lies from the fast mean, in the trend's direction."""
    width = now.last("atr")
    return way * (now.close - now.last("mean")) / width if width > 0 else 0.0


def _score(beyond: float, stretch: float, spent: float) -> float:
    """0.4 for meeting every condition; up to 0.35 for how directed the market is, 0.25 for a move still
    young.
    """
    return 0.4 + 0.35 * max(0.0, min(1.0, beyond / 20.0)) + 0.25 * max(0.0, 1.0 - stretch / spent)
