"""What strategies and checks answered is kept whole and in order."""

from __future__ import annotations

import math
from dataclasses import replace

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.intents import Leg
from pipeline.domain.signals import NearestMiss, Regime, Side, Signal, StrategyVerdict, VerdictKind
from pipeline.ledger.sql import SqlLedger
from tests.unit.ledger.ledger_worlds import open_one

SIGNAL = Signal.from_floats(
    Side.SELL,
    score=0.73,
    entry=0.1,
    stop_loss=0.103,
    take_profit=0.0945,
    reason="rip",
    regime=Regime.VOLATILE,
)


def test_strategy_verdicts_are_read_back_equal_and_in_order(ledger: SqlLedger) -> None:
    """Signals, near misses and stack traces of failures alike."""
    decision = open_one(ledger).decision_id
    verdicts = [
        StrategyVerdict(strategy="z_first", kind=VerdictKind.SIGNAL, signal=SIGNAL, chosen=True, run_ms=0.25),
        StrategyVerdict(
            strategy="adaptive_ob",
            kind=VerdictKind.NO_SIGNAL,
            regime=Regime.RANGING,
            nearest_miss=NearestMiss("rsi", 41.2, 28.5),
        ),
        StrategyVerdict(strategy="broken", kind=VerdictKind.FAILED, error="Traceback …\nZeroDivisionError"),
    ]
    with ledger.begin() as unit:
        unit.verdicts.add(decision, verdicts)
        assert list(unit.verdicts.of(decision)) == verdicts


def test_strategy_verdicts_told_twice_are_kept_once(ledger: SqlLedger) -> None:
    """A stage that is delivered twice must not double them."""
    decision = open_one(ledger).decision_id
    verdict = StrategyVerdict(strategy="adaptive_ob", kind=VerdictKind.NO_SIGNAL)
    with ledger.begin() as unit:
        unit.verdicts.add(decision, [verdict])
        unit.verdicts.add(decision, [verdict])
        unit.verdicts.add(decision, [])
        assert list(unit.verdicts.of(decision)) == [verdict]


def test_an_indicator_that_is_not_a_number_is_kept_as_that(ledger: SqlLedger) -> None:
    """A near miss on too little data is a fact, not a reason to fail."""
    decision = open_one(ledger).decision_id
    miss = NearestMiss("atr", math.nan, math.inf)
    with ledger.begin() as unit:
        unit.verdicts.add(
            decision, [StrategyVerdict(strategy="s", kind=VerdictKind.NO_SIGNAL, nearest_miss=miss)]
        )
        kept = unit.verdicts.of(decision)[0].nearest_miss
    assert kept is not None
    assert math.isnan(kept.value)
    assert math.isinf(kept.threshold)


def test_text_that_no_database_holds_is_kept_readable(ledger: SqlLedger) -> None:
    """An exchange's garbage in an error must not keep a decision from ending."""
    decision = open_one(ledger).decision_id
    with ledger.begin() as unit:
        unit.verdicts.add(
            decision, [StrategyVerdict(strategy="s", kind=VerdictKind.FAILED, error="a\0b \ud800 ü")]
        )
        assert unit.verdicts.of(decision)[0].error == "a\N{REPLACEMENT CHARACTER}b ? ü"


def test_check_verdicts_keep_the_order_of_the_registry(ledger: SqlLedger) -> None:
    """The first denying one names the reason."""
    decision = open_one(ledger).decision_id
    verdicts = [CheckVerdict(code, code is not CheckCode.RATE, "1", "2", "why") for code in CheckCode]
    with ledger.begin() as unit:
        unit.verdicts.add_checks(decision, Leg.ENTRY, verdicts)
        assert list(unit.verdicts.checks_of(decision)) == verdicts


def test_of_check_verdicts_only_what_must_not_stand_there_is_replaced(ledger: SqlLedger) -> None:
    """One bad text among thirty denies no decision its record, and a signature in an error is nobody's to read."""
    decision = open_one(ledger).decision_id
    fine = CheckVerdict(CheckCode.MARGIN, ok=True, value="40 ü", limit="50", detail="")
    bad = CheckVerdict(
        CheckCode.RATE, ok=False, value="a\0b", limit="\ud800", detail="GET /x?signature=0a1b2c"
    )
    with ledger.begin() as unit:
        unit.verdicts.add_checks(decision, Leg.ENTRY, [fine, bad])
        kept = unit.verdicts.checks_of(decision)
    assert list(kept) == [
        fine,
        replace(bad, value="a\N{REPLACEMENT CHARACTER}b", limit="?", detail="GET /x?signature=***"),
    ]


def test_check_verdicts_of_several_legs_come_leg_by_leg_and_once(ledger: SqlLedger) -> None:
    """The entry's checks before those of its stop, however often they were told."""
    decision = open_one(ledger).decision_id
    stop, entry = (CheckVerdict(CheckCode.RATE, ok=True, value=value, limit="") for value in "se")
    with ledger.begin() as unit:
        unit.verdicts.add_checks(decision, Leg.STOP, [stop])
        unit.verdicts.add_checks(decision, Leg.ENTRY, [entry])
        unit.verdicts.add_checks(decision, Leg.ENTRY, [stop])
        assert list(unit.verdicts.checks_of(decision)) == [entry, stop]
