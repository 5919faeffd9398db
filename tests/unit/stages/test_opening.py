"""Opening: one slot is one decision, one symbol has one open decision, and nothing is skipped in silence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.domain.decisions import Origin
from pipeline.domain.events import EventName
from pipeline.domain.outcomes import EndReason, Outcome
from pipeline.stages.opening import Opening, PassRequest
from tests.unit.stages.worlds import BTC, NOON, StageWorld


def test_two_beats_name_the_same_decision_and_the_second_finds_the_first() -> None:
    """A second beat on another host must double nothing."""
    world = StageWorld()
    first, second = world.open(), world.open()
    assert (first.how, second.how) == (Opening.OPENED, Opening.KNOWN)
    assert first.decision.decision_id == second.decision.decision_id


def test_an_account_whose_pass_another_has_taken_in_a_shared_ledger_is_told() -> None:
    """It would never trade, and nobody would know why."""
    world = StageWorld()
    world.open()
    terms = replace(world.opener.terms, account="paper-other")
    request = PassRequest(symbol=BTC, slot=NOON, origin=Origin.BEAT)
    opened = replace(world.opener, terms=terms).open(request, "u1")
    assert opened.how is Opening.KNOWN
    (told,) = world.events.of(EventName.PUBLISH_FAILED)
    assert "each account needs a ledger of its own" in str(told["error"])


def test_a_symbol_still_under_decision_is_skipped_and_says_which_one_is_in_the_way() -> None:
    """Two decisions at once over one symbol could both order."""
    world = StageWorld()
    first = world.open()
    second = world.open(slot=NOON + timedelta(seconds=30))
    row = world.decision(second)
    assert second.how is Opening.OVERLAPPED
    assert (row.outcome, row.reason) == (Outcome.SKIPPED, EndReason.OVERLAP)
    assert first.decision.decision_id in row.detail


def test_an_overlap_opened_twice_is_written_once() -> None:
    """A repeated message must not add outcomes."""
    world = StageWorld()
    world.open()
    later = NOON + timedelta(seconds=30)
    world.open(slot=later)
    world.open(slot=later)
    with world.ledger.read() as unit:
        assert unit.decisions.counts() == {"open": 1, "skipped": 1}


def test_manual_passes_in_one_second_are_two_decisions() -> None:
    """A person who asks twice gets two answers."""
    world = StageWorld()
    first, second = world.open(nonce="a"), world.open(nonce="b", symbol="ETH/USDT:USDT")
    assert first.decision.decision_id != second.decision.decision_id


def test_a_call_that_is_delivered_twice_names_one_decision() -> None:
    """A worker was killed, or somebody has read the message and pushed it again: it was asked for once."""
    world = StageWorld()
    call = PassRequest.called(BTC, NOON - timedelta(milliseconds=1300), "one-task")
    first = world.opener.open(call, "u1")
    world.clock.turn(timedelta(seconds=3))
    again = world.opener.open(call, "u1")
    assert (first.how, again.how) == (Opening.OPENED, Opening.KNOWN)
    assert again.decision.decision_id == first.decision.decision_id
    assert first.decision.origin is Origin.CALL


def test_two_calls_in_one_second_are_two_decisions() -> None:
    world = StageWorld()
    calls = [PassRequest.called(BTC, NOON, task_id) for task_id in ("one", "other")]
    ids = {opened.decision.decision_id for opened in world.opener.open_all(calls, "u1")}
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("age_s", "left_s"), [(0, 30), (12, 18), (3600, -3570), (-600, 30)], ids=["now", "late", "old", "ahead"]
)
def test_what_a_call_may_wait_counts_from_when_it_was_made(age_s: float, left_s: float) -> None:
    """An old one is not worth starting, whoever delivers it; a clock that is ahead gives nobody more time."""
    call = PassRequest.called(BTC, NOON - timedelta(seconds=age_s), "one-task")
    decision = StageWorld().opener.open(call, "u1").decision
    assert decision.expires_at == NOON + timedelta(seconds=left_s)
    assert decision.deadline_at == NOON + timedelta(seconds=left_s + 30)


def test_every_decision_says_that_it_began_and_an_overlap_that_it_ended() -> None:
    """Silence is the incident this project exists for."""
    world = StageWorld()
    world.open()
    world.open(slot=NOON + timedelta(seconds=30))
    assert world.events.names == [EventName.DECISION_START, EventName.DECISION_END]


def test_many_are_opened_as_each_would_have_been_alone() -> None:
    """At a close all symbols are decided at once; a symbol that is still under decision is skipped among them too."""
    world = StageWorld()
    world.open("SOL/USDT:USDT", slot=NOON - timedelta(seconds=30))
    symbols = ("BTC/USDT:USDT", "SOL/USDT:USDT", "ETH/USDT:USDT", "BTC/USDT:USDT")
    requests = [PassRequest(symbol=each, slot=NOON, origin=Origin.FEED) for each in symbols]
    opened = world.opener.open_all(requests, "u1")
    assert [(each.decision.symbol, each.how) for each in opened] == [
        ("BTC/USDT:USDT", Opening.OPENED),
        ("SOL/USDT:USDT", Opening.OVERLAPPED),
        ("ETH/USDT:USDT", Opening.OPENED),
        ("BTC/USDT:USDT", Opening.KNOWN),
    ]
    assert [world.decision(each).reason for each in opened] == [None, EndReason.OVERLAP, None, None]
    assert world.events.names[1:] == [
        EventName.DECISION_START,
        EventName.DECISION_END,
        EventName.DECISION_START,
    ]
