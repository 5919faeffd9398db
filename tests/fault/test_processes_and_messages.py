"""Parents killed and stopped in the middle of an order; messages that come twice, in the wrong order, a day late."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from pipeline.domain.decisions import Decision, Stage
from pipeline.domain.outcomes import Outcome
from pipeline.execution.crashpoints import CrashPoint
from tests.fault.audit.evidence import market_of
from tests.fault.disasters import Parents
from tests.fault.rehearsal import Rehearsal, rehearsal
from tests.support.waiting import eventually

SEED = int(os.environ.get("TEST_SEED", "20261121"))


@pytest.fixture(scope="module")
def on() -> Iterator[Rehearsal]:
    # Whoever is stopped for a moment must still be in time: a longer window, the same time until absence counts.
    window = {"EXCHANGE_RECEIVE_WINDOW_MS": "2500", "EXECUTION_NOT_PLACED_MARGIN_S": "0.5"}
    with rehearsal(seed=13, symbols=40, **window) as made:
        made.start(orders=2)
        yield made


def frozen_at(on: Rehearsal, point: CrashPoint, symbol: str) -> tuple[Decision, psutil.Process]:
    """A decision whose sender stands still at that point."""
    on.forget(point)
    on.at(point, "STOP")
    decision = on.enqueue(symbol)
    assert decision is not None
    pid = eventually(lambda: on.hit(point), 30, f"a sender to come to {point}; {on.chain.tail()}")
    return decision, psutil.Process(pid)


@pytest.mark.parametrize(
    ("symbol", "kind", "own"), [(0, "latency", {"seconds": 0.8}), (1, "timeout_after", {})]
)
def test_a_request_whose_worker_is_killed_is_no_reason_for_a_second_order(
    on: Rehearsal, symbol: int, kind: str, own: dict[str, float]
) -> None:
    """Its child goes with it, the request does not: it is on its way. The message goes to another worker."""
    market = market_of(on.symbols[symbol])
    on.chain.fault(kind, endpoint="/fapi/v1/order", method="POST", symbol=market, count=1, **own)
    decision = on.enqueue(on.symbols[symbol])
    assert decision is not None
    eventually(lambda: not on.quiet_faults(), 30, "the request to be on its way")
    parents = Parents(on, Counter(KILL=1), random.Random(SEED))
    parents.step()
    on.publish("execute", decision, attempt=2)  # as the broker will, once it misses the worker
    on.drain(60)
    assert on.chain.decision(decision.decision_id).outcome is Outcome.EXECUTED
    assert on.audit() == []


def test_a_child_thawed_after_everybody_gave_it_up_sends_nothing_that_counts(on: Rehearsal) -> None:
    """Its request is signed with the time of its claim: the exchange refuses it by its own receive window."""
    decision, child = frozen_at(on, CrashPoint.BEFORE_SEND, on.symbols[5])
    on.chain.wait_with_upkeep(
        lambda: not on.chain.decision(decision.decision_id).is_open,
        40,
        "the decision to end without its sender",
    )
    child.resume()
    refused = eventually(
        lambda: [e for e in on.evidence().journal if e["kind"] == "order_rejected" and e["code"] == -1021],
        20,
        "the late request to be refused",
    )
    assert refused
    assert on.chain.decision(decision.decision_id).outcome is Outcome.FAILED
    assert on.audit() == []


def test_a_worker_told_to_stop_in_the_middle_of_an_order_finishes_it(on: Rehearsal) -> None:
    """A restart for a new version, every week."""
    decision, child = frozen_at(on, CrashPoint.BEFORE_SEND, on.symbols[6])
    worker = on.chain.processes.pop(f"orders{on.generation}")
    with on.outage("all workers", 0.0):
        worker.send(signal.SIGTERM)
        child.resume()
        assert worker.wait(30) == 0
        on.start_orders(2)
    on.drain(60)
    with on.chain.pipeline.ledger.read() as unit:
        (order,) = [each for each in unit.orders.of(decision.decision_id) if each.leg == "entry"]
    assert order.attempt == 1
    assert on.chain.decision(decision.decision_id).outcome is Outcome.EXECUTED
    assert on.audit() == []


def test_messages_in_any_order_as_often_as_you_like_change_nothing(on: Rehearsal) -> None:
    """Every message of twenty decisions three times, shuffled, while they run and after they ended."""
    dice = random.Random(SEED)
    decisions = [each for each in map(on.enqueue, on.symbols[10:30]) if each is not None]
    messages = [(stage, decision) for decision in decisions for stage in Stage] * 3
    for _ in range(2):
        dice.shuffle(messages)
        for stage, decision in messages:
            on.publish(stage, decision, attempt=2)
        on.drain(90)
    outcomes = Counter(on.chain.decision(each.decision_id).outcome for each in decisions)
    assert outcomes[Outcome.EXECUTED] >= 15, outcomes
    assert on.audit() == [], f"seed {SEED}"


def test_a_message_of_yesterday_orders_nothing_today(on: Rehearsal) -> None:
    """It was in a backup of Redis, or in a worker that stood still: the market has moved."""
    on.chain.processes[f"orders{on.generation}"].send(signal.SIGSTOP)
    try:
        decision = on.enqueue(on.symbols[35])
        assert decision is not None
        on.make_older(decision, days=1)
    finally:
        on.chain.processes[f"orders{on.generation}"].send(signal.SIGCONT)
    for stage in Stage:
        on.publish(stage, decision)
    on.drain(60)
    ended = on.chain.decision(decision.decision_id)
    assert ended.outcome in {Outcome.EXPIRED, Outcome.BLOCKED}
    sent = [
        each
        for each in on.evidence().orders
        if each["decision_id"] == decision.decision_id and each["sent_at"]
    ]
    assert sent == []
    assert on.audit() == []


def test_nothing_is_left_running(on: Rehearsal) -> None:
    """What these tests froze is awake again, and there is one worker that executes."""
    with suppress(psutil.Error):
        assert on.frozen() == []
    assert [name for name in on.chain.processes if name.startswith("orders")] == [f"orders{on.generation}"]
