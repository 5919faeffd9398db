from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.bars import INTERVALS, Bar, Bars, aggregated
from simulator.clock import DAY_MS, HOUR_MS, MINUTE_MS
from simulator.instruments import choose, make
from simulator.market import Market, Window
from simulator.path import Walk
from simulator.sources import SyntheticSource
from simulator.synthetic import BLOCK_MS, BLOCKS_KEPT, HISTORY_BLOCKS, SyntheticSeries

BEGIN_MS = 1_760_000_040_000 // MINUTE_MS * MINUTE_MS
NOW_MS = BEGIN_MS + HISTORY_BLOCKS * BLOCK_MS
BTC = make("BTCUSDT")


def same(left: Bars, right: Bars) -> bool:
    columns = ("open_ms", "open", "high", "low", "close", "volume")
    return all(np.array_equal(getattr(left, name), getattr(right, name)) for name in columns)


def latest(interval: str, count: int, seed: int = 1, symbol: str = "BTCUSDT") -> Bars:
    length = INTERVALS[interval]
    end = NOW_MS // length * length
    return SyntheticSeries(make(symbol), seed, BEGIN_MS).bars(length, end - count * length, end)


def test_the_same_seed_gives_the_same_prices_and_another_seed_others() -> None:
    """A failing run can be run again."""
    assert same(latest("15m", 300), latest("15m", 300))
    assert not np.array_equal(latest("15m", 300).close, latest("15m", 300, seed=2).close)
    assert not np.array_equal(
        latest("15m", 300, symbol="SIM021USDT").close, latest("15m", 300, symbol="SIM022USDT").close
    )


def test_the_shape_does_not_depend_on_when_the_simulator_was_started() -> None:
    """What a seed shows today it shows tomorrow."""
    today = SyntheticSeries(BTC, 5, BEGIN_MS).bars(MINUTE_MS, NOW_MS - HOUR_MS, NOW_MS)
    shift = 26 * DAY_MS + 7 * MINUTE_MS
    later = SyntheticSeries(BTC, 5, BEGIN_MS + shift).bars(
        MINUTE_MS, NOW_MS + shift - HOUR_MS, NOW_MS + shift
    )
    assert np.array_equal(today.close, later.close)


def test_prices_do_not_depend_on_the_order_in_which_they_are_asked_for() -> None:
    """Old blocks are forgotten and made again: they must come out the same."""
    series = SyntheticSeries(BTC, 3, BEGIN_MS)
    early = series.bars(MINUTE_MS, BEGIN_MS, BEGIN_MS + HOUR_MS)
    series.bars(MINUTE_MS, NOW_MS - (BLOCKS_KEPT - 1) * BLOCK_MS, NOW_MS)
    assert same(early, series.bars(MINUTE_MS, BEGIN_MS, BEGIN_MS + HOUR_MS))
    assert series.base_bar(BEGIN_MS + 90_000) == early.bar(1)


@pytest.mark.parametrize("interval", [name for name in INTERVALS if name != "1m"])
def test_longer_candles_are_made_of_the_minutes_inside_them(interval: str) -> None:
    """A strategy on 1h and one on 5m look at the same market."""
    length = INTERVALS[interval]
    series = SyntheticSeries(BTC, 1, BEGIN_MS)
    end = NOW_MS // length * length
    start = end - 3 * length
    minutes = series.bars(MINUTE_MS, start, end)
    bars = series.bars(length, start, end)
    assert bars.open_ms.tolist() == [start, start + length, start + 2 * length]
    for index in range(3):
        inside = minutes.between(start + index * length, start + (index + 1) * length)
        bar = bars.bar(index)
        assert (bar.open, bar.close) == (inside.open[0], inside.close[-1])
        assert (bar.high, bar.low) == (inside.high.max(), inside.low.min())
        assert bar.volume == pytest.approx(float(inside.volume.sum()), rel=1e-4)


