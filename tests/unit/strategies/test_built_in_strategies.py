"""The built-in strategies: honest, busy enough, and calm on strange prices."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import pytest

from pipeline.domain.signals import NearestMiss, Regime, Side, StrategyVerdict, VerdictKind
from pipeline.strategies.candles import Candles
from pipeline.strategies.indicators import adx, atr, atr_fraction, deviation, ema, rank, rsi, sma
from pipeline.strategies.judge import judge
from pipeline.strategies.regime import climate
from pipeline.strategies.registry import BUILT_IN, build
from tests.unit.strategies.markets import (
    BARS,
    RECORDED,
    from_path,
    random_minutes,
    recorded,
    recorded_symbols,
    windows,
)

NAMES = sorted(BUILT_IN)
STRATEGIES = build(NAMES, {})
SIDES = {"adaptive_ob": {Side.BUY}, "adaptive_str": {Side.SELL}, "trend_follow": {Side.BUY, Side.SELL}}
REWARDS = {"adaptive_ob": 1.5, "adaptive_str": 1.4, "trend_follow": 2.5}
needs_recordings = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"no recorded candles in {RECORDED.name}")


def judged(window: Mapping[str, Candles]) -> list[StrategyVerdict]:
    return judge(STRATEGIES, window)


def answers(window: Mapping[str, Candles]) -> list[object]:
    """What was said, without how long it took."""
    return [
        (verdict.kind, verdict.signal, verdict.nearest_miss, verdict.regime) for verdict in judged(window)
    ]


def counted(all_windows: Iterable[Mapping[str, Candles]]) -> tuple[int, Counter[tuple[str, Regime]]]:
    """How many windows there were, and the signals by strategy and regime."""
    signals: Counter[tuple[str, Regime]] = Counter()
    total = 0
    for total, window in enumerate(all_windows, start=1):  # noqa: B007 - the last count is the total
        for verdict in judged(window):
            assert verdict.kind is not VerdictKind.FAILED, verdict.error
            if verdict.signal is not None:
                signals[verdict.strategy, verdict.regime] += 1
    return total, signals


def test_each_strategy_finds_something_in_a_tenth_of_random_minutes_at_most() -> None:
    """A strategy that never fires cannot be rehearsed; one that always fires knows nothing."""
    total, signals = counted(windows(random_minutes(3000 + 4000), every=3))
    for name in NAMES:
        share = sum(count for (strategy, _), count in signals.items() if strategy == name) / total
        assert 0.005 < share < 0.10, f"{name} fires in {share:.1%} of the bars"


@needs_recordings
@pytest.mark.parametrize("name", NAMES)
def test_each_strategy_fires_in_more_than_one_regime_of_recorded_days(name: str) -> None:
    """Thresholds that adapt must leave something to do in every climate."""
    seen = {
        regime
        for symbol in recorded_symbols()[:6]
        for strategy, regime in counted(windows(recorded(symbol), (1, 2, 4)))[1]
        if strategy == name
    }
    assert len(seen) > 1


@pytest.mark.parametrize("name", NAMES)
def test_indicators_of_a_bar_do_not_know_later_bars(name: str) -> None:
    """The same promise one level deeper, value by value, where a centred window would show."""
    strategy = build([name], {})[0]
    bars = random_minutes(300)
    whole = strategy.indicators(bars)
    for end in (150, 211, 299):
        cut = strategy.indicators(bars.cut(0, end))
        for indicator, values in cut.items():
            np.testing.assert_array_equal(values, whole[indicator][:end])


def test_a_second_run_gives_the_same_answers() -> None:
    """A decision replayed later must be the same decision."""
    sample = list(windows(random_minutes(3300), every=20))
    assert [answers(window) for window in sample] == [answers(window) for window in sample]


def test_signals_name_levels_on_the_right_sides() -> None:
    """A stop on the wrong side would be filled at once."""
    for window in windows(random_minutes(5000), every=5):
        for verdict in judged(window):
            if verdict.signal is None:
                continue
            signal = verdict.signal
            assert signal.side in SIDES[verdict.strategy]
            entry = float(next(iter(window.values())).close[-1])
            assert float(signal.entry) == entry
            risk = (entry - float(signal.stop_loss)) * signal.side.sign
            target = (float(signal.take_profit) - entry) * signal.side.sign
            assert risk > 0
            assert target == pytest.approx(risk * REWARDS[verdict.strategy])


def test_every_no_signal_names_a_condition_with_finite_numbers() -> None:
    """Verdicts are stored as JSON and read by people: no NaN, no blank."""
    for window in windows(random_minutes(3400), every=5):
        for verdict in judged(window):
            if verdict.nearest_miss is not None:
                assert verdict.nearest_miss.condition
                assert math.isfinite(verdict.nearest_miss.value)
                assert math.isfinite(verdict.nearest_miss.threshold)


def test_constant_prices_give_no_signal() -> None:
    """TA-Lib calls a market that never moves oversold (RSI 0): a halted symbol must not be bought."""
    bars = from_path(np.full(BARS + 1, 100.0))
    for verdict in judged({"1m": bars, "5m": bars, "15m": bars}):
        assert verdict.nearest_miss == NearestMiss("ATR above", 0.0, 0.0)


@pytest.mark.parametrize("count", [0, 1, 2, 30, 199])
def test_too_few_bars_are_a_near_miss_that_says_so(count: int) -> None:
    """A new listing is no failure."""
    bars = random_minutes(300).tail(count)
    for verdict in judged({"1m": bars, "5m": bars, "15m": bars}):
        assert verdict.nearest_miss is not None
        assert (verdict.nearest_miss.value, verdict.nearest_miss.threshold) == (count, 200)


def test_a_missing_timeframe_is_a_near_miss_that_names_it() -> None:
    """A symbol whose slow bars are not there yet is no failure, and never traded on the others alone."""
    bars = random_minutes(BARS)
    for verdict in judged({"1m": bars, "5m": bars, "15m": Candles.none()}):
        assert verdict.nearest_miss == NearestMiss("bars of 15m at least", 0.0, 200.0)


@pytest.mark.parametrize("count", [2, 15, 60])
def test_indicators_still_warming_up_give_no_signal_and_no_failure(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN compares false with everything: a rule written the wrong way round would trade on it."""
    for strategy in STRATEGIES:
        monkeypatch.setattr(type(strategy), "warm_up", 1)
    bars = random_minutes(BARS).tail(count)
    for verdict in judged({"1m": bars, "5m": bars, "15m": bars}):
        assert verdict.kind is VerdictKind.NO_SIGNAL, verdict.error


