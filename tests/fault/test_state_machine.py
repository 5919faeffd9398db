"""The state machine alone, in one process: a hundred thousand decisions, none of which has a good day.

`TEST_LONG=1` plays all of them; `TEST_SEED` chooses other ones. A finding names its world's seed: `play(seed, ...)`
tells the same story again.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from pipeline.domain.errors import InvariantBroken
from pipeline.domain.orders import Fill, Order, OrderState, Rejected
from pipeline.execution import gate
from pipeline.execution.absence import Proof
from pipeline.execution.aftermath import Aftermath
from pipeline.execution.attempts import after_refusal, rests
from pipeline.execution.job import Job, new_order
from pipeline.execution.resolver import Resolver
from pipeline.ledger.memory import memory_ledger
from tests.fault.machine import world
from tests.fault.machine.ledger import DictFills, DictLedger
from tests.fault.machine.world import Story, play

SEED = int(os.environ.get("TEST_SEED", "20261121"))
DECISIONS = 100_000 if os.environ.get("TEST_LONG") else 4_000
EACH = 40


def stories(worlds: int) -> Iterator[Story]:
    for number in range(worlds):
        yield play(SEED + number, EACH, DictLedger().as_ledger())


def test_faulted_decisions_double_nothing_lose_nothing_and_leave_nothing_open(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """0 double orders, 0 live orders declared absent, nothing unknown that the exchange could answer."""
    injected: Counter[str] = Counter()
    states: Counter[str] = Counter()
    for story in stories(DECISIONS // EACH):
        assert story.findings == (), f"seed {story.seed}"
        injected += story.injected
        states += story.states
    assert injected.total() >= DECISIONS
    assert set(states) >= {"FILLED", "EXPIRED", "CANCELED", "REJECTED", "NOT_PLACED", "ABANDONED"}
    with capsys.disabled():
        sys.stdout.write(_told(injected, states))


def _told(injected: Counter[str], states: Counter[str]) -> str:
    happened = "".join(f"  {count:>7} {what}\n" for what, count in injected.most_common())
    ended = ", ".join(f"{count} {state}" for state, count in states.most_common())
    return f"\n{DECISIONS} decisions from seed {SEED}; orders: {ended}; injected:\n{happened}"


def test_both_ledgers_tell_the_same_story() -> None:
    """What the dictionaries promise is what the real ledger does."""
    for seed in range(SEED, SEED + 3):
        real, twin = memory_ledger(), DictLedger().as_ledger()
        assert play(seed, 15, real) == play(seed, 15, twin)
        real.close()


# -------------------------------------------------------------- would it notice? Each of these is another bot


def found(worlds: int = 25) -> list[str]:
    return [finding for story in stories(worlds) for finding in story.findings]


def test_it_notices_a_bot_that_sends_again_after_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commonest double order of all."""

    def hopeful(why: str) -> Rejected:
        return Rejected("SILENCE", why, retryable=True)

    monkeypatch.setattr("pipeline.testing.venue.Unknown", hopeful)
    assert any("exceeds its permit" in finding for finding in found())


def test_it_notices_a_bot_that_believes_absence_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A live order can be called unknown for more than ten seconds."""
    hasty = replace(world.OPTIONS, not_placed_margin_s=0.5, not_placed_misses=1, receive_window_ms=1)
    nothing_there = Proof(listed=None, stray_trades=0, held=Decimal(0), expected=Decimal(0))
    monkeypatch.setattr(world, "OPTIONS", hasty)
    monkeypatch.setattr(Resolver, "_proof", lambda self, order: nothing_there)
    assert any("is NOT_PLACED" in finding for finding in found())


def test_it_notices_a_bot_that_follows_a_cancellation_unproven(monkeypatch: pytest.MonkeyPatch) -> None:
    """The old order still rests beside the new one."""

    def impatient(self: Aftermath, job: Job, order: Order) -> Order:
        if not rests(order) or order.state.is_final or order.attempt > 2:
            return order
        with self.ledger.begin() as unit:
            unit.orders.add(new_order(job, after_refusal(order), self.clock.now()))
        return replace(order, state=OrderState.CANCELED)

    monkeypatch.setattr(Aftermath, "_wait_out", impatient)
    monkeypatch.setattr(gate, "uncovered_rest", lambda terms, order, earlier: "")
    assert any("beside another" in finding for finding in found())


def test_it_notices_a_bot_that_books_what_it_is_told_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fills come late, twice and out of order."""
    monkeypatch.setattr(DictFills, "add", _every_time)
    with pytest.raises(InvariantBroken, match="were filled"):
        found()


def _every_time(self: DictFills, fill: Fill) -> bool:
    twice = replace(fill, trade_id=f"{fill.trade_id}-{len(self.all)}")
    self.all[twice.exchange, twice.symbol, twice.trade_id] = twice
    return True
