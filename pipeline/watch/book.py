"""The ledger's part of a look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from pipeline.domain.decisions import Decision, Stage
from pipeline.domain.errors import ConfigError, LedgerUnavailable
from pipeline.domain.ports import Ledger, Unit
from pipeline.watch.look import Away, BookView, Limits, Waiting

MANY = 100
LOOK_BACK = 5
"""So many times the longest silence back, a symbol's last finished decision is searched."""


class AnyLedger(Ledger, Protocol):
    """One that may be missing: whoever looks at everything also looks before there is one."""

    def check_version(self) -> None:
        """Touches nothing. Raises: ConfigError when it cannot be opened, is missing, older or newer."""


def look_at_ledger(ledger: AnyLedger, account: str, now: datetime, limits: Limits) -> BookView | Away:
    """Raises nothing."""
    try:
        ledger.check_version()  # where there is none yet, it says so; a reading unit would make an empty file
        with ledger.read() as unit:
            return _read(unit, account, now, limits)
    except (LedgerUnavailable, ConfigError) as error:
        return Away(f"the ledger cannot be read: {error}")


def _read(unit: Unit, account: str, now: datetime, limits: Limits) -> BookView:
    rounds, guards, recent = unit.rounds, unit.guards, now - limits.recent
    why, by = rounds.reason_of_state(account)
    return BookView(
        running_since=_running_since(unit, account),
        universe=guards.universe(account),
        joined_at=rounds.joined_at(account),
        last_finished=rounds.last_finished(account, now - LOOK_BACK * limits.silent_for),
        ended=rounds.ended(account, recent),
        ended_long=rounds.ended(account, now - limits.signal_within) if limits.signal_within else (),
        waiting=list(_waiting(unit, account, now - limits.handoff_after)),
        failing=rounds.failing(account, recent),
        config_hashes=guards.config_hashes(account, now - limits.silent_after),
        equity=unit.equity.latest(account),
        reconciliation=guards.reconciliation(account),
        trading=unit.switches.trading_state(account),
        trading_why=f"{why} (by {by})" if by else "it was never set",
        switches=unit.switches.on(),
        latches=[latch for latch in guards.latches(account) if latch.tripped],
        breaker=guards.breaker(account),
        unsettled=unit.orders.unsettled(account),
        orders=rounds.orders(account, recent),
        refusals=rounds.refusals(account, recent),
        positions=unit.positions.all_open(account),
    )


def _running_since(unit: Unit, account: str) -> datetime | None:
    session = unit.sessions.latest()
    if session is None or session["account"] != account:
        return None
    started = session["started_at"]
    return started if isinstance(started, datetime) else None


def _waiting(unit: Unit, account: str, heard_before: datetime) -> Iterator[Waiting]:
    for decision in unit.decisions.still_open(account, heard_before, MANY):
        if unit.orders.of(decision.decision_id):
            continue  # what has an order out is the resolver's
        waiting = _standing(unit, decision)
        if waiting is not None and waiting.heard_at < heard_before:
            yield waiting


def _standing(unit: Unit, decision: Decision) -> Waiting | None:
    records = unit.stages.of(decision.decision_id)
    done = {record.stage for record in records}
    stage = next((stage for stage in Stage if stage not in done), None)
    if stage is None:
        return None
    finished = [record.started_at + timedelta(milliseconds=record.run_ms) for record in records]
    return Waiting(
        decision_id=decision.decision_id,
        symbol=decision.symbol,
        next_stage=stage,
        heard_at=max([decision.enqueued_at, *finished]),
        deadline_at=decision.deadline_at,
    )


def still_waiting(ledger: Ledger, account: str, candidates: Sequence[Waiting]) -> Sequence[Waiting]:
    """Those whose next stage is not done even now: while we looked, messages moved on."""
    if not candidates:
        return ()
    newest = max(each.heard_at for each in candidates) + timedelta(microseconds=1)
    try:
        with ledger.read() as unit:
            now = {(each.decision_id, each.next_stage) for each in _waiting(unit, account, newest)}
    except LedgerUnavailable:
        return ()
    return [each for each in candidates if (each.decision_id, each.next_stage) in now]
