"""What strategies say: signals, near misses and verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum, unique

from pipeline.domain.errors import InvariantBroken


@unique
class Side(StrEnum):
    """Which way an order or a position points."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> Side:
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sale: what a filled unit adds to a position."""
        return 1 if self is Side.BUY else -1


@unique
class Regime(StrEnum):
    """The state of the market that thresholds adapt to."""

    TRENDING = "trending"
    RANGING = "ranging"
    VOLATILE = "volatile"
    UNKNOWN = "unknown"


def from_float(value: float) -> Decimal:
    """The one way from an indicator's float to an exact number: the shortest decimal that names it.

    Raises: InvariantBroken when it is NaN or infinite.
    """
    exact = Decimal(repr(float(value)))
    if not exact.is_finite():
        raise InvariantBroken(f"an indicator gave {value}, which is not a price")
    return exact


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What a strategy wants. Prices in the quote asset; score a fraction from 0 to 1."""

    side: Side
    score: Decimal
    entry: Decimal
    stop_loss: Decimal
    take_profit: Decimal
    reason: str
    regime: Regime = Regime.UNKNOWN

    def __post_init__(self) -> None:
        _require(self.score.is_finite() and 0 <= self.score <= 1, f"score {self.score} is not within 0 to 1")
        prices = (self.entry, self.stop_loss, self.take_profit)
        _require(all(price.is_finite() and price > 0 for price in prices), f"prices {prices} must be above 0")
        low, high = sorted((self.stop_loss, self.take_profit))
        _require(low < self.entry < high, f"entry {self.entry} is not between stop and target")
        loses_below = self.stop_loss < self.entry
        _require(
            loses_below == (self.side is Side.BUY),
            f"stop {self.stop_loss} is on the wrong side of a {self.side}",
        )

    @classmethod
    def from_floats(
        cls,
        side: Side,
        *,
        score: float,
        entry: float,
        stop_loss: float,
        take_profit: float,
        reason: str,
        regime: Regime = Regime.UNKNOWN,
    ) -> Signal:
        """Raises: InvariantBroken when a number is not finite or the levels contradict the side."""
        return cls(
            side=side,
            score=from_float(round(score, 4)),
            entry=from_float(entry),
            stop_loss=from_float(stop_loss),
            take_profit=from_float(take_profit),
            reason=reason,
            regime=regime,
        )

    def as_record(self) -> dict[str, object]:
        return {
            "side": self.side.value,
            "score": str(self.score),
            "entry": str(self.entry),
            "stop_loss": str(self.stop_loss),
            "take_profit": str(self.take_profit),
            "reason": self.reason,
            "regime": self.regime.value,
        }


def _require(holds: bool, complaint: str) -> None:
    if not holds:
        raise InvariantBroken(complaint)


@dataclass(frozen=True, slots=True)
class NearestMiss:
    """The condition that failed, what it saw and what it wanted: `rsi 41.2, wanted below 28.5`."""

    condition: str
    value: float
    threshold: float


@unique
class VerdictKind(StrEnum):
    SIGNAL = "signal"
    NO_SIGNAL = "no_signal"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyVerdict:
    """What one strategy answered in one decision. `error` holds the stack trace of one that failed."""

    strategy: str
    kind: VerdictKind
    regime: Regime = Regime.UNKNOWN
    signal: Signal | None = None
    nearest_miss: NearestMiss | None = None
    error: str = ""
    chosen: bool = False
    run_ms: float = 0.0