def test_every_candle_is_sound_and_continues_the_one_before() -> None:
    """Synthetic data must not look broken unless a fault asked for it."""
    for instrument in choose("22"):
        bars = SyntheticSeries(instrument, 1, BEGIN_MS).bars(15 * MINUTE_MS, BEGIN_MS, NOW_MS)
        assert len(bars) >= 60 * 96
        assert np.all(np.diff(bars.open_ms) == 15 * MINUTE_MS)
        assert np.all(bars.low >= 1)
        assert np.all(bars.low <= np.minimum(bars.open, bars.close))
        assert np.all(bars.high >= np.maximum(bars.open, bars.close))
        assert np.array_equal(bars.open[1:], bars.close[:-1])
        assert np.all(bars.volume > 0)


def wilder_rsi(close: np.ndarray) -> np.ndarray:
    change = np.diff(close.astype(float))
    up = down = float(np.abs(change[:14]).mean()) / 2
    found = []
    for step in change:
        up, down = (up * 13 + max(step, 0)) / 14, (down * 13 + max(-step, 0)) / 14
        found.append(100 * up / (up + down) if up + down else 50.0)
    return np.array(found[100:])


@pytest.mark.parametrize(
    ("interval", "low", "high"), [("1m", 0.05, 0.16), ("15m", 0.06, 0.25), ("1h", 0.05, 0.25)]
)
def test_strategies_find_oversold_and_overbought_moments(interval: str, low: float, high: float) -> None:
    """A rehearsal in which nothing ever happens rehearses nothing."""
    rsi = np.concatenate(
        [wilder_rsi(latest(interval, 1100, symbol=one.symbol).close) for one in choose("12")]
    )
    assert low < float(np.mean((rsi < 30) | (rsi > 70))) < high
    assert float(np.mean(rsi < 30)) > 0.02
    assert float(np.mean(rsi > 70)) > 0.02


BARS = st.builds(
    lambda o, c, up, down, minute: Bar(
        minute * MINUTE_MS, o, max(o, c) + up, max(1, min(o, c) - down), c, 10.0
    ),
    st.integers(100, 10_000),
    st.integers(100, 10_000),
    st.integers(0, 500),
    st.integers(0, 99),
    st.integers(0, 10**7),
)


@given(BARS, st.integers(0, MINUTE_MS - 1))
def test_a_forming_candle_never_leaves_the_candle_it_becomes(bar: Bar, after_ms: int) -> None:
    """What was seen on the way must be inside the closed candle, or backtests and live runs differ."""
    walk = Walk(bar, MINUTE_MS)
    forming = walk.so_far(bar.open_ms + after_ms)
    assert bar.low <= forming.low <= forming.close <= forming.high <= bar.high
    assert forming.open == bar.open
    ended = walk.so_far(bar.open_ms + MINUTE_MS - 1)
    assert (ended.high, ended.low, ended.close) == (bar.high, bar.low, bar.close)


@given(BARS, st.integers(0, MINUTE_MS - 1), st.integers(0, MINUTE_MS - 1))
def test_the_way_passes_every_corner_and_ends_at_the_price_of_the_moment(
    bar: Bar, one: int, two: int
) -> None:
    """Order matching walks this way: a skipped corner would be a skipped stop."""
    after, until = bar.open_ms + min(one, two), bar.open_ms + max(one, two)
    walk = Walk(bar, MINUTE_MS)
    points = walk.stretch(after, until)
    passed = [point for point in walk.corners if after < point[0] <= until]
    assert points[:-1] == passed
    assert points[-1] == (until, walk.price_at(until))
    assert all(left[0] <= right[0] for left, right in itertools.pairwise(points))


