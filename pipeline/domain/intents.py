"""Intents: the chosen signal, sized, before anybody has allowed it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum, unique

from pipeline.domain.signals import Side
from pipeline.domain.timeframes import from_iso, iso


@unique
class Leg(StrEnum):
    """One order of a decision."""

    ENTRY = "entry"
    STOP = "stop"
    TARGET = "target"
    CLOSE = "close"

    @property
    def guards(self) -> bool:
        """Whether it protects a position: no switch and no limit may keep it from the exchange."""
        return self in {Leg.STOP, Leg.TARGET}


@unique
class OrderType(StrEnum):
    LIMIT = "limit"
    MARKET = "market"
    STOP_MARKET = "stop_market"
    TAKE_PROFIT_MARKET = "take_profit_market"

    @property
    def waits(self) -> bool:
        """Whether it rests on the exchange until the market has come to its trigger price."""
        return self in {OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET}


@unique
class TimeInForce(StrEnum):
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One order that a strategy wants. Quantity in base, prices in quote, `priced_at` the decision price's time.

    `decision_price` is the close that the signal was judged on; slippage is measured against it.
    `limit_price` bounds what may be paid: the decision price moved by the slippage allowed. Of a type that waits
    it is the trigger price, and the decision price as well. `min_notional` is what the exchange asked for when
    the intent was sized, None where it asks for nothing.
    """

    symbol: str
    leg: Leg
    side: Side
    type: OrderType
    tif: TimeInForce
    qty: Decimal
    limit_price: Decimal
    reduce_only: bool
    decision_price: Decimal
    priced_at: datetime
    stop_loss: Decimal | None
    take_profit: Decimal | None
    strategy: str
    score: Decimal
    reason: str
    min_notional: Decimal | None = None

    @property
    def notional(self) -> Decimal:
        """Quote value at the worst price allowed."""
        return self.qty * self.limit_price

    def as_record(self) -> dict[str, object]:
        """Plain JSON values: money as strings, times in ISO 8601 UTC."""
        return {
            "symbol": self.symbol,
            "leg": self.leg.value,
            "side": self.side.value,
            "type": self.type.value,
            "tif": self.tif.value,
            "qty": str(self.qty),
            "limit_price": str(self.limit_price),
            "reduce_only": self.reduce_only,
            "decision_price": str(self.decision_price),
            "priced_at": iso(self.priced_at),
            "stop_loss": None if self.stop_loss is None else str(self.stop_loss),
            "take_profit": None if self.take_profit is None else str(self.take_profit),
            "strategy": self.strategy,
            "score": str(self.score),
            "reason": self.reason,
            "min_notional": None if self.min_notional is None else str(self.min_notional),
        }

    @classmethod
    def from_record(cls, record: dict[str, object]) -> Intent:
        """What `as_record` wrote. Raises: KeyError, ValueError, ArithmeticError when it is something else."""
        return cls(
            symbol=str(record["symbol"]),
            leg=Leg(str(record["leg"])),
            side=Side(str(record["side"])),
            type=OrderType(str(record["type"])),
            tif=TimeInForce(str(record["tif"])),
            qty=Decimal(str(record["qty"])),
            limit_price=Decimal(str(record["limit_price"])),
            reduce_only=record["reduce_only"] is True,
            decision_price=Decimal(str(record["decision_price"])),
            priced_at=from_iso(str(record["priced_at"])),
            stop_loss=_optional_decimal(record["stop_loss"]),
            take_profit=_optional_decimal(record["take_profit"]),
            strategy=str(record["strategy"]),
            score=Decimal(str(record["score"])),
            reason=str(record["reason"]),
            min_notional=_optional_decimal(record.get("min_notional")),
        )


def _optional_decimal(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))
