"""`adaptive_ob`: buy the bounce out of an oversold dip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from pipeline.strategies.indicators import atr, deviation, lowest, rsi, sma
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


class AdaptiveObParams(Params):
    """Periods in bars, RSI in points, bands in standard deviations, distances in ATR."""

    rsi_period: Period = 14
    band_period: Period = 20
    trend_period: Annotated[int, Field(ge=5, le=100)] = 50
    atr_period: Period = 14
    recent_bars: Annotated[int, Field(ge=1, le=10)] = 4
    oversold_calm: Annotated[float, Field(gt=5, lt=50)] = 43.0
    oversold_wild: Annotated[float, Field(gt=5, lt=50)] = 33.0
    trending_discount: Annotated[float, Field(ge=0, lt=20)] = 3.0
    band_calm: Annotated[float, Field(gt=0, le=4)] = 1.4
    band_wild: Annotated[float, Field(gt=0, le=4)] = 2.0
    falling_knife_atr: Annotated[float, Field(gt=0, le=20)] = 3.0
    stop_atr: Annotated[float, Field(ge=0.5, le=10)] = 2.0
    reward: Annotated[float, Field(ge=0.5, le=10)] = 1.5
    widest_stop: Annotated[float, Field(gt=0, le=0.5)] = 0.15


class AdaptiveOb(Strategy[AdaptiveObParams]):
    """Buys after a sharp dip, once the price has come back inside its band.

    Looks for: on the trigger timeframe, within the last few bars, an RSI below its threshold and a low
    under the
        lower Bollinger band; then a close back inside the band, above the close before it, and still
        under the mean, so that there is room. On the trend timeframe the close must not lie many ATR
        below its mean.
    Adapts: the wilder the market against its own last 100 bars, the deeper the dip must be (RSI 43 falls
        to 33, band 1.4 widens to 2.0 deviations); a trending market costs another 3 points of RSI.
    Exits: stop 2 ATR below the close, target 1.5 times as far above.
    Source: short-term reversal, Lehmann, "Fads, Martingales, and Market Efficiency" (1990); RSI, Wilder
        (1978); the re-entry into the band as the trigger, Bollinger on Bollinger Bands (2001).
    Loses: when a dip is the beginning of a fall: news, liquidations, a trend that has just turned. Many
        small wins then meet a row of full stops, and the stop fills worse than its price.
    """

    name = "adaptive_ob"
    params_type = AdaptiveObParams

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        params = self.params
        return {
            "rsi": rsi(candles.close, params.rsi_period),
            "mean": sma(candles.close, params.band_period),
            "deviation": deviation(candles.close, params.band_period),
            "trend_mean": sma(candles.close, params.trend_period),
            "atr": atr(candles, params.atr_period),
            "recent_low": lowest(candles.low, params.recent_bars),
        }

    def signal(self, view: View) -> Signal | NearestMiss:
        oversold, band = self._thresholds(view.trigger)
        miss = first_miss(self._conditions(view, oversold, band))
        return miss or self._buy(view, oversold)

    def _thresholds(self, now: Frame) -> tuple[float, float]:
        """RSI below which the market counts as oversold, and the band's width in deviations."""
        params, wildness = self.params, now.climate.volatility
        oversold = params.oversold_calm + (params.oversold_wild - params.oversold_calm) * wildness
        if now.climate.regime is Regime.TRENDING:
            oversold -= params.trending_discount
        return oversold, params.band_calm + (params.band_wild - params.band_calm) * wildness

    def _conditions(self, view: View, oversold: float, band: float) -> list[Condition]:
        now, trend, params = view.trigger, view.trend, self.params
        lower = now.last("mean") - band * now.last("deviation")
        stop_fraction = params.stop_atr * now.last("atr") / now.close
        return [
            above("ATR", now.last("atr"), 0.0),
            below("recent RSI", self._recent_rsi(now), oversold, "oversold"),
            below("recent low", now.last("recent_low"), lower, "the lower band"),
            above("close", now.close, lower, "the lower band"),
            above("close", now.close, float(now.candles.close[-2]), "the close before"),
            below("close", now.close, now.last("mean"), "the mean"),
            below("ATR under the trend's mean", _atr_below_mean(trend), params.falling_knife_atr),
            below("stop distance", stop_fraction, params.widest_stop),
        ]

    def _recent_rsi(self, now: Frame) -> float:
        return float(now.tail("rsi", self.params.recent_bars).min())

    def _buy(self, view: View, oversold: float) -> Signal:
        now = view.trigger
        depth = oversold - self._recent_rsi(now)
        risk = self.params.stop_atr * now.last("atr")
        return Signal.from_floats(
            Side.BUY,
            score=_score(depth, _atr_below_mean(view.trend), self.params.falling_knife_atr),
            entry=now.close,
            stop_loss=now.close - risk,
            take_profit=now.close + self.params.reward * risk,
            reason=f"back inside the band {depth:.1f} RSI points deep (threshold {oversold:.1f})",
            regime=view.regime,
        )


def _atr_below_mean(trend: Frame) -> float:
    """How many ATR the close lies below the trend's mean; negative above it."""
    width = trend.last("atr")
    return (trend.last("trend_mean") - trend.close) / width if width > 0 else 0.0


def _score(depth: float, against_trend: float, worst: float) -> float:
    """0.4 for meeting every condition; up to 0.3 for the dip's depth, up to 0.3 for a trend that helps."""
    tailwind = 1.0 - max(0.0, against_trend) / worst
    return 0.4 + 0.3 * min(1.0, depth / 15.0) + 0.3 * max(0.0, min(1.0, tailwind))
