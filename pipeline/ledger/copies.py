"""A copy of the ledger while it is in use, and the way back. SQLite copies itself; PostgreSQL has `pg_dump`.

Both copies are of one moment: what was committed before it is in them whole.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import URL, Engine, inspect, select

from pipeline.domain.errors import ConfigError
from pipeline.ledger.failures import trouble_of_sqlite
from pipeline.ledger.schema import HEAD, REVISIONS, VERSION_TABLE
from pipeline.ledger.tables import heartbeats

PRIVATE = 0o600
SEEN_WITHIN = timedelta(seconds=20)
"""A process that takes part in decisions says so every five seconds."""

_LIBPQ = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
}


def refuse_in_use(engine: Engine, doing: str) -> None:
    """Raises: ConfigError when a process has taken part in decisions a moment ago; LedgerUnavailable."""
    with engine.connect() as connection:
        if not inspect(connection).has_table(heartbeats.name):
            return
        since = datetime.now(UTC) - SEEN_WITHIN
        seen = (
            connection.execute(select(heartbeats.c.process).where(heartbeats.c.beat_at >= since))
            .scalars()
            .all()
        )
    if seen:
        raise ConfigError(
            f"{', '.join(sorted(seen)[:3])} worked with this ledger within {SEEN_WITHIN.seconds} s; "
            f"{doing} it under them is refused.",
            where="ledger.url",
            remedy="Stop all processes on all hosts, wait that long, and try again.",
        )


def backup(url: URL, target: Path) -> None:
    """Write a copy, readable by its owner only, which is looked at before it is believed. Raises: ConfigError."""
    partial = _begun(target)
    try:
        if url.get_backend_name() == "sqlite":
            _copy(Path(str(url.database)), partial)
            _look_at(partial)
        else:
            _run(url, "pg_dump", "--format=custom", f"--file={partial}")
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _begun(target: Path) -> Path:
    """An empty file beside it, readable by its owner only. Raises: ConfigError."""
    partial = target.with_name(f".{target.name}.part")
    try:
        if target.exists():
            raise ConfigError(
                "it exists already.", where=str(target), remedy="Name another file: none is overwritten."
            )
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE))
    except OSError as error:
        raise ConfigError(
            f"the copy cannot be written there: {error.strerror}.",
            where=str(target),
            remedy="Name a file in a folder that is there and that this user can write to.",
        ) from error
    return partial


def restore(url: URL, source: Path, at: datetime) -> Path | None:
    """Put the ledger back as the copy has it. Returns where the SQLite file that was in its place is kept.

    Raises: ConfigError before anything was changed.
    """
    if not source.is_file():
        raise ConfigError(
            "there is no such file.", where=str(source), remedy="Name what `throughline backup FILE` wrote."
        )
    if url.get_backend_name() != "sqlite":
        _run(url, "pg_restore", "--clean", "--if-exists", "--single-transaction", str(source))
        return None
    _look_at(source)
    file = Path(str(url.database))
    kept = _moved_aside(file, at)
    file.parent.mkdir(parents=True, exist_ok=True)
    _copy(source, file)
    file.chmod(PRIVATE)
    return kept


def _moved_aside(file: Path, at: datetime) -> Path | None:
    """The file with its write-ahead log folded in, under another name."""
    if not file.exists():
        return None
    with (
        closing(sqlite3.connect(file)) as connection,
        suppress(sqlite3.DatabaseError),
    ):  # one that is broken is kept too
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    kept = file.with_name(f"{file.name}.before-{at:%Y%m%d-%H%M%S}")
    file.rename(kept)
    for beside in ("-wal", "-shm"):
        file.with_name(file.name + beside).unlink(missing_ok=True)
    return kept


def _copy(source: Path, target: Path) -> None:
    """Raises: ConfigError."""
    if not source.exists():
        raise ConfigError("there is no ledger here.", where=str(source), remedy="Check ledger.url and home.")
    try:
        with closing(sqlite3.connect(source)) as ours, closing(sqlite3.connect(target)) as copy:
            ours.backup(copy)
    except sqlite3.Error as error:
        trouble = trouble_of_sqlite(error)
        raise ConfigError(
            f"it cannot be copied to {target}: {trouble.what}.", where=str(source), remedy=trouble.remedy
        ) from error


def _look_at(file: Path) -> None:
    """Raises: ConfigError when it is no whole ledger of a version that this program knows."""
    try:
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            whole = connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            revision = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()[0]  # noqa: S608 - a constant
    except (sqlite3.Error, TypeError):
        whole, revision = False, None
    if not whole or revision not in REVISIONS:
        raise ConfigError(
            f"it is no whole ledger that this program knows (revision {revision}, newest {HEAD}).",
            where=str(file),
            remedy="Take another copy, or the release that made this one.",
        )


def _run(url: URL, program: str, *arguments: str) -> None:
    """One of PostgreSQL's own programs; the password goes by the environment. Raises: ConfigError."""
    found = shutil.which(program)
    if found is None:
        raise ConfigError(
            f"{program} is not on the PATH.",
            where="ledger.url",
            remedy="Install PostgreSQL's client programs, of the server's version or newer.",
        )
    command = [found, "--no-password", f"--dbname={_place(url)}", *arguments]
    ended = subprocess.run(command, env=_login(url), capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if ended.returncode != 0:
        why = ended.stderr.strip().replace(str(url.password or "\0"), "***")[-600:]
        raise ConfigError(f"{program} failed: {why}", where="ledger.url", remedy="Nothing was changed.")


def _place(url: URL) -> str:
    return URL.create("postgresql", url.username, None, url.host, url.port, url.database).render_as_string()


def _login(url: URL) -> Mapping[str, str]:
    told = {_LIBPQ[name]: str(value) for name, value in url.query.items() if name in _LIBPQ}
    password = {"PGPASSWORD": str(url.password)} if url.password else {}
    return {**os.environ, **told, **password}
