"""What a fill, funding or a transfer is in the books. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from pipeline.domain.decisions import Mode
from pipeline.domain.entries import ZERO, Balance, Cause, Entry, Heading, Transaction
from pipeline.domain.ids import PositionId
from pipeline.domain.orders import Fill
from pipeline.domain.positions import Equity, Income, Position, settled_in

CENT = Decimal("0.00000001")
"""Eight places, to which exchanges keep their wallets."""


def of_fill(
    fill: Fill,
    mode: Mode,
    before: Position | None,
    after: Sequence[Position],
    realised: Decimal | None,
) -> Transaction:
    """The entries of a fill that made `after` of the position `before`.

    Unit:   settlement asset of the symbol; the fee in its own.
    `realised` is the exchange's figure of the profit, if it tells one: the wallet moves by it, not by ours.
    Source: cash = -side · quantity · price; position = change of quantity · mean entry price · side; what is left is
            profit (linear perpetual: (exit - entry) · quantity · side).
    """
    asset = settled_in(fill.symbol)
    paid = -fill.side.sign * fill.qty * fill.price
    moved = list(_moved(asset, before, after))
    gained = _gained(before, after) if realised is None else realised
    rounding = -(paid + sum((each.amount for each in moved), ZERO) - gained)
    entries = [
        Entry(Heading.CASH, asset, paid - (fill.fee if fill.fee_asset == asset else ZERO)),
        *moved,
        Entry(Heading.PROFIT, asset, -gained),
        Entry(Heading.ROUNDING, asset, rounding),
        Entry(Heading.FEES, fill.fee_asset, fill.fee),
    ]
    if fill.fee_asset != asset:
        entries.append(Entry(Heading.CASH, fill.fee_asset, -fill.fee))
    return Transaction(
        transaction_id=f"fill {fill.exchange} {fill.symbol} {fill.trade_id}",
        account=fill.account,
        mode=mode,
        cause=Cause.FILL,
        symbol=fill.symbol,
        occurred_at=fill.occurred_at,
        recorded_at=fill.recorded_at,
        entries=tuple(each for each in entries if each.amount),
        decision_id=fill.decision_id,
    )


def _moved(asset: str, before: Position | None, after: Sequence[Position]) -> Iterator[Entry]:
    """How the cost of what is held changes, position by position."""
    for position in after:
        held = before if before is not None and before.position_id == position.position_id else None
        yield _entry(asset, cost(position) - (cost(held) if held else ZERO), position.position_id)


def _entry(asset: str, amount: Decimal, position_id: PositionId) -> Entry:
    return Entry(Heading.POSITION, asset, amount, position_id)


def cost(position: Position) -> Decimal:
    """What is held, at its mean entry price; negative when short. Rounded, so that opening and closing cancel out."""
    return (position.signed_qty * position.entry_price).quantize(CENT)


def _gained(before: Position | None, after: Sequence[Position]) -> Decimal:
    """Our own figure of what the fill realised, before fees."""
    met = [each for each in after if before is not None and each.position_id == before.position_id]
    gained = sum((each.realised_pnl for each in met), ZERO) - (
        before.realised_pnl if before and met else ZERO
    )
    return gained.quantize(CENT)


HEADINGS = {Cause.FUNDING: Heading.FUNDING, Cause.TRANSFER: Heading.CAPITAL, Cause.REBATE: Heading.FEES}


def of_income(income: Income, cause: Cause, account: str, mode: Mode, now: datetime) -> Transaction:
    """A change of the wallet that no trade is behind, as the exchange tells it."""
    return Transaction(
        transaction_id=f"{income.kind.lower()} {account} {income.income_id}",
        account=account,
        mode=mode,
        cause=cause,
        symbol=income.symbol,
        occurred_at=income.occurred_at,
        recorded_at=now,
        entries=_exchanged(HEADINGS[cause], income.asset, income.amount),
        detail=income.kind,
    )


def _exchanged(heading: Heading, asset: str, amount: Decimal) -> tuple[Entry, ...]:
    return (Entry(Heading.CASH, asset, amount), Entry(heading, asset, -amount))


def opening(equity: Equity, asset: str, books: Balance, unbooked: Sequence[Position]) -> Transaction:
    """The first look at an account: what is in the wallet beyond the books was paid in before them. `unbooked` are
    positions that were opened before there were books.
    """
    held = [_entry(asset, cost(each), each.position_id) for each in unbooked]
    paid = sum((each.amount for each in held), ZERO)
    capital = equity.wallet - books.wallet
    return Transaction(
        transaction_id=opening_id(equity.account, asset),
        account=equity.account,
        mode=equity.mode,
        cause=Cause.OPENING,
        symbol="",
        occurred_at=equity.occurred_at,
        recorded_at=equity.recorded_at,
        entries=(
            Entry(Heading.CASH, asset, capital - paid),
            *held,
            Entry(Heading.CAPITAL, asset, -capital),
        ),
    )


def opening_id(account: str, asset: str) -> str:
    return f"opening {account} {asset}"


def accepted(equity: Equity, asset: str, difference: Decimal, why: str) -> Transaction:
    """A person has looked into a difference that nothing explains, and takes the exchange's word."""
    return Transaction(
        transaction_id=f"accepted {equity.account} {asset} {equity.recorded_at.isoformat()}",
        account=equity.account,
        mode=equity.mode,
        cause=Cause.ACCEPTED,
        symbol="",
        occurred_at=equity.occurred_at,
        recorded_at=equity.recorded_at,
        entries=_exchanged(Heading.ACCEPTED, asset, difference),
        detail=why,
    )
