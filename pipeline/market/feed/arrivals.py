"""Which closed bars have arrived, which are due and missing, and for which instants a decision is wanted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, unique

from pipeline.domain.timeframes import Timeframe


@unique
class Arrival(Enum):
    """What a closed bar was to its series."""

    NEXT = "the next one"
    KNOWN = "known already: the exchange repeats or revises it"
    AHEAD = "bars before it are missing"


@dataclass(slots=True)
class _Series:
    """One symbol and timeframe. `whole_ms`: up to this bar nothing is missing. None: it must be loaded."""

    timeframe: Timeframe
    whole_ms: int | None = None
    owed_ms: int = 0


class Arrivals:
    """All series of the feed. Opening times in ms, instants in ms of the exchange's clock.

    `decide`: the timeframes at whose close a decision is wanted, if all bars have come `within_ms`: later than
    that beat has seen to it.
    """

    def __init__(
        self, timeframes: Sequence[Timeframe], decide: Iterable[str] = (), within_ms: int = 30_000
    ) -> None:
        self._timeframes = tuple(timeframes)
        self._within_ms = within_ms
        self._decide = tuple(each for each in timeframes if each.name in frozenset(decide))
        self._series: dict[str, dict[str, _Series]] = {}
        self._decided: dict[str, int] = {}

    @property
    def symbols(self) -> frozenset[str]:
        return frozenset(self._series)

    def follow(self, symbols: Iterable[str]) -> None:
        """From now on these; a new one has everything missing."""
        wanted = frozenset(symbols)
        for gone in self.symbols - wanted:
            del self._series[gone]
        for new in wanted - self.symbols:
            self._series[new] = {each.name: _Series(each) for each in self._timeframes}

    def forget(self, symbols: Iterable[str] | None = None) -> None:
        """The store has lost these symbols' bars, or everybody's."""
        for symbol in self.symbols if symbols is None else self.symbols & frozenset(symbols):
            for series in self._series[symbol].values():
                series.whole_ms, series.owed_ms = None, 0

    def closed(self, symbol: str, timeframe: str, open_ms: int) -> Arrival:
        """This bar is in the store."""
        series = self._series[symbol][timeframe]
        if series.whole_ms is None or open_ms > series.whole_ms + series.timeframe.milliseconds:
            series.owed_ms = max(series.owed_ms, open_ms)
            return Arrival.AHEAD
        if open_ms <= series.whole_ms:
            return Arrival.KNOWN
        series.whole_ms = open_ms
        return Arrival.NEXT

    def forming(self, symbol: str, timeframe: str, open_ms: int, event_ms: int) -> None:
        """This bar has begun, so the one before it is closed, whatever we heard of that. A message about a bar that by
        its own time has not begun says nothing: one that never comes would be owed for ever.
        """
        series = self._series[symbol][timeframe]
        step = series.timeframe.milliseconds
        if open_ms % step == 0 and open_ms <= event_ms:
            series.owed_ms = max(series.owed_ms, open_ms - step)

    def loaded(self, symbol: str, timeframe: str, last_open_ms: int) -> None:
        """Everything up to this bar is in the store."""
        series = self._series[symbol][timeframe]
        series.whole_ms = max(series.whole_ms or 0, last_open_ms)

    def behind(self, due_at_ms: int) -> dict[str, tuple[str, ...]]:
        """The timeframes that lack a bar which closed by then or is known to be closed, by symbol."""
        found = {symbol: self.lacking(symbol, due_at_ms) for symbol in self._series}
        return {symbol: lacking for symbol, lacking in found.items() if lacking}

    def newest(self) -> dict[str, int | None]:
        """For each timeframe the opening time of the newest bar that any symbol has."""
        return {
            each.name: max((series[each.name].whole_ms or 0 for series in self._series.values()), default=0)
            or None
            for each in self._timeframes
        }

    def wanted(self, symbol: str, now_ms: int) -> int | None:
        """The newest close for which a decision over the symbol is wanted and all its bars have come, once.

        The bars of all timeframes that close at one instant belong to one decision.
        """
        if not self._decide:
            return None
        close_ms = max(now_ms // each.milliseconds * each.milliseconds for each in self._decide)
        late = now_ms - close_ms > self._within_ms
        if late or close_ms <= self._decided.get(symbol, 0) or self.lacking(symbol, close_ms):
            return None
        self._decided[symbol] = close_ms
        return close_ms

    def lacking(self, symbol: str, at_ms: int) -> tuple[str, ...]:
        """The same for one symbol; nothing when it is not followed."""
        return tuple(name for name, series in self._series.get(symbol, {}).items() if _lacks(series, at_ms))


def _lacks(series: _Series, at_ms: int) -> bool:
    step = series.timeframe.milliseconds
    due_ms = max(at_ms // step * step - step, series.owed_ms)
    return series.whole_ms is None or series.whole_ms < due_ms
