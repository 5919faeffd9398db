"""The feed while it leads: from what the sockets say to bars in the store and decisions asked for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import cast

import pytest

from pipeline.domain.errors import LedgerUnavailable
from pipeline.domain.events import EventName
from pipeline.exchange.klines import Kline
from pipeline.governor.universe import Universe
from pipeline.lease import Held
from pipeline.market.feed import leading
from pipeline.market.feed.heartbeat import Beat
from pipeline.market.series import milliseconds
from pipeline.stages.opening import PassRequest
from pipeline.stages.ports import CandleWindows, Window
from tests.unit.market.candle_worlds import MINUTE, rows
from tests.unit.market.feed_worlds import LONG_S, NOON_MS, STEP_MS, THREE, A, B, World, until


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leading, "EVERY_S", 0.01)


def test_a_closed_bar_is_stored_and_its_decision_asked_for_once_all_its_bars_have_come() -> None:
    """Three minutes after noon a bar of each timeframe closes: one decision, not two, and not too early."""

    async def story() -> None:
        world = World()
        await world.begin()
        for minute in (1, 2):
            world.tell_both(NOON_MS + (minute - 1) * STEP_MS)
            await until(partial(world.has_asked_for, 2 * minute))
            await until(world.has_measured, "the exchange to be asked for its time within the minute")
        world.tell_both(NOON_MS + 2 * STEP_MS)
        await until(lambda: len(world.stored(B)) == 23)
        assert world.has_asked_for(4)
        assert world.stored(A)[-3:] == rows(NOON_MS, 3)
        world.tell_both(NOON_MS, THREE)
        await until(partial(world.has_asked_for, 6))
        slots = [milliseconds(each.slot) for each in world.asked_for if each.symbol == A]
        assert slots == [NOON_MS + STEP_MS, NOON_MS + 2 * STEP_MS, NOON_MS + 3 * STEP_MS]
        assert world.exchange.asked == []
        await world.end()

    asyncio.run(story())


def repaired(world: World) -> list[dict[str, object]]:
    """What was told of bars of a minute that the first symbol lacked."""
    repairs = [each for each in world.events.of(EventName.FEED_REPAIR) if each["symbol"] == A]
    return [each for each in repairs if each["lacked"] == ["1m"]]


def test_a_bar_that_was_lost_on_its_way_is_asked_for_as_soon_as_a_later_one_is_heard() -> None:
    """The newest bar alone does not hide the gap behind it."""

    async def story() -> None:
        world = World()
        await world.begin()
        world.exchange.pass_time(timedelta(minutes=2, seconds=1))
        world.tell(A, NOON_MS + STEP_MS)
        await until(lambda: world.stored(A)[-2:] == rows(NOON_MS, 2))
        await until(lambda: repaired(world), "the repair to be told, which it is after it was made")
        (repair,) = repaired(world)
        assert "rest" in str(repair["sources"])
        await world.end()

    asyncio.run(story())


def test_a_bar_that_the_exchange_has_not_closed_by_its_own_clock_is_refused() -> None:
    """Whatever the message says about itself."""

    async def story() -> None:
        world = World()
        await world.begin()
        before = world.stored(A)
        hear = world.sockets.opened[-1].hear
        early = Kline(A, MINUTE, tuple(rows(NOON_MS, 1)[0]), closed=True, event_ms=NOON_MS + STEP_MS - 1)
        hear(early)
        hear(replace(early, row=(NOON_MS, 1.0, 0.5, 2.0, 1.0, 1.0), event_ms=NOON_MS + STEP_MS + 5))
        await until(lambda: len(world.events.of(EventName.BAR_REFUSED)) == 2)
        assert world.stored(A) == before
        assert world.asked_for == []
        await world.end()

    asyncio.run(story())


def test_a_store_that_is_away_loses_no_bar() -> None:
    """What could not be written is asked for once Redis is back."""

    async def story() -> None:
        world = World()
        await world.begin()
        world.store.away = True
        world.exchange.pass_time(timedelta(minutes=1, seconds=3))
        world.tell(A, NOON_MS)
        await until(lambda: world.events.of(EventName.BAR_REFUSED))
        world.store.away = False
        await until(lambda: world.stored(A)[-1:] == rows(NOON_MS, 1))
        await world.end()

    asyncio.run(story())


def test_an_emptied_store_is_loaded_again_when_the_lease_shows_it() -> None:
    """The lease vanishes with everything else that Redis held."""

    async def story() -> None:
        world = World()
        await world.begin()
        world.store.kept.clear()
        world.lease.held = Held(1, "here", anew=True)
        await until(lambda: (A, "1m") in world.store.kept)
        world.lease.held = Held(1, "here")
        await until(lambda: (B, "3m") in world.store.kept)
        await world.end()

    asyncio.run(story())


@dataclass
class SlowAnswers:
    """Windows whose answers arrive when the test lets them, though they were read before."""

    windows: CandleWindows
    may_arrive: threading.Event = field(default_factory=threading.Event)
    read: list[str] = field(default_factory=list)

    def window(self, symbol: str, timeframes: Sequence[str], as_of: datetime, bars: int = 200) -> Window:
        window = self.windows.window(symbol, timeframes, as_of, bars)
        self.read.append(symbol)
        assert self.may_arrive.wait(LONG_S)
        return window


def test_what_was_read_before_the_store_was_emptied_does_not_count_as_loaded() -> None:
    """The answer to a repair that is under way shows bars that are gone when it arrives."""

    async def story() -> None:
        world = World()
        await world.begin()
        slow = SlowAnswers(world.windows)
        world.leader._parts = replace(world._parts(), windows=cast("CandleWindows", slow))
        world.exchange.pass_time(timedelta(minutes=1, seconds=3))
        await until(lambda: A in slow.read, "a repair of the bar that did not come")
        world.store.kept.clear()
        world.lease.held = Held(1, "here", anew=True)
        await until(lambda: world.leader._times_emptied, "the leader to learn that the store is empty")
        world.lease.held = Held(1, "here")
        slow.may_arrive.set()
        await until(lambda: (A, "3m") in world.store.kept, "what was lost to be loaded again")
        await world.end()

    asyncio.run(story())


def test_it_stops_leading_when_another_has_the_lease_and_closes_its_connections() -> None:
    """A frozen process that thaws must not go on for long."""

    async def story() -> None:
        world = World()
        await world.begin()
        assert world.task is not None
        world.lease.held = Held(0, "there")
        assert await world.task == "there"
        assert all(each.closed for each in world.sockets.opened)

    asyncio.run(story())


def test_a_decision_that_cannot_be_opened_silences_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beat asks again soon; the other symbols' decisions go out."""

    async def story() -> None:
        world = World()
        await world.begin()

        def enqueue(requests: Sequence[PassRequest]) -> list[tuple[PassRequest, Exception]]:
            world.asked_for += [each for each in requests if each.symbol != A]
            return [(each, LedgerUnavailable("locked")) for each in requests if each.symbol == A]

        monkeypatch.setattr(world, "enqueue", enqueue)
        world.leader._parts = world._parts()
        world.tell(A, NOON_MS)
        world.tell(B, NOON_MS)
        await until(lambda: world.asked_for)
        assert world.events.of(EventName.PUBLISH_FAILED)[0]["symbol"] == A
        await world.end()

    asyncio.run(story())


