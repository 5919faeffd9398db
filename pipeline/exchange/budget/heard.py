"""The stops that this process has heard of: they hold also while Redis is away, or has lost them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """A stop that is not over: under which key it stands in Redis, for how long yet, and why."""

    key: str
    wait_s: float
    why: str


class Heard:
    """What the exchange told this process, and what Redis told it of others. Instants are of one monotonic clock."""

    def __init__(self) -> None:
        self._stops: dict[str, tuple[float, str]] = {}

    def hear(self, key: str, until: float, why: str) -> None:
        """A stop is never shortened."""
        if until > self._stops.get(key, (0.0, ""))[0]:
            self._stops[key] = until, why

    def standing(self, keys: Iterable[str], now: float) -> list[Standing]:
        """Those of the stops with these keys that are not over, in the order of the keys."""
        if not self._stops:
            return []
        known = [(key, *self._stops[key]) for key in keys if key in self._stops]
        return [Standing(key, until - now, why) for key, until, why in known if until > now]
