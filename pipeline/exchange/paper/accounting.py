"""What a fill does to the paper account: trade, fee, position, realised profit."""

from __future__ import annotations

from decimal import Decimal

from pipeline.exchange.paper.matching import BPS, Piece
from pipeline.exchange.paper.store import Turn
from pipeline.exchange.paper.terms import PaperOrder, PaperTerms

CENT = Decimal("0.00000001")
"""Wallets are kept to eight places, as on Binance."""


def fill(turn: Turn, order: PaperOrder, piece: Piece, terms: PaperTerms, now_ms: int) -> PaperOrder:
    """Book one piece of an order. Returns the order as it stands then."""
    fee = (piece.qty * piece.price * piece.fee_bps / BPS).quantize(CENT)
    held, entry = turn.position(order.symbol)
    signed = piece.qty * order.side.sign
    realised = _realised(held, entry, signed, piece.price).quantize(CENT)
    turn.add_trade(order, piece, fee, realised, now_ms)
    turn.set_position(order.symbol, held + signed, _entry_price(held, entry, signed, piece.price))
    turn.set_balance(turn.balance(terms.balance) + realised - fee)
    after = order.filled_by(piece.qty, piece.price)
    turn.save(after)
    return after


def reducible(turn: Turn, order: PaperOrder) -> Decimal:
    """How much of a reduce-only order may still fill: never more than is held against it."""
    held, _ = turn.position(order.symbol)
    return min(order.left, max(Decimal(0), -held * order.side.sign))


def _entry_price(held: Decimal, entry: Decimal, signed: Decimal, price: Decimal) -> Decimal:
    after = held + signed
    if after == 0:
        return Decimal(0)
    if held * signed >= 0:
        return (held * entry + signed * price) / after
    return entry if held * after > 0 else price


def _realised(held: Decimal, entry: Decimal, signed: Decimal, price: Decimal) -> Decimal:
    if held * signed >= 0:
        return Decimal(0)
    closed = min(abs(held), abs(signed))
    return (price - entry) * closed * (1 if held > 0 else -1)
