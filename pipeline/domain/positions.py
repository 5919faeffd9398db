"""Positions and equity: what fills add up to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from pipeline.domain.decisions import Mode
from pipeline.domain.ids import DecisionId, PositionId, position_id
from pipeline.domain.orders import Fill
from pipeline.domain.signals import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """One symbol's holding from its first fill until it is flat. `side` BUY is long; `qty` is never negative.

    `entry_price` is the quantity-weighted mean of the fills that added; `realised_pnl` is before fees, in quote.
    """

    position_id: PositionId
    account: str
    mode: Mode
    symbol: str
    side: Side
    qty: Decimal
    entry_price: Decimal
    realised_pnl: Decimal
    fees: Decimal
    opened_by: DecisionId
    opened_at: datetime
    closed_by: DecisionId | None = None
    closed_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def lost(self) -> bool | None:
        """Whether it was closed below its cost, fees included; None while it is open."""
        return None if self.is_open else self.realised_pnl < self.fees

    @property
    def signed_qty(self) -> Decimal:
        return self.qty * self.side.sign


def book(position: Position | None, fill: Fill, mode: Mode, earlier: int = 0) -> tuple[Position, ...]:
    """The positions after a fill, those that changed only: one, or two when the fill turns the side around. `earlier`
    counts the positions that the fill's decision has opened before.
    """
    if position is None:
        return (_opened(fill, fill.qty, fill.fee, mode, earlier),)
    if fill.side is position.side:
        return (_increased(position, fill),)
    reducing = min(fill.qty, position.qty)
    fee_share = fill.fee * reducing / fill.qty
    reduced = _reduced(position, fill, reducing, fee_share)
    rest = fill.qty - reducing
    return (reduced,) if rest == 0 else (reduced, _opened(fill, rest, fill.fee - fee_share, mode, earlier))


def _opened(fill: Fill, qty: Decimal, fee: Decimal, mode: Mode, earlier: int) -> Position:
    return Position(
        position_id=position_id(fill.account, fill.symbol, fill.decision_id, earlier),
        account=fill.account,
        mode=mode,
        symbol=fill.symbol,
        side=fill.side,
        qty=qty,
        entry_price=fill.price,
        realised_pnl=Decimal(0),
        fees=fee,
        opened_by=fill.decision_id,
        opened_at=fill.occurred_at,
    )


def _increased(position: Position, fill: Fill) -> Position:
    qty = position.qty + fill.qty
    cost = position.entry_price * position.qty + fill.price * fill.qty
    return replace(position, qty=qty, entry_price=cost / qty, fees=position.fees + fill.fee)


def _reduced(position: Position, fill: Fill, qty: Decimal, fee: Decimal) -> Position:
    gained = (fill.price - position.entry_price) * qty * position.side.sign
    left = position.qty - qty
    after = replace(position, qty=left, realised_pnl=position.realised_pnl + gained, fees=position.fees + fee)
    if left > 0:
        return after
    return replace(after, closed_by=fill.decision_id, closed_at=fill.occurred_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Equity:
    """The account as the exchange told it at `occurred_at`; all in the settlement asset.

    `equity` is wallet balance plus unrealised profit (at the exchange's mark price), `available` what new orders may
    use.
    """

    account: str
    mode: Mode
    equity: Decimal
    available: Decimal
    unrealised_pnl: Decimal
    occurred_at: datetime
    recorded_at: datetime

    @property
    def wallet(self) -> Decimal:
        """Without the profit of open positions."""
        return self.equity - self.unrealised_pnl


@dataclass(frozen=True, slots=True, kw_only=True)
class Income:
    """One change of the wallet as the exchange tells it. `kind` is its word for it; `trade_id` is empty where no trade
    is behind it; `income_id` is unique for its kind.
    """

    kind: str
    income_id: str
    symbol: str
    trade_id: str
    amount: Decimal
    asset: str
    occurred_at: datetime


def settled_in(symbol: str) -> str:
    """The asset in which profit of a symbol is paid: USDT of `BTC/USDT:USDT` and of `BTC/USDT`."""
    return symbol.rpartition(":" if ":" in symbol else "/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A position as the exchange tells it; `qty` signed, negative when short."""

    symbol: str
    qty: Decimal
    entry_price: Decimal
