"""What the feed takes for the exchange's clock, and what it does not believe of a message's time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from pipeline.domain.events import EventName
from pipeline.exchange.klines import Kline
from pipeline.market.feed import leading
from pipeline.market.feed.parts import DOUBTED_AGAIN_S, ExchangeTime
from pipeline.market.series import milliseconds
from tests.unit.market.candle_worlds import MINUTE, Row, rows
from tests.unit.market.feed_worlds import NOON_MS, STEP_MS, A, B, World, until

AHEAD = timedelta(seconds=5)
AHEAD_MS = 5_000
HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leading, "EVERY_S", 0.01)


@dataclass
class Elapsed:
    """Seconds that have gone by, as the test says."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


def measured_at_noon() -> tuple[ExchangeTime, Elapsed]:
    elapsed = Elapsed()
    time = ExchangeTime(AHEAD, elapsed)
    time.measured(NOON_MS)
    return time, elapsed


def test_it_goes_on_with_ours_between_two_measurements() -> None:
    """Nobody is asked for the time at every message."""
    time, elapsed = measured_at_noon()
    elapsed.seconds = 0.4
    assert time.now_ms == NOON_MS + 400


def test_a_measurement_puts_it_back_as_well_as_forward() -> None:
    """Ours gains five seconds while a time server slews it: bars would be late for ever, and before they close."""
    time, elapsed = measured_at_noon()
    elapsed.seconds = 65.0
    time.measured(NOON_MS + 60_000)
    assert time.now_ms == NOON_MS + 60_000


def test_a_message_puts_it_forward_until_time_has_overtaken_it() -> None:
    """The exchange knows its own clock; half a round trip may be wrong by a little."""
    time, elapsed = measured_at_noon()
    assert time.told(NOON_MS + 300)
    time.measured(NOON_MS + 100)
    assert time.now_ms == NOON_MS + 300
    elapsed.seconds = 1.0
    assert time.now_ms == NOON_MS + 1_100


def test_a_message_that_is_far_ahead_is_not_believed_and_the_clock_is_to_be_measured() -> None:
    """It is wrong, or what was measured is."""
    time, _ = measured_at_noon()
    assert not time.told(NOON_MS + AHEAD_MS + 1)
    assert (time.now_ms, time.is_doubted) == (NOON_MS, True)


def test_messages_of_impossible_times_have_it_measured_now_and_then_not_each_time() -> None:
    """Each measurement is a request."""
    time, elapsed = measured_at_noon()
    time.told(NOON_MS + HOUR_MS)
    time.no_more_doubt()
    time.told(NOON_MS + HOUR_MS)
    assert not time.is_doubted
    elapsed.seconds = DOUBTED_AGAIN_S
    time.told(NOON_MS + HOUR_MS)
    assert time.is_doubted


def test_a_clock_that_was_set_back_is_followed() -> None:
    """A recording that begins anew: what was heard before is later than any time to come."""
    time, _ = measured_at_noon()
    time.told(NOON_MS + 300)
    time.measured(NOON_MS - HOUR_MS)
    assert time.now_ms == NOON_MS - HOUR_MS


def half_told(world: World, told: list[Row]) -> list[Row]:
    """A bar that forms has another close than it will have."""
    now_ms = milliseconds(world.exchange.at)
    return [row if row[0] + STEP_MS <= now_ms else [*row[:4], (row[2] + row[3]) / 2, row[5]] for row in told]


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def forming(open_ms: int, event_ms: int) -> Kline:
    return Kline(A, MINUTE, tuple(rows(open_ms, 1)[0]), closed=False, event_ms=event_ms)


def test_a_message_ahead_of_its_time_closes_no_bar_and_decides_nothing() -> None:
    """The feed asks for a bar that seems late, and is told one that still forms."""

    async def story() -> None:
        world = World(ahead=AHEAD)
        world.exchange.spoil = lambda told: half_told(world, told)
        await world.begin()
        before = world.stored(A)
        world.exchange.at = at(NOON_MS + 58_500)
        await until(world.has_measured)
        world.sockets.opened[-1].hear(forming(NOON_MS, NOON_MS + 58_500 + AHEAD_MS - 1))
        await until(
            lambda: world.events.of(EventName.FEED_REPAIR)[2:], "the bar that seems late to be asked for"
        )
        assert (world.stored(A), world.asked_for) == (before, [])
        world.exchange.at = at(NOON_MS + 60_005)
        world.tell(A, NOON_MS)
        await until(lambda: world.asked_for, "the decision at the true close")
        assert world.stored(A)[-1:] == rows(NOON_MS, 1)
        await world.end()

    asyncio.run(story())


def test_a_bar_that_an_impossible_message_closes_is_refused_and_the_clock_measured() -> None:
    """Whoever moves a simulated clock by hand is followed after that."""

    async def story() -> None:
        world = World(ahead=AHEAD)
        await world.begin()
        hear = world.sockets.opened[-1].hear
        early = replace(forming(NOON_MS, NOON_MS + STEP_MS + 5), closed=True)
        hear(early)
        await until(lambda: world.events.of(EventName.BAR_REFUSED))
        await until(lambda: world.measured == 1, "the clock to be measured")
        assert world.stored(A)[-1:] == rows(NOON_MS - STEP_MS, 1)
        world.exchange.at = at(early.event_ms)
        await until(world.has_measured)
        hear(early)
        await until(lambda: world.stored(A)[-1:] == rows(NOON_MS, 1))
        await world.end()

    asyncio.run(story())


def test_a_message_about_a_bar_of_the_future_keeps_no_decision_from_its_symbol() -> None:
    """The bar before it would be missing for ever."""

    async def story() -> None:
        world = World()
        await world.begin()
        world.sockets.opened[-1].hear(forming(NOON_MS + HOUR_MS, NOON_MS + 5))
        world.sockets.opened[-1].hear(forming(NOON_MS + 1, NOON_MS + 5))
        world.tell_both(NOON_MS)
        await until(lambda: {each.symbol for each in world.asked_for} == {A, B})
        assert world.events.of(EventName.FEED_REPAIR)[2:] == []
        await world.end()

    asyncio.run(story())
