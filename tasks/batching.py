"""What a worker tells Redis, told together: each packet costs it as much as the rest of what it does for a message."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from celery import bootsteps
from celery.worker.consumer.consumer import Consumer

from tasks.transport import GONE, QoS

EVERY_S = 0.2
EVENTS = 100


class BatchedEvents(bootsteps.StartStopStep):
    """Sends what task events there are five times a second, or when there are a hundred.

    Celery collects them too, but sends them each time its event loop goes round, which is after nearly every
    message: one more round trip to Redis, as dear as the message itself.
    """

    requires = ("celery.worker.consumer.events:Events",)

    def __init__(self, parent: Consumer, **options: Any) -> None:
        super().__init__(parent, **options)
        self._waiting = False

    def start(self, parent: Consumer) -> None:
        """Called at each connection to the broker, when Celery has made a new dispatcher."""
        self._waiting = False
        if parent.hub and parent.event_dispatcher:
            parent.event_dispatcher.buffer_limit = EVENTS
            parent.event_dispatcher.on_send_buffered = lambda: self._flush_soon(parent)

    def stop(self, parent: Consumer) -> None:
        """Send the last ones while there is still a dispatcher."""
        if parent.event_dispatcher:
            parent.event_dispatcher.flush()

    def _flush_soon(self, parent: Consumer) -> None:
        if not self._waiting:
            self._waiting = True
            parent.hub.call_later(EVERY_S, self._flush, parent)

    def _flush(self, parent: Consumer) -> None:
        self._waiting = False
        if parent.event_dispatcher:
            parent.event_dispatcher.flush()


class BatchedAcks(bootsteps.StartStopStep):
    """A message that is done is told of with the next one that is taken; without a next one, a moment later.

    Not while the worker stops: its event loop may be over. What one connection could not tell, the next one does.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Consumer, **options: Any) -> None:
        super().__init__(parent, **options)
        self._qos: QoS | None = None

    def start(self, parent: Consumer) -> None:
        """Called at each connection to the broker. Raises: GONE, and Celery connects again."""
        if parent.hub:
            qos = parent.task_consumer.channel.qos
            if self._qos is not None:
                qos.take_over(self._qos)
            self._qos = qos
            qos.let_acks_wait(parent.hub.call_later)

    def stop(self, parent: Consumer) -> None:
        """From here on none waits."""
        if parent.task_consumer:
            with suppress(*GONE):
                parent.task_consumer.channel.qos.let_acks_wait(None)
