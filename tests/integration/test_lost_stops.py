"""The exchange told us to stop, and Redis has lost it: it was flushed, or a replica took over that never knew."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import redis

from pipeline.domain.events import EventName
from pipeline.exchange.budget.costs import Kind
from pipeline.exchange.budget.ports import Stop
from tests.integration.budget_worlds import CANCEL, CANDLES, ORDER, Host, host
from tests.support.servers import RedisServer

WHY = "the exchange answered 429 to GET /fapi/v1/klines"

ASKS: dict[str, Callable[[Host], object]] = {
    "asks to leave": lambda here: here.held(CANDLES),
    "asks for room": lambda here: here.budget.room(Kind.LOAD),
}


@pytest.fixture
def told(redis_url: str) -> Host:
    """The one to whom the exchange speaks."""
    return host(redis_url)


@pytest.fixture
def stranger(redis_url: str) -> Host:
    """One who never heard of it."""
    return host(redis_url)


def forget(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.flushall()


@pytest.mark.parametrize("asks", ASKS.values(), ids=list(ASKS))
def test_who_was_told_to_stop_tells_a_redis_that_has_lost_it(
    told: Host,
    stranger: Host,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    asks: Callable[[Host], object],
) -> None:
    """A flush would let every other process run on into the ban."""
    told.budget.stop(Stop(60.0, WHY))
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 30)
    monkeypatch.setattr("pipeline.exchange.budget.shared.time", later)
    forget(redis_url)
    asks(told)
    held = stranger.held(CANCEL)
    assert 15 < held.wait_s <= 30.2, "what is left of it"
    assert WHY in str(held)
    assert len(told.heard(EventName.RATE_LIMITED)) == 1, "it is the same stop"


def test_who_was_held_back_by_a_stop_tells_it_too(told: Host, stranger: Host, redis_url: str) -> None:
    """The one process that was told may be gone by then, or asks for nothing."""
    other = host(redis_url)
    told.budget.stop(Stop(30.0, WHY))
    other.held(CANDLES)
    forget(redis_url)
    assert WHY in str(other.held(CANDLES))
    assert 15 < stranger.held(CANCEL).wait_s <= 30.1


def test_a_stop_of_orders_is_told_again_as_one(told: Host, stranger: Host, redis_url: str) -> None:
    """Who looks or cancels was not stopped."""
    told.budget.stop(Stop(30.0, "too many orders", orders_only=True))
    forget(redis_url)
    told.budget.take(CANDLES)
    assert "too many orders" in str(told.held(ORDER))
    assert 15 < stranger.held(ORDER).wait_s <= 30.1
    stranger.budget.take(CANCEL)


def test_a_lost_stop_is_told_again_although_orders_are_stopped(
    told: Host, stranger: Host, redis_url: str
) -> None:
    """What Redis knows of orders says nothing of the rest."""
    told.budget.stop(Stop(30.0, WHY))
    forget(redis_url)
    stranger.budget.stop(Stop(10.0, "too many orders", orders_only=True))
    assert WHY in str(told.held(ORDER))
    assert WHY in str(stranger.held(CANCEL))


def test_a_stop_that_came_while_redis_was_away_is_told_when_it_is_back(
    start_redis: Callable[[], RedisServer],
) -> None:
    """Else it holds one process alone."""
    server = start_redis()
    told, stranger = host(server.url), host(server.url)
    server.kill()
    told.budget.stop(Stop(30.0, WHY))
    server.start()
    told.held(CANDLES)
    assert WHY in str(stranger.held(CANCEL))


def test_a_stop_that_is_handed_on_ends_no_later(told: Host, redis_url: str) -> None:
    """If each process that hands it on made it a little longer, all of them together would keep it for ever."""
    told.budget.stop(Stop(30.0, WHY))
    first = until_ms(redis_url)
    for _ in range(5):
        other = host(redis_url)
        other.held(CANDLES)
        forget(redis_url)
        other.held(CANDLES)
    assert until_ms(redis_url) < first - 100


def until_ms(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        return int(client.hget("tl:budget:test:stop", "until") or 0)
