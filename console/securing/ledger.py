"""The ledger: may this process change what only grows, and can anybody listen in?"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, make_url, text

from config.sections.base import is_loopback
from config.settings import Settings
from console.securing.answers import Answers, Told, finding, fine, skipped, unknown
from pipeline.domain.errors import ConfigError, LedgerUnavailable
from pipeline.ledger.rights import CHANGED, TAKEN_AWAY
from pipeline.ledger.sql import SqlLedger
from pipeline.ledger.tables import metadata

SHOWN = 4
GRANT = "as the owner: `throughline migrate --grant-to ROLE`, and connect as that role"

_HELD = text("SELECT has_table_privilege(CAST(:name AS text), CAST(:right AS text))")
_OWNER = text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")


def look(settings: Settings) -> Answers:
    """Raises nothing."""
    url = make_url(settings.ledger_url)
    if url.get_backend_name() == "sqlite":
        yield skipped(
            "ledger", "SQLite knows no roles and no wire; who may read its file is told under files"
        )
        return
    yield _wire(str(url.host or "127.0.0.1"), str(url.query.get("sslmode", "")))
    yield _rights(settings)


def _wire(host: str, mode: str) -> Told:
    about = "ledger: wire"
    if is_loopback(host) or host.startswith("/"):
        return fine(about, "on this host only")
    if mode != "verify-full":
        return finding(
            about,
            f"sslmode is {mode or 'not said'}: the server at {host} may be anybody",
            "ledger.url: ?sslmode=verify-full&sslrootcert=FILE",
        )
    return fine(about, "TLS, and the server has to prove its name")


def _rights(settings: Settings) -> Told:
    about = "ledger: rights"
    ledger = SqlLedger(settings.ledger_url, busy_timeout_s=settings.ledger.busy_timeout_s)
    try:
        with ledger.engine.connect() as connection:
            if connection.execute(_OWNER).scalar():
                return finding(about, "this process connects as a superuser", GRANT)
            excess = list(_excess(connection))
    except (LedgerUnavailable, ConfigError) as error:
        return unknown(about, str(error), "`throughline doctor` says more")
    finally:
        ledger.close()
    if excess:
        more = f" and {len(excess) - SHOWN} more" if len(excess) > SHOWN else ""
        return finding(about, f"this process may also {', '.join(excess[:SHOWN])}{more}", GRANT)
    return fine(about, "records that only grow can only be added to")


def _excess(connection: Connection) -> Iterator[str]:
    """Rights that the program does not need: it changes few tables, takes rows from fewer, and empties none."""
    for name in sorted(metadata.tables):
        for right, needed in (("UPDATE", CHANGED), ("DELETE", TAKEN_AWAY), ("TRUNCATE", frozenset[str]())):
            held = connection.execute(_HELD, {"name": name, "right": right}).scalar()
            if held and name not in needed:
                yield f"{right} {name}"
