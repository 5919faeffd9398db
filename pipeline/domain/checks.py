"""The governor's words: codes of its checks and the verdict that each gives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique

NOT_APPLICABLE = "does not apply"
"""The limit in the verdict of a rule that has nothing to say of such an order; its value says what the order does."""


@unique
class CheckCode(StrEnum):
    """Every rule that can deny an order. The table in the docs is made from this enum."""

    BAD_INPUT = "BAD_INPUT"
    NOT_IN_UNIVERSE = "NOT_IN_UNIVERSE"
    PRECISION = "PRECISION"
    MIN_NOTIONAL = "MIN_NOTIONAL"
    MAX_QTY = "MAX_QTY"
    MAX_VALUE = "MAX_VALUE"
    PRICE_COLLAR = "PRICE_COLLAR"
    NO_REFERENCE = "NO_REFERENCE"
    STALE_DATA = "STALE_DATA"
    DATA_JUMP = "DATA_JUMP"
    EQUITY_STALE = "EQUITY_STALE"
    MARGIN = "MARGIN"
    LEVERAGE = "LEVERAGE"
    MAX_POSITIONS = "MAX_POSITIONS"
    MAX_POSITION = "MAX_POSITION"
    MAX_EXPOSURE = "MAX_EXPOSURE"
    DAILY_LOSS = "DAILY_LOSS"
    DRAWDOWN = "DRAWDOWN"
    DUPLICATE = "DUPLICATE"
    UNKNOWN_PENDING = "UNKNOWN_PENDING"
    RATE = "RATE"
    COOLDOWN = "COOLDOWN"
    LATCHED = "LATCHED"
    KILL_SCORE = "KILL_SCORE"
    HALTED = "HALTED"
    REDUCING = "REDUCING"
    KILL_SWITCH = "KILL_SWITCH"
    NOT_RECONCILED = "NOT_RECONCILED"
    CONFIG_DRIFT = "CONFIG_DRIFT"
    CLOCK_SKEW = "CLOCK_SKEW"
    CHECK_FAILED = "CHECK_FAILED"


@dataclass(frozen=True, slots=True)
class CheckVerdict:
    """What one check answered: what it saw (`value`) against what is allowed (`limit`), as text for people."""

    code: CheckCode
    ok: bool
    value: str
    limit: str
    detail: str = ""

    def as_record(self) -> dict[str, object]:
        return {
            "code": self.code.value,
            "ok": self.ok,
            "value": self.value,
            "limit": self.limit,
            "detail": self.detail,
        }
