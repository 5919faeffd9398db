"""The queue monitor: what waits in Redis and since when, and what workers hold.

Kombu keeps a queue as a list (new messages on its left) for each of four priorities, and what it has handed out, until
it is acknowledged, in a hash. Each group of workers has one of its own, so that no market worker needs the right to put
back what an orders worker held.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pipeline.domain.timeframes import from_iso
from pipeline.watch.look import Away, BrokerView, QueueView

PRIORITIES = ("", "\x06\x163", "\x06\x166", "\x06\x169")
HOLDERS = ("market", "orders")
SAMPLE = 200
"""So many of a queue's oldest messages are looked at."""
PROBE = "tl:watch:probe"
PROBE_LASTS = timedelta(minutes=1)
ANSWER_WITHIN_S = 2.0
"""Whoever watches does not wait long: no answer is an answer."""


def impatient_redis(url: str) -> redis.Redis:
    """A client that asks once and does not wait."""
    return redis.Redis.from_url(
        url,
        socket_timeout=ANSWER_WITHIN_S,
        socket_connect_timeout=ANSWER_WITHIN_S,
        retry=Retry(NoBackoff(), 0),
    )


def held_key(holder: str) -> str:
    """Where the messages stand that workers of this group hold."""
    return f"unacked:{holder}"


def look_at_broker(
    client: redis.Redis, queues: Sequence[str], holders: Sequence[str] = HOLDERS
) -> BrokerView | Away:
    """What waits, and after it what is held: there a message is seen that a worker takes meanwhile. Raises nothing."""
    keys = [f"{queue}{priority}" for queue in queues for priority in PRIORITIES]
    pipe = client.pipeline(transaction=False)  # a full Redis refuses transactions, also to read
    for key in keys:
        pipe.llen(key)
        pipe.lrange(key, -SAMPLE, -1)
    for holder in holders:
        pipe.hvals(held_key(holder))
    try:
        told = pipe.execute()
        persistent = _persistent(client)
        refuses = _refuses(client)
    except (redis.RedisError, OSError) as error:
        return Away(f"Redis does not answer: {error}")
    lists, held = told[: 2 * len(keys)], told[2 * len(keys) :]
    parts = [_of_list(depth, sample) for depth, sample in zip(lists[::2], lists[1::2], strict=True)]
    views = {
        queue: _together(parts[at * len(PRIORITIES) : (at + 1) * len(PRIORITIES)])
        for at, queue in enumerate(queues)
    }
    return BrokerView(
        queues=views,
        held=_held([raw for each in held for raw in each]),
        persistent=persistent,
        refuses=refuses,
    )


def _persistent(client: redis.Redis) -> bool | None:
    try:
        told: Mapping[str, Any] = client.info("persistence")
    except redis.ResponseError:  # a server that lets nobody ask
        return None
    return bool(told.get("aof_enabled"))


def _refuses(client: redis.Redis) -> str:
    """Why it takes no writes. Reading goes on when memory or disk are full."""
    try:
        client.set(PROBE, "1", ex=PROBE_LASTS)
    except redis.ResponseError as error:
        return str(error)
    return ""


def _of_list(depth: int, sample: Sequence[bytes]) -> QueueView:
    messages = [message for raw in sample if (message := _message(raw))]
    oldest = messages[-1] if messages else {}
    return QueueView(
        depth=depth,
        oldest_at=_published_at(oldest),
        oldest_task=str(oldest.get("task", "")),
        tasks=frozenset(str(message.get("id")) for message in messages),
        whole=depth <= len(sample),
    )


def _together(parts: Iterable[QueueView]) -> QueueView:
    """The four priorities of a queue as one."""
    known = list(parts)
    waiting = [(part.oldest_at, part.oldest_task) for part in known if part.oldest_at]
    oldest_at, oldest_task = min(waiting, default=(None, ""))
    return QueueView(
        depth=sum(part.depth for part in known),
        oldest_at=oldest_at,
        oldest_task=oldest_task,
        tasks=frozenset().union(*(part.tasks for part in known)),
        whole=all(part.whole for part in known),
    )


def _held(unacked: Sequence[bytes]) -> frozenset[str]:
    """Each value is `[message, exchange, routing key]`."""
    found = set()
    for raw in unacked:
        try:
            headers = orjson.loads(raw)[0]["headers"]
            found.add(str(headers["id"]))
        except (ValueError, TypeError, KeyError, IndexError):
            continue
    return frozenset(found)


def _message(raw: bytes) -> Mapping[str, Any]:
    """A message's headers; none when it is rubbish."""
    try:
        headers = orjson.loads(raw)["headers"]
    except (ValueError, TypeError, KeyError):
        return {}
    return headers if isinstance(headers, dict) else {}


def _published_at(headers: Mapping[str, Any]) -> datetime | None:
    nested = headers.get("headers")
    told = headers.get("published_at") or (nested.get("published_at") if isinstance(nested, dict) else None)
    try:
        return from_iso(told) if isinstance(told, str) else None
    except ValueError:
        return None
