"""Sums for who makes the rounds, and the levels that stand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from pipeline.domain.decisions import Origin, Stage
from pipeline.domain.guards import UniverseRecord
from pipeline.domain.levels import Alert, AlertKind, Level, LevelCode, Severity
from pipeline.domain.orders import OrderState
from pipeline.domain.outcomes import EndReason, Outcome, outcome_of
from pipeline.domain.signals import Regime, StrategyVerdict, VerdictKind
from pipeline.domain.switches import TradingState
from pipeline.ledger.sql import SqlLedger
from tests.unit.ledger.ledger_worlds import ACCOUNT, BTC, ETH, NOW, SECOND, a_decision, a_stage, ordered

LONG_AGO = NOW - timedelta(hours=1)


def ended(
    ledger: SqlLedger, symbol: str, after_s: int, reason: EndReason, took_s: int = 1, **changes: object
) -> str:
    """A decision that was enqueued `after_s` and has ended; its id."""
    slot = NOW + after_s * SECOND
    decision = a_decision(
        symbol,
        slot,
        outcome=outcome_of(reason),
        reason=reason,
        detail=f"{reason} of {symbol}",
        ended_at=slot + took_s * SECOND,
        **changes,
    )
    with ledger.begin() as unit:
        unit.decisions.add_ended(decision)
    return decision.decision_id


def test_ended_decisions_are_summed_by_reason_with_the_newest_of_each(ledger: SqlLedger) -> None:
    """The watchdog must not read ten thousand rows to know that all of them failed."""
    ended(ledger, BTC, 0, EndReason.NO_SIGNAL)
    newest = ended(ledger, ETH, 30, EndReason.NO_SIGNAL)
    ended(ledger, BTC, 60, EndReason.STAGE_RAISED)
    ended(ledger, BTC, 90, EndReason.NO_SIGNAL, account="another")
    with ledger.read() as unit:
        groups = unit.rounds.ended(ACCOUNT, NOW)
        later = unit.rounds.ended(ACCOUNT, NOW + 45 * SECOND)
    assert [(group.reason, group.many) for group in groups] == [
        (EndReason.NO_SIGNAL, 2),
        (EndReason.STAGE_RAISED, 1),
    ]
    assert (groups[0].newest, groups[0].detail) == (newest, f"NO_SIGNAL of {ETH}")
    assert [group.reason for group in later] == [EndReason.STAGE_RAISED]


def test_only_what_a_symbol_did_by_its_own_work_counts_as_finished(ledger: SqlLedger) -> None:
    """F5: a decision that nobody started is no sign of life, however orderly it ended."""
    ended(ledger, BTC, 0, EndReason.UNCHANGED)
    ended(ledger, BTC, 60, EndReason.NOT_STARTED)
    ended(ledger, ETH, 60, EndReason.OVERLAP)
    with ledger.read() as unit:
        finished = unit.rounds.last_finished(ACCOUNT, LONG_AGO)
    assert finished == {BTC: NOW + SECOND}


def test_received_and_ended_are_counted_together(ledger: SqlLedger) -> None:
    """Received = ended, always, but for what is at work."""
    ended(ledger, BTC, 0, EndReason.NO_SIGNAL)
    with ledger.begin() as unit:
        unit.decisions.open(a_decision(ETH))
    with ledger.read() as unit:
        assert unit.rounds.received(ACCOUNT, LONG_AGO) == (2, 1)


def test_a_symbol_joined_when_the_version_before_it_was_last_in_force(ledger: SqlLedger) -> None:
    """A new symbol has no decision yet; that is no silence."""
    with ledger.begin() as unit:
        for at, symbols in ((0, (BTC,)), (60, (BTC, ETH))):
            unit.guards.save_universe(
                UniverseRecord(
                    account=ACCOUNT,
                    version=f"v{at}",
                    symbols=symbols,
                    key="k",
                    report={},
                    checked_at=NOW + at * SECOND,
                )
            )
    with ledger.read() as unit:
        assert unit.rounds.joined_at(ACCOUNT) == {ETH: NOW}


def test_failing_strategies_are_counted_with_an_error(ledger: SqlLedger) -> None:
    failed = StrategyVerdict(strategy="mine", kind=VerdictKind.FAILED, regime=Regime.RANGING, error="boom")
    for after_s in (0, 30):
        decision_id = ended(ledger, BTC, after_s, EndReason.NO_SIGNAL)
        with ledger.begin() as unit:
            unit.verdicts.add(decision_id, [failed])  # type: ignore[arg-type]  # it is one
    with ledger.read() as unit:
        assert unit.rounds.failing(ACCOUNT, LONG_AGO) == {"mine": (2, "boom")}


def test_orders_are_counted_by_state_with_the_exchanges_words(ledger: SqlLedger) -> None:
    """Which code the exchange repeats is the whole diagnosis."""
    order = ordered(ledger, state=OrderState.SENDING)
    with ledger.begin() as unit:
        unit.orders.step(order, OrderState.REJECTED, NOW, detail="-2019: Margin is insufficient.")
    with ledger.read() as unit:
        assert unit.rounds.orders(ACCOUNT, LONG_AGO) == {OrderState.REJECTED: 1}
        assert unit.rounds.refusals(ACCOUNT, LONG_AGO) == {"-2019: Margin is insufficient.": 1}


def test_a_round_of_slots_is_one_line(ledger: SqlLedger) -> None:
    """F4: enqueued, ended, by outcome, the slowest symbol and the slowest stage. Manual passes are no slots."""
    ended(ledger, BTC, 0, EndReason.NO_SIGNAL)
    slow = ended(ledger, ETH, 5, EndReason.UNCHANGED, took_s=7)
    ended(ledger, BTC, 8, EndReason.NO_SIGNAL, origin=Origin.CLI)
    ended(ledger, BTC, 30, EndReason.NO_SIGNAL)
    with ledger.begin() as unit:
        unit.stages.add(a_stage(slow, Stage.FETCH, run_ms=6500.0))  # type: ignore[arg-type]  # it is one
    with ledger.read() as unit:
        sums = unit.rounds.slots(ACCOUNT, NOW, NOW + 30 * SECOND)
    assert (sums.enqueued, sums.ended) == (2, 2)
    assert sums.outcomes == {Outcome.NO_SIGNAL: 1, Outcome.SKIPPED: 1}
    assert (sums.slowest_symbol, sums.slowest_ms) == (ETH, 7000.0)
    assert (sums.slowest_stage, sums.slowest_stage_ms) == ("fetch", 6500.0)


def test_a_round_without_decisions_is_empty(ledger: SqlLedger) -> None:
    with ledger.read() as unit:
        sums = unit.rounds.slots(ACCOUNT, NOW, NOW + 30 * SECOND)
    assert (sums.enqueued, sums.slowest_symbol, sums.slowest_stage) == (0, "", "")


def test_why_trading_is_in_its_state_is_known(ledger: SqlLedger) -> None:
    with ledger.begin() as unit:
        unit.switches.set_trading_state(ACCOUNT, TradingState.HALTED, by="governor", reason="empty", at=NOW)
    with ledger.read() as unit:
        assert unit.rounds.reason_of_state(ACCOUNT) == ("empty", "governor")
        assert unit.rounds.reason_of_state("nobody") == ("", "")


LEVEL = Level(
    account=ACCOUNT,
    code=LevelCode.BEAT_GONE,
    subject="",
    severity=Severity.CRITICAL,
    detail="no beat lives",
    since=NOW,
    seen_at=NOW + SECOND,
    told_at=NOW,
)
CONSEQUENCE = replace(LEVEL, code=LevelCode.NO_DECISION, cause=LevelCode.BEAT_GONE, told_at=None)


def test_exactly_the_levels_of_the_last_look_stand(ledger: SqlLedger) -> None:
    """What is over is no row; what stands keeps its beginning, its cause, and whether somebody was told."""
    other = replace(LEVEL, account="another")
    with ledger.begin() as unit:
        unit.levels.replace("another", [other])
        unit.levels.replace(ACCOUNT, [LEVEL, CONSEQUENCE])
    with ledger.read() as unit:
        assert set(unit.levels.standing(ACCOUNT)) == {LEVEL, CONSEQUENCE}
    with ledger.begin() as unit:
        unit.levels.replace(ACCOUNT, [])
    with ledger.read() as unit:
        assert unit.levels.standing(ACCOUNT) == []
        assert unit.levels.standing("another") == [other]


def test_what_was_told_is_kept_newest_first(ledger: SqlLedger) -> None:
    """Who was told what, and when, is asked after every incident."""
    raised = Alert(
        account=ACCOUNT,
        kind=AlertKind.RAISED,
        code=LevelCode.BEAT_GONE,
        subject="",
        severity=Severity.CRITICAL,
        detail="no beat lives",
        since=NOW,
        at=NOW,
    )
    cleared = replace(raised, kind=AlertKind.CLEARED, at=NOW + 60 * SECOND)
    with ledger.begin() as unit:
        unit.levels.note(raised)
        unit.levels.note(cleared)
    with ledger.read() as unit:
        assert unit.levels.alerts(ACCOUNT) == [cleared, raised]
