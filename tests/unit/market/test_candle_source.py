"""The candle source: the store first, the exchange for what it lacks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.timeframes import CandleRange, Timeframe
from pipeline.market.encoding import Stored
from pipeline.market.series import milliseconds
from pipeline.market.source import CandleSource, SourceOptions
from pipeline.strategies.candles import Candles
from pipeline.strategies.window import Window
from tests.unit.market.candle_worlds import (
    MINUTE,
    NOW,
    SYMBOL,
    FakeExchange,
    MemoryStore,
    Row,
    as_rows,
    candles,
    newest_rows,
)

TIMEFRAMES = ("1m", "5m", "15m")
THREE = Timeframe.parse("3m")
NINE = datetime(2025, 10, 10, 21, 9, tzinfo=UTC)
"""A bar of a minute and one of three close then."""
BARS = 60


@pytest.fixture
def exchange() -> FakeExchange:
    return FakeExchange()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def source(store: MemoryStore, exchange: FakeExchange) -> CandleSource:
    return CandleSource(store, exchange, SourceOptions(keep=80))


def filled(store: MemoryStore, table: list[Row], timeframe: Timeframe = MINUTE) -> None:
    store.merge(SYMBOL, timeframe.name, candles(table, timeframe), 1000)


def look(source: CandleSource, exchange: FakeExchange, *timeframes: str) -> Window:
    return source.window(SYMBOL, timeframes or ("1m",), exchange.at, BARS)


def test_the_first_window_comes_from_the_exchange_and_says_why(
    source: CandleSource, exchange: FakeExchange
) -> None:
    """An empty store is the normal start, not an error."""
    window = look(source, exchange, *TIMEFRAMES)
    assert window.ok
    for timeframe in TIMEFRAMES:
        assert as_rows(window.candles[timeframe]) == newest_rows(BARS, Timeframe.parse(timeframe))
    assert [found.source for found in window.ranges] == ["rest: nothing stored"] * 3


def test_the_second_window_asks_the_exchange_nothing(source: CandleSource, exchange: FakeExchange) -> None:
    """In the steady state the exchange's budget belongs to orders."""
    look(source, exchange, *TIMEFRAMES)
    exchange.asked.clear()
    window = look(source, exchange, *TIMEFRAMES)
    assert exchange.asked == []
    assert window.ok
    assert {found.source for found in window.ranges} == {"store"}


def test_only_the_bars_behind_are_asked_for(source: CandleSource, exchange: FakeExchange) -> None:
    """Two new minutes cost a request for two bars, not for two hundred."""
    look(source, exchange)
    exchange.asked.clear()
    exchange.pass_time(timedelta(minutes=2))
    window = look(source, exchange)
    assert exchange.asked == [("1m", MINUTE.last_closed_open(NOW) + MINUTE.length, 3)]
    assert as_rows(window.candles["1m"]) == newest_rows(BARS, now=exchange.at)
    assert window.ranges[0].source == "rest: 2 bars behind"


def test_only_the_bars_of_a_gap_are_asked_for(
    source: CandleSource, store: MemoryStore, exchange: FakeExchange
) -> None:
    """The bars around a hole are good: asking for them again would be waste."""
    table = newest_rows(BARS)
    filled(store, table[:20] + table[23:])
    window = look(source, exchange)
    assert [(milliseconds(since), limit) for _, since, limit in exchange.asked] == [(table[20][0], 4)]
    assert as_rows(window.candles["1m"]) == table
    assert as_rows(store.kept[SYMBOL, "1m"].candles) == table


def test_a_forming_bar_is_never_in_a_window_nor_in_the_store(
    source: CandleSource, store: MemoryStore, exchange: FakeExchange
) -> None:
    """The exchange's clock decides what is closed, whatever the exchange sends."""
    exchange.spoil = lambda told: [*told, newest_rows(1, now=exchange.at + MINUTE.length)[0]]
    window = look(source, exchange)
    assert as_rows(window.candles["1m"]) == newest_rows(BARS)
    assert as_rows(store.kept[SYMBOL, "1m"].candles) == newest_rows(BARS)


