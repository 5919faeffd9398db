"""Least rights in PostgreSQL: what the program may do with each table, and what nobody but the owner may.

Most records only grow. The role that workers connect with can add to them and read them; it cannot change what an
order went through, what was filled, or who threw a switch, and it can empty no table. Migrations, and pruning, are the
owner's.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Engine, text

from pipeline.domain.errors import ConfigError
from pipeline.ledger.schema import VERSION_TABLE
from pipeline.ledger.tables import metadata

CHANGED = frozenset(
    {
        "decisions",  # once, by its outcome
        "deliveries",
        "permits",
        "budgets",  # never, but locking a row asks for the right
        "orders",
        "positions",
        "balances",
        "kill_switches",
        "trading_states",
        "latches",
        "equity_marks",
        "reconciliations",
        "heartbeats",
        "breakers",
        "universes",
    }
)
TAKEN_AWAY = frozenset({"kill_switches", "breakers", "levels"})
"""Their rows say what stands now; what was is in records that only grow."""


def grants(application: str, reader: str = "") -> Iterator[str]:
    """The statements that give the roles their rights, and take any others away. Quoted for PostgreSQL."""
    roles = [role for role in (application, reader) if role]
    names = sorted(metadata.tables)
    for role in roles:
        quoted = _quoted(role)
        yield f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {quoted}"
        yield f"GRANT USAGE ON SCHEMA public TO {quoted}"
        yield f"GRANT SELECT ON {', '.join([*names, VERSION_TABLE])} TO {quoted}"
    yield f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {_quoted(application)}"
    for name in names:
        yield f"GRANT {', '.join(_rights(name))} ON {name} TO {_quoted(application)}"


def grant(engine: Engine, application: str, reader: str = "") -> None:
    """Give them, as the owner. Raises: ConfigError on SQLite, which knows no roles."""
    if engine.dialect.name == "sqlite":
        raise ConfigError(
            "SQLite has no roles to give rights to",
            where="ledger.url",
            remedy="Rights are a matter of PostgreSQL; who may read the file is a matter of its folder.",
        )
    with engine.begin() as connection:
        for statement in grants(application, reader):
            connection.execute(text(statement))


def _rights(table: str) -> Iterator[str]:
    yield "INSERT"
    if table in CHANGED:
        yield "UPDATE"
    if table in TAKEN_AWAY:
        yield "DELETE"


def _quoted(role: str) -> str:
    return '"' + role.replace('"', '""') + '"'
