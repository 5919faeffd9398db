"""How the paper broker fills: through a book that gets worse step by step, and by what the market touched. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from pipeline.domain.instruments import Instrument
from pipeline.domain.intents import OrderType
from pipeline.domain.ports import Quote
from pipeline.domain.signals import Side
from pipeline.exchange.paper.terms import PaperOrder, PaperTerms

BPS = Decimal(10_000)
MOST_STEPS = 500


@dataclass(frozen=True, slots=True)
class Piece:
    """A fill to be, with the fee that it costs."""

    qty: Decimal
    price: Decimal
    fee_bps: Decimal


@dataclass(frozen=True, slots=True)
class Book:
    """One symbol's market as the broker fills in it."""

    quote: Quote
    instrument: Instrument
    terms: PaperTerms

    def best(self, side: Side) -> Decimal:
        """The price at which one trades at once."""
        return self.quote.ask if side is Side.BUY else self.quote.bid

    def worse(self, price: Decimal, side: Side, steps: int) -> Decimal:
        """The price so many steps further away from it, on the tick."""
        moved = price * (1 + side.sign * steps * self.terms.step_bps / BPS)
        rounded = self.instrument.round_price_up if side is Side.BUY else self.instrument.round_price_down
        return rounded(moved)


@dataclass(frozen=True, slots=True)
class Seen:
    """The market since the last look: the quote now, and the extremes of the bars in between."""

    quote: Quote
    low: Decimal
    high: Decimal

    @classmethod
    def at(cls, quote: Quote) -> Seen:
        return cls(quote, quote.bid, quote.ask)


def walk(book: Book, side: Side, qty: Decimal, bound: Decimal | None) -> Iterator[Piece]:
    """Fill `qty` from the best price on: `terms.depth` at each step, not beyond the bound."""
    for steps in range(MOST_STEPS):
        price = book.worse(book.best(side), side, steps)
        if qty <= 0 or (bound is not None and (price - bound) * side.sign > 0):
            return
        offered = max(book.instrument.qty_step, book.instrument.round_qty_down(book.terms.depth / price))
        piece = Piece(min(qty, offered), price, book.terms.taker_bps)
        qty -= piece.qty
        yield piece


def is_triggered(order: PaperOrder, seen: Seen) -> bool:
    """A stop waits for a move against the position that it protects, a target for the opposite."""
    rising = (order.side is Side.BUY) is (order.type is OrderType.STOP_MARKET)
    return seen.high >= order.price if rising else seen.low <= order.price


def is_touched(order: PaperOrder, seen: Seen) -> bool:
    """Whether the market went through a resting order's price, or offers it now. Touching it alone fills nobody:
    others were there before.
    """
    if order.side is Side.BUY:
        return seen.quote.ask <= order.price or seen.low < order.price
    return seen.quote.bid >= order.price or seen.high > order.price


def triggered(book: Book, order: PaperOrder, qty: Decimal) -> Piece:
    """What a triggered order gets: one step worse than the market now; a stop, than its trigger at best."""
    price = book.best(order.side)
    if order.type is OrderType.STOP_MARKET:
        price = max(price, order.price) if order.side is Side.BUY else min(price, order.price)
    return Piece(qty, book.worse(price, order.side, 1), book.terms.taker_bps)
