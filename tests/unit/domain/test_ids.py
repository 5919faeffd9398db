"""Identities: the same thing always has the same name, and two things never share one."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from pipeline.domain import ids
from pipeline.domain.decisions import Stage

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
slots = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds
names = st.text(min_size=1, max_size=20)


@given(symbol=names, slot=slots)
def test_the_same_pass_has_the_same_id_wherever_it_is_minted(symbol: str, slot: datetime) -> None:
    """Two beats on hosts in different zones must name one decision."""
    elsewhere = slot.astimezone(timezone(timedelta(hours=9)))
    assert ids.decision_id(symbol, slot) == ids.decision_id(symbol, elsewhere)


@given(symbol=names, slot=slots, nonce=names)
def test_every_decision_id_has_the_documented_form(symbol: str, slot: datetime, nonce: str) -> None:
    """Log scrapers, Flower searches and people rely on it."""
    assert ids.DECISION_ID.match(ids.decision_id(symbol, slot, nonce))


@given(one=st.tuples(names, slots, st.text(max_size=8)), other=st.tuples(names, slots, st.text(max_size=8)))
def test_different_passes_have_different_ids(
    one: tuple[str, datetime, str], other: tuple[str, datetime, str]
) -> None:
    """48 bits keep apart what symbol, slot and nonce keep apart."""
    same = (one[0], one[1], one[2]) == (other[0], other[1], other[2])
    assert (ids.decision_id(*one) == ids.decision_id(*other)) == same


def test_passes_in_one_second_but_different_instants_differ() -> None:
    """A cadence may be spread in milliseconds."""
    assert ids.decision_id("X", NOON) != ids.decision_id("X", NOON + timedelta(milliseconds=1))


def test_a_client_order_id_fits_every_exchange_and_changes_with_each_part() -> None:
    """32 lower-case hex characters; account, decision, leg and attempt all count."""
    decision = ids.decision_id("X", NOON)
    base = ids.client_order_id("paper-main", decision, "entry", 1)
    others = {
        ids.client_order_id("live-main", decision, "entry", 1),
        ids.client_order_id("paper-main", decision, "stop", 1),
        ids.client_order_id("paper-main", decision, "entry", 2),
        ids.client_order_id("paper-main", ids.decision_id("Y", NOON), "entry", 1),
    }
    assert re.fullmatch(r"[0-9a-f]{32}", base)
    assert base not in others
    assert len(others) == 4


def test_task_ids_begin_with_the_decision_so_that_flower_finds_all_four() -> None:
    decision = ids.decision_id("X", NOON)
    assert [ids.task_id(decision, stage) for stage in Stage] == [
        f"{decision}.{stage.value}" for stage in Stage
    ]
