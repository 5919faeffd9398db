"""The feed's connections: each is kept up for ever, and notices when it is open but mute."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from pipeline.domain.events import EventName, Events
from pipeline.market.feed.plan import Group, groups

LOOK_EVERY_S = 0.5
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 10.0
GOOD_AFTER_S = 30.0
"""A connection that lasted this long was a good one: the next pause is short again."""
OVERLAP_S = 3.0
"""How long a connection goes on beside those that replace it once they are up, so that no bar falls between them."""
CLOSES_WITHIN_S = 1.0
"""A connection says goodbye, and is answered. A dead peer never answers: the next connection does not wait for it."""


class Socket(Protocol):
    """What a connection is made of; `pipeline.exchange.klines.KlineSocket` is the real one."""

    messages: int
    heard_at: float

    async def follow(self) -> None:
        """Raises: ExchangeUnavailable when the connection ends."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many symbols share a connection, and after how long without a candle one counts as mute."""

    symbols: int
    mute_after_s: float


class Connection:
    """One group of symbols on one socket, again and again."""

    def __init__(
        self,
        group: Group,
        open_socket: Callable[[Group], Socket],
        limits: Limits,
        events: Events,
        came_up: Callable[[], None],
    ) -> None:
        self.group = group
        self._came_up = came_up
        self._open = open_socket
        self._limits = limits
        self._events = events
        self._failures = 0
        self._closing: set[asyncio.Task[None]] = set()
        self.is_up = False
        self.task = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        while True:
            began = time.monotonic()
            why = await self._once()
            self.is_up = False
            self._failures = 0 if time.monotonic() - began > GOOD_AFTER_S else self._failures + 1
            pause_s = _pause_s(self._failures)
            self._events.emit(
                EventName.FEED_LOST, symbols=len(self.group), problem=why, wait_s=round(pause_s, 2)
            )
            await asyncio.sleep(pause_s)

    async def _once(self) -> str:
        """Connect, and listen as long as it lasts. Returns why it ended."""
        try:
            socket = await asyncio.to_thread(
                self._open, self.group
            )  # the list of instruments may have to be read
        except Exception as problem:  # noqa: BLE001 - whatever it was, it is tried again
            return f"{type(problem).__name__}: {problem}"
        following = asyncio.create_task(socket.follow())
        try:
            return await self._watch(socket, following)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            await self._leave(socket)

    async def _leave(self, socket: Socket) -> None:
        closing = asyncio.create_task(socket.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        await asyncio.wait({closing}, timeout=CLOSES_WITHIN_S)

    async def _watch(self, socket: Socket, following: asyncio.Task[None]) -> str:
        while not following.done():
            self._mind(socket)
            silent_s = time.monotonic() - socket.heard_at
            if silent_s > self._limits.mute_after_s:
                self._events.emit(EventName.FEED_MUTE, symbols=len(self.group), for_s=round(silent_s, 1))
                return f"open, but mute for {silent_s:.0f} s"
            await asyncio.wait({following}, timeout=LOOK_EVERY_S)
        try:
            await following
        except Exception as problem:  # noqa: BLE001 - the same
            return str(problem) or type(problem).__name__
        return "the connection ended"

    def _mind(self, socket: Socket) -> None:
        if socket.messages and not self.is_up:
            self.is_up = True
            self._events.emit(EventName.FEED_CONNECTED, symbols=len(self.group))
            self._came_up()


def _pause_s(failures: int) -> float:
    """Doubling, up to a limit, with a random part so that many do not come back at once."""
    longest: float = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**failures)
    return longest * random.uniform(0.5, 1.0)


class Connections:
    """All of them. `follow` may be called again and again with what is wanted now."""

    def __init__(self, open_socket: Callable[[Group], Socket], limits: Limits, events: Events) -> None:
        self._open = open_socket
        self._limits = limits
        self._events = events
        self._kept: dict[Group, Connection] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    @property
    def up(self) -> int:
        return sum(connection.is_up for connection in self._kept.values())

    @property
    def count(self) -> int:
        return len(self._kept)

    def follow(self, symbols: Collection[str]) -> None:
        """Make before break: a changed group gets a new connection. The old one goes once others have told candles of
        what it brings and is still wanted.
        """
        wanted = groups(list(self._kept), symbols, self._limits.symbols)
        before, self._kept = self._kept, {}
        for group in wanted:
            known = before.pop(group, None)
            self._kept[group] = known or self._made(group)
        self._changed.set()
        for gone in before.values():
            retiring = asyncio.create_task(self._retire(gone))
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)

    def _made(self, group: Group) -> Connection:
        return Connection(group, self._open, self._limits, self._events, self._changed.set)

    async def _retire(self, gone: Connection) -> None:
        try:
            while not self._is_replaced(gone.group):
                self._changed.clear()
                await self._changed.wait()
            await asyncio.sleep(OVERLAP_S)
        finally:
            gone.task.cancel()
            await asyncio.gather(gone.task, return_exceptions=True)

    def _is_replaced(self, group: Group) -> bool:
        """Whether connections that are up bring what is still wanted of the group."""
        waiting = (each.group for each in self._kept.values() if not each.is_up)
        return not any(group & each for each in waiting)

    async def close(self) -> None:
        tasks = [connection.task for connection in self._kept.values()] + list(self._retiring)
        self._kept = {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
