"""The books: every change of the account's money as a transaction whose entries sum to zero in each asset.

An entry is positive where money went, negative where it came from. What the exchange calls the wallet balance is cash
with what positions cost; profit, fees, funding and capital say how it came about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum, unique

from pipeline.domain.decisions import Mode
from pipeline.domain.errors import InvariantBroken
from pipeline.domain.ids import DecisionId, PositionId
from pipeline.domain.permits import normal

ZERO = Decimal(0)


@unique
class Heading(StrEnum):
    """Under what an amount is kept.

    `cash` what is left when positions are paid for (below zero where leverage pays); `position` what is held, at
    cost; `profit` realised by closing, before fees; `fees`; `funding`; `capital` what was paid in; `accepted` what a
    person has accepted unexplained; `rounding` between the exchange's figure of a profit and the exact one.
    """

    CASH = "cash"
    POSITION = "position"
    PROFIT = "profit"
    FEES = "fees"
    FUNDING = "funding"
    CAPITAL = "capital"
    ACCEPTED = "accepted"
    ROUNDING = "rounding"


WALLET = (Heading.CASH, Heading.POSITION, Heading.ROUNDING)
"""What adds up to the exchange's wallet balance."""


@unique
class Cause(StrEnum):
    """Why money moved."""

    OPENING = "opening"
    FILL = "fill"
    FUNDING = "funding"
    TRANSFER = "transfer"
    REBATE = "rebate"
    ACCEPTED = "accepted"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: an amount of one asset under one heading."""

    heading: Heading
    asset: str
    amount: Decimal
    position_id: PositionId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """Entries that belong together. Its id follows from what happened, so that it is booked once however often it is
    told. Raises: InvariantBroken when an asset's entries do not sum to zero.
    """

    transaction_id: str
    account: str
    mode: Mode
    cause: Cause
    symbol: str
    occurred_at: datetime
    recorded_at: datetime
    entries: tuple[Entry, ...]
    decision_id: DecisionId | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        for asset, total in sums(self.entries).items():
            if total:
                raise InvariantBroken(
                    f"transaction {self.transaction_id}: its {asset} sums to {total}, not to 0"
                )


def sums(entries: tuple[Entry, ...]) -> Mapping[str, Decimal]:
    """By asset, exactly."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for entry in entries:
        totals[entry.asset] += entry.amount
    return totals


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What the entries of one account in one asset add up to, by heading."""

    account: str
    asset: str
    amounts: Mapping[Heading, Decimal] = field(default_factory=dict)

    def of(self, heading: Heading) -> Decimal:
        return self.amounts.get(heading, ZERO)

    @property
    def wallet(self) -> Decimal:
        """What the exchange should call the wallet balance: without the profit of open positions.

        Source: Binance, USD-M futures, "walletBalance": deposits less withdrawals, realised profit, funding and
        commission.
        """
        return sum(map(self.of, WALLET), ZERO)

    def as_record(self) -> dict[str, str]:
        """Plain JSON for people: what each heading did to the wallet, money as text."""
        told = {heading.value: normal(-self.of(heading)) for heading in Heading if heading not in WALLET}
        return {"asset": self.asset, "wallet": normal(self.wallet), **told}

    @property
    def total(self) -> Decimal:
        """Zero, or the books are broken."""
        return sum(self.amounts.values(), ZERO)