def test_zero_volume_changes_nothing() -> None:
    """Feeds with silent minutes send bars without volume; no indicator may divide by it."""
    bars = random_minutes(BARS)
    silent = Candles(bars.open_time, bars.open, bars.high, bars.low, bars.close, np.zeros(BARS))
    assert answers({"1m": bars, "5m": bars, "15m": bars}) == answers(
        {"1m": silent, "5m": silent, "15m": silent}
    )


@pytest.mark.parametrize("place", [-1, -2, -5])
def test_a_wick_of_eighty_per_cent_is_survived(place: int) -> None:
    """It was recorded. A stop of a dozen per cent is no trade, and never a stop below zero."""
    bars = random_minutes(BARS)
    low = bars.low.copy()
    low[place] = bars.close[place] * 0.2
    wounded = Candles(bars.open_time, bars.open, bars.high, low, bars.close, bars.volume)
    for verdict in judged({"1m": wounded, "5m": wounded, "15m": wounded}):
        assert verdict.kind is not VerdictKind.FAILED, verdict.error
        if verdict.signal is not None:
            assert verdict.signal.stop_loss > 0


def test_a_clear_bounce_is_bought_and_a_clear_rip_is_shorted() -> None:
    """The stories of the docstrings, told in prices."""
    wave = 100 + 0.4 * np.sin(np.arange(BARS + 1) * 1.1)
    dip, rip = wave.copy(), wave.copy()
    dip[-7:] = [99.6, 99.2, 98.7, 98.2, 97.8, 97.4, 98.6]
    rip[-7:] = [100.4, 100.8, 101.3, 101.8, 102.2, 102.8, 101.2]
    assert sides(from_path(dip, np.full((2, BARS), 0.002))) == {Side.BUY}
    assert sides(from_path(rip, np.full((2, BARS), 0.002))) == {Side.SELL}


