"""Which judgement of the same bars still stands: the answer that lets a pass end as unchanged."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import Decision, Judgement, Stage
from pipeline.domain.intents import Leg
from pipeline.domain.outcomes import EndReason, Reason
from pipeline.domain.signals import NearestMiss, StrategyVerdict, VerdictKind
from pipeline.ledger.sql import SqlLedger
from tests.unit.ledger.ledger_worlds import (
    ACCOUNT,
    BTC,
    ETH,
    NOW,
    SECOND,
    a_permit,
    a_stage,
    an_order,
    open_one,
)

BARS = "00aa11bb22cc33dd"
REST = StrategyVerdict(
    strategy="rests", kind=VerdictKind.NO_SIGNAL, nearest_miss=NearestMiss("rsi below", 41.0, 30.0)
)
FAILED = StrategyVerdict(strategy="breaks", kind=VerdictKind.FAILED, error="Traceback …")


def judged(
    ledger: SqlLedger,
    reason: Reason,
    *,
    leg: Leg | None = None,
    verdicts: tuple[StrategyVerdict, ...] = (REST,),
    output: dict[str, Any] | None = None,
    **changes: Any,
) -> Decision:
    """A decision that fetched those bars and ended so; `leg` is that of its order."""
    decision = open_one(ledger, **changes)
    with ledger.begin() as unit:
        unit.stages.add(a_stage(decision.decision_id, Stage.FETCH, output=output or {"bars": BARS}))
        unit.verdicts.add(decision.decision_id, verdicts)
        if leg is not None:
            permit = a_permit(decision, leg)
            unit.permits.add(permit)
            unit.orders.add(an_order(permit))
        unit.decisions.end(decision.decision_id, reason, "", NOW)
    return decision


def last(ledger: SqlLedger, of: Decision, **changes: Any) -> Judgement | None:
    asked = {
        "account": of.account,
        "symbol": of.symbol,
        "config_hash": of.config_hash,
        "since": NOW,
        **changes,
    }
    with ledger.read() as unit:
        return unit.decisions.last_judgement(**asked)


@pytest.mark.parametrize("reason", [EndReason.NO_SIGNAL, EndReason.SIGNALS_CANCEL])
def test_what_the_bars_alone_decided_stands(ledger: SqlLedger, reason: EndReason) -> None:
    """Strategies are pure: the same bars would say the same."""
    decision = judged(ledger, reason)
    assert last(ledger, decision) == Judgement(decision.decision_id, BARS)


@pytest.mark.parametrize("reason", [EndReason.NO_SIGNAL, EndReason.SIGNALS_CANCEL])
def test_a_judgement_in_which_a_strategy_failed_does_not_stand(ledger: SqlLedger, reason: EndReason) -> None:
    """It raised or overran its limit; next time it may have a signal."""
    assert last(ledger, judged(ledger, reason, verdicts=(REST, FAILED))) is None


@pytest.mark.parametrize("reason", [EndReason.FILLED, EndReason.PARTIALLY_FILLED])
def test_a_signal_that_opened_a_position_stands(ledger: SqlLedger, reason: EndReason) -> None:
    """The same bars must not open a second one when the first is stopped out within the bar."""
    decision = judged(ledger, reason, leg=Leg.ENTRY, verdicts=(REST, FAILED))
    assert last(ledger, decision) == Judgement(decision.decision_id, BARS)


def test_a_signal_that_only_closed_a_position_does_not_stand(ledger: SqlLedger) -> None:
    """Turning around takes a second decision, over the same bars."""
    assert last(ledger, judged(ledger, EndReason.FILLED, leg=Leg.CLOSE)) is None


@pytest.mark.parametrize(
    "reason",
    [
        CheckCode.EQUITY_STALE,
        EndReason.PERMIT_EXPIRED,
        EndReason.REJECTED_BY_EXCHANGE,
        EndReason.UNFILLED,
        EndReason.DEADLINE,
        EndReason.NOT_STARTED,
        EndReason.STAGE_RAISED,
        EndReason.TIME_LIMIT,
        EndReason.KEEPS_DYING,
        EndReason.NOT_PLACED,
        EndReason.POSITION_HELD,
        EndReason.TOO_SMALL,
        EndReason.STALE_CANDLES,
        EndReason.OVERLAP,
    ],
)
def test_whatever_may_end_otherwise_next_time_does_not_stand(ledger: SqlLedger, reason: Reason) -> None:
    """Blocked, refused, late, broken, or hanging on the account: judged again with the next pass."""
    assert last(ledger, judged(ledger, reason)) is None


def test_a_dry_run_leaves_no_judgement(ledger: SqlLedger) -> None:
    """Nothing came of it, whatever it said."""
    assert last(ledger, judged(ledger, EndReason.NO_SIGNAL, dry_run=True)) is None


def test_a_pass_that_found_them_unchanged_names_the_one_that_judged(ledger: SqlLedger) -> None:
    """However long the same bars stay the newest, the first judge is found in one step."""
    first = judged(ledger, EndReason.NO_SIGNAL)
    output = {"bars": BARS, "judged_by": first.decision_id}
    judged(ledger, EndReason.UNCHANGED, slot=NOW + 30 * SECOND, output=output)
    assert last(ledger, first) == Judgement(first.decision_id, BARS)


def test_the_newest_judgement_counts(ledger: SqlLedger) -> None:
    """Bars move on."""
    judged(ledger, EndReason.NO_SIGNAL, enqueued_at=NOW)
    later = NOW + 30 * SECOND
    newer = judged(ledger, EndReason.NO_SIGNAL, slot=later, enqueued_at=later, output={"bars": "newer"})
    assert last(ledger, newer) == Judgement(newer.decision_id, "newer")


@pytest.mark.parametrize(
    "other",
    [
        {"account": f"{ACCOUNT}-2"},
        {"symbol": ETH},
        {"config_hash": "another one"},
        {"since": NOW + 3600 * SECOND},
    ],
)
def test_another_account_symbol_configuration_or_time_finds_nothing(
    ledger: SqlLedger, other: dict[str, Any]
) -> None:
    """What was judged elsewhere, or by other rules, says nothing here."""
    assert last(ledger, judged(ledger, EndReason.NO_SIGNAL, symbol=BTC), **other) is None