@given(BARS, st.integers(0, MINUTE_MS - 1), st.integers(50, 11_000), st.integers(2, 2_000))
def test_a_price_stays_within_its_bounds_until_the_moment_that_is_told_and_then_leaves(
    bar: Bar, after: int, low: int, width: int
) -> None:
    """Told too late, a stop would be late; told too early, every request would look for nothing."""
    walk, after_ms = Walk(bar, MINUTE_MS), bar.open_ms + after
    until_ms = walk.stays_within(after_ms, low, low + width)
    before = [after_ms, until_ms - 1, *(moment for moment, _ in walk.corners if after_ms < moment < until_ms)]
    if until_ms > after_ms + 1:
        assert all(low - 1e-6 < walk.price_at(moment) < low + width + 1e-6 for moment in before)
        then = [walk.price_at(min(moment, walk.end_ms)) for moment in (until_ms, until_ms + 1)]
        left = any(not low + 1e-6 < price < low + width - 1e-6 for price in then)
        assert left or until_ms == walk.end_ms + 1


@pytest.fixture(scope="module")
def market() -> Market:
    return Market((BTC,), SyntheticSource(1, BEGIN_MS))


@pytest.mark.parametrize("interval", list(INTERVALS))
def test_the_last_candle_answered_is_the_forming_one(market: Market, interval: str) -> None:
    """As Binance does; who takes it for closed trades on half a candle."""
    length, now = INTERVALS[interval], NOW_MS + 12_345
    candles = market.candles("BTCUSDT", length, Window(50), now)
    assert candles.forming is not None
    assert candles.forming.open_ms == now // length * length
    assert int(candles.closed.open_ms[-1]) == candles.forming.open_ms - length
    assert len(candles.closed) == 49
    assert candles.forming.close == market.last_ticks("BTCUSDT", now)


@pytest.mark.parametrize("interval", ["1m", "5m", "15m", "1h"])
def test_a_forming_candle_becomes_exactly_the_closed_one(market: Market, interval: str) -> None:
    """The stream's last update and the closed candle agree."""
    length = INTERVALS[interval]
    opened = NOW_MS // length * length
    ended = market.forming("BTCUSDT", length, opened + length - 1)
    closed = market.closed("BTCUSDT", length, opened, opened + length).bar(0)
    assert (ended.open, ended.high, ended.low, ended.close) == (
        closed.open,
        closed.high,
        closed.low,
        closed.close,
    )


def test_a_window_with_a_start_gives_the_oldest_and_one_without_the_latest(market: Market) -> None:
    """Back-filling walks forward from a start time."""
    start = NOW_MS // HOUR_MS * HOUR_MS - 100 * HOUR_MS
    oldest = market.candles("BTCUSDT", HOUR_MS, Window(10, start_ms=start + 1), NOW_MS)
    assert oldest.forming is None
    assert oldest.closed.open_ms.tolist() == [start + number * HOUR_MS for number in range(1, 11)]
    latest_before = market.candles("BTCUSDT", HOUR_MS, Window(3, end_ms=start), NOW_MS)
    assert latest_before.closed.open_ms.tolist() == [start - 2 * HOUR_MS, start - HOUR_MS, start]
    nothing = market.candles("BTCUSDT", HOUR_MS, Window(10, start_ms=NOW_MS + DAY_MS), NOW_MS)
    assert (len(nothing.closed), nothing.forming) == (0, None)


def test_the_day_agrees_with_its_candles(market: Market) -> None:
    """The ticker's high and low are those of the last 24 hours."""
    day = market.day("BTCUSDT", NOW_MS)
    bars = market.closed("BTCUSDT", 15 * MINUTE_MS, NOW_MS - DAY_MS, NOW_MS)
    assert day.high >= bars.high.max()
    assert day.low <= bars.low.min()
    assert day.volume == pytest.approx(float(bars.volume.sum()), rel=0.02)


def test_aggregating_aligns_to_whole_intervals() -> None:
    """Candles open on the hour, not an hour after the series began."""
    bars = latest("1m", 200)
    hours = aggregated(bars, HOUR_MS)
    assert np.all(hours.open_ms % HOUR_MS == 0)
    assert float(hours.volume.sum()) == pytest.approx(float(bars.volume.sum()), rel=1e-4)
