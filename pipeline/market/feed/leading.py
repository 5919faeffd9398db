"""What the feed does while it leads.

Four things go on side by side: connections bring klines, the writer puts closed bars into the store, the enqueuer asks
for decisions, and the keeper renews the lease, follows the universe and has missing bars asked for. What blocks runs in
threads; what is remembered is touched by the event loop alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from pipeline.domain.decisions import Origin
from pipeline.domain.errors import StoreUnavailable, ThroughlineError
from pipeline.domain.events import EventName
from pipeline.exchange.klines import Kline
from pipeline.lease import Held
from pipeline.market.feed.arrivals import Arrival, Arrivals
from pipeline.market.feed.connections import Connections
from pipeline.market.feed.heartbeat import Beat, opened
from pipeline.market.feed.lag import Lag
from pipeline.market.feed.parts import ExchangeTime, FeedOptions, FeedParts
from pipeline.market.feed.repairs import Repairs, reloaded, whole_up_to
from pipeline.market.feed.writing import Writer, Written
from pipeline.market.series import milliseconds
from pipeline.stages.opening import PassRequest

Item = TypeVar("Item")

EVERY_S = 0.5
BATCH = 32
"""Bars written before decisions are asked for: the first symbols are judged while the last bars are written."""
ASKED_AT_ONCE = 4


class Leader:
    """One time of leading. `held` is the lease that it began with."""

    def __init__(self, parts: FeedParts, options: FeedOptions, held: Held) -> None:
        self._parts, self._options, self._held = parts, options, held
        within_ms = round(options.decide_within.total_seconds() * 1000)
        self._arrivals = Arrivals(options.timeframes, options.decide, within_ms)
        self._connections = Connections(
            lambda group: parts.open_socket(group, self._hear), options.limits, parts.events
        )
        self._writer = Writer(parts.store, options.keep, parts.events)
        self._time = ExchangeTime(options.ahead, parts.elapsed)
        self._repairs = Repairs(ASKED_AT_ONCE)
        self._room = 0
        self._repairing: set[asyncio.Task[None]] = set()
        self._lag = Lag(parts.events)
        self._closed: asyncio.Queue[Kline] = asyncio.Queue()
        self._wanted: asyncio.Queue[PassRequest] = asyncio.Queue()
        self._times_emptied = 0
        self._messages = 0
        self._told = ""

    async def lead(self) -> str:
        """Until somebody else has the lease; returns who."""
        try:
            async with asyncio.TaskGroup() as group:
                doing = (self._write(), self._enqueue(), self._keep())
                others: list[asyncio.Task[None]] = [group.create_task(each) for each in doing]
                holder = await self._hold()
                for task in others:
                    task.cancel()
            return holder
        finally:
            await self._connections.close()
            for task in self._repairing:
                task.cancel()

    # -- from the socket to the store -------------------------------------------------------------------------

    def _hear(self, kline: Kline) -> None:
        """Called by a connection, in the event loop, for each message that matters."""
        self._messages += 1
        if kline.symbol not in self._arrivals.symbols:
            return
        if not self._time.told(kline.event_ms):
            kline = replace(kline, event_ms=0)  # then nothing is closed by it, and the bar is refused by name
        if kline.closed:
            self._closed.put_nowait(kline)
        else:
            self._arrivals.forming(kline.symbol, kline.timeframe.name, kline.open_ms, kline.event_ms)

    async def _write(self) -> None:
        while True:
            batch = await _drained(self._closed, BATCH)
            for written in await asyncio.to_thread(self._writer.write, batch):
                self._took(written)

    def _took(self, written: Written) -> None:
        if written.symbol not in self._arrivals.symbols:
            return
        arrival = self._arrivals.closed(written.symbol, written.timeframe, written.open_ms)
        if arrival is Arrival.NEXT and written.bars == 1:  # those before it are gone: Redis was emptied
            self._forget([written.symbol])
        self._want(written.symbol)

    # -- decisions --------------------------------------------------------------------------------------------

    def _want(self, symbol: str) -> None:
        close_ms = self._arrivals.wanted(symbol, self._time.now_ms)
        if close_ms is not None:
            slot = datetime.fromtimestamp(close_ms / 1000, UTC)
            self._wanted.put_nowait(PassRequest(symbol=symbol, slot=slot, origin=Origin.FEED))

    async def _enqueue(self) -> None:
        while True:
            batch = await _drained(self._wanted, BATCH)
            await asyncio.to_thread(self._ask_for, batch)

    def _ask_for(self, batch: Sequence[PassRequest]) -> None:
        """Beat asks again soon for what cannot be opened now."""
        try:
            failed = self._parts.enqueue(batch)
        except Exception as error:  # noqa: BLE001 - the next close must be heard of
            failed = [(request, error) for request in batch]
        for request, why in failed:
            self._parts.events.emit(
                EventName.PUBLISH_FAILED, symbol=request.symbol, slot=request.slot, error=str(why)
            )

    # -- keeping at it ----------------------------------------------------------------------------------------

    async def _hold(self) -> str:
        """Renew the lease again and again. Who does not reach Redis can write nothing meanwhile, and leads on only if
        nobody who reaches it has taken over.
        """
        while True:
            await asyncio.sleep(EVERY_S)
            self._parts.alive()
            try:
                held = await asyncio.to_thread(self._parts.lease.hold)
            except StoreUnavailable as problem:
                self._tell_once(str(problem))
                continue
            if not held.ours:
                return held.holder
            if held.anew:  # it ran out, or Redis was emptied: what is in the store has to be looked at again
                self._held = held
                self._forget(self._arrivals.symbols)

    def _forget(self, symbols: Iterable[str]) -> None:
        """Their bars are gone. What is asked for just now may have been read before that, and proves nothing."""
        self._arrivals.forget(symbols)
        self._times_emptied += 1

    async def _keep(self) -> None:
        while True:
            await self._guarded(self._follow_universe())
            await self._guarded(self._ask_the_time())
            self._room = await asyncio.to_thread(self._parts.room)
            if self._time.is_known:
                self._mend()
                await self._guarded(self._beat())
            await asyncio.sleep(EVERY_S)

    async def _guarded(self, doing: Awaitable[None]) -> None:
        try:
            await doing
        except ThroughlineError as problem:
            self._tell_once(f"{type(problem).__name__}: {problem}")

    def _tell_once(self, problem: str) -> None:
        if problem != self._told:
            self._told = problem
            self._parts.events.emit(EventName.FEED_TROUBLE, problem=problem)

    async def _follow_universe(self) -> None:
        universe = await asyncio.to_thread(self._parts.universe)
        wanted = frozenset(universe.symbols)
        if wanted != self._arrivals.symbols:
            self._arrivals.follow(wanted)
            self._connections.follow(wanted)
            self._lag.load(len(wanted))

    async def _ask_the_time(self) -> None:
        if self._time.is_doubted:
            self._time.no_more_doubt()
            await asyncio.to_thread(self._parts.measure)
        self._time.measured(milliseconds(await asyncio.to_thread(self._parts.now)))

    def _mend(self) -> None:
        """Have missing bars asked for: those that are late, and those that we know to be closed.

        A few are asked for at once. A whole universe is loaded as the rate budget has room for it.
        """
        behind = self._arrivals.behind(self._late_ms)
        self._lag.look(behind, self._parts.elapsed())
        at_most = len(behind) if len(behind) <= ASKED_AT_ONCE else self._room
        for symbol in self._repairs.take(behind, at_most):
            self._room -= 1
            task = asyncio.create_task(self._repair(symbol, behind[symbol]))
            self._repairing.add(task)
            task.add_done_callback(self._repairing.discard)

    async def _repair(self, symbol: str, lacking: Sequence[str]) -> None:
        """What is closed is told by the exchange's measured clock: messages may have led ours astray."""
        options, emptied = self._options, self._times_emptied
        window = await asyncio.to_thread(
            reloaded, self._parts.windows, symbol, options.timeframes, self._parts.now, options.bars
        )
        if emptied == self._times_emptied:
            self._loaded(symbol, whole_up_to(window))
        well = not self._arrivals.lacking(symbol, self._late_ms)
        self._repairs.done(symbol, well=well)
        self._parts.events.emit(
            EventName.FEED_REPAIR,
            symbol=symbol,
            lacked=list(lacking),
            well=well,
            detail=window.detail,
            sources={each.timeframe: each.source for each in window.ranges},
        )
        self._mend()

    def _loaded(self, symbol: str, whole: Mapping[str, int]) -> None:
        if symbol not in self._arrivals.symbols:
            return
        for timeframe, last_ms in whole.items():
            self._arrivals.loaded(symbol, timeframe, last_ms)
        self._want(symbol)

    @property
    def _late_ms(self) -> int:
        """What closed by then and has not come is late."""
        return self._time.now_ms - round(self._options.late_after.total_seconds() * 1000)

    async def _beat(self) -> None:
        beat = Beat(
            at=self._parts.clock.now(),
            exchange_time=self._time.now,
            holder=self._held.holder,
            fence=self._held.fence,
            symbols=len(self._arrivals.symbols),
            connections=self._connections.count,
            up=self._connections.up,
            messages=self._messages,
            behind=len(self._arrivals.behind(self._late_ms)),
            last={name: opened(at_ms) for name, at_ms in self._arrivals.newest().items()},
        )
        await asyncio.to_thread(self._parts.heartbeats.write, beat)


async def _drained(queue: asyncio.Queue[Item], most: int) -> list[Item]:
    found = [await queue.get()]
    while len(found) < most and not queue.empty():
        found.append(queue.get_nowait())
    return found
