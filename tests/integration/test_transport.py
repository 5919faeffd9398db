"""Our part of kombu's Redis transport, on a real Redis."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import redis
from kombu.connection import Connection
from kombu.utils import json as kombu_json
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ResponseError

from pipeline.domain.decisions import Stage
from tasks import signing, transport
from tasks.turns import MANY, NEXT_WITHIN_S, Turns
from tests.support.servers import RedisServer

QUEUE = "any"


@pytest.fixture
def channel(redis_url: str) -> Iterator[Any]:
    transport.install()
    signing.use("a key")
    with Connection(redis_url) as connection:  # type: ignore[no-untyped-call]  # no types
        yield connection.default_channel


@pytest.fixture
def other(redis_url: str) -> Iterator[redis.Redis]:
    """Somebody else who looks at the same Redis."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


def publish(channel: Any, *bodies: str) -> None:
    for body in bodies:
        channel.basic_publish(channel.prepare_message(body), exchange="", routing_key=QUEUE)


def take(channel: Any) -> Any:
    return channel.basic_get(QUEUE)


def held(other: Any, channel: Any) -> tuple[set[bytes], set[bytes]]:
    """The messages that are noted as held, in both places where that is told."""
    return set(other.hkeys(channel.unacked_key)), set(other.zrange(channel.unacked_index_key, 0, -1))


def noted(*messages: Any) -> tuple[set[bytes], set[bytes]]:
    tags = {str(each.delivery_tag).encode() for each in messages}
    return tags, tags


class Loop:
    """An event loop whose time passes when a test says so."""

    def __init__(self) -> None:
        self.later: list[Callable[[], None]] = []

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> None:
        self.later.append(callback)

    def pass_time(self) -> None:
        waiting, self.later = self.later, []
        for callback in waiting:
            callback()


def test_one_client_serves_until_its_pool_is_gone(channel: Any) -> None:
    """Making one for each step costs as much as the step; one with the pool of the parent would share its sockets."""
    first, line = channel._create_client(), channel.line
    assert channel._create_client() is first
    assert channel.line is line
    assert channel._create_client(asynchronous=True) is not first
    channel._after_fork()
    second = channel._create_client()
    assert second is not first
    assert second.connection_pool is not first.connection_pool
    assert second.ping()
    assert channel.line is not line
    assert channel.line.ask("PING") == b"PONG"


def test_a_message_is_noted_before_it_is_handed_on(channel: Any, other: Any) -> None:
    """Whoever has it may be killed in the next moment."""
    publish(channel, "first", "second")
    first, second = take(channel), take(channel)
    channel.line.settle()
    assert held(other, channel) == noted(first, second)
    assert [first.body, second.body] == [b"first", b"second"]


