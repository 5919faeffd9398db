"""Task events in batches: Flower sees a task a moment later, and a worker spends a third less on its messages."""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.worker.consumer.consumer import Consumer

EVERY_S = 0.2


class BatchedEvents(bootsteps.StartStopStep):
    """Sends what task events there are five times a second, or when there are 24.

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
