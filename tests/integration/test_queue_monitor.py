"""The queue monitor against a real Redis and messages as Celery writes them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
from celery import Celery

from pipeline.domain.timeframes import iso
from pipeline.watch.broker import look_at_broker
from pipeline.watch.look import Away, BrokerView
from tests.support.clients import trusted_client
from tests.support.servers import RedisServer

QUEUES = ("fetch", "evaluate")


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as opened:
        yield opened


@pytest.fixture
def app(redis_url: str, tmp_path: Path) -> Iterator[Celery]:
    with trusted_client("queue-monitor", redis_url, tmp_path) as made:
        yield made


def publish(app: Celery, task_id: str, **options: object) -> None:
    app.send_task("tasks.fetch", ["BTC"], task_id=task_id, queue="fetch", **options)


def publish_long_ago(app: Celery, client: redis.Redis, task_id: str, age_s: float) -> None:
    """As if the newest message of the queue had waited since then."""
    publish(app, task_id)
    message = json.loads(str(client.lpop("fetch").decode()))  # type: ignore[union-attr]  # it answers at once
    message["headers"]["published_at"] = iso(datetime.now(UTC) - timedelta(seconds=age_s))
    client.lpush("fetch", json.dumps(message))


def seen(client: redis.Redis) -> BrokerView:
    view = look_at_broker(client, QUEUES)
    assert isinstance(view, BrokerView)
    return view


def test_depth_oldest_age_and_ids_are_seen(client: redis.Redis, app: Celery) -> None:
    """A stuck queue is known by its oldest message, whoever publishes new ones."""
    publish_long_ago(app, client, "old", age_s=90)
    publish(app, "new")
    view = seen(client).queues["fetch"]
    assert (view.depth, view.oldest_task) == (2, "tasks.fetch")
    assert view.tasks == {"old", "new"}
    assert view.oldest_at is not None
    assert 89 < (datetime.now(UTC) - view.oldest_at).total_seconds() < 120
    assert seen(client).queues["evaluate"].depth == 0


def test_a_message_with_a_priority_waits_in_the_same_queue(client: redis.Redis, app: Celery) -> None:
    """Kombu keeps it in another list: counted by the queue's name alone it would be invisible."""
    publish(app, "urgent", priority=9)
    publish(app, "usual")
    assert seen(client).queues["fetch"].tasks == {"urgent", "usual"}


def test_a_message_at_a_worker_is_held_and_not_lost(client: redis.Redis, app: Celery) -> None:
    """What a worker has taken and not acknowledged is on its way."""
    publish(app, "taken")
    with app.connection_for_read() as connection, connection.SimpleQueue("fetch") as taken:
        message = taken.get(timeout=60)
        view = seen(client)
        assert view.held == {"taken"}
        assert view.has("taken", "fetch") is True
        assert view.has("elsewhere", "fetch") is False
        message.ack()
    assert seen(client).held == frozenset()


def test_rubbish_in_a_queue_counts_and_blinds_nobody(client: redis.Redis, app: Celery) -> None:
    """Whoever can write to Redis can push any bytes."""
    client.lpush(
        "fetch", b"\xff\x00", "{}", '{"headers": 3}', '{"headers": {"headers": 1, "published_at": "x"}}'
    )
    client.hset("unacked:market", "tag", "[]")
    publish(app, "fine")
    view = seen(client).queues["fetch"]
    assert view.depth == 5
    assert "fine" in view.tasks


def test_a_long_queue_is_not_read_whole(client: redis.Redis, app: Celery) -> None:
    """Then nobody claims that a message is lost which may stand further back."""
    publish(app, "first")
    client.lpush("fetch", *["{}"] * 300)
    view = seen(client)
    assert view.has("first", "fetch") is True
    assert view.has("somewhere", "fetch") is None


def test_a_full_redis_answers_and_is_named(start_redis: object) -> None:
    """Reading goes on; only a write shows it."""
    server = start_redis()  # type: ignore[operator]  # the fixture's function
    with redis.Redis.from_url(server.url) as own:
        own.config_set("maxmemory", "1")
        view = look_at_broker(own, QUEUES)
    assert isinstance(view, BrokerView)
    assert "maxmemory" in view.refuses


def test_a_redis_that_is_gone_is_away() -> None:
    """The watchdog goes on."""
    server = RedisServer()
    with redis.Redis.from_url(server.url) as own:
        server.stop()
        assert isinstance(look_at_broker(own, QUEUES), Away)
