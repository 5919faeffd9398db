"""What is written is read back exactly, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, create_engine, insert, select
from sqlalchemy.pool import StaticPool

from pipeline.domain.signals import Side
from pipeline.ledger.columns import (
    MOST_DIGITS,
    Exact,
    NotStorable,
    UtcDateTime,
    Word,
    exact_text,
    json_column_type,
    json_text,
    json_value,
)

values = Table(
    "values_of_every_kind",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("amount", Exact()),
    Column("at", UtcDateTime()),
    Column("word", Word(Side)),
    Column("record", json_column_type()),
)

EDGE = Decimal(10) ** (MOST_DIGITS - 1)
decimals = st.decimals(allow_nan=False, allow_infinity=False, min_value=-EDGE, max_value=EDGE)
# The first and last day that a datetime can name are not both in UTC and in every other zone.
times = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.timezones() | st.just(UTC))  # noqa: DTZ001


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, json_serializer=json_text, json_deserializer=json_value
    )
    values.metadata.create_all(engine)
    yield engine
    engine.dispose()


def stored(engine: Engine, column: str, value: object) -> Any:
    """The value after a way through the database."""
    with engine.begin() as connection:
        return _through(connection, column, value)


def _through(connection: Connection, column: str, value: object) -> Any:
    key = connection.execute(insert(values), {column: value}).inserted_primary_key
    assert key is not None
    return connection.execute(select(values.c[column]).where(values.c.id == key[0])).scalar_one()


@given(decimals)
def test_every_decimal_comes_back_exactly(engine: Engine, value: Decimal) -> None:
    """A cent lost in storage is a cent that reconciliation finds."""
    check_decimal(engine, value)


def check_decimal(engine: Engine, value: Decimal) -> None:
    if _storable(value):
        assert stored(engine, "amount", value) == value
    else:
        with pytest.raises(NotStorable):
            stored(engine, "amount", value)


@given(decimals)
def test_equal_numbers_have_one_spelling(value: Decimal) -> None:
    """0.10 and 0.1 look the same in every trace, whichever database they came from."""
    padded = Decimal(f"{value:f}" + ("0" if "." in f"{value:f}" else ".0"))
    if _storable(value) and _storable(padded):
        assert exact_text(padded) == exact_text(value)


def _storable(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -MOST_DIGITS and value.adjusted() < MOST_DIGITS


@pytest.mark.parametrize(
    ("value", "text"),
    [("1E+3", "1000"), ("0.10", "0.1"), ("-0.0", "0"), ("100", "100"), ("1.5E-8", "0.000000015")],
)
def test_numbers_are_spelt_plainly(value: str, text: str) -> None:
    """No exponents in the file: people read it too."""
    assert exact_text(Decimal(value)) == text


@pytest.mark.parametrize(
    "value", [0.1, 1, True, "1.5", Decimal("NaN"), Decimal("Infinity"), Decimal("sNaN"), Decimal("1E+5000")]
)
def test_what_is_not_an_exact_number_is_refused(engine: Engine, value: object) -> None:
    """A float that became money is a mistake to find here, not in the books."""
    with pytest.raises(NotStorable):
        stored(engine, "amount", value)


@given(times)
def test_every_time_comes_back_to_the_microsecond(engine: Engine, value: datetime) -> None:
    """And in UTC, wherever it was written."""
    check_time(engine, value)


def check_time(engine: Engine, value: datetime) -> None:
    found = stored(engine, "at", value)
    # Python calls a time that a change of clocks skipped unequal to every time of another zone.
    assert found == value.astimezone(UTC)
    assert found.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused(engine: Engine) -> None:
    """Nobody can say which instant it means."""
    with pytest.raises(NotStorable):
        stored(engine, "at", datetime(2026, 3, 1))  # noqa: DTZ001 - on purpose


@given(st.lists(times, min_size=2, max_size=5))
def test_times_sort_as_they_happened(engine: Engine, instants: list[datetime]) -> None:
    """Before 1970 and across zones too: "latest" must be the latest."""
    with engine.connect() as connection:
        connection.execute(insert(values), [{"at": at} for at in instants])
        ordered = select(values.c.at).where(values.c.at.is_not(None)).order_by(values.c.at)
        found = connection.execute(ordered).scalars().all()
        connection.rollback()
    assert set(found) >= {at.astimezone(UTC) for at in instants}
    assert list(found) == sorted(found)


def test_nothing_is_kept_as_nothing(engine: Engine) -> None:
    """Absent is absent in every kind of column."""
    for column in ("amount", "at", "word", "record"):
        assert stored(engine, column, None) is None


class Other(StrEnum):
    BUY = "bid"


@pytest.mark.parametrize("word", ["BUY", "hold", Other.BUY])
def test_a_word_that_is_not_in_the_list_is_refused(engine: Engine, word: str) -> None:
    """Outcomes and states are closed lists, down to the file."""
    with pytest.raises(NotStorable):
        stored(engine, "word", word)


def test_a_word_that_somebody_wrote_by_hand_is_not_read_as_one(engine: Engine) -> None:
    """Better an alarm than a state that no code knows."""
    with engine.connect() as connection:
        connection.exec_driver_sql(f"INSERT INTO {values.name} (id, word) VALUES (1000000, 'hold')")  # noqa: S608
        with pytest.raises(NotStorable):
            connection.execute(select(values.c.word).where(values.c.id == 1000000)).all()
        connection.rollback()


@pytest.mark.parametrize("value", [{"qty": Decimal(1)}, {"at": object()}, {1: "key"}])
def test_a_record_that_json_cannot_say_is_refused(engine: Engine, value: object) -> None:
    """Money in a record is text; a silent float would not be it."""
    with pytest.raises(NotStorable):
        stored(engine, "record", value)


def test_a_zone_far_from_utc_names_the_same_instant(engine: Engine) -> None:
    """Half hours and all."""
    at = datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=-9, minutes=-30)))
    assert stored(engine, "at", at) == at
