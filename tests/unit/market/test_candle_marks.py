"""Bars that are there but suspicious, and bars that are not there at all: marked, never hidden and never invented."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline.domain.timeframes import CandleRange
from pipeline.market.absences import OFTEN, OFTEN_MS, RARELY_MS
from pipeline.market.quality import Flaw, check, jumps_bps, newest_jump_bps
from pipeline.market.series import milliseconds
from pipeline.market.source import CandleSource, SourceOptions
from pipeline.stages.evaluate import bar_jump_bps
from pipeline.strategies.window import Window
from tests.unit.market.candle_worlds import (
    MINUTE,
    NOW,
    SYMBOL,
    FakeExchange,
    MemoryStore,
    Row,
    candles,
    newest_rows,
)

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


def look(source: CandleSource, exchange: FakeExchange) -> Window:
    return source.window(SYMBOL, ["1m"], exchange.at, BARS)


def with_a_wick(place: int, low: float) -> list[Row]:
    """Bars of which one reaches down to a fraction of its close, as in October 2025."""
    table = newest_rows(BARS)
    table[place][3] *= low
    return table


# ------------------------------------------------------------------------------------------------------ jumps


def test_an_absurd_jump_is_kept_and_named() -> None:
    """It may be true: then refusing the bar would hide a crash."""
    result = check(with_a_wick(30, 0.204), MINUTE, NOW)
    assert len(result.candles) == BARS
    (problem,) = result.problems
    assert (problem.flaw, problem.open_time) == (Flaw.JUMP, newest_rows(BARS)[30][0])
    assert "796" in problem.detail
    assert check(with_a_wick(30, 0.204), MINUTE, NOW, absurd_bps=9000).problems == ()


@pytest.mark.parametrize("count", [2, 3, 5, 6, BARS])
@pytest.mark.parametrize("low", [0.5, 1.0, 1.5])
def test_the_newest_jump_is_the_largest_of_the_newest_bars_jumps(count: int, low: float) -> None:
    """A window is marked by the same measure by which a bar is named."""
    bars = candles(with_a_wick(-2, low)).tail(count)
    assert newest_jump_bps(bars, 4) == jumps_bps(bars)[1:][-4:].max()


def test_one_bar_alone_has_jumped_from_nowhere() -> None:
    """A symbol that is listed just now is not marked for that."""
    assert newest_jump_bps(candles(newest_rows(BARS)).tail(1), 4) == 0


@pytest.mark.parametrize(("place", "marked"), [(-1, True), (-4, True), (-5, False)])
def test_a_jump_among_the_newest_bars_marks_the_range(
    source: CandleSource, store: MemoryStore, exchange: FakeExchange, place: int, marked: bool
) -> None:
    """The mark goes where the decision goes: into its ledger record, and on to the governor."""
    store.merge(SYMBOL, "1m", candles(with_a_wick(place, 0.5)), 80)
    (told,) = look(source, exchange).ranges
    assert told.ok
    assert bool(told.jump_bps) is marked
    assert CandleRange.from_record(told.as_record()) == told


def test_a_marked_jump_is_what_the_governor_compares(
    source: CandleSource, store: MemoryStore, exchange: FakeExchange
) -> None:
    """From close to close a wick is invisible; the governor must see how far it reached."""
    calm = look(source, exchange)
    assert float(bar_jump_bps(calm)) < 500
    store.merge(SYMBOL, "1m", candles(with_a_wick(-2, 0.5)), 80)
    assert 4900 < float(bar_jump_bps(look(source, exchange))) < 5200


# --------------------------------------------------------------------------------------------- closed, or nearly


def test_a_bar_that_has_just_closed_is_believed_when_the_next_one_is_shown() -> None:
    """Our idea of the exchange's clock is wrong by some milliseconds: too early, a closed bar may still change."""
    table = newest_rows(3)
    closes = NOW.fromtimestamp((table[-1][0] + MINUTE.milliseconds) / 1000, NOW.tzinfo)
    second = timedelta(seconds=1)
    next_bar = [table[-1][0] + MINUTE.milliseconds, *table[-1][1:]]
    assert len(check(table, MINUTE, closes, settle=second).candles) == 2
    assert len(check([*table, next_bar], MINUTE, closes, settle=second).candles) == 3
    assert len(check(table, MINUTE, closes + second, settle=second).candles) == 3


# ------------------------------------------------------------------------------------------------------ absences


