"""Levels that stand, and the alerts that were sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import bindparam, delete, select
from sqlalchemy import insert as plain_insert

from pipeline.domain.levels import Alert, Level
from pipeline.ledger.repository import Repository, reader
from pipeline.ledger.tables import alerts, levels

_values = reader(Level)

_STANDING = select(levels).where(levels.c.account == bindparam("of_account")).order_by(levels.c.since)
_CLEAR = delete(levels).where(levels.c.account == bindparam("of_account"))
_INSERT = plain_insert(levels)
_NOTE = plain_insert(alerts).inline()
_ALERTS = (
    select(*(column for column in alerts.c if column is not alerts.c.alert_id))
    .where(alerts.c.account == bindparam("of_account"))
    .order_by(alerts.c.at.desc(), alerts.c.alert_id.desc())
    .limit(bindparam("at_most"))
)
_KEPT = ("account", "kind", "code", "subject", "severity", "detail", "since", "at")


class SqlLevels(Repository):
    """Fulfils `ports.Levels`."""

    __slots__ = ()

    def standing(self, account: str) -> Sequence[Level]:
        return [Level(**row) for row in self._all(_STANDING, {"of_account": account})]

    def replace(self, account: str, levels: Iterable[Level]) -> None:
        self._connection.execute(_CLEAR, {"of_account": account})
        rows = [_values(level) for level in levels]
        if rows:
            self._connection.execute(_INSERT, rows)

    def note(self, alert: Alert) -> None:
        self._connection.execute(_NOTE, {name: getattr(alert, name) for name in _KEPT})

    def alerts(self, account: str, limit: int = 50) -> Sequence[Alert]:
        return [Alert(**row) for row in self._all(_ALERTS, {"of_account": account, "at_most": limit})]
