"""SQLite's write-ahead log, and how what was committed to it reaches the disk."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable

from sqlalchemy import URL

from pipeline.ledger.failures import SQLITE_TROUBLES, LedgerDown, place

_sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


def log_of(connection: sqlite3.Connection) -> str:
    """The file that holds what was committed and is not in the database file yet; empty for one in memory."""
    _, _, database = connection.execute("PRAGMA database_list").fetchone()
    return f"{database}-wal" if database else ""


def reach_disk(log: str, url: URL) -> None:
    """All that was committed so far is on the disk when this returns. Raises: LedgerUnavailable.

    What has left the log since is in the database file, which SQLite syncs before it uses the log anew.
    """
    if not log:
        return
    try:
        opened = os.open(log, os.O_RDWR)
        try:
            _sync(opened)
        finally:
            os.close(opened)
    except OSError as error:
        raise LedgerDown(place(url), SQLITE_TROUBLES["SQLITE_IOERR"]) from error
