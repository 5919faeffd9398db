"""How a decision can end. Both lists are closed: what is not here cannot be written to the ledger."""

from __future__ import annotations

from enum import StrEnum, unique

from pipeline.domain.checks import CheckCode


@unique
class Outcome(StrEnum):
    """How a decision ended. Exactly one for each decision."""

    NO_SIGNAL = "no_signal"
    SKIPPED = "skipped"
    BLOCKED = "blocked"
    EXECUTED = "executed"
    REJECTED = "rejected"
    EXPIRED = "expired"
    FAILED = "failed"


@unique
class EndReason(StrEnum):
    """Why a decision ended, where it was not a check that denied it."""

    NO_SIGNAL = "NO_SIGNAL"
    SIGNALS_CANCEL = "SIGNALS_CANCEL"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"
    STALE_CANDLES = "STALE_CANDLES"
    UNCHANGED = "UNCHANGED"
    OVERLAP = "OVERLAP"
    SYMBOL_NOT_TRADED = "SYMBOL_NOT_TRADED"
    OUTSIDE_UNIVERSE = "OUTSIDE_UNIVERSE"
    TOO_SMALL = "TOO_SMALL"
    POSITION_HELD = "POSITION_HELD"
    DRY_RUN = "DRY_RUN"
    NO_PERMIT = "NO_PERMIT"
    PERMIT_INVALID = "PERMIT_INVALID"
    PERMIT_EXPIRED = "PERMIT_EXPIRED"
    FILLED = "FILLED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    PROTECTED = "PROTECTED"
    REJECTED_BY_EXCHANGE = "REJECTED_BY_EXCHANGE"
    UNFILLED = "UNFILLED"
    NOT_STARTED = "NOT_STARTED"
    DEADLINE = "DEADLINE"
    STAGE_RAISED = "STAGE_RAISED"
    TIME_LIMIT = "TIME_LIMIT"
    KEEPS_DYING = "KEEPS_DYING"
    PUBLISH_FAILED = "PUBLISH_FAILED"
    UNAVAILABLE = "UNAVAILABLE"
    NOT_PLACED = "NOT_PLACED"
    OTHER_RELEASE = "OTHER_RELEASE"


Reason = EndReason | CheckCode

SAID_BY_THE_BARS = frozenset({EndReason.NO_SIGNAL, EndReason.SIGNALS_CANCEL})
"""The bars alone decided: judged again, the same bars say the same, unless a strategy had failed."""

ACTED_UPON = frozenset({EndReason.FILLED, EndReason.PARTIALLY_FILLED})
"""A signal of these bars became a position: the same bars shall not open another."""

OUTCOMES: dict[EndReason, Outcome] = {
    EndReason.NO_SIGNAL: Outcome.NO_SIGNAL,
    EndReason.SIGNALS_CANCEL: Outcome.NO_SIGNAL,
    EndReason.INSUFFICIENT_DATA: Outcome.SKIPPED,
    EndReason.STALE_CANDLES: Outcome.SKIPPED,
    EndReason.UNCHANGED: Outcome.SKIPPED,
    EndReason.OVERLAP: Outcome.SKIPPED,
    EndReason.SYMBOL_NOT_TRADED: Outcome.SKIPPED,
    EndReason.OUTSIDE_UNIVERSE: Outcome.SKIPPED,
    EndReason.TOO_SMALL: Outcome.SKIPPED,
    EndReason.POSITION_HELD: Outcome.SKIPPED,
    EndReason.DRY_RUN: Outcome.SKIPPED,
    EndReason.NO_PERMIT: Outcome.BLOCKED,
    EndReason.PERMIT_INVALID: Outcome.BLOCKED,
    EndReason.PERMIT_EXPIRED: Outcome.BLOCKED,
    EndReason.FILLED: Outcome.EXECUTED,
    EndReason.PARTIALLY_FILLED: Outcome.EXECUTED,
    EndReason.PROTECTED: Outcome.EXECUTED,
    EndReason.REJECTED_BY_EXCHANGE: Outcome.REJECTED,
    EndReason.UNFILLED: Outcome.EXPIRED,
    EndReason.NOT_STARTED: Outcome.EXPIRED,
    EndReason.DEADLINE: Outcome.EXPIRED,
    EndReason.STAGE_RAISED: Outcome.FAILED,
    EndReason.TIME_LIMIT: Outcome.FAILED,
    EndReason.KEEPS_DYING: Outcome.FAILED,
    EndReason.PUBLISH_FAILED: Outcome.FAILED,
    EndReason.UNAVAILABLE: Outcome.FAILED,
    EndReason.NOT_PLACED: Outcome.FAILED,
    EndReason.OTHER_RELEASE: Outcome.FAILED,
}


def outcome_of(reason: Reason) -> Outcome:
    """The one outcome that a reason belongs to; a check's code always means `blocked`."""
    return Outcome.BLOCKED if isinstance(reason, CheckCode) else OUTCOMES[reason]


def parse_reason(text: str) -> Reason:
    """Raises: ValueError when the closed lists do not have it."""
    try:
        return EndReason(text)
    except ValueError:
        return CheckCode(text)
