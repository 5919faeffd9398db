"""Opening a decision: its row stands in the ledger before its first message is published."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum, unique

from pipeline.domain import ids
from pipeline.domain.decisions import Decision, Mode, Origin
from pipeline.domain.events import EventName, Events
from pipeline.domain.outcomes import EndReason, outcome_of
from pipeline.domain.ports import Clock, Ledger, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRequest:
    """Who wants a pass over which symbol for which instant. Manual passes bring a nonce of their own. `asked_at`: how
    long it may wait counts from then, if that is earlier than now.
    """

    symbol: str
    slot: datetime
    origin: Origin
    nonce: str = ""
    dry_run: bool = False
    asked_at: datetime | None = None

    @classmethod
    def manual(cls, symbol: str, at: datetime, origin: Origin, *, dry_run: bool = False) -> PassRequest:
        """A pass that somebody asks for now; two of them in one second are two decisions."""
        return cls(
            symbol=symbol,
            slot=at.replace(microsecond=0),
            origin=origin,
            nonce=secrets.token_hex(8),
            dry_run=dry_run,
        )

    @classmethod
    def called(cls, symbol: str, at: datetime, task_id: str) -> PassRequest:
        """A pass that a message asked for when it was published. Whenever it is delivered, it names one decision."""
        slot = at.replace(microsecond=0)
        return cls(symbol=symbol, slot=slot, origin=Origin.CALL, nonce=task_id, asked_at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningTerms:
    """What every decision of this process has in common."""

    account: str
    mode: Mode
    config_hash: str
    cadence: timedelta
    deadline: timedelta


@unique
class Opening(StrEnum):
    """`opened` is to be published; `known` was opened before (another beat, say); `overlapped` has ended."""

    OPENED = "opened"
    KNOWN = "known"
    OVERLAPPED = "overlapped"


@dataclass(frozen=True, slots=True)
class Opened:
    """The answer to a request: the decision as it stands in the ledger, and what became of it."""

    decision: Decision
    how: Opening


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens decisions on one account in one ledger."""

    terms: OpeningTerms
    ledger: Ledger
    clock: Clock
    events: Events

    def open(self, request: PassRequest, universe_version: str) -> Opened:
        """Write the decision's row. Safe to call twice for one slot: the second call finds the first.

        A symbol whose previous decision is still open is skipped, and says so: the row is written all the same,
        ended as OVERLAP. Raises: LedgerUnavailable.
        """
        return self.open_all([request], universe_version)[0]

    def open_all(self, requests: Sequence[PassRequest], universe_version: str) -> list[Opened]:
        """The same for many in one transaction, in their order: all rows are written, or none."""
        with self.ledger.begin() as unit:
            found = [self._opened(unit, each, universe_version) for each in requests]
        return [self._told(*each) for each in found]

    def _opened(
        self, unit: Unit, request: PassRequest, universe_version: str
    ) -> tuple[Decision, Decision | None]:
        """The decision, and the one that stands in its way."""
        decision = _minted(request, self.terms, self.clock.now(), universe_version)
        standing = unit.decisions.open(decision)
        if standing is not None and standing.decision_id != decision.decision_id:
            decision = _overlapping(decision, standing)
            unit.decisions.add_ended(decision)
        return decision, standing

    def _told(self, decision: Decision, standing: Decision | None) -> Opened:
        if standing is None:
            emit_start(self.events, decision)
            return Opened(decision, Opening.OPENED)
        if standing.decision_id == decision.decision_id:
            if standing.account != decision.account:
                self._tell_taken(standing)
            return Opened(standing, Opening.KNOWN)
        emit_end(self.events, decision)
        return Opened(decision, Opening.OVERLAPPED)

    def _tell_taken(self, standing: Decision) -> None:
        """A pass is named by its symbol and slot: of two accounts that share a ledger the second has none."""
        error = (
            f"{standing.decision_id} is {standing.account}'s already: each account needs a ledger of its own"
        )
        self.events.emit(EventName.PUBLISH_FAILED, symbol=standing.symbol, slot=standing.slot, error=error)


def emit_start(events: Events, decision: Decision) -> None:
    """The one DECISION_START of a decision that was opened now."""
    fields: dict[str, object] = {**decision.headers(), "origin": decision.origin.value}
    events.emit(EventName.DECISION_START, level=None, **fields)


def _minted(request: PassRequest, terms: OpeningTerms, now: datetime, universe_version: str) -> Decision:
    since = min(now, request.asked_at or now)
    return Decision(
        decision_id=ids.decision_id(request.symbol, request.slot, request.nonce),
        symbol=request.symbol,
        slot=request.slot,
        origin=request.origin,
        account=terms.account,
        mode=terms.mode,
        config_hash=terms.config_hash,
        universe_version=universe_version,
        enqueued_at=now,
        expires_at=since + terms.cadence,
        deadline_at=since + max(terms.cadence, terms.deadline),
        dry_run=request.dry_run,
    )


def _overlapping(decision: Decision, standing: Decision) -> Decision:
    return replace(
        decision,
        outcome=outcome_of(EndReason.OVERLAP),
        reason=EndReason.OVERLAP,
        detail=f"{standing.decision_id} over the same symbol is still open since {standing.enqueued_at:%H:%M:%S}",
        ended_at=decision.enqueued_at,
    )


def emit_end(events: Events, decision: Decision) -> None:
    """The one DECISION_END of a decision that has just ended."""
    took = (decision.ended_at or decision.enqueued_at) - decision.enqueued_at
    events.emit(
        EventName.DECISION_END,
        decision_id=decision.decision_id,
        symbol=decision.symbol,
        outcome=decision.outcome,
        reason=decision.reason,
        detail=decision.detail,
        total_ms=round(took.total_seconds() * 1000, 1),
    )