def sides(bars: Candles) -> set[Side]:
    flat = from_path(100 + 0.4 * np.sin(np.arange(BARS + 1) * 1.1), np.full((2, BARS), 0.002))
    verdicts = judged({"1m": bars, "5m": flat, "15m": flat})
    return {verdict.signal.side for verdict in verdicts if verdict.signal is not None}


@pytest.mark.parametrize(("name", "turn"), [("adaptive_ob", -1), ("adaptive_str", 1)])
def test_a_stop_too_far_away_is_no_trade(name: str, turn: int) -> None:
    """After wicks of a crash the ATR asks for a stop a third of the price away: that is no plan."""
    wave = 100 + 0.4 * np.sin(np.arange(BARS + 1) * 1.1)
    wave[-9:] = 100 + turn * np.array([0.6, 1.6, 2.6, 3.6, 4.6, 5.6, 6.6, 7.6, 6.2])
    wicks = np.full((2, BARS), 0.002)
    wicks[:, -12:-6] = 0.7
    crash = from_path(wave, wicks)
    calm = from_path(100 + 0.4 * np.sin(np.arange(BARS + 1) * 1.1), np.full((2, BARS), 0.002))
    strategy = build([name], {name: {"recent_bars": 10}})
    verdict = judge(strategy, {"1m": crash, "5m": calm, "15m": calm})[0]
    assert verdict.nearest_miss is not None
    assert verdict.nearest_miss.condition == "stop distance below"


def test_a_falling_trend_keeps_the_dip_buyer_out() -> None:
    """Buying every dip of a collapse is how bounce strategies die."""
    wave = 100 + 0.4 * np.sin(np.arange(BARS + 1) * 1.1)
    wave[-7:] = [99.6, 99.2, 98.7, 98.2, 97.8, 97.4, 98.6]
    dip = from_path(wave, np.full((2, BARS), 0.002))
    collapse = from_path(np.linspace(140, 98.6, BARS + 1), np.full((2, BARS), 0.0005))
    verdict = judge(build(["adaptive_ob"], {}), {"1m": dip, "5m": collapse, "15m": collapse})[0]
    assert verdict.nearest_miss is not None
    assert "trend" in verdict.nearest_miss.condition


def test_the_regime_tells_a_trend_from_a_range_and_from_a_storm() -> None:
    """The label goes with every verdict: people will slice their results by it."""
    rng = np.random.default_rng(3)
    noise = rng.standard_normal(BARS + 1) * 0.05
    even = np.full((2, BARS), 0.0005)
    trend = from_path(100 + np.arange(BARS + 1) * 0.1 + noise, even)
    range_bound = from_path(100 + np.sin(np.arange(BARS + 1) * 1.3) + noise, even)
    storm = np.concatenate([noise[:-20], rng.standard_normal(20) * 2.0])
    assert climate(trend).regime is Regime.TRENDING
    assert climate(range_bound).regime is Regime.RANGING
    assert climate(from_path(100 + storm, even)).regime is Regime.VOLATILE
    assert climate(trend.tail(50)).regime is Regime.UNKNOWN


def test_indicators_are_causal_and_as_long_as_their_input() -> None:
    """They are the ground under every strategy, also those of users."""
    bars = random_minutes(260)
    cut = bars.cut(0, 200)
    for whole, part in [
        (rsi(bars.close), rsi(cut.close)),
        (sma(bars.close, 20), sma(cut.close, 20)),
        (ema(bars.close, 20), ema(cut.close, 20)),
        (deviation(bars.close, 20), deviation(cut.close, 20)),
        (atr(bars), atr(cut)),
        (atr_fraction(bars), atr_fraction(cut)),
        (adx(bars), adx(cut)),
        (rank(bars.close), rank(cut.close)),
    ]:
        assert len(whole) == 260
        np.testing.assert_array_equal(whole[:200], part)
