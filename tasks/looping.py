"""The worker's event loop, spared what it is told in vain."""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.worker import WorkController


class ForgetsOnce(bootsteps.Step):
    """An event loop that is told once to wait no more until a child takes work.

    Celery's pool tells it at every turn, for each child that has nothing to be given. It tells the kernel each time, in
    vain, and then looks what the refusal means: that is one part in twenty of what a worker's main process does.
    """

    requires = ("celery.worker.components:Hub",)

    def create(self, parent: WorkController) -> None:
        """Called when the loop is there, and the pool has not looked at it yet. A solo pool has none."""
        hub = parent.hub
        if hub is None:
            return
        forget = hub.remove_writer

        def remove_writer(what: Any) -> None:
            """Of a number it is known whether the loop waits for it; what else it may be, kombu finds out."""
            if not isinstance(what, int) or what in hub.writers:
                forget(what)

        hub.remove_writer = remove_writer
