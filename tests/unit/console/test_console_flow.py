"""The demo counts every decision once, and knows when all of them have ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from console.commands.demo import complaint
from console.flow import Flow, percentile
from pipeline.domain.decisions import Stage
from pipeline.domain.outcomes import EndReason
from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.sql import SqlLedger
from tests.unit.console.console_worlds import ACCOUNT, AT, a_decision, end, enqueue, execute, later


@pytest.fixture
def ledger() -> Iterator[SqlLedger]:
    made = memory_ledger()
    yield made
    made.close()


def test_a_decision_that_ends_between_two_looks_is_counted_once(ledger: SqlLedger) -> None:
    """The summary says "enqueued = ended": neither side may be counted twice or forgotten."""
    flow = Flow(AT, ACCOUNT)
    slow = enqueue(ledger, a_decision("ETH/USDT:USDT"))
    quick = enqueue(ledger, a_decision("SOL/USDT:USDT", after_s=1))
    end(ledger, quick, EndReason.NO_SIGNAL, 0.1, Stage.FETCH, Stage.EVALUATE)
    assert [each.decision_id for each in flow.look(ledger)] == [quick.decision_id]
    assert (flow.enqueued, flow.ended, flow.open) == (2, 1, 1)
    end(ledger, slow, EndReason.INSUFFICIENT_DATA, 5, Stage.FETCH)
    assert [each.decision_id for each in flow.look(ledger)] == [slow.decision_id]
    assert flow.look(ledger) == []
    assert (flow.enqueued, flow.ended, flow.open) == (2, 2, 0)
    assert flow.outcomes == {"no_signal": 1, "skipped": 1}
    assert len(flow.stages[Stage.FETCH].run_ms) == 2
    assert len(flow.stages[Stage.EVALUATE].run_ms) == 1


def test_what_was_there_before_does_not_count(ledger: SqlLedger) -> None:
    """The demo keeps its ledger: the last one's decisions are not this one's."""
    execute(ledger, a_decision())
    flow = Flow(later(60), ACCOUNT)
    assert flow.look(ledger) == []
    assert flow.enqueued == 0


def test_an_executed_decision_brings_its_position_and_the_equity(ledger: SqlLedger) -> None:
    """The view shows what the trading did to the account."""
    execute(ledger, a_decision())
    flow = Flow(AT, ACCOUNT)
    flow.look(ledger)
    assert [each.decision_id for each in flow.executed] == [a_decision().decision_id]
    assert [each.symbol for each in flow.positions] == [a_decision().symbol]
    assert flow.equity is not None
    assert flow.took_ms["executed"] == [pytest.approx(200)]


def test_the_demo_complains_when_a_decision_stays_open_or_nothing_was_executed(ledger: SqlLedger) -> None:
    """Its exit code is what people and machines judge the installation by."""
    flow = Flow(AT, ACCOUNT)
    other = enqueue(ledger, a_decision("ETH/USDT:USDT"))
    flow.look(ledger)
    assert "1 of 1 decisions did not end" in complaint(flow)
    end(ledger, other, EndReason.NO_SIGNAL, 0.1, Stage.FETCH, Stage.EVALUATE)
    flow.look(ledger)
    assert "no decision was executed" in complaint(flow)
    execute(ledger, a_decision())
    flow.look(ledger)
    assert complaint(flow) == ""


def test_a_percentile_is_a_value_that_was_seen() -> None:
    """With two values the median is the lower one, not something between or above."""
    assert percentile([3.0, 1.0], 0.5) == 1.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.0
    assert percentile([float(n) for n in range(1, 101)], 0.99) == 99.0
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([], 0.5) is None
