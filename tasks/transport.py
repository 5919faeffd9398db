"""Redis as kombu speaks it, and three things more: every message is signed, an envelope that nobody can read does not
end the worker, and an acknowledgement that is lost does not make it mute.

Whoever can write to Redis can push any bytes into a queue. Kombu lets its parser's error rise through the event loop,
which ends the worker, and the next one at the next message. Here it is named as a security event, and dropped; so is
a message that was not signed by one of ours.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from typing import Any

import orjson
from kombu.serialization import register
from kombu.transport import TRANSPORT_ALIASES, redis, virtual
from kombu.utils import json as kombu_json
from redis import RedisError

from pipeline.domain.events import EventName
from pipeline.trace.events import LoggedEvents
from tasks import signing
from tasks.line import Command, Line
from tasks.turns import LONGEST_S, Turns

log = logging.getLogger(__name__)

UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What parsing an envelope, and reading its parts, raises. Broken connections are other errors, and rise."""

GONE = (RedisError, OSError)
"""Redis cannot be told, or refuses."""

LONGEST = 300

ACKS_WAIT_S = 0.02

CallLater = Callable[[float, Callable[[], None]], object]
"""Of an event loop: after so many seconds this is to be called."""


class QoS(redis.QoS):
    """What this process holds, noted in Redis so that others can put it back when it dies.

    A message is noted before it is handed on, with one packet whose answer nobody waits for. Those that are done go
    with the next packet, if that comes soon: see `let_acks_wait`.

    What was taken is in no queue any more. So taking it never fails: where its note is lost, with a connection or
    because Redis refuses it, the message is run all the same, and all that is held is noted again with the next packet.

    It forgets a message also when Redis cannot be told that it is done. Kombu goes on counting it as held. A worker
    with as many held messages as it may have asks for no other, and without asking it never notices that its
    connection is gone: it is mute, for ever. Redis delivers the message again after the visibility timeout, and its
    stage finds itself done.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]  # no types
        self._done: list[str] = []
        self._told = 0
        self._trouble: Exception | None = None
        self._call_later: CallLater | None = None
        self._called = False

    def let_acks_wait(self, call_later: CallLater | None) -> None:
        """For the next message, `ACKS_WAIT_S` at most, as long as an event loop runs that calls; else none waits."""
        self._call_later, self._called = call_later, False
        if call_later is None:
            self.settle()

    def append(self, message: Any, delivery_tag: str) -> None:
        """Each step for itself does no harm when it is the last: an index that names no message is cleared."""
        virtual.QoS.append(self, message, delivery_tag)  # type: ignore[no-untyped-call]  # no types
        self._tell(
            ("ZADD", self.unacked_index_key, time.time(), delivery_tag),
            ("HSET", self.unacked_key, delivery_tag, _noted(message)),
        )
        if self._trouble is not None:
            self._tell()  # a connection that was cut is found out by using it: this one is new

    def ack(self, delivery_tag: str) -> None:
        virtual.QoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]  # no types
        self._done.append(delivery_tag)
        if self._call_later is None:
            self.settle()
        elif not self._called:
            self._called = True
            self._call_later(ACKS_WAIT_S, self._tell_late)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        if not requeue:
            self.ack(delivery_tag)
            return
        try:
            self.restore_by_tag(delivery_tag, leftmost=True)
        finally:
            virtual.QoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]  # no types

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> Any:
        self.settle()  # another connection looks for it now
        return super().restore_by_tag(tag, client, leftmost)  # type: ignore[no-untyped-call]  # no types

    def take_over(self, before: QoS) -> None:
        """What one held whose channel is gone: where it could not note it, nobody else has it. Raises: GONE."""
        if held := before._all_held():
            self.channel.line.tell(*held)
            self.channel.line.settle()
        self._done.extend(before._done)
        self.settle()

    def settle(self) -> None:
        """Everything is noted in Redis when this returns, unless the channel is closed. Raises: GONE."""
        if self.channel.closed:
            return
        self._tell()
        self._hear()
        if self._trouble is not None:  # as in `append`
            self._tell()
            self._hear()
        if self._trouble is not None:
            raise self._trouble

    def _tell_late(self) -> None:
        """One call for all that is done meanwhile: an entry of the timer costs as much as a step of a message."""
        self._called = False
        if not self.channel.closed:
            self._tell()

    def _tell(self, *commands: Command) -> None:
        """`commands`, or all that is held where Redis may not know it; what is done in any case."""
        self._hear()
        if self._trouble is not None:
            commands = self._all_held()
        if done := tuple(self._done):
            commands = (("HDEL", self.unacked_key, *done), ("ZREM", self.unacked_index_key, *done), *commands)
        try:
            if commands:
                self.channel.line.tell(*commands)
        except GONE as error:
            self._lost(error)
        else:
            self._told, self._trouble = len(done), None

    def _hear(self) -> None:
        """What became of the last packet."""
        try:
            self.channel.line.settle()
        except GONE as error:
            self._lost(error)
        else:
            del self._done[: self._told]
        self._told = 0

    def _lost(self, error: Exception) -> None:
        log.warning("Redis may not know what is held and what is done, and is told again: %s", error)
        self._trouble = error

    def _all_held(self) -> tuple[Command, ...]:
        """Since when a message is held, where that is known, does not change."""
        held = {tag: message for tag, message in self._delivered.items() if tag not in self._dirty}
        if not held:
            return ()
        since = [part for tag in held for part in (time.time(), tag)]
        notes = [part for tag, message in held.items() for part in (tag, _noted(message))]
        return ("ZADD", self.unacked_index_key, "NX", *since), ("HSET", self.unacked_key, *notes)


class Channel(redis.Channel):
    """Signs what it sends; drops what is no message."""

    QoS = QoS
    from_transport_options: tuple[str, ...] = (  # type: ignore[assignment]  # a longer one
        *redis.Channel.from_transport_options,
        "first_for_s",
    )
    first_for_s = LONGEST_S
    _last_client: Any = None
    _line: Line | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]  # no types
        if isinstance(self._queue_cycle, Turns):
            self._queue_cycle.first_for_s = self.first_for_s

    def _create_client(self, asynchronous: bool = False) -> Any:
        """One client for as long as its pool lives: kombu would make one for each step of a message, and making it
        costs as much as the step.
        """
        if asynchronous:
            return super()._create_client(asynchronous)  # type: ignore[no-untyped-call]  # no types
        if (
            self._last_client is None or self._last_client.connection_pool is not self.pool
        ):  # after a fork, say
            self._last_client = super()._create_client()  # type: ignore[no-untyped-call]  # no types
        return self._last_client

    @property
    def line(self) -> Line:
        """What is said for every message goes over this one connection, for as long as its pool lives."""
        if self._line is None or self._line.pool is not self.pool:
            self._line = Line(self.pool)
        return self._line

    def close(self) -> None:
        """What was done is noted first, and what Redis has just handed out, if Redis can still be told."""
        if self._qos is not None and not self.closed:
            with suppress(Empty, *GONE):
                if self._in_poll:
                    self._brpop_read()
            with suppress(*GONE):
                self._qos.settle()
        super().close()  # type: ignore[no-untyped-call]  # no types

    def _put(self, queue: str, message: dict[str, Any], **options: Any) -> None:
        signing.sign(message, signing.own_key())
        if options.get("_publish_batch") or queue in (self._expires or ()):
            super()._put(queue, message, **options)  # type: ignore[no-untyped-call]  # no types
        else:
            key = self._q_for_pri(queue, self._get_message_priority(message))  # type: ignore[no-untyped-call]  # no types
            self.line.ask("LPUSH", key, dumped(message))

    def _put_fanout(self, exchange: str, message: dict[str, Any], routing_key: str, **options: Any) -> None:
        signing.sign(message, signing.own_key())
        super()._put_fanout(exchange, message, routing_key, **options)  # type: ignore[no-untyped-call]  # no types

    def _brpop_start(self, timeout: float | None = None) -> None:
        """A queue that is left out for a moment must not wait until another has a message."""
        patience_s: float | None = getattr(self._queue_cycle, "patience_s", None)
        super()._brpop_start(patience_s if timeout is None else timeout)  # type: ignore[no-untyped-call]  # no types

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]  # no types
        except UNREADABLE as error:
            _tell("a message that cannot be read", traceback.format_exception_only(error)[-1].strip())
            return True


class TellsOnce:
    """An event loop that is told of a socket when it is new to it.

    Kombu tells it of each at every turn, and what a refusal costs it, some 20 µs, is as much as two steps of a message.
    The same number may be another socket by now: only the same open socket is none that the loop must hear of.
    """

    def __init__(self, loop: Any, cycle: Any) -> None:
        self._loop, self._cycle = loop, cycle
        self._told: dict[int, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def add_reader(self, number: int, *what: Any) -> None:
        opened = self._socket(number)
        if opened is None or self._told.get(number) is not opened or number not in self._loop.readers:
            self._loop.add_reader(number, *what)
            self._told[number] = opened

    def _socket(self, number: int) -> Any:
        sockets = self._cycle._chan_to_sock.values()  # noqa: SLF001 - as kombu's own loop looks for it
        return next((each for each in sockets if each.fileno() == number), None)


class Transport(redis.Transport):
    """Kombu's, with our channel; hands on only what one of ours has signed."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str) -> None:
        problem = signing.problem_of(message, queue, signing.own_key())
        if problem is None:
            super()._deliver(message, queue)  # type: ignore[no-untyped-call]  # no types
        else:
            _tell("a message that none of ours has sent", f"{problem}; queue {queue}")

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        super().register_with_event_loop(connection, TellsOnce(loop, self.cycle))  # type: ignore[no-untyped-call]  # no types


