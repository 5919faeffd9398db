"""The universe: the symbols that may be traded, and why each name that was asked for is in or out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum, unique

from pipeline.domain.errors import UnknownSymbol
from pipeline.domain.ids import digest
from pipeline.domain.instruments import Instrument, Instruments, plain


@dataclass(frozen=True, slots=True)
class Universe:
    """Sorted symbols, each once, and a version that is a hash of them: equal lists have equal versions."""

    symbols: tuple[str, ...]
    version: str

    @classmethod
    def of(cls, symbols: Iterable[str]) -> Universe:
        ordered = tuple(sorted(set(symbols)))
        return cls(ordered, digest("universe", *ordered)[:12])

    def __contains__(self, symbol: object) -> bool:
        return symbol in self.symbols

    def __len__(self) -> int:
        return len(self.symbols)


@unique
class Standing(StrEnum):
    """Why a name that was asked for is in the universe, or is not."""

    IN = "in"
    REPEATED = "repeated"
    BLOCKED = "blocked"
    INACTIVE = "inactive"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Listing:
    """One name as it was asked for. `symbol` is None when the exchange does not know it."""

    name: str
    symbol: str | None
    standing: Standing
    detail: str

    def as_record(self) -> dict[str, object]:
        return {
            "name": self.name,
            "symbol": self.symbol,
            "standing": self.standing.value,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class UniverseReport:
    """The universe with its reasons. `unused_blocks` are names of the block list that match nothing: a typing
    error there would leave a symbol trading that somebody meant to block.
    """

    universe: Universe
    listings: tuple[Listing, ...]
    unused_blocks: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Nothing may be traded: trading stops, and somebody must be told."""
        return not self.universe.symbols

    @property
    def summary(self) -> str:
        """`48 of 50 names are in the universe: 1 inactive, 1 unknown`"""
        said = f"{len(self.universe)} of {len(self.listings)} names are in the universe"
        counts = {each: sum(1 for entry in self.listings if entry.standing is each) for each in Standing}
        out = [f"{count} {each}" for each, count in counts.items() if count and each is not Standing.IN]
        return f"{said}: {', '.join(out)}" if out else said

    def out(self) -> tuple[Listing, ...]:
        """The names that did not get in, in the order in which they were asked for."""
        return tuple(entry for entry in self.listings if entry.standing is not Standing.IN)


def build(requested: Iterable[str], block: Iterable[str], instruments: Instruments) -> UniverseReport:
    """What of `requested` may be traded: known to the exchange, active there, and not blocked.

    Names may be spelled in any usual way (`BTC/USDT:USDT`, `BTC/USDT`, `BTCUSDT`, any case).
    """
    known = _by_spelling(instruments)
    blocked = {plain(name): name for name in block}
    listings: list[Listing] = []
    symbols: set[str] = set()
    for name in requested:
        listing = _judge(name, _find(name, known, instruments), blocked, symbols)
        listings.append(listing)
        if listing.standing is Standing.IN and listing.symbol is not None:
            symbols.add(listing.symbol)
    unused = tuple(name for spelling, name in blocked.items() if spelling not in known)
    return UniverseReport(Universe.of(symbols), tuple(listings), unused)


def _by_spelling(instruments: Instruments) -> Mapping[str, Instrument]:
    """Every instrument under its plain symbol and market id, so that a thousand names stay cheap."""
    known: dict[str, Instrument] = {}
    for instrument in instruments.by_symbol.values():
        known.setdefault(plain(instrument.symbol), instrument)
        known.setdefault(plain(instrument.market_id), instrument)
    return known


def _find(name: str, known: Mapping[str, Instrument], instruments: Instruments) -> Instrument | UnknownSymbol:
    found = instruments.by_symbol.get(name) or known.get(plain(name))
    if found is not None:
        return found
    try:
        return instruments.find(name)
    except UnknownSymbol as unknown:
        return unknown


def _judge(
    name: str, found: Instrument | UnknownSymbol, blocked: Mapping[str, str], symbols: set[str]
) -> Listing:
    if isinstance(found, UnknownSymbol):
        return Listing(name, None, Standing.UNKNOWN, str(found))
    symbol = found.symbol
    if symbol in symbols:
        return Listing(name, symbol, Standing.REPEATED, f"{symbol} was named before")
    if plain(symbol) in blocked or plain(found.market_id) in blocked:
        return Listing(name, symbol, Standing.BLOCKED, f"{symbol} is on the block list")
    if not found.active:
        return Listing(name, symbol, Standing.INACTIVE, f"the exchange does not trade {symbol} at the moment")
    return Listing(name, symbol, Standing.IN, "active on the exchange")
