"""How long positions were without their stop, told by the exchange's journal alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from tests.fault.audit.evidence import Row

ZERO = Decimal(0)
STOPS = frozenset({"STOP", "STOP_MARKET"})


@dataclass(frozen=True)
class Spell:
    """A position of `symbol` was held and no stop of its quantity waited, for `seconds`."""

    symbol: str
    since: datetime
    seconds: float

    @property
    def until(self) -> datetime:
        return self.since + timedelta(seconds=self.seconds)

    def __str__(self) -> str:
        return f"{self.symbol} was without its stop for {self.seconds:.2f} s from {self.since:%H:%M:%S.%f}"


@dataclass
class _Symbol:
    """What is held, and which stops wait, by id; since when the one exceeds the other."""

    held: Decimal = ZERO
    stops: dict[str, tuple[str, Decimal]] = field(default_factory=dict)
    bare_since: datetime | None = None

    def take(self, entry: Row) -> None:
        if entry["kind"] == "fill":
            sign = 1 if entry["side"] == "BUY" else -1
            self.held += sign * Decimal(entry["fill_qty"])
        elif "algo_id" in entry and entry["type"] in STOPS:
            self._take_stop(entry)

    def _take_stop(self, entry: Row) -> None:
        if entry["kind"] == "order_accepted":
            self.stops[entry["algo_id"]] = (entry["side"], Decimal(entry["qty"]))
        else:
            self.stops.pop(entry["algo_id"], None)

    @property
    def is_bare(self) -> bool:
        side = "SELL" if self.held > 0 else "BUY"
        return abs(self.held) > sum((qty for of, qty in self.stops.values() if of == side), ZERO)


def bare_spells(journal: Iterable[Row]) -> Iterator[Spell]:
    """Each time that a position was not covered by its stops, in the order of its end; the last ones may go on."""
    symbols: defaultdict[str, _Symbol] = defaultdict(_Symbol)
    now: datetime | None = None
    for entry in journal:
        now = datetime.fromisoformat(entry["at"])
        if not entry.get("symbol") or "client_order_id" not in entry:
            continue
        state = symbols[entry["symbol"]]
        state.take(entry)
        if state.is_bare and state.bare_since is None:
            state.bare_since = now
        elif not state.is_bare and state.bare_since is not None:
            yield _spell(entry["symbol"], state.bare_since, now)
            state.bare_since = None
    yield from _lasting(symbols, now)


def _lasting(symbols: Mapping[str, _Symbol], now: datetime | None) -> Iterator[Spell]:
    for symbol, state in symbols.items():
        if state.bare_since is not None and now is not None:
            yield _spell(symbol, state.bare_since, now)


def _spell(symbol: str, since: datetime, until: datetime) -> Spell:
    return Spell(symbol, since, (until - since).total_seconds())
