"""Celery clients that are not the pipeline's own application."""

from __future__ import annotations

from pathlib import Path

from celery import Celery

from config.home import local_key
from tasks import signing, transport
from tasks.settings import holding


def trusted_client(name: str, broker: str, home: Path) -> Celery:
    """A program that knows nothing of ours but the broker's address, and the key of its messages.

    The key is this process's until another client is made.
    """
    transport.install()
    signing.use(message_key_of(home))
    client = Celery(name, broker=broker, set_as_current=False)
    client.conf.broker_transport_options = holding("market")
    return client


def message_key_of(home: Path) -> str:
    return local_key(home, "message_key").decode()
