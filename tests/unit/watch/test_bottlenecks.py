"""Where the time goes, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.domain.decisions import Stage
from pipeline.domain.outcomes import EndReason
from pipeline.domain.signals import Regime, StrategyVerdict, VerdictKind
from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.sql import SqlLedger
from pipeline.watch.bottlenecks import cause, error_groups, slowest_parts
from tests.unit.ledger.ledger_worlds import BTC, ETH, NOW, SECOND, a_decision, a_stage
from tests.unit.watch.test_watch_reports import SPAN


@pytest.fixture
def ledger() -> Iterator[SqlLedger]:
    made = memory_ledger()
    yield made
    made.close()


def test_the_part_that_takes_most_of_the_time_comes_first(ledger: SqlLedger) -> None:
    """Making the second slowest faster is the usual waste."""
    decision = a_decision()
    slow = StrategyVerdict(strategy="slow", kind=VerdictKind.NO_SIGNAL, regime=Regime.RANGING, run_ms=60.0)
    with ledger.begin() as unit:
        unit.decisions.open(decision)
        unit.stages.add(a_stage(decision.decision_id, run_ms=10.0, queue_wait_ms=20.0))
        unit.stages.add(a_stage(decision.decision_id, Stage.EVALUATE, run_ms=70.0, queue_wait_ms=0.0))
        unit.verdicts.add(decision.decision_id, [slow])
    with ledger.read() as unit:
        parts = slowest_parts(unit.statistics, SPAN)

    assert [(part.name, part.share) for part in parts] == [
        ("evaluate: run", 0.7),
        ("strategy slow", 0.6),
        ("fetch: wait", 0.2),
        ("fetch: run", 0.1),
        ("evaluate: wait", 0.0),
    ]


def test_errors_are_grouped_by_their_cause(ledger: SqlLedger) -> None:
    """A thousand stack traces are three bugs."""
    trace = "Traceback:\n  File x.py, line {0}\nKeyError: 'bar {0} of dec_20260101_000000_0123456789ab'"
    with ledger.begin() as unit:
        for number, symbol in enumerate([BTC, ETH, BTC]):
            decision = a_decision(symbol, slot=NOW + number * SECOND)
            unit.decisions.open(decision)
            unit.decisions.end(
                decision.decision_id, EndReason.STAGE_RAISED, trace.format(number), NOW + number * SECOND
            )
        other = a_decision(slot=NOW + 9 * SECOND)
        unit.decisions.open(other)
        unit.verdicts.add(
            other.decision_id,
            [StrategyVerdict(strategy="mine", kind=VerdictKind.FAILED, regime=Regime.RANGING, error="boom")],
        )
        unit.decisions.end(other.decision_id, EndReason.NO_SIGNAL, "", NOW + 9 * SECOND)
    with ledger.read() as unit:
        first, second = error_groups(unit.statistics, SPAN)

    assert (first.many, first.kind, first.symbols) == (3, "STAGE_RAISED", (BTC, ETH))
    assert first.cause == "KeyError: 'bar … of …'"
    assert first.example == a_decision(slot=NOW + 2 * SECOND).decision_id
    assert (second.kind, second.cause, second.many) == ("strategy mine", "boom", 1)


@pytest.mark.parametrize(
    ("detail", "common"),
    [
        (
            "-2019: Margin is insufficient for 3.5 at 2026-01-02T03:04:05Z",
            "-2019: Margin is insufficient for … at …",
        ),
        ("order 98ad1ec8f596ada3 of ADA/USDT:USDT", "order … of …"),
        ("", ""),
        ("\n \n", ""),
    ],
)
def test_what_differs_from_one_to_the_next_is_left_out(detail: str, common: str) -> None:
    """Prices, ids, symbols and times."""
    assert cause(detail) == common
