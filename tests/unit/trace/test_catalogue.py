"""The catalogue of events: whole, on its page, and kept by whoever emits."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.domain.catalogue import CATALOGUE, COMMON
from pipeline.domain.decisions import Stage
from pipeline.domain.errors import InvariantBroken
from pipeline.domain.event_fields import FIELDS, FieldType
from pipeline.domain.events import EventName, Level
from pipeline.trace import context, reference
from pipeline.trace.events import LoggedEvents, RecordedEvents
from pipeline.trace.lines import RESERVED
from tests.unit.trace.conftest import Configure

PAGE = Path(__file__).parents[3] / "docs" / "events.md"


def test_every_event_has_its_row() -> None:
    """A new name needs a row in `pipeline/domain/catalogue.py`: what it says and which fields it carries."""
    assert set(CATALOGUE) == set(EventName)
    assert [name for name, event in CATALOGUE.items() if event.name is not name or not event.says] == []


def test_the_page_is_current() -> None:
    """Run `python -m pipeline.trace.reference docs/events.md` when this fails."""
    page = PAGE.read_text(encoding="utf-8")

    assert page == reference.renewed(page)


def test_every_field_is_used_and_none_shadows_what_each_line_has() -> None:
    """A word that no event speaks is dead; `pid` as a field would hide the process."""
    used = {each.name for event in CATALOGUE.values() for each in (*event.needs, *event.may)}

    assert set(FIELDS) - used - {*COMMON, "undeclared"} == set()
    assert not used & RESERVED


def test_no_event_of_the_chain_is_quieter_than_info() -> None:
    """INFO alone tells everything about every pass."""
    assert [name for name in EventName if name.level is Level.DEBUG] == [EventName.DEBUG]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"timeframes": "30m=ok"}, "sources is missing"),
        ({"timeframes": "30m=ok", "sources": {}, "colour": "red"}, "colour is not declared"),
        ({"timeframes": 7, "sources": {}}, "timeframes is 7, which is no text"),
    ],
)
def test_a_field_that_breaks_the_catalogue_fails_the_test_that_emits_it(
    fields: dict[str, object], problem: str
) -> None:
    """Tests emit everything that the system emits: there the catalogue is a contract."""
    with pytest.raises(InvariantBroken, match=problem):
        RecordedEvents().emit(EventName.DATA_FETCH, level=None, **fields)


def test_the_decision_s_own_fields_come_from_the_context() -> None:
    """A stage need not repeat which decision it works on."""
    events = RecordedEvents()

    with context.bound(decision_id="dec_1", symbol="BTC/USDT:USDT", stage=Stage.FETCH.value):
        events.emit(EventName.STAGE_REPEATED, handed_on=True)

    assert events.names == [EventName.STAGE_REPEATED]


def test_in_production_an_undeclared_field_is_written_and_named(log: Configure) -> None:
    """What somebody wanted to say is never lost; that it is undeclared can be found by grep."""
    lines = log()

    LoggedEvents().emit(EventName.DATA_FETCH, timeframes="30m=ok", sources={}, colour="red", age=1)

    (record,) = lines("all.jsonl")
    assert record["colour"] == "red"
    assert record["undeclared"] == ["age", "colour"]


@pytest.mark.parametrize(
    ("kind", "fitting", "unfitting"),
    [
        (FieldType.TEXT, "x", 1),
        (FieldType.COUNT, 1, True),
        (FieldType.NUMBER, 1.5, "1.5"),
        (FieldType.EXACT, Decimal("0.1"), 0.1),
        (FieldType.EXACT, "0.1", "NaN"),
        (FieldType.TIME, datetime(2026, 1, 1, tzinfo=UTC), 1767225600),
        (FieldType.FLAG, True, 1),
        (FieldType.LIST, ("a",), "a"),
        (FieldType.TABLE, {"a": 1}, [("a", 1)]),
    ],
)
def test_a_type_takes_its_values_and_no_others(kind: FieldType, fitting: object, unfitting: object) -> None:
    """Money as a float would be read back as another amount."""
    assert kind.fits(fitting)
    assert kind.fits(None)
    assert not kind.fits(unfitting)
