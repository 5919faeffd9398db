"""Sessions: one run of the program each, with the configuration it ran with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import bindparam, select

from pipeline.domain.decisions import Mode
from pipeline.ledger.repository import Repository, insert_once
from pipeline.ledger.tables import sessions as table

_INSERT = insert_once(table)
_GET = select(table).where(table.c.session_id == bindparam("id"))
_LATEST = select(table).order_by(table.c.started_at.desc(), table.c.session_id.desc()).limit(1)


class SqlSessions(Repository):
    """Fulfils `ports.Sessions`. Starting the same session twice keeps the first."""

    __slots__ = ()

    def start(
        self,
        *,
        session_id: str,
        config_hash: str,
        account: str,
        mode: str,
        snapshot: Mapping[str, object],
        at: datetime,
    ) -> None:
        session = {
            "session_id": session_id,
            "config_hash": config_hash,
            "account": account,
            "mode": Mode(mode),
            "snapshot": dict(snapshot),
            "started_at": at,
        }
        self._write(_INSERT, session)

    def get(self, session_id: str) -> Mapping[str, object] | None:
        """One run; None when the ledger does not know it."""
        row = self._first(_GET, {"id": session_id})
        return None if row is None else dict(row)

    def newest(self, many: int) -> Sequence[Mapping[str, object]]:
        """The newest runs, the newest first."""
        return [dict(row) for row in self._all(_LATEST.limit(many), {})]

    def latest(self) -> Mapping[str, object] | None:
        row = self._first(_LATEST, {})
        return None if row is None else dict(row)