def test_one_bad_timeframe_is_named_with_its_cause_and_spoils_no_other(
    source: CandleSource, exchange: FakeExchange
) -> None:
    """ "Insufficient data" without a timeframe and a cause sends people through the logs."""
    exchange.failing["5m"] = ExchangeUnavailable("no answer within 8 s")
    window = look(source, exchange, *TIMEFRAMES)
    assert window.summary == "1m=ok 5m=missing 15m=ok"
    assert "no answer within 8 s" in window.ranges[1].problem
    assert len(window.candles["15m"]) == BARS


def test_an_exchange_without_the_newest_bar_makes_the_timeframe_stale(
    source: CandleSource, store: MemoryStore, exchange: FakeExchange
) -> None:
    """Old bars look exactly like fresh ones: only the clock tells."""
    filled(store, newest_rows(BARS + 5)[:-2])
    exchange.lost = {int(bar[0]) for bar in newest_rows(2)}
    window = look(source, exchange)
    assert window.summary == "1m=stale"
    assert window.only_stale


def test_a_lag_within_the_allowance_is_no_problem(store: MemoryStore, exchange: FakeExchange) -> None:
    """Who trades on hours may allow a bar's delay; it must then be judged on the bars there are."""
    exchange.lost = {int(newest_rows(1)[0][0])}
    patient = CandleSource(store, exchange, SourceOptions(keep=80, max_lag_bars=1))
    window = look(patient, exchange)
    assert window.ok
    assert as_rows(window.candles["1m"]) == newest_rows(BARS)[:-1]


def test_a_bar_that_the_exchange_does_not_have_leaves_only_the_newest_run(
    source: CandleSource, exchange: FakeExchange
) -> None:
    """A missing bar is said, never invented."""
    exchange.lost = {int(newest_rows(10)[0][0])}
    window = look(source, exchange)
    assert window.summary == "1m=short"
    assert as_rows(window.candles["1m"]) == newest_rows(9)
    assert not window.only_stale


@pytest.mark.parametrize("rubbish", [None, [], {"code": -1121}, "<html>", [[None] * 6], [[1, 2]]])
def test_a_rubbish_answer_is_a_missing_timeframe(
    source: CandleSource, exchange: FakeExchange, rubbish: object
) -> None:
    """Whatever stands in the body, the decision ends as skipped and says so."""
    exchange.spoil = lambda _: rubbish
    assert look(source, exchange).summary == "1m=missing"


def test_unreadable_bytes_in_the_store_are_asked_for_again(
    source: CandleSource, store: MemoryStore, exchange: FakeExchange
) -> None:
    """A corrupt cache heals itself, and says that it was corrupt."""
    store.kept[SYMBOL, "1m"] = Stored(Candles.none(), 0, "corrupt bytes: the checksum differs")
    window = look(source, exchange)
    assert window.ok
    assert "corrupt" in window.ranges[0].source
    assert not store.kept[SYMBOL, "1m"].problem


def test_without_its_store_the_source_still_serves_from_the_exchange(
    source: CandleSource, store: MemoryStore, exchange: FakeExchange
) -> None:
    """Losing the cache may cost time, never a decision."""
    store.away = True
    window = look(source, exchange)
    assert window.ok
    assert "could not reach Redis" in window.ranges[0].source


def test_a_later_stage_sees_the_same_bars_though_newer_ones_have_come(
    source: CandleSource, exchange: FakeExchange
) -> None:
    """Fetch and evaluate may lie minutes apart; the decision is about the bars that fetch named."""
    before = look(source, exchange, *TIMEFRAMES)
    exchange.pass_time(timedelta(minutes=7))
    look(source, exchange, *TIMEFRAMES)
    exchange.asked.clear()
    after = source.exact(SYMBOL, before.ranges)
    assert after.ok
    assert exchange.asked == []
    assert same_bars(before, after)


