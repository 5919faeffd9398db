"""What the feed is made of: a pipeline's settings, stores and exchange."""

from __future__ import annotations

from collections.abc import Callable

from pipeline import options
from pipeline.bootstrap import Pipeline
from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.events import EventName
from pipeline.exchange.budget.costs import Cost, Kind, candles_weight
from pipeline.exchange.budget.ports import Held
from pipeline.exchange.klines import Hear, KlineSocket
from pipeline.lease import Lease, holder
from pipeline.market.feed.feed import Feed
from pipeline.market.feed.heartbeat import Heartbeats
from pipeline.market.feed.parts import Enqueue, FeedParts
from pipeline.market.feed.plan import Group

HANDSHAKE = Cost(Kind.MARKET, weight=0)
"""Binance counts connections apart from weight: one waits for nothing but the end of a stop."""


def feed_of(pipeline: Pipeline, enqueue: Enqueue, alive: Callable[[], None] = lambda: None) -> Feed:
    """The feed of a process of this pipeline. `enqueue` opens decisions and publishes them; `alive` as in
    `FeedParts`.
    """
    name = feed_name(pipeline)
    parts = FeedParts(
        store=pipeline.candles,
        windows=pipeline.windows,
        now=pipeline.exchange.now,
        measure=pipeline.exchange.clock_offset,
        universe=pipeline.universe,
        open_socket=lambda group, hear: open_socket(pipeline, group, hear),
        enqueue=enqueue,
        room=lambda: room_to_load(pipeline),
        lease=Lease(pipeline.redis, name, holder(pipeline.pid), lasts_s=pipeline.settings.feed.lease_s),
        heartbeats=heartbeats(pipeline),
        clock=pipeline.clock,
        events=pipeline.events,
        alive=alive,
    )
    return Feed(parts, options.feed_options(pipeline.settings))


def feed_name(pipeline: Pipeline) -> str:
    """With what the names of the feed's keys in Redis begin."""
    return f"tl:feed:{options.market_name(pipeline.settings)}"


def heartbeats(pipeline: Pipeline) -> Heartbeats:
    """How the feed is, for whoever watches it."""
    return Heartbeats(pipeline.redis, feed_name(pipeline))


def room_to_load(pipeline: Pipeline) -> int:
    """How many symbols may be loaded now, all their timeframes with all their bars."""
    market = pipeline.settings.market
    each = len(market.timeframes) * candles_weight(market.bars + 1)
    return pipeline.budget.room(Kind.LOAD) // each


def open_socket(pipeline: Pipeline, symbols: Group, hear: Hear) -> KlineSocket:
    """What the exchange does not list keeps nobody else from its candles. While it has told us to stop, none is opened:
    a connection begins with a request.

    Raises: ExchangeUnavailable, ExchangeRefused.
    """
    _refuse_while_stopped(pipeline)
    instruments = pipeline.exchange.instruments_naming(symbols)
    unlisted = instruments.lacking(symbols)
    if unlisted:
        problem = (
            f"no candles from the stream of {', '.join(unlisted)}: the exchange lists no such instrument"
        )
        pipeline.events.emit(EventName.FEED_TROUBLE, problem=problem)
    listed = [instruments.find(each) for each in sorted(symbols) if each not in unlisted]
    if not listed:
        raise ExchangeUnavailable("the exchange lists none of the connection's instruments")
    streams = [(instrument, each) for instrument in listed for each in pipeline.timeframes]
    return KlineSocket(options.exchange_options(pipeline.settings).wire, streams, hear)


def _refuse_while_stopped(pipeline: Pipeline) -> None:
    """Raises: ExchangeUnavailable; a connection is tried again by itself."""
    try:
        pipeline.budget.take(HANDSHAKE)
    except Held as held:
        raise ExchangeUnavailable(f"no connection is opened now: {held}") from held
