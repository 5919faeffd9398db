"""Saying how far the feed is: while it loads, when it falls behind, and when it is complete again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.domain.events import EventName, Events

PROGRESS_EVERY_S = 5.0
NAMED = 10
"""So many symbols are named; of the others there is the count."""


@dataclass(slots=True)
class Lag:
    """Tells changes, not states."""

    events: Events
    _loading: int = 0
    _since: float | None = None
    _told_at: float = 0.0

    def load(self, symbols: int) -> None:
        """These are followed from now on, and some may have to be loaded first."""
        self._loading = symbols

    def look(self, behind: Mapping[str, Sequence[str]], now: float) -> None:
        """`behind`: which timeframes each symbol lacks. `now`: seconds of a clock that only goes forward."""
        if self._since is None and behind:
            self._since, self._told_at = now, now
            self._tell(behind)
        elif behind and now - self._told_at >= PROGRESS_EVERY_S:
            self._told_at = now
            self._tell(behind)
        elif self._since is not None and not behind:
            self.events.emit(EventName.FEED_COMPLETE, for_s=round(now - self._since, 1))
            self._since, self._loading = None, 0

    def _tell(self, behind: Mapping[str, Sequence[str]]) -> None:
        if self._loading:
            self.events.emit(EventName.FEED_LOAD, symbols=self._loading, missing=len(behind))
            return
        named = {symbol: " ".join(lacking) for symbol, lacking in sorted(behind.items())[:NAMED]}
        self.events.emit(EventName.FEED_BEHIND, symbols=len(behind), lacking=named)
