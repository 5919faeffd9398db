"""Permits: issued once for each leg of a decision, used once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, text, update

from pipeline.domain.ids import DecisionId, PermitId
from pipeline.domain.intents import Leg
from pipeline.domain.permits import OrderTerms, Permit, PermitState
from pipeline.ledger.repository import Repository, bounded, every_often, insert_once, reader
from pipeline.ledger.tables import IS_ISSUED, budgets
from pipeline.ledger.tables import permits as table

_values, _terms = reader(Permit), reader(OrderTerms)
_TERMS = tuple(OrderTerms.__dataclass_fields__)
# The verdicts have a table of their own.
_OWN = tuple(name for name in Permit.__dataclass_fields__ if name not in {"terms", "verdicts"})

_INSERT = insert_once(table)
_OF = (
    select(table)
    .where(table.c.decision_id == bindparam("id"))
    .order_by(table.c.issued_at, table.c.permit_id)
    .limit(1)
)
_OF_LEG = select(table).where(table.c.decision_id == bindparam("id"), table.c.leg == bindparam("of_leg"))
_ISSUED = (table.c.permit_id == bindparam("id")) & (table.c.state == PermitState.ISSUED)
_USE = (
    update(table)
    .where(_ISSUED, table.c.expires_at > bindparam("now"))
    .values(state=PermitState.USED, used_at=bindparam("now"))
)
_RELEASE = update(table).where(_ISSUED).values(state=PermitState.RELEASED)


def _permit(**row: Any) -> Permit:
    terms = OrderTerms(**{name: row[name] for name in _TERMS})
    return Permit(terms=terms, **{name: row[name] for name in _OWN})


def _reserving(**row: Any) -> Permit:
    return _permit(**row, limits={})


RESERVING = every_often(
    select(*(column for column in table.c if column is not table.c.limits))
    .where(
        table.c.account == bindparam("of_account"),
        table.c.expires_at > bindparam("now"),
        bounded(table.c.expires_at),
        text(IS_ISSUED),
    )
    .order_by(table.c.issued_at),
    _reserving,
)
_BUDGET = select(budgets.c.account).where(budgets.c.account == bindparam("of_account")).with_for_update()
_NEW_BUDGET = insert_once(budgets)


class SqlPermits(Repository):
    """Fulfils `ports.Permits`. A permit is read back without its verdicts: `verdicts.checks_of` has them.
    What is reserving is read without the limits that it was judged by as well: nobody asks for those of all permits.
    """

    __slots__ = ()

    def lock_budget(self, account: str) -> None:
        # A writing unit on SQLite is alone anyway; on PostgreSQL the row's lock is what the others wait for.
        if self._first(_BUDGET, {"of_account": account}) is None:
            self._write(_NEW_BUDGET, {"account": account})
            self._first(_BUDGET, {"of_account": account})

    def add(self, permit: Permit) -> bool:
        values = _values(permit)
        del values["terms"], values["verdicts"]
        return self._changed(_INSERT, values | _terms(permit.terms) | {"limits": dict(permit.limits)})

    def of(self, decision_id: DecisionId, leg: Leg | None = None) -> Permit | None:
        row = self._first(_OF if leg is None else _OF_LEG, {"id": decision_id, "of_leg": leg})
        return None if row is None else _permit(**row)

    def use(self, permit_id: PermitId, at: datetime) -> bool:
        return self._changed(_USE, {"id": permit_id, "now": at})

    def release(self, permit_id: PermitId) -> bool:
        return self._changed(_RELEASE, {"id": permit_id})

    def reserving(self, account: str, now: datetime) -> Sequence[Permit]:
        return self._ask(RESERVING, {"of_account": account, "now": now})
