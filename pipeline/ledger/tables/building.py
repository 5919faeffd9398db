"""How the tables are written down: the naming of constraints, and short names for the usual columns."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    MetaData,
    text,
)

from pipeline.ledger.columns import (
    id_type,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def column(name: str, type_: Any, *more: Any, **options: Any) -> Column[Any]:
    """A column that is always set, unless `nullable` says otherwise."""
    return Column(name, type_, *more, **{"nullable": False, **options})


def decision_key(**options: Any) -> Column[Any]:
    return column("decision_id", id_type(), ForeignKey("decisions.decision_id"), **options)


def within(column: str, words: Iterable[StrEnum]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({listed(words)})", name=f"{column}_known")


def listed(words: Iterable[StrEnum]) -> str:
    return ", ".join(f"'{word.value}'" for word in words)


def positive(column: str) -> CheckConstraint:
    # The cast lets SQLite compare the number; there it is kept as text.
    return CheckConstraint(f"CAST({column} AS NUMERIC) > 0", name=f"{column}_positive")


def not_negative(column: str) -> CheckConstraint:
    return CheckConstraint(f"CAST({column} AS NUMERIC) >= 0", name=f"{column}_not_negative")


def index(name: str, *columns: str, unique: bool = False, where: str | None = None) -> Index:
    condition = None if where is None else text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