def test_what_goes_wrong_at_one_close_is_told_and_the_next_is_heard_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever it was: a feed that asks for nothing any more looks like a quiet market."""

    async def story() -> None:
        world = World()
        await world.begin()
        monkeypatch.setattr(world, "enqueue", lambda _: 1 / 0)
        world.leader._parts = world._parts()
        world.tell(A, NOON_MS)
        await until(lambda: world.events.of(EventName.PUBLISH_FAILED))
        monkeypatch.undo()
        world.leader._parts = world._parts()
        world.tell(A, NOON_MS + MINUTE.milliseconds)
        await until(lambda: world.asked_for)
        assert [each["symbol"] for each in world.events.of(EventName.PUBLISH_FAILED)] == [A]
        await world.end()

    asyncio.run(story())


def test_a_part_that_fails_is_told_once_and_the_rest_goes_on() -> None:
    """A ledger that is away must not fill the log, nor keep bars from the store."""

    async def story() -> None:
        world = World()
        await world.begin()

        def away() -> Universe:
            raise LedgerUnavailable("locked")

        world.leader._parts = replace(world._parts(), universe=away)
        await until(lambda: world.events.of(EventName.FEED_TROUBLE))
        world.tell(A, NOON_MS)
        await until(lambda: world.stored(A)[-1:] == rows(NOON_MS, 1))
        assert len(world.events.of(EventName.FEED_TROUBLE)) == 1
        await world.end()

    asyncio.run(story())


def test_the_heartbeat_survives_its_form_in_redis() -> None:
    """The watchdog reads what the feed wrote."""

    async def story() -> Beat:
        world = World()
        await world.begin()
        await world.end()
        return world.heartbeats.written[-1]

    beat = asyncio.run(story())
    assert Beat.from_hash(beat.as_hash()) == beat
    assert (beat.symbols, beat.behind) == (2, 0)
    assert milliseconds(cast("datetime", beat.last["1m"])) == NOON_MS - STEP_MS
    with pytest.raises((KeyError, ValueError)):
        Beat.from_hash({})
