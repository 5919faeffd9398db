"""Sessions: one run of the program each, with the configuration it ran with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select

from pipeline.domain.decisions import Mode
from pipeline.ledger.repository import Repository, insert_once
from pipeline.ledger.tables import sessions as table

_INSERT = insert_once(table)
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

    def latest(self) -> Mapping[str, object] | None:
        row = self._first(_LATEST, {})
        return None if row is None else dict(row)
