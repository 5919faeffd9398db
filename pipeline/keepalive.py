"""Connections that nobody answers any more are noticed, also by those who only wait.

A host that lost its power, or a firewall that forgot a connection, says no goodbye. Whoever waits for a message on
such a connection would wait for two hours, which is when Linux first asks whether anybody is there.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

IDLE_S, EVERY_S, TIMES = 3, 2, 2
"""After so long without a word ask whether the other side is there, so often, and give up after so many."""

LOST_AFTER_S = IDLE_S + EVERY_S * TIMES

_WANTED = {
    "TCP_KEEPIDLE": IDLE_S,
    "TCP_KEEPINTVL": EVERY_S,
    "TCP_KEEPCNT": TIMES,
    "TCP_USER_TIMEOUT": LOST_AFTER_S * 1000,  # the same for what was sent, and nobody confirms
}

REDIS: Mapping[str, Any] = MappingProxyType(
    {
        "socket_keepalive": True,
        # Systems differ in which of them they have.
        "socket_keepalive_options": {
            getattr(socket, name): value for name, value in _WANTED.items() if hasattr(socket, name)
        },
    }
)
"""For redis-py and kombu."""

POSTGRES: Mapping[str, int] = MappingProxyType(
    {
        "keepalives_idle": IDLE_S,
        "keepalives_interval": EVERY_S,
        "keepalives_count": TIMES,
        "tcp_user_timeout": LOST_AFTER_S * 1000,
    }
)
"""For libpq: our side of a connection."""

POSTGRES_SERVER: Mapping[str, int] = MappingProxyType(
    {
        "tcp_keepalives_idle": IDLE_S,
        "tcp_keepalives_interval": EVERY_S,
        "tcp_keepalives_count": TIMES,
        "tcp_user_timeout": LOST_AFTER_S * 1000,
    }
)
"""For the session there: what a host held that was cut off, it lets go."""
