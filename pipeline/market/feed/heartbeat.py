"""How the feed is, for whoever watches it: one hash in Redis, written every second or so by the one that leads.

=============== ===========================================================================================
field           value
=============== ===========================================================================================
at              when it was written, ISO 8601 UTC, by the feed's clock
exchange_time   the exchange's clock at that moment, the same form
holder, fence   which process leads, and the how-manieth leader it is
symbols         how many symbols it follows
connections     how many connections it keeps
up              how many of those have told a candle since they were opened
messages        how many messages about candles have come since it leads
behind          how many symbols lack a bar that is due
last:<30m>      opening time of the newest bar of that timeframe in the store, ISO 8601 UTC; empty when none
=============== ===========================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import redis

from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.timeframes import from_iso, iso


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One heartbeat. `last`: by timeframe, the opening time of the newest bar."""

    at: datetime
    exchange_time: datetime
    holder: str
    fence: int
    symbols: int
    connections: int
    up: int
    messages: int
    behind: int
    last: Mapping[str, datetime | None] = field(default_factory=dict)

    def as_hash(self) -> dict[str, str]:
        counts = ("fence", "symbols", "connections", "up", "messages", "behind")
        return {
            "at": iso(self.at) or "",
            "exchange_time": iso(self.exchange_time) or "",
            "holder": self.holder,
            **{name: str(getattr(self, name)) for name in counts},
            **{f"last:{timeframe}": iso(opened) or "" for timeframe, opened in self.last.items()},
        }

    @classmethod
    def from_hash(cls, told: Mapping[str, str]) -> Beat:
        """What `as_hash` wrote. Raises: KeyError, ValueError when it is something else."""
        last = {name.partition(":")[2]: text for name, text in told.items() if name.startswith("last:")}
        return cls(
            at=from_iso(told["at"]),
            exchange_time=from_iso(told["exchange_time"]),
            holder=told["holder"],
            fence=int(told["fence"]),
            symbols=int(told["symbols"]),
            connections=int(told["connections"]),
            up=int(told["up"]),
            messages=int(told["messages"]),
            behind=int(told["behind"]),
            last={name: from_iso(text) if text else None for name, text in last.items()},
        )


def opened(at_ms: int | None) -> datetime | None:
    """An opening time as a datetime."""
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC)


class Heartbeats:
    """Writes and reads them. Both raise StoreUnavailable when Redis does not answer."""

    def __init__(self, client: redis.Redis, name: str) -> None:
        self._client = client
        self._key = f"{name}:beat"

    def write(self, beat: Beat) -> None:
        """Replace the last one."""
        try:
            with self._client.pipeline() as pipe:
                pipe.delete(self._key)
                pipe.hset(self._key, items=[part for pair in beat.as_hash().items() for part in pair])
                pipe.execute()
        except redis.RedisError as problem:
            raise StoreUnavailable(f"could not write the feed's heartbeat: {problem}") from problem

    def read(self) -> Beat | None:
        """The last one; None when no feed has written one, or it cannot be read."""
        try:
            told = self._client.hgetall(self._key)
        except redis.RedisError as problem:
            raise StoreUnavailable(f"could not read the feed's heartbeat: {problem}") from problem
        try:
            return Beat.from_hash({_text(name): _text(value) for name, value in told.items()})
        except (KeyError, ValueError):
            return None


def _text(told: bytes | str) -> str:
    return told.decode() if isinstance(told, bytes) else told
