"""Connections that end, fall silent or get other symbols, over sockets that the test speaks through."""

from __future__ import annotations

import asyncio
import time

import pytest

from pipeline.domain.events import EventName
from pipeline.exchange.klines import Kline
from pipeline.market.feed import connections
from pipeline.market.feed.connections import Connections, Limits
from pipeline.trace.events import RecordedEvents
from tests.unit.market.candle_worlds import MINUTE
from tests.unit.market.feed_worlds import Sockets, until

A, B, C = "A/USDT:USDT", "B/USDT:USDT", "C/USDT:USDT"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of milliseconds."""
    monkeypatch.setattr(connections, "FIRST_PAUSE_S", 0.002)
    monkeypatch.setattr(connections, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(connections, "OVERLAP_S", 0.05)
    monkeypatch.setattr(connections, "CLOSES_WITHIN_S", 0.05)


class World:
    """Connections of two symbols each. To be made inside an event loop."""

    def __init__(self, mute_after_s: float = 60.0) -> None:
        self.sockets = Sockets()
        self.events = RecordedEvents()
        self.heard: list[Kline] = []
        limits = Limits(symbols=2, mute_after_s=mute_after_s)
        self.kept = Connections(
            lambda group: self.sockets.open(group, self.heard.append), limits, self.events
        )


def test_a_connection_that_ends_is_made_again_and_says_why() -> None:
    """Each loss is told with its cause; candles that come again are told as well."""

    async def story() -> None:
        world = World()
        world.kept.follow([A])
        await until(lambda: world.sockets.opened)
        world.sockets.opened[0].tell(A, 0, MINUTE, closed=False)
        await until(lambda: world.kept.up == 1)
        world.sockets.opened[0].end("cut")
        await until(lambda: len(world.sockets.opened) == 2)
        assert world.sockets.opened[0].closed
        assert world.kept.up == 0
        assert world.events.of(EventName.FEED_LOST)[0]["problem"] == "cut"
        world.sockets.opened[1].tell(A, 0, MINUTE, closed=False)
        await until(lambda: len(world.events.of(EventName.FEED_CONNECTED)) == 2)
        await world.kept.close()

    asyncio.run(story())


def test_a_connection_that_is_open_but_mute_is_made_again() -> None:
    """The worst kind: connected, and blind."""

    async def story() -> None:
        world = World(mute_after_s=0.05)
        world.kept.follow([A])
        await until(lambda: len(world.sockets.opened) == 2)
        assert world.events.of(EventName.FEED_MUTE)
        assert "mute" in str(world.events.of(EventName.FEED_LOST)[0]["problem"])
        await world.kept.close()

    asyncio.run(story())


def test_a_connection_that_cannot_be_made_is_tried_again() -> None:
    """An exchange that does not even tell its instruments is asked again later."""

    async def story() -> None:
        world = World()
        world.sockets.refusing = "no instruments"
        world.kept.follow([A])
        await until(lambda: len(world.events.of(EventName.FEED_LOST)) > 2)
        world.sockets.refusing = ""
        await until(lambda: world.sockets.opened)
        await world.kept.close()

    asyncio.run(story())


def test_pauses_grow_up_to_a_limit_and_differ() -> None:
    """A thousand clients that come back at once after an outage bring the next one."""
    pauses = [connections._pause_s(failures) for failures in range(1, 40)]
    assert max(pauses) <= connections.LONGEST_PAUSE_S
    assert pauses[0] < connections.LONGEST_PAUSE_S
    assert len({connections._pause_s(30) for _ in range(10)}) > 1


def test_a_changed_group_gets_a_new_connection_before_the_old_one_goes() -> None:
    """A bar that closes in between is told by one of the two."""

    async def story() -> None:
        world = World()
        world.kept.follow([A, B, C])
        await until(lambda: len(world.sockets.opened) == 2)
        old = next(each for each in world.sockets.opened if C in each.group)
        untouched = next(each for each in world.sockets.opened if A in each.group)
        world.kept.follow([A, B, C, "D/USDT:USDT"])
        await until(lambda: len(world.sockets.opened) == 3)
        began = time.monotonic()
        world.sockets.opened[2].tell(C, 0, MINUTE, closed=False)
        await until(lambda: old.closed)
        assert time.monotonic() - began >= 0.04
        assert not untouched.closed
        assert world.kept.count == 2
        await world.kept.close()
        assert all(each.closed for each in world.sockets.opened)

    asyncio.run(story())


def test_a_connection_goes_on_until_the_one_that_replaces_it_has_told_a_candle() -> None:
    """A group with a symbol that cannot be followed would take the candles from all its others."""

    async def story() -> None:
        world = World()
        world.kept.follow([A])
        await until(lambda: world.sockets.opened)
        (old,) = world.sockets.opened
        world.sockets.refusing = "B is not listed"
        world.kept.follow([A, B])
        await until(lambda: len(world.events.of(EventName.FEED_LOST)) > 2)
        assert not old.closed
        world.sockets.refusing = ""
        await until(lambda: len(world.sockets.opened) == 2)
        assert not old.closed
        world.sockets.opened[1].tell(A, 0, MINUTE, closed=False)
        await until(lambda: old.closed)
        await world.kept.close()

    asyncio.run(story())


def test_a_connection_whose_symbols_nobody_wants_goes_without_waiting_for_others() -> None:
    """The exchange delists a symbol; nothing replaces it."""

    async def story() -> None:
        world = World()
        world.kept.follow([A, B, C])
        await until(lambda: len(world.sockets.opened) == 2)
        old = next(each for each in world.sockets.opened if C in each.group)
        world.kept.follow([A, B])
        await until(lambda: old.closed)
        await world.kept.close()

    asyncio.run(story())


def test_a_peer_that_never_says_goodbye_delays_no_new_connection() -> None:
    """A host without power answers nothing, not even that."""

    async def story() -> None:
        world = World()
        world.kept.follow([A])
        await until(lambda: world.sockets.opened)
        world.sockets.opened[0].is_dead = True
        world.sockets.opened[0].end("mute")
        await until(lambda: len(world.sockets.opened) == 2)
        assert not world.sockets.opened[0].closed
        await world.kept.close()

    asyncio.run(story())
