"""What the governor remembers between decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Table, bindparam, delete, select
from sqlalchemy import insert as plain_insert

from pipeline.domain.guards import Breaker, Heartbeat, Latch, Marks, Reconciliation, UniverseRecord
from pipeline.ledger.repository import Query, Repository, bounded, every, insert, insert_once, one
from pipeline.ledger.tables import (
    breakers,
    equity_marks,
    heartbeats,
    latches,
    reconciliations,
    switch_events,
    universes,
)

LATCH_SCOPE, BREAKER_SCOPE = "latch", "breaker"
GOVERNOR = "governor"


def _upsert(table: Table) -> Any:
    """Insert, or replace all but the key."""
    statement, keys = insert(table), [column.name for column in table.primary_key]
    changed = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


def _of_account(table: Table) -> Any:
    return select(table).where(table.c.account == bindparam("of_account"))


def _compared(*, differences: list[str], **others: Any) -> Reconciliation:
    return Reconciliation(differences=tuple(differences), **others)


LATCHES, _SET_LATCH = every(_of_account(latches).order_by(latches.c.code), Latch), _upsert(latches)
_LATCH = _of_account(latches).where(latches.c.code == bindparam("of_code")).with_for_update()
MARKS, _SAVE_MARKS = one(_of_account(equity_marks), Marks), _upsert(equity_marks)
COMPARED, _SAVE_COMPARED = one(_of_account(reconciliations), _compared), _upsert(reconciliations)
_BEAT = _upsert(heartbeats)
HASHES = Query(
    select(heartbeats.c.config_hash)
    .distinct()
    .where(
        heartbeats.c.account == bindparam("of_account"),
        heartbeats.c.beat_at >= bindparam("beating_since"),
        bounded(heartbeats.c.beat_at),
    ),
    lambda rows: frozenset(row["config_hash"] for row in rows),
)
_BREAKER, _OPEN_BREAKER = _of_account(breakers), insert_once(breakers)
_CLOSE_BREAKER = delete(breakers).where(breakers.c.account == bindparam("of_account"))
_UNIVERSE = _of_account(universes).order_by(universes.c.checked_at.desc()).limit(1)
_VERSION = (
    select(universes)
    .where(universes.c.version == bindparam("wanted"))
    .order_by(universes.c.checked_at.desc())
).limit(1)
_SAVE_UNIVERSE = _upsert(universes)
_NOTE = plain_insert(switch_events).inline()


class SqlGuards(Repository):
    """Fulfils `ports.Guards`. Who changed a latch or the breaker, when and why, is kept in `switch_events`."""

    __slots__ = ()

    def latches(self, account: str) -> Sequence[Latch]:
        return self._ask(LATCHES, {"of_account": account})

    def set_latch(self, latch: Latch) -> bool:
        before = self._first(_LATCH, {"of_account": latch.account, "of_code": latch.code})
        if latch.tripped == (before is not None and before["tripped"]):
            return False
        self._write(_SET_LATCH, asdict(latch))
        name, became = f"{latch.account} {latch.code}", "tripped" if latch.tripped else "armed"
        self._note(LATCH_SCOPE, name, became, latch.reason, by=latch.changed_by, at=latch.changed_at)
        return True

    def marks(self, account: str) -> Marks | None:
        return self._ask(MARKS, {"of_account": account})

    def save_marks(self, marks: Marks) -> None:
        self._write(_SAVE_MARKS, asdict(marks))

    def reconciliation(self, account: str) -> Reconciliation | None:
        return self._ask(COMPARED, {"of_account": account})

    def save_reconciliation(self, reconciliation: Reconciliation) -> None:
        values = {**asdict(reconciliation), "differences": list(reconciliation.differences)}
        self._write(_SAVE_COMPARED, values)

    def beat(self, heartbeat: Heartbeat) -> None:
        self._write(_BEAT, asdict(heartbeat))

    def config_hashes(self, account: str, since: datetime) -> frozenset[str]:
        return self._ask(HASHES, {"of_account": account, "beating_since": since})

    def breaker(self, account: str) -> Breaker | None:
        row = self._first(_BREAKER, {"of_account": account})
        return None if row is None else Breaker(**row)

    def open_breaker(self, breaker: Breaker) -> bool:
        opened = self._changed(_OPEN_BREAKER, asdict(breaker))
        if opened:
            why = f"{breaker.reason}: {breaker.detail}"
            self._note(BREAKER_SCOPE, breaker.account, "open", why, by=GOVERNOR, at=breaker.opened_at)
        return opened

    def close_breaker(self, account: str, *, reason: str, at: datetime) -> bool:
        closed = self._changed(_CLOSE_BREAKER, {"of_account": account})
        if closed:
            self._note(BREAKER_SCOPE, account, "closed", reason, by=GOVERNOR, at=at)
        return closed

    def universe(self, account: str) -> UniverseRecord | None:
        return _universe(self._first(_UNIVERSE, {"of_account": account}))

    def universe_version(self, version: str) -> UniverseRecord | None:
        return _universe(self._first(_VERSION, {"wanted": version}))

    def save_universe(self, record: UniverseRecord) -> bool:
        before = self.universe(record.account)
        values = {name: getattr(record, name) for name in UniverseRecord.__dataclass_fields__}
        values |= {"symbols": list(record.symbols), "report": dict(record.report)}
        self._write(_SAVE_UNIVERSE, values)
        return before is None or before.version != record.version

    def _note(self, scope: str, name: str, became: str, reason: str, *, by: str, at: datetime) -> None:
        event = {"scope": scope, "name": name, "became": became, "reason": reason, "set_by": by, "at": at}
        self._write(_NOTE, event)


def _universe(row: Mapping[str, Any] | None) -> UniverseRecord | None:
    return None if row is None else UniverseRecord(**{**row, "symbols": tuple(row["symbols"])})
