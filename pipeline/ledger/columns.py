"""How values are kept, so that what is read equals what was written, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Numeric, String, Text
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.types import TypeDecorator, TypeEngine

from pipeline.domain.errors import InvariantBroken
from pipeline.trace.redaction import SECRETS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
Converter = Callable[[Any], Any]
MOST_DIGITS = 100  # on each side of the point: far beyond money, within both databases


class NotStorable(InvariantBroken, DontWrapMixin):
    """A value that the ledger refuses: a float as money, a NaN, a time without a zone."""


class Exact(TypeDecorator[Decimal]):
    """A finite Decimal: NUMERIC on PostgreSQL, its shortest plain text on SQLite (which would round it)."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return Text() if dialect.name == "sqlite" else Numeric()

    def bind_processor(self, dialect: Dialect) -> Converter:
        if dialect.name == "sqlite":
            return lambda value: None if value is None else exact_text(value)
        return lambda value: None if value is None else Decimal(exact_text(value))

    def result_processor(self, dialect: Dialect, coltype: object) -> Converter:
        return lambda value: None if value is None else Decimal(value)


def exact_text(value: Decimal) -> str:
    """One spelling for each number, without rounding: no exponent, no trailing zeros, no negative zero.

    Raises: NotStorable.
    """
    if not isinstance(value, Decimal):
        raise NotStorable(f"{value!r} is a {type(value).__name__}; the ledger takes money only as Decimal")
    if not value.is_finite():
        raise NotStorable(f"{value} is not a number that the ledger can keep")
    if not value:
        return "0"
    text = str(value)
    if len(text) > MOST_DIGITS or "E" in text:
        text = format(value, "f") if _is_short(value) else ""
    if not text:
        raise NotStorable(f"{value} has more than {MOST_DIGITS} digits on one side of the point")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _is_short(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -MOST_DIGITS and value.adjusted() < MOST_DIGITS


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, to the microsecond: timestamptz on PostgreSQL, microseconds since 1970 on SQLite."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True)

    def bind_processor(self, dialect: Dialect) -> Converter:
        if dialect.name == "sqlite":
            return lambda value: None if value is None else (_aware(value) - EPOCH) // MICROSECOND
        return lambda value: None if value is None else _aware(value).astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Converter:
        if dialect.name == "sqlite":
            return lambda value: None if value is None else _moment(value)
        return lambda value: None if value is None else value.astimezone(UTC)


@lru_cache(maxsize=4096)
def _moment(microseconds: int) -> datetime:
    """The times of a decision and its orders are read again and again while it is worked on."""
    return EPOCH + timedelta(microseconds=microseconds)


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise NotStorable(f"{value} has no time zone; the ledger takes aware times only")
    return value


class Word(TypeDecorator[Any]):
    """A member of closed lists, kept as its text. What is in none of them is neither written nor read."""

    impl = String
    cache_ok = True

    def __init__(self, *lists: type[StrEnum]) -> None:
        super().__init__()
        self.lists = lists

    def bind_processor(self, dialect: Dialect) -> Converter:
        known = _Known({word: word.value for listed in self.lists for word in listed})
        return known.__getitem__

    def result_processor(self, dialect: Dialect, coltype: object) -> Converter:
        known = _Known({word.value: word for listed in self.lists for word in listed})
        return known.__getitem__


class _Known(dict[Any, Any]):
    """What is looked up for each row and column: as fast as Python can, and closed."""

    def __missing__(self, key: object) -> None:
        if key is not None:
            raise NotStorable(f"{key!r} is in none of the ledger's lists of words for this column")


class FreeText(TypeDecorator[str]):
    """Text from elsewhere. What a database cannot hold (NUL, lone surrogates) is replaced, never refused."""

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Converter:
        return lambda value: None if value is None else plain_text(value)


def plain_text(text: str) -> str:
    """The text with what a database cannot hold replaced, and without secrets: an exception may quote one."""
    if not text:
        return text
    text = SECRETS.clean_text(text)
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def json_column_type() -> JSON:
    """Plain JSON values; money in it is text. Absent is SQL NULL."""
    return JSON(none_as_null=True)


def json_text(value: Any) -> str:
    """What the engine writes into JSON columns."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise NotStorable(f"a record cannot be written as JSON: {error}") from error


def json_value(text: str | bytes) -> Any:
    """What the engine reads from JSON columns."""
    return orjson.loads(text)


def id_type() -> String:
    """Ids compare byte by byte on PostgreSQL too, so that an index serves prefixes of them."""
    return String().with_variant(String(collation="C"), "postgresql")