def test_a_later_stage_sees_the_same_bars_after_the_store_was_flushed(
    source: CandleSource, store: MemoryStore, exchange: FakeExchange
) -> None:
    """A flushed Redis in mid-flight must not change what a decision is judged on."""
    before = look(source, exchange, *TIMEFRAMES)
    store.kept.clear()
    exchange.pass_time(timedelta(minutes=3))
    after = source.exact(SYMBOL, [CandleRange.from_record(each.as_record()) for each in before.ranges])
    assert after.ok
    assert same_bars(before, after)


def test_bars_that_cannot_be_had_again_are_a_problem(
    source: CandleSource, store: MemoryStore, exchange: FakeExchange
) -> None:
    """Judging other bars than those named would make the trace a lie."""
    before = look(source, exchange)
    store.kept.clear()
    exchange.lost = {int(newest_rows(BARS)[30][0])}
    after = source.exact(SYMBOL, before.ranges)
    assert not after.ok
    assert "59 of the 60 bars" in after.ranges[0].problem


def same_bars(one: Window, other: Window) -> bool:
    return all(as_rows(one.candles[name]) == as_rows(other.candles[name]) for name in TIMEFRAMES)


def test_a_bar_that_has_just_closed_is_left_to_the_feed(store: MemoryStore, exchange: FakeExchange) -> None:
    """Beat's pass may come in the moment before the feed's bar is written: it must not cost a request."""
    patient = CandleSource(store, exchange, SourceOptions(keep=80, patience_ms=2000))
    look(patient, exchange)
    exchange.asked.clear()
    exchange.pass_time(timedelta(seconds=31))  # the next bar has closed a second ago
    before = look(patient, exchange)
    assert before.ok
    assert exchange.asked == []
    assert before.ranges[0].last_open == MINUTE.last_closed_open(NOW)
    exchange.pass_time(timedelta(seconds=1))
    after = look(patient, exchange)
    assert after.ranges[0].last_open == MINUTE.last_closed_open(exchange.at)
    assert len(exchange.asked) == 1


def test_a_window_never_is_half_of_one_close_and_half_of_the_one_before(
    store: MemoryStore, exchange: FakeExchange
) -> None:
    """The feed has written one of two bars that close together: judged then, it would be a market that never was."""
    patient = CandleSource(store, exchange, SourceOptions(keep=80, patience_ms=2000))
    both = ["1m", "3m"]
    exchange.at = NINE - timedelta(seconds=30)
    before = patient.window(SYMBOL, both, exchange.at, 20)
    exchange.at = NINE + timedelta(seconds=1)
    store.merge(SYMBOL, "1m", candles(newest_rows(1, MINUTE, NINE), MINUTE, NINE), 80)
    between = patient.window(SYMBOL, both, exchange.at, 20)
    assert [each.last_open for each in between.ranges] == [each.last_open for each in before.ranges]
    store.merge(SYMBOL, "3m", candles(newest_rows(1, THREE, NINE), THREE, NINE), 80)
    after = patient.window(SYMBOL, both, exchange.at, 20)
    assert [each.last_open for each in after.ranges] == [
        frame.last_closed_open(NINE) for frame in (MINUTE, THREE)
    ]
    assert before.ok
    assert between.ok
    assert after.ok


def test_patience_hides_no_older_gap(store: MemoryStore, exchange: FakeExchange) -> None:
    """Only the very newest bar can be on its way."""
    patient = CandleSource(store, exchange, SourceOptions(keep=80, patience_ms=2000))
    look(patient, exchange)
    exchange.pass_time(timedelta(seconds=91))  # two bars have closed since
    window = look(patient, exchange)
    assert window.ranges[0].last_open == MINUTE.last_closed_open(exchange.at)
    assert window.ok
