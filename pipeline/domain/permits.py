"""Permits: the governor's signed approval of exactly one order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum, unique

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.decisions import Mode
from pipeline.domain.errors import InvariantBroken
from pipeline.domain.ids import DecisionId, PermitId, digest
from pipeline.domain.intents import Intent, Leg, OrderType, TimeInForce
from pipeline.domain.signals import Side


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderTerms:
    """Everything about an order that a permit binds. Two terms with one digest are the same order."""

    account: str
    mode: Mode
    decision_id: DecisionId
    leg: Leg
    symbol: str
    side: Side
    type: OrderType
    tif: TimeInForce
    qty: Decimal
    limit_price: Decimal
    reduce_only: bool

    @classmethod
    def of(cls, intent: Intent, decision_id: DecisionId, account: str, mode: Mode) -> OrderTerms:
        return cls(
            account=account,
            mode=mode,
            decision_id=decision_id,
            leg=intent.leg,
            symbol=intent.symbol,
            side=intent.side,
            type=intent.type,
            tif=intent.tif,
            qty=intent.qty,
            limit_price=intent.limit_price,
            reduce_only=intent.reduce_only,
        )

    @property
    def notional(self) -> Decimal:
        return self.qty * self.limit_price

    def hash(self) -> str:
        """SHA-256 over the terms; numbers in one normal form, so 0.10 and 0.1 are the same order."""
        return digest(
            "terms", self.account, self.mode.value, self.decision_id, self.leg.value, self.symbol, self.side.value,
            self.type.value, self.tif.value, normal(self.qty), normal(self.limit_price), self.reduce_only,
        )  # fmt: skip


def normal(number: Decimal) -> str:
    """One spelling for each number: no exponent, no trailing zeros, and never rounded.

    Raises: InvariantBroken for NaN and infinity: there is no such order. A float has no `is_finite` and fails too.
    """
    if not number.is_finite():
        raise InvariantBroken(f"{number!r} is no quantity and no price")
    text = str(number)
    if "E" in text:
        text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


@unique
class PermitState(StrEnum):
    """`issued` may be used once; `used` has been; `released` never will be."""

    ISSUED = "issued"
    USED = "used"
    RELEASED = "released"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """An order that may be placed once, by whoever moves it to SENDING before `expires_at`.

    `reserved` is the worst case in quote that counts against the limits from the moment of issue.
    """

    permit_id: PermitId
    terms: OrderTerms
    terms_hash: str
    reserved: Decimal
    limits: Mapping[str, str]
    issued_at: datetime
    expires_at: datetime
    signature: str
    verdicts: tuple[CheckVerdict, ...] = ()
    state: PermitState = PermitState.ISSUED
    used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """The governor's refusal, with every check's verdict."""

    verdicts: tuple[CheckVerdict, ...]

    @property
    def first(self) -> CheckVerdict:
        """The denying verdict that stands first in the registry; it names the decision's reason."""
        return next(verdict for verdict in self.verdicts if not verdict.ok)

    @property
    def reason(self) -> CheckCode:
        return self.first.code
