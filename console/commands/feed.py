"""`throughline feed`: the exchange's candles, over its WebSocket, into the candle store."""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from typing import TYPE_CHECKING

from config.loading import load
from console.records import tell_without_redis

if TYPE_CHECKING:
    from pipeline.market.feed.feed import Feed


def feed() -> None:
    """Follow the candles of the whole universe, and ask for a decision at their close. A second one stands by."""
    tell_without_redis(load())
    # Imported when needed: the exchange's library and Celery take longer than most commands.
    from pipeline.domain.events import EventName  # noqa: PLC0415
    from pipeline.feeding import feed_of  # noqa: PLC0415
    from tasks import pulsing  # noqa: PLC0415
    from tasks.enqueue import enqueue_passes  # noqa: PLC0415
    from tasks.publishing import SCHEDULED  # noqa: PLC0415
    from tasks.services import component, configure_logging, services  # noqa: PLC0415

    here = services()
    configure_logging()
    here.ledger.check_version()
    here.events.emit(
        EventName.PROCESS_START, role=component(), config_hash=here.config_hash, account=here.account
    )
    pulse = pulsing.begin(pulsing.identity())
    pulse.start()
    alive = partial(pulse.vitals.touch, pulsing.LOOP, here.settings.watch.hung_after_s)
    asyncio.run(run(feed_of(here, partial(enqueue_passes, **SCHEDULED), alive)))
    here.events.emit(EventName.PROCESS_END, role=component())
    pulse.stop("follows nothing any more")


async def run(process: Feed) -> None:
    """Until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await process.run(stop)
