"""Redis as kombu speaks it, and three things more: every message is signed, an envelope that nobody can read does not
end the worker, and an acknowledgement that is lost does not make it mute.

Whoever can write to Redis can push any bytes into a queue. Kombu lets its parser's error rise through the event loop,
which ends the worker, and the next one at the next message. Here it is named as a security event, and dropped; so is
a message that was not signed by one of ours.
"""

from __future__ import annotations

import traceback
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis, virtual

from pipeline.domain.events import EventName
from pipeline.trace.events import LoggedEvents
from tasks import signing

UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What parsing an envelope, and reading its parts, raises. Broken connections are other errors, and rise."""

LONGEST = 300


class QoS(redis.QoS):
    """Forgets a message also when Redis cannot be told that it is done.

    Kombu goes on counting it as held. A worker with as many held messages as it may have asks for no other, and
    without asking it never notices that its connection is gone: it is mute, for ever. Redis delivers the message again
    after the visibility timeout, and its stage finds itself done.
    """

    def ack(self, delivery_tag: str) -> None:
        try:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]  # no types
        finally:
            virtual.QoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]  # no types

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        try:
            super().reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]  # no types
        finally:
            virtual.QoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]  # no types


class Channel(redis.Channel):
    """Signs what it sends; drops what is no message."""

    QoS = QoS
    from_transport_options: tuple[str, ...] = (*redis.Channel.from_transport_options, "message_key")  # type: ignore[assignment]  # a longer one
    message_key = ""
    _last_client: Any = None

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

    def _put(self, queue: str, message: dict[str, Any], **options: Any) -> None:
        signing.sign(message, self.message_key)
        super()._put(queue, message, **options)  # type: ignore[no-untyped-call]  # no types

    def _put_fanout(self, exchange: str, message: dict[str, Any], routing_key: str, **options: Any) -> None:
        signing.sign(message, self.message_key)
        super()._put_fanout(exchange, message, routing_key, **options)  # type: ignore[no-untyped-call]  # no types

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[no-untyped-call]  # no types
        except UNREADABLE as error:
            _tell("a message that cannot be read", traceback.format_exception_only(error)[-1].strip())
            return True


class Transport(redis.Transport):
    """Kombu's, with our channel; hands on only what one of ours has signed."""

    Channel = Channel

    def _deliver(self, message: Any, queue: str) -> None:
        problem = signing.problem_of(message, queue, self._message_key)
        if problem is None:
            super()._deliver(message, queue)  # type: ignore[no-untyped-call]  # no types
        else:
            _tell("a message that none of ours has sent", f"{problem}; queue {queue}")

    @property
    def _message_key(self) -> str:
        options: dict[str, Any] = self.client.transport_options if self.client else {}
        return str(options.get("message_key", ""))


def _tell(what: str, problem: str) -> None:
    LoggedEvents().emit(
        EventName.SECURITY, what=f"{what} was dropped; nothing was done", problem=problem[:LONGEST]
    )


def install() -> None:
    """From now on `redis://` means this transport in this process.

    Celery's setting `broker_transport` would do as well, but the scheme of the broker's address is lost with it: Flower
    then knows no queues, and `rediss://` no TLS.
    """
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:{Transport.__name__}"))
