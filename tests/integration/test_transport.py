"""Our part of kombu's Redis transport, on a real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kombu.connection import Connection

from tasks import transport
from tests.support.servers import RedisServer


@pytest.fixture
def channel(redis_server: RedisServer) -> Iterator[Any]:
    transport.install()
    with Connection(redis_server.url) as connection:  # type: ignore[no-untyped-call]  # no types
        yield connection.default_channel


def test_one_client_serves_until_its_pool_is_gone(channel: Any) -> None:
    """Making one for each step costs as much as the step; one with the pool of the parent would share its sockets."""
    first = channel._create_client()
    assert channel._create_client() is first
    assert channel._create_client(asynchronous=True) is not first
    channel._after_fork()
    second = channel._create_client()
    assert second is not first
    assert second.connection_pool is not first.connection_pool
    assert second.ping()
