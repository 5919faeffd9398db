"""Celery clients that are not the pipeline's own application."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery import Celery

from config.home import local_key
from tasks import signing, transport
from tasks.settings import holding


class TrustedClient(Celery):
    """A process has one key; a test may speak to several homes. This one's is used for whatever it sends."""

    key = ""

    def send_task(self, *args: Any, **options: Any) -> Any:
        signing.use(self.key)
        return super().send_task(*args, **options)


def trusted_client(name: str, broker: str, home: Path) -> TrustedClient:
    """A program that knows nothing of ours but the broker's address, and the key of its messages.

    What it does but for sending tasks, it does with the key of whoever used one last.
    """
    transport.install()
    signing.use(message_key_of(home))
    client = TrustedClient(name, broker=broker, set_as_current=False)
    client.key = message_key_of(home)
    client.conf.broker_transport_options = holding("market")
    return client


def message_key_of(home: Path) -> str:
    return local_key(home, "message_key").decode()