def test_a_bar_that_the_exchange_lacks_is_marked_and_not_asked_for_at_once_again(
    source: CandleSource, store: MemoryStore, exchange: FakeExchange
) -> None:
    """A maintenance at the exchange would otherwise cost a request in every pass, for hours."""
    gap = int(newest_rows(10)[0][0])
    exchange.lost = {gap}
    first = look(source, exchange)
    assert "the exchange has no bar of" in first.detail
    assert store.look(SYMBOL, ["1m"])["1m"].absences.times.tolist() == [gap]
    exchange.asked.clear()
    again = look(source, exchange)
    assert exchange.asked == []
    assert again.summary == "1m=short"
    assert "asked 1 times" in again.detail


def test_an_absent_bar_is_asked_for_now_and_then_and_taken_when_it_is_there(
    source: CandleSource, store: MemoryStore, exchange: FakeExchange
) -> None:
    """The answer may have lacked it by mistake: then the store must be whole again soon."""
    gap = int(newest_rows(10)[0][0])
    exchange.lost = {gap}
    look(source, exchange)
    exchange.pass_time(timedelta(milliseconds=OFTEN_MS))
    exchange.lost = set()
    assert look(source, exchange).ok
    assert not len(store.look(SYMBOL, ["1m"])["1m"].absences)


def test_a_bar_that_stays_absent_is_asked_for_rarely(
    source: CandleSource, store: MemoryStore, exchange: FakeExchange
) -> None:
    """Whoever lists a new symbol has no bars of last week, and never will."""
    gap = int(newest_rows(10)[0][0])
    exchange.lost = {gap}
    look(source, exchange)
    for _ in range(OFTEN):
        store.kept[SYMBOL, "1m"].absences.table.flags.writeable = True
        store.kept[SYMBOL, "1m"].absences.table[:, 1] -= OFTEN_MS
        look(source, exchange)
    exchange.asked.clear()
    resting = store.look(SYMBOL, ["1m"])["1m"].absences
    asked_ms = int(resting.table[0, 1])
    assert resting.resting(asked_ms + RARELY_MS - 1).tolist() == [gap]
    assert resting.resting(asked_ms + RARELY_MS).tolist() == []


def test_bars_before_the_listing_are_absent(
    source: CandleSource, store: MemoryStore, exchange: FakeExchange
) -> None:
    """A symbol that was listed an hour ago is short for a while, and costs no request meanwhile."""
    exchange.lost = {int(bar[0]) for bar in newest_rows(BARS)[:-20]}
    assert look(source, exchange).summary == "1m=short"
    exchange.asked.clear()
    assert look(source, exchange).summary == "1m=short"
    assert exchange.asked == []


def test_a_refused_row_proves_no_absence(
    source: CandleSource, store: MemoryStore, exchange: FakeExchange
) -> None:
    """A bar that was told wrongly may well exist: it is asked for again in the next pass."""
    exchange.spoil = lambda told: [*told[:30], [told[30][0] + 1234, *told[30][1:]], *told[31:]]
    assert look(source, exchange).summary == "1m=short"
    assert not len(store.look(SYMBOL, ["1m"])["1m"].absences)
    exchange.spoil = list
    assert look(source, exchange).ok


def test_a_late_newest_bar_is_not_absent(
    source: CandleSource, store: MemoryStore, exchange: FakeExchange
) -> None:
    """It is on its way: the next pass asks again at once."""
    exchange.lost = {int(newest_rows(1)[0][0])}
    look(source, exchange)
    assert not len(store.look(SYMBOL, ["1m"])["1m"].absences)


# ----------------------------------------------------------------------------------------------------- revisions


def test_a_revised_bar_is_taken_over_and_counted(store: MemoryStore) -> None:
    """Exchanges correct bars; how often one does says how much its first word is worth."""
    table = newest_rows(5)
    store.merge(SYMBOL, "1m", candles(table), 80)
    store.merge(SYMBOL, "1m", candles(table), 80)
    assert store.kept[SYMBOL, "1m"].revisions == 0
    revised = [[*bar[:5], bar[5] + 1] for bar in table[2:4]]
    store.merge(SYMBOL, "1m", candles(revised), 80)
    kept = store.kept[SYMBOL, "1m"]
    assert kept.revisions == 2
    assert kept.candles.volume[2:4].tolist() == [bar[5] for bar in revised]
    assert milliseconds(NOW) == kept.written_at_ms
