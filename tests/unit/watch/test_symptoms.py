"""Why one symbol does not trade: each reason is found, with its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import Decision, Stage
from pipeline.domain.guards import UniverseRecord
from pipeline.domain.intents import Leg
from pipeline.domain.orders import OrderState
from pipeline.domain.outcomes import EndReason, Reason
from pipeline.domain.signals import NearestMiss, Regime, StrategyVerdict, VerdictKind
from pipeline.domain.switches import KillScope, KillSwitch, TradingState
from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.sql import SqlLedger
from pipeline.watch.checks import Status
from pipeline.watch.symptoms import Examination, examine_symbol
from tests.unit.console.console_worlds import checks
from tests.unit.ledger.ledger_worlds import ACCOUNT, BTC, ETH, NOW, SECOND, a_stage, open_one, ordered

MISS = StrategyVerdict(
    strategy="adaptive_ob",
    kind=VerdictKind.NO_SIGNAL,
    regime=Regime.RANGING,
    nearest_miss=NearestMiss("RSI below", 34.5, 30.0),
)


@pytest.fixture
def ledger() -> Iterator[SqlLedger]:
    """Trading is on, and the universe has one symbol."""
    made = memory_ledger()
    report = {
        "listings": [{"name": "ETHUSDT", "symbol": ETH, "standing": "blocked", "detail": "on the list"}]
    }
    with made.begin() as unit:
        unit.switches.set_trading_state(ACCOUNT, TradingState.ACTIVE, by="me", reason="", at=NOW)
        unit.guards.save_universe(
            UniverseRecord(
                account=ACCOUNT, version="v", symbols=(BTC,), key="k", report=report, checked_at=NOW
            )
        )
    yield made
    made.close()


def ended(ledger: SqlLedger, reason: Reason, after_s: int = 0, detail: str = "in words") -> Decision:
    decision = open_one(ledger, BTC, NOW + after_s * SECOND)
    with ledger.begin() as unit:
        unit.verdicts.add(decision.decision_id, [MISS])
        unit.decisions.end(decision.decision_id, reason, detail, NOW + (after_s + 1) * SECOND)
    return decision


def examined(ledger: SqlLedger, symbol: str = BTC) -> Examination:
    with ledger.read() as unit:
        return examine_symbol(unit, ACCOUNT, symbol, NOW + timedelta(minutes=5))


def blocked_by(ledger: SqlLedger, symbol: str = BTC) -> tuple[str, str]:
    blocked = examined(ledger, symbol).blocked_by
    assert blocked is not None
    return blocked.step, blocked.detail


def test_a_quiet_market_keeps_nothing_from_trading(ledger: SqlLedger) -> None:
    """No signal is no trouble; what was missing by how much is said all the same."""
    ended(ledger, EndReason.NO_SIGNAL)
    examination = examined(ledger)
    assert examination.blocked_by is None
    said = {each.step: each.detail for each in examination.steps}
    assert "it wants RSI below 30, and has 34.5" in said["adaptive_ob"]


def test_a_symbol_outside_the_universe_is_told_why_it_is_out(ledger: SqlLedger) -> None:
    step, detail = blocked_by(ledger, ETH)
    assert (step, "blocked: on the list" in detail) == ("universe", True)


def test_a_symbol_that_nobody_asked_for_is_told_that(ledger: SqlLedger) -> None:
    assert "nobody asked for it" in blocked_by(ledger, "DOGE/USDT:USDT")[1]


def test_a_symbol_without_any_decision_is_told_that(ledger: SqlLedger) -> None:
    assert blocked_by(ledger)[0] == "decision"


def test_a_kill_switch_of_the_symbol_is_named_with_its_reason(ledger: SqlLedger) -> None:
    ended(ledger, EndReason.NO_SIGNAL)
    with ledger.begin() as unit:
        unit.switches.set(
            KillSwitch(scope=KillScope.SYMBOL, name=ETH, reason="other", set_by="me", set_at=NOW)
        )
        unit.switches.set(
            KillSwitch(scope=KillScope.SYMBOL, name=BTC, reason="news", set_by="me", set_at=NOW)
        )
    assert blocked_by(ledger) == ("switches", "the symbol kill switch is on: news")


def test_a_halted_account_is_named_with_its_reason(ledger: SqlLedger) -> None:
    with ledger.begin() as unit:
        unit.switches.set_trading_state(ACCOUNT, TradingState.HALTED, by="me", reason="holiday", at=NOW)
    assert blocked_by(ledger) == ("switches", "trading is HALTED: holiday")


def test_an_order_of_unknown_fate_is_named(ledger: SqlLedger) -> None:
    """Nothing new is sent on its symbol until it is known."""
    order = ordered(ledger, state=OrderState.UNKNOWN)
    step, detail = blocked_by(ledger)
    assert (step, order.client_order_id in detail) == ("orders", True)


def test_a_blocked_decision_shows_every_check_that_denied_with_value_and_limit(ledger: SqlLedger) -> None:
    """D5: what must change so that it trades."""
    decision = ended(ledger, CheckCode.MAX_VALUE, detail="MAX_VALUE: 2500 of 2000")
    with ledger.begin() as unit:
        unit.verdicts.add_checks(decision.decision_id, Leg.ENTRY, checks())
    steps = {each.step: each for each in examined(ledger).steps}
    assert blocked_by(ledger)[0] == "decision"
    denied = [check for check in checks() if not check.ok]
    for check in denied:
        assert steps[check.code.value].status is Status.FINDING
        assert f"saw {check.value}, allows {check.limit}" in steps[check.code.value].detail


def test_an_unchanged_pass_leads_to_the_decision_that_judged(ledger: SqlLedger) -> None:
    """ "Unchanged" explains nothing; what was said of these bars does."""
    judged = ended(ledger, EndReason.NO_SIGNAL)
    again = open_one(ledger, BTC, NOW + 30 * SECOND)
    with ledger.begin() as unit:
        record = a_stage(again.decision_id, Stage.FETCH, output={"judged_by": judged.decision_id})
        unit.stages.add(record)
        unit.decisions.end(again.decision_id, EndReason.UNCHANGED, "no new bars", NOW + 31 * SECOND)
    examination = examined(ledger)
    said = {each.step: each.detail for each in examination.steps}
    assert again.decision_id in said["newest decision"]
    assert judged.decision_id in said["decision"]
    assert "RSI below" in said["adaptive_ob"]
    assert examination.as_record()["blocked_by"] is None
