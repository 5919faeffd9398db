"""What the ledger tells who makes the rounds: sums over many decisions, not the decisions themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.domain.ids import DecisionId
from pipeline.domain.outcomes import EndReason, Outcome, Reason

NOBODYS_WORK = frozenset(
    {
        EndReason.OVERLAP,
        EndReason.NOT_STARTED,
        EndReason.DEADLINE,
        EndReason.KEEPS_DYING,
        EndReason.PUBLISH_FAILED,
    }
)
"""Ends that no stage came to by its own work: such a decision says nothing about its symbol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedGroup:
    """Decisions that ended for one reason: how many, and the newest of them with its detail."""

    reason: Reason
    many: int
    newest: DecisionId
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotSums:
    """The scheduled decisions of one stretch of slots. Times in milliseconds."""

    enqueued: int
    ended: int
    outcomes: Mapping[Outcome, int]
    slowest_symbol: str
    slowest_ms: float
    slowest_stage: str
    slowest_stage_ms: float
