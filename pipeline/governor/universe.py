"""The universe: the symbols that may be traded, and why each name that was asked for is in or out."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
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
        at = bisect_left(self.symbols, str(symbol))
        return self.symbols[at : at + 1] == (symbol,)

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
    TOO_LITTLE = "too_little"
    NOT_AT_TOP = "not_at_top"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the settings ask for: the names of a list, or with `top` above 0 that many symbols by 24 h volume.

    `min_volume` in quote currency; `block` counts for both.
    """

    symbols: tuple[str, ...] = ()
    block: tuple[str, ...] = ()
    top: int = 0
    min_volume: Decimal = Decimal(0)

    @property
    def key(self) -> str:
        """Equal for equal wishes: a universe that was made for another one is made anew."""
        return digest("wanted", *self.symbols, "", *self.block, "", self.top, self.min_volume)[:12]

    @property
    def source(self) -> str:
        if not self.top:
            return f"a list of {len(self.symbols)}"
        return f"the top {self.top} by 24 h volume of at least {self.min_volume:f}"


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

    def as_record(self) -> dict[str, object]:
        """Plain JSON values."""
        return {
            "symbols": list(self.universe.symbols),
            "version": self.universe.version,
            "summary": self.summary,
            "listings": [each.as_record() for each in self.listings],
            "unused_blocks": list(self.unused_blocks),
        }

    def out(self) -> tuple[Listing, ...]:
        """The names that did not get in, in the order in which they were asked for."""
        return tuple(entry for entry in self.listings if entry.standing is not Standing.IN)


def differences(before: Iterable[str], report: UniverseReport) -> Mapping[str, str]:
    """What `report` changes of a universe that held the symbols `before`: each symbol, with why."""
    held = set(before)
    why = {each.symbol: each for each in reversed(report.listings)}  # of one that is repeated, the first
    entering = {symbol: "goes in" for symbol in report.universe.symbols if symbol not in held}
    leaving = dict.fromkeys(sorted(held - set(report.universe.symbols)), "goes out")
    return {
        symbol: f"{what}: {why[symbol].detail if symbol in why else 'nobody asks for it any more'}"
        for symbol, what in (entering | leaving).items()
    }


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


def ranked(volumes: Mapping[str, Decimal], wanted: Wanted, instruments: Instruments) -> UniverseReport:
    """The `wanted.top` symbols with the largest volume, of those that are active and not blocked."""
    known = _by_spelling(instruments)
    blocked = {plain(name): name for name in wanted.block}
    listings: list[Listing] = []
    symbols: set[str] = set()
    for name, volume in sorted(volumes.items(), key=lambda each: (-each[1], each[0])):
        listing = _rank(
            _judge(name, _find(name, known, instruments), blocked, symbols), volume, wanted, len(symbols)
        )
        listings.append(listing)
        if listing.standing is Standing.IN and listing.symbol is not None:
            symbols.add(listing.symbol)
    unused = tuple(name for spelling, name in blocked.items() if spelling not in known)
    return UniverseReport(Universe.of(symbols), tuple(listings), unused)


def _rank(listing: Listing, volume: Decimal, wanted: Wanted, taken: int) -> Listing:
    """The verdict on a symbol that is otherwise in."""
    if listing.standing is not Standing.IN:
        return listing
    said = f"{volume:.0f} in 24 h"
    if volume < wanted.min_volume:
        return replace(
            listing, standing=Standing.TOO_LITTLE, detail=f"{said}, less than {wanted.min_volume:f}"
        )
    if taken >= wanted.top:
        return replace(
            listing, standing=Standing.NOT_AT_TOP, detail=f"{said}, not among the top {wanted.top}"
        )
    return replace(listing, detail=f"number {taken + 1} with {said}")


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
