"""The feed's process: it stands by until it holds the lease, then leads until it loses it or is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.events import EventName
from pipeline.lease import Held
from pipeline.market.feed.leading import ASKED_AT_ONCE, Leader
from pipeline.market.feed.parts import FeedOptions, FeedParts

STAND_BY_EVERY_S = 1.0
THREADS = ASKED_AT_ONCE + 6
"""One for each thing that may block at once: exchange answers, the store, the ledger, the lease, the clock."""


@dataclass(slots=True)
class Feed:
    """One process's feed."""

    parts: FeedParts
    options: FeedOptions
    _told: str = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. Raises what nobody expected: the process is better started anew then."""
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "feed"))
        working = asyncio.create_task(self._work())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            working.cancel()
            with suppress(StoreUnavailable):  # then it runs out by itself
                await asyncio.to_thread(self.parts.lease.drop)
        with suppress(asyncio.CancelledError):
            await working

    async def _work(self) -> NoReturn:
        while True:
            self.parts.alive()
            held = await self._held()
            if held is not None and held.ours:
                self.parts.events.emit(EventName.FEED_LEADS, fence=held.fence, before=held.before)
                self._tell_standing_by(await Leader(self.parts, self.options, held).lead())
            await asyncio.sleep(STAND_BY_EVERY_S)

    async def _held(self) -> Held | None:
        try:
            held = await asyncio.to_thread(self.parts.lease.hold)
        except StoreUnavailable as problem:
            self._tell(EventName.FEED_TROUBLE, {"problem": str(problem)})
            return None
        if not held.ours:
            self._tell_standing_by(held.holder)
        return held

    def _tell_standing_by(self, holder: str) -> None:
        self._tell(EventName.FEED_STANDS_BY, {"holder": holder})

    def _tell(self, name: EventName, fields: Mapping[str, object]) -> None:
        """Once, until there is something else to tell."""
        told = f"{name} {fields}"
        if told != self._told:
            self._told = told
            self.parts.events.emit(name, level=None, **fields)
