"""Which revision of the tables a ledger has, and how it gets to ours."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect

from config.home import FILE_MODE
from pipeline.domain.errors import ConfigError
from pipeline.ledger.engines import begin, is_memory
from pipeline.ledger.failures import LOCKED, LedgerDown, Trouble, place
from pipeline.ledger.kinds import Kind

REVISIONS = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
)  # oldest first; one for each file under migrations/versions
HEAD = REVISIONS[-1]
MIGRATIONS = Path(__file__).parent / "migrations"
VERSION_TABLE = "alembic_version"
ADVISORY_LOCK = 0x7468726F756768  # "through"


def migrate(engine: Engine) -> None:
    """Create or upgrade the tables in one transaction that one process at a time can hold.

    Raises: ConfigError.
    """
    _make_file(engine)
    try:
        _use_write_ahead_log(engine)
        with engine.connect() as connection:
            _lock(connection)
            revision = _revision(connection)
            _refuse_newer(revision, engine)
            if revision == HEAD:
                _prove_writable(connection)
            else:
                _upgrade(connection)
            connection.commit()
    except LedgerDown as down:
        raise _cannot_use(down) from down


def is_older(engine: Engine) -> bool:
    """Whether there is a ledger, and it is of an older revision. Raises: LedgerUnavailable."""
    file = _file(engine)
    if file is not None and not file.exists():
        return False
    with engine.connect() as connection:
        begin(connection, Kind.READ)
        return _revision(connection) in REVISIONS[:-1]


def check_version(engine: Engine) -> None:
    """Read the revision, and touch nothing. Raises: ConfigError."""
    _check_file(engine)
    try:
        with engine.connect() as connection:
            begin(connection, Kind.READ)
            revision = _revision(connection)
    except LedgerDown as down:
        raise _cannot_use(down) from down
    if revision is None:
        raise _missing(engine)
    _refuse_newer(revision, engine)
    if revision != HEAD:
        raise ConfigError(
            f"the ledger has revision {revision}, this program needs {HEAD}.",
            where=place(engine.url),
            remedy="Stop whatever uses it, then run `throughline migrate`, or start with `throughline up`.",
        )


def refuse_another_revision(connection: Connection) -> None:
    """Somebody may migrate the ledger while we run: then it is not ours to touch any more. Raises: LedgerDown."""
    revision = _revision(connection)
    if revision not in (HEAD, None):  # without any table the next statement says so
        other = Trouble(
            f"it has revision {revision} now, and this program works with {HEAD}",
            "Stop this process, and start the release that the ledger was migrated to.",
        )
        raise LedgerDown(place(connection.engine.url), other)


def _check_file(engine: Engine) -> None:
    """SQLite would create an empty file where there is none, and learn at its first write what it may not."""
    file = _file(engine)
    if file is None:
        return
    if not file.exists():
        raise _missing(engine)
    for path in (file, file.parent):
        if not os.access(path, os.W_OK):
            raise ConfigError(
                f"the ledger cannot be used: {path} is read-only.",
                where=place(engine.url),
                remedy="Make the file and its folder writable for this user.",
            )


def _file(engine: Engine) -> Path | None:
    """The file of a SQLite ledger, if it is a plain one."""
    plain = engine.dialect.name == "sqlite" and not is_memory(engine.url) and "uri" not in engine.url.query
    return Path(engine.url.database or "").absolute() if plain else None


def _missing(engine: Engine) -> ConfigError:
    return ConfigError(
        "there is no ledger here yet.",
        where=place(engine.url),
        remedy="`throughline up` creates it, or `throughline migrate`.",
    )


def _refuse_newer(revision: str | None, engine: Engine) -> None:
    if revision is not None and revision not in REVISIONS:
        raise ConfigError(
            f"the ledger has revision {revision}, and the newest that this program knows is {HEAD}: "
            f"it was made by a newer program. Nothing was changed.",
            where=place(engine.url),
            remedy="Install that version of throughline, or name another ledger.",
        )


def _cannot_use(down: LedgerDown) -> ConfigError:
    return ConfigError(
        f"the ledger cannot be used: {down.trouble.what}.", where=down.where, remedy=down.trouble.remedy
    )


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()  # noqa: S608 - a constant


def _make_file(engine: Engine) -> None:
    """Empty, for its owner only: SQLite gives its log and index the mode of the file itself."""
    file = _file(engine)
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the folder {file.parent} cannot be made: {error.strerror}.",
            where=place(engine.url),
            remedy="Name a folder that is writable for this user.",
        ) from error
    with suppress(OSError):  # it is there, or SQLite itself says what is in its way
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE))


def _use_write_ahead_log(engine: Engine) -> None:
    """Then readers and the writer do not wait for each other. The file remembers it.

    SQLite does not wait by itself when two processes switch it over at once.
    """
    if engine.dialect.name != "sqlite" or is_memory(engine.url):
        return
    for wait_s in (0.02, 0.1, 0.5, 2.0, None):
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            return
        except LedgerDown as down:
            if wait_s is None or down.trouble is not LOCKED:
                raise
            time.sleep(wait_s)


def _lock(connection: Connection) -> None:
    begin(connection, Kind.DURABLE)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")


def _prove_writable(connection: Connection) -> None:
    """SQLite lets a transaction on a read-only file begin."""
    connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = version_num")  # noqa: S608 - a constant


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - 60 ms that only a start with work to do shall pay
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