def test_a_message_whose_connection_is_closed_before_redis_answers_was_not_sent(
    channel: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows whether it was: it must be published again, and its stage minds a second one."""
    connection = channel.line._connection
    send = connection.send_packed_command

    def send_and_lose(*packed: Any, **options: Any) -> None:
        send(*packed, **options)
        connection.disconnect()

    monkeypatch.setattr(connection, "send_packed_command", send_and_lose)
    with pytest.raises(Disconnected):
        publish(channel, "first")


def test_what_is_done_is_told_at_once_where_no_loop_runs(channel: Any, other: Any) -> None:
    publish(channel, "first", "second")
    first, second = take(channel), take(channel)
    first.ack()
    assert held(other, channel) == noted(second)


def test_what_is_done_is_told_with_the_next_message_that_is_taken(channel: Any, other: Any) -> None:
    """One packet for both: each costs a worker as much as the rest of what it does for a message."""
    loop = Loop()
    channel.qos.let_acks_wait(loop.call_later)
    publish(channel, "first", "second", "third")
    first, second = take(channel), take(channel)
    first.ack()
    second.ack()
    assert held(other, channel) == noted(first, second)
    third = take(channel)
    channel.line.settle()
    assert held(other, channel) == noted(third)
    assert len(loop.later) == 1


def test_what_is_done_is_told_a_moment_later_when_no_message_comes(channel: Any, other: Any) -> None:
    loop = Loop()
    channel.qos.let_acks_wait(loop.call_later)
    publish(channel, "first")
    take(channel).ack()
    loop.pass_time()
    channel.line.settle()
    assert held(other, channel) == (set(), set())


def test_the_loop_is_asked_once_for_all_that_is_done_in_a_moment(channel: Any, other: Any) -> None:
    """One entry of the loop's timer for each message is as dear as a step of it; and the last one must not be lost."""
    loop = Loop()
    channel.qos.let_acks_wait(loop.call_later)
    publish(channel, "first", "second", "third")
    take(channel).ack()
    take(channel).ack()
    assert len(loop.later) == 1
    loop.pass_time()
    take(channel).ack()
    assert len(loop.later) == 1
    loop.pass_time()
    channel.line.settle()
    assert held(other, channel) == (set(), set())


@pytest.mark.parametrize("end", ["let_acks_wait", "close"])
def test_nothing_that_is_done_is_left_untold_when_the_loop_ends(channel: Any, other: Any, end: str) -> None:
    """It would be run again after the visibility timeout."""
    channel.qos.let_acks_wait(Loop().call_later)
    publish(channel, "first")
    take(channel).ack()
    if end == "close":
        channel.close()
    else:
        channel.qos.let_acks_wait(None)
    assert held(other, channel) == (set(), set())
    assert other.llen(QUEUE) == 0


def test_what_is_held_goes_back_when_the_channel_closes(channel: Any, other: Any) -> None:
    """Also what was taken a moment ago: another connection looks for its note."""
    publish(channel, "first", "second")
    take(channel).ack()
    take(channel)
    channel.close()
    assert held(other, channel) == (set(), set())
    assert other.llen(QUEUE) == 1


def test_a_message_that_is_taken_after_the_connection_was_cut_is_noted(channel: Any, other: Any) -> None:
    """It is in no queue any more: an error of the message before it must not cost it."""
    publish(channel, "first", "second")
    first = take(channel)
    other.client_kill_filter(_type="normal", skipme=True)
    second = take(channel)
    channel.qos.settle()
    assert held(other, channel) == noted(first, second)


def test_a_message_whose_connection_cannot_even_be_written_to_is_noted_over_the_next(
    channel: Any, other: Any
) -> None:
    publish(channel, "first", "second")
    take(channel).ack()
    channel.line._connection._sock.shutdown(socket.SHUT_RDWR)
    second = take(channel)
    channel.line.settle()
    assert held(other, channel) == noted(second)


def test_what_redis_refused_to_note_is_noted_when_it_refuses_no_more(channel: Any, other: Any) -> None:
    """A full Redis hands out messages, but notes none."""
    publish(channel, "first", "second", "third")
    first = take(channel)
    other.config_set("maxmemory", "1")
    try:
        second = take(channel)
        third = take(channel)
        with pytest.raises(ResponseError):
            channel.qos.settle()
    finally:
        other.config_set("maxmemory", "0")
    channel.qos.settle()
    assert held(other, channel) == noted(first, second, third)


def test_to_be_noted_again_makes_no_message_younger(channel: Any, other: Any) -> None:
    """It would come back from a dead worker later each time."""
    publish(channel, "first", "second")
    first = take(channel)
    channel.qos.settle()
    since = other.zscore(channel.unacked_index_key, first.delivery_tag)
    channel.line.tell(("NOSUCHCOMMAND",))
    take(channel)
    channel.qos.settle()
    assert other.zscore(channel.unacked_index_key, first.delivery_tag) == since


def test_what_is_done_is_told_again_over_the_next_connection(channel: Any, other: Any) -> None:
    """It would be run again after the visibility timeout."""
    loop = Loop()
    channel.qos.let_acks_wait(loop.call_later)
    publish(channel, "first", "second")
    take(channel).ack()
    channel.line.settle()
    other.client_kill_filter(_type="normal", skipme=True)
    loop.pass_time()
    second = take(channel)
    channel.qos.settle()
    assert held(other, channel) == noted(second)


def test_what_was_taken_as_redis_went_away_is_noted_over_the_next_connection() -> None:
    """Neither its note nor its way back could be told: nobody has it but this process."""
    transport.install()
    signing.use("a key")
    server = RedisServer()
    try:
        with Connection(server.url) as lost, Connection(server.url) as found:  # type: ignore[no-untyped-call]  # no types
            before = lost.default_channel
            publish(before, "first")
            raw = before._get(QUEUE)
            server.kill()
            message = before.Message(raw, channel=before)
            before.qos.append(message, message.delivery_tag)
            with suppress(*transport.GONE):
                before.close()
            server.start()
            channel = found.default_channel
            channel.qos.take_over(before.qos)
            with redis.Redis.from_url(server.url) as client:
                assert held(client, channel) == noted(message)
    finally:
        server.stop()


def test_who_cannot_note_what_it_takes_over_says_so(channel: Any, other: Any) -> None:
    """It is tried again over the next connection then."""
    publish(channel, "first")
    message = take(channel)
    other.delete(channel.unacked_key, channel.unacked_index_key)
    following = channel.connection.client.channel()
    other.config_set("maxmemory", "1")
    try:
        with pytest.raises(ResponseError):
            following.qos.take_over(channel.qos)
    finally:
        other.config_set("maxmemory", "0")
    following.qos.take_over(channel.qos)
    assert held(other, channel) == noted(message)


def test_a_closed_channel_has_nobody_to_tell(channel: Any, other: Any) -> None:
    """The event loop ends after the connection was lost, and a task that outlives it is done later still."""
    loop = Loop()
    channel.qos.let_acks_wait(loop.call_later)
    publish(channel, "first")
    message = take(channel)
    message.ack()
    channel.close()
    loop.pass_time()
    channel.qos.let_acks_wait(None)
    channel.qos.ack(message.delivery_tag)
    assert held(other, channel) == (set(), set())


@pytest.mark.parametrize("requeue", [False, True])
def test_a_refused_message_is_held_no_longer(channel: Any, other: Any, requeue: bool) -> None:
    publish(channel, "first")
    take(channel).reject(requeue=requeue)
    assert held(other, channel) == (set(), set())
    assert other.llen(QUEUE) == requeue


def test_a_message_is_forgotten_also_when_redis_cannot_be_told(channel: Any) -> None:
    """A worker that counts it as held asks for no other, and never notices that its connection is gone."""
    publish(channel, "first")
    message = take(channel)
    channel.qos.prefetch_count = 1
    assert not channel.qos.can_consume()
    channel.line.tell = lambda *_: (_ for _ in ()).throw(Disconnected("gone"))
    with pytest.raises(Disconnected):
        message.ack()
    assert channel.qos.can_consume()


def test_a_queue_that_is_left_out_for_a_moment_does_not_wait_until_another_has_a_message(
    redis_url: str,
) -> None:
    """Redis is asked again after the moment, not after its usual second: an order lies in that queue."""
    with (
        Connection(redis_url) as connection,  # type: ignore[no-untyped-call]  # no types
        redis.Redis.from_url(redis_url) as watching,
        watching.monitor() as heard,
    ):
        channel = connection.default_channel
        channel._queue_cycle = Turns(monotonic=lambda: 0.0)
        channel._active_queues += [Stage.VALIDATE, Stage.EXECUTE]
        channel._update_queue_cycle()
        channel.client.connection = channel.client.connection_pool.get_connection()
        for _ in range(MANY):
            channel._queue_cycle.rotate(Stage.VALIDATE)
        channel._brpop_start()
        asked = next(each for each in heard.listen() if each["command"].startswith("BRPOP"))
        assert asked["command"].split()[1] == "validate"
        assert asked["command"].split()[-1] == str(NEXT_WITHIN_S)


def test_the_queues_turns_are_told_how_long_an_order_may_wait(redis_url: str) -> None:
    transport.install()
    options = {"queue_order_strategy": "tasks.turns:Turns", "first_for_s": 0.8}
    with Connection(redis_url, transport_options=options) as connection:  # type: ignore[no-untyped-call]  # no types
        assert connection.default_channel._queue_cycle.first_for_s == 0.8


def test_a_refusal_is_told_to_the_next_who_speaks_and_mixes_up_no_answers(channel: Any) -> None:
    channel.line.tell(("NOSUCHCOMMAND",), ("SET", "unanswered", "1"))
    with pytest.raises(ResponseError):
        channel.line.ask("ECHO", "mine")
    assert channel.line.ask("ECHO", "mine") == b"mine"


def test_a_refusal_does_not_keep_a_channel_from_closing(channel: Any, other: Any) -> None:
    """A full Redis refuses notes; what is held must go back all the same."""
    publish(channel, "first")
    take(channel)
    channel.line.tell(("NOSUCHCOMMAND",))
    channel.close()
    assert other.llen(QUEUE) == 1


@pytest.mark.parametrize(
    "told",
    [
        {"text": "ü 🚀", "numbers": [1, -2.5, 1e300, None, True], "nested": {"empty": {}}},
        (("symbol",), {}, {"chain": None}),
        {"at": datetime(2026, 1, 2, 3, 4, 5, 6, UTC)},
        {"price": Decimal("0.10")},
        {1: "one"},
    ],
    ids=str,
)
def test_json_says_what_kombu_says(told: Any) -> None:
    """Celery and others that use kombu read what we write, and write what we read."""
    theirs = kombu_json.dumps(told)  # type: ignore[no-untyped-call]  # no types
    understood = kombu_json.loads(theirs)  # type: ignore[no-untyped-call]  # no types
    assert transport.read(transport.dumped(told)) == transport.read(theirs.encode()) == understood
    assert kombu_json.loads(transport.dumped(told)) == understood  # type: ignore[no-untyped-call]  # no types
