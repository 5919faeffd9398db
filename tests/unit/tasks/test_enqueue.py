"""Asking for the decisions of a close: together where all goes well, one by one where it does not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from kombu.exceptions import KombuError, OperationalError

from pipeline.domain.decisions import Decision, Origin, Stage
from pipeline.domain.errors import LedgerUnavailable
from pipeline.domain.outcomes import EndReason, Reason
from pipeline.stages.opening import Opened, PassRequest
from tasks.enqueue import enqueue_as_called, enqueue_passes
from tests.unit.stages.worlds import NOON, StageWorld

A, B, C = (f"{name}/USDT:USDT" for name in "ABC")
REQUESTS = [PassRequest(symbol=each, slot=NOON, origin=Origin.FEED) for each in (A, B, C)]


@dataclass
class World:
    """A ledger in memory, and a broker that may be away: for packets, for single messages of some symbols."""

    stage: StageWorld = field(default_factory=StageWorld)
    packets: list[list[str]] = field(default_factory=list)
    published: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    ledger_is_away: Exception | None = None
    packet_fails: Exception | None = None
    unreachable: frozenset[str] = frozenset()

    def open_all(self, requests: Sequence[PassRequest]) -> list[Opened]:
        if self.ledger_is_away:
            raise self.ledger_is_away
        return self.stage.opener.open_all(requests, "u1")

    def open(self, request: PassRequest) -> Opened:
        return self.stage.opener.open(request, "u1")

    def publish_all(self, stage: Stage, decisions: Sequence[Decision]) -> None:
        if self.packet_fails:
            raise self.packet_fails
        self.packets.append([each.symbol for each in decisions])

    def publish(self, stage: Stage, decision: Decision) -> None:
        if decision.symbol in self.unreachable:
            raise OperationalError("away")
        self.published.append(decision.symbol)

    def fail(self, decision_id: str, reason: Reason, detail: str) -> None:
        self.failed.append(decision_id)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made, module = World(), sys.modules[enqueue_passes.__module__]  # its name is a function's as well
    here = SimpleNamespace(
        open_all=made.open_all, open=made.open, runner=SimpleNamespace(fail=made.fail), canonical=str
    )
    monkeypatch.setattr(module, "services", lambda: here)
    monkeypatch.setattr(module, "publish", made.publish)
    monkeypatch.setattr(module, "publish_all", made.publish_all)
    return made


def test_the_decisions_of_a_close_travel_together(world: World) -> None:
    assert enqueue_passes(REQUESTS) == []
    assert (world.packets, world.published) == ([[A, B, C]], [])


def test_what_is_known_or_still_open_is_not_published(world: World) -> None:
    """A second feed, or beat, has seen to it."""
    world.stage.open(A)
    assert enqueue_passes(REQUESTS) == []
    assert world.packets == [[B, C]]


@pytest.mark.parametrize(
    "error", [KombuError("uncertain"), OperationalError("away"), RuntimeError("renewed")]
)
def test_a_packet_that_is_lost_is_sent_again_message_by_message(world: World, error: Exception) -> None:
    """Whether it has arrived nobody knows: a message that comes twice does no harm, one that never comes does."""
    world.packet_fails = error
    assert enqueue_passes(REQUESTS) == []
    assert world.published == [A, B, C]


def test_a_decision_that_cannot_be_published_ends_and_silences_nobody_else(world: World) -> None:
    """Its error names it: whoever asked for it can look at what was recorded."""
    world.packet_fails, world.unreachable = OperationalError("away"), frozenset({B})
    ((request, error),) = enqueue_passes(REQUESTS)
    assert (request.symbol, str(error)) == (B, f"decision {world.failed[0]} ended as PUBLISH_FAILED: away")
    assert world.published == [A, C]
    assert len(world.failed) == 1


def test_a_ledger_that_refuses_all_is_asked_for_each(world: World) -> None:
    world.ledger_is_away = LedgerUnavailable("locked")
    assert enqueue_passes(REQUESTS) == []
    assert (world.packets, world.published) == ([], [A, B, C])


def test_a_call_that_comes_again_is_published_again_while_its_decision_is_open(world: World) -> None:
    """Whoever opened it may have been killed before it was published; a message that comes twice does no harm."""
    first, again = (enqueue_as_called(A, NOON, "one-task") for _ in range(2))
    assert first == again
    assert world.published == [A, A]


def test_a_call_that_comes_again_after_its_decision_has_ended_changes_nothing(world: World) -> None:
    first = enqueue_as_called(A, NOON, "one-task")
    with world.stage.ledger.begin() as unit:
        unit.decisions.end(first.decision_id, EndReason.FILLED, "", NOON)
    again = enqueue_as_called(A, NOON, "one-task")
    assert (again.decision_id, again.reason) == (first.decision_id, EndReason.FILLED)
    assert world.published == [A]


def test_a_call_that_cannot_be_published_again_ends_nothing(world: World) -> None:
    """Its decision may be two stages further on."""
    enqueue_as_called(A, NOON, "one-task")
    world.unreachable = frozenset({A})
    with pytest.raises(OperationalError):
        enqueue_as_called(A, NOON, "one-task")
    assert world.failed == []