def _noted(message: Any) -> str:
    """A held message as kombu notes it."""
    meant = message.delivery_info
    return dumped([message._raw, meant["exchange"], meant["routing_key"]])  # noqa: SLF001 - as it came


def _tell(what: str, problem: str) -> None:
    LoggedEvents().emit(
        EventName.SECURITY, what=f"{what} was dropped; nothing was done", problem=problem[:LONGEST]
    )


def dumped(told: object) -> str:
    """As kombu writes JSON, in a tenth of the time. What it has a notation of its own for, it writes itself."""
    try:
        return orjson.dumps(told, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()
    except TypeError:
        return str(kombu_json.dumps(told))  # type: ignore[no-untyped-call]  # no types


def read(told: str | bytes) -> Any:
    """As kombu reads JSON. Raises: ValueError when it is none."""
    if ("__type__" if isinstance(told, str) else b"__type__") in told:  # type: ignore[operator]  # each in its own
        return kombu_json.loads(told)  # type: ignore[no-untyped-call]  # no types
    return orjson.loads(told)


def install() -> None:
    """From now on `redis://` means this transport in this process, and its JSON is read and written quickly.

    Celery's setting `broker_transport` would do as well, but the scheme of the broker's address is lost with it: Flower
    then knows no queues, and `rediss://` no TLS.
    """
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:{Transport.__name__}"))
    redis.dumps, redis.loads = dumped, read  # type: ignore[attr-defined, assignment]  # kombu's own names for both
    register("json", dumped, read, content_type="application/json", content_encoding="utf-8")  # type: ignore[no-untyped-call]  # no types
