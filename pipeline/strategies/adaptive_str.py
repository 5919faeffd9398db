"""`adaptive_str`: short the rip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from pipeline.strategies.indicators import atr, ema, highest, rsi, sma
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


class AdaptiveStrParams(Params):
    """Periods in bars, RSI in points, channel and distances in ATR, the rest fractions."""

    rsi_period: Period = 14
    channel_period: Period = 20
    trend_period: Annotated[int, Field(ge=5, le=100)] = 50
    atr_period: Period = 14
    recent_bars: Annotated[int, Field(ge=1, le=10)] = 4
    overbought_calm: Annotated[float, Field(gt=50, lt=95)] = 57.0
    overbought_wild: Annotated[float, Field(gt=50, lt=95)] = 67.0
    trending_premium: Annotated[float, Field(ge=0, lt=20)] = 3.0
    channel_calm: Annotated[float, Field(gt=0, le=5)] = 1.4
    channel_wild: Annotated[float, Field(gt=0, le=5)] = 2.0
    highest_close: Annotated[float, Field(gt=0, le=1)] = 0.6
    runaway_atr: Annotated[float, Field(gt=0, le=20)] = 3.0
    stop_atr: Annotated[float, Field(ge=0.5, le=10)] = 2.2
    reward: Annotated[float, Field(ge=0.5, le=10)] = 1.4
    widest_stop: Annotated[float, Field(gt=0, le=0.5)] = 0.15


class AdaptiveStr(Strategy[AdaptiveStrParams]):
    """Sells short when a sharp rise is turned away.

    Looks for: on the trigger timeframe, within the last few bars, an RSI above its threshold and a high
    over the
        upper Keltner channel; then the rejection: a bar that closes below its open or the close before
        it, not in the top of its own range, inside the channel and still above its middle, so that there
        is room. On the trend timeframe the close must not have run many ATR above its mean: nobody shorts
        a moon shot.
    Adapts: the wilder the market against its own last 100 bars, the higher the rip must reach (RSI 57
        rises to 67, channel 1.4 to 2.0 ATR); a trending market costs another 3 points of RSI.
    Exits: stop 2.2 ATR above the close (wider than for a purchase: squeezes are faster than sell-offs
        recover), target 1.4 times as far below.
    Source: short-term reversal, Jegadeesh, "Evidence of Predictable Behavior of Security Returns" (1990);
        the channel, Keltner, How To Make Money in Commodities (1960), with ATR as its width; RSI, Wilder
        (1978).
    Loses: in a short squeeze, and in the first hours of a new rise, when each rejection is bought. A
        short pays funding while it is held, and its loss has no natural end: never run it without the stop.
    """

    name = "adaptive_str"
    params_type = AdaptiveStrParams

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        params = self.params
        return {
            "rsi": rsi(candles.close, params.rsi_period),
            "middle": ema(candles.close, params.channel_period),
            "trend_mean": sma(candles.close, params.trend_period),
            "atr": atr(candles, params.atr_period),
            "recent_high": highest(candles.high, params.recent_bars),
        }

    def signal(self, view: View) -> Signal | NearestMiss:
        overbought, width = self._thresholds(view.trigger)
        miss = first_miss(self._conditions(view, overbought, width))
        return miss or self._short(view, overbought)

    def _thresholds(self, now: Frame) -> tuple[float, float]:
        """RSI above which the market counts as overbought, and the channel's half width in ATR."""
        params, wildness = self.params, now.climate.volatility
        overbought = params.overbought_calm + (params.overbought_wild - params.overbought_calm) * wildness
        if now.climate.regime is Regime.TRENDING:
            overbought += params.trending_premium
        return overbought, params.channel_calm + (params.channel_wild - params.channel_calm) * wildness

    def _conditions(self, view: View, overbought: float, width: float) -> list[Condition]:
        now, trend, params = view.trigger, view.trend, self.params
        upper = now.last("middle") + width * now.last("atr")
        stop_fraction = params.stop_atr * now.last("atr") / now.close
        return [
            above("ATR", now.last("atr"), 0.0),
            above("recent RSI", self._recent_rsi(now), overbought, "overbought"),
            above("recent high", now.last("recent_high"), upper, "the channel"),
            below("close", now.close, upper, "the channel's top"),
            below("close", now.close, _bar_before_or_open(now), "its open or the close before"),
            below("close within the bar's range", _place_in_range(now), params.highest_close),
            above("close", now.close, now.last("middle"), "the channel's middle"),
            below("ATR over the trend's mean", _atr_above_mean(trend), params.runaway_atr),
            below("stop distance", stop_fraction, params.widest_stop),
        ]

    def _recent_rsi(self, now: Frame) -> float:
        return float(now.tail("rsi", self.params.recent_bars).max())

    def _short(self, view: View, overbought: float) -> Signal:
        now = view.trigger
        height = self._recent_rsi(now) - overbought
        risk = self.params.stop_atr * now.last("atr")
        return Signal.from_floats(
            Side.SELL,
            score=_score(height, _place_in_range(now), _atr_above_mean(view.trend)),
            entry=now.close,
            stop_loss=now.close + risk,
            take_profit=now.close - self.params.reward * risk,
            reason=f"rip of {height:.1f} RSI points over {overbought:.1f} turned away",
            regime=view.regime,
        )


def _bar_before_or_open(now: Frame) -> float:
    return max(float(now.candles.open[-1]), float(now.candles.close[-2]))


def _place_in_range(now: Frame) -> float:
    """Where the last bar closed between its low (0) and its high (1); 0.5 when it has no range."""
    low, high = float(now.candles.low[-1]), float(now.candles.high[-1])
    return (now.close - low) / (high - low) if high > low else 0.5


def _atr_above_mean(trend: Frame) -> float:
    """How many ATR the close lies above the trend's mean; negative below it."""
    width = trend.last("atr")
    return (trend.close - trend.last("trend_mean")) / width if width > 0 else 0.0


def _score(height: float, place: float, against_trend: float) -> float:
    """0.4 for meeting every condition; up to 0.25 for the rip, 0.15 for a weak close, 0.2 for the trend."""
    rip = min(1.0, height / 15.0)
    falling = max(0.0, min(1.0, -against_trend / 2.0))
    return 0.4 + 0.25 * rip + 0.15 * (1.0 - place) + 0.2 * falling
