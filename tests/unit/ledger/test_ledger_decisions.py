"""Decisions are opened once, ended once, and found again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import Decision, Mode
from pipeline.domain.errors import InvariantBroken
from pipeline.domain.outcomes import EndReason, Outcome
from pipeline.ledger.sql import SqlLedger
from tests.unit.ledger.ledger_worlds import ACCOUNT, BTC, ETH, NOW, SECOND, a_decision, open_one


def test_what_is_opened_is_read_back_equal(ledger: SqlLedger) -> None:
    """Every field counts: the trace and the sweeper read them."""
    decision = open_one(ledger, dry_run=True, detail="von Hand, mit Ümlaut")
    with ledger.read() as unit:
        assert unit.decisions.get(decision.decision_id) == decision


def test_opening_the_same_decision_again_finds_the_first(ledger: SqlLedger) -> None:
    """Two beats name the same decision; only one of them may run it."""
    first = open_one(ledger)
    with ledger.begin() as unit:
        assert unit.decisions.open(replace(first, config_hash="other")) == first


def test_a_decision_that_has_ended_still_stands_in_the_way_of_its_repetition(ledger: SqlLedger) -> None:
    """A late second beat must not run the slot again."""
    decision = open_one(ledger)
    with ledger.begin() as unit:
        unit.decisions.end(decision.decision_id, EndReason.NO_SIGNAL, "", NOW)
        found = unit.decisions.open(decision)
    assert found is not None
    assert found.outcome is Outcome.NO_SIGNAL


def test_a_symbol_has_one_open_decision_at_a_time(ledger: SqlLedger) -> None:
    """Two chains over one symbol would trade it twice."""
    first = open_one(ledger)
    with ledger.begin() as unit:
        assert unit.decisions.open(a_decision(BTC, NOW + 30 * SECOND)) == first
        assert unit.decisions.open(a_decision(ETH)) is None
        assert unit.decisions.open(a_decision(slot=NOW + SECOND, account="paper:other")) is None


def test_the_next_slot_opens_after_the_end_of_the_one_before(ledger: SqlLedger) -> None:
    """The way is free again as soon as the outcome is set."""
    first = open_one(ledger)
    with ledger.begin() as unit:
        unit.decisions.end(first.decision_id, EndReason.NO_SIGNAL, "", NOW)
        assert unit.decisions.open(a_decision(slot=NOW + 30 * SECOND)) is None


def test_the_outcome_is_set_once(ledger: SqlLedger) -> None:
    """A decision ends exactly once, whoever else comes to end it."""
    decision = open_one(ledger)
    with ledger.begin() as unit:
        assert unit.decisions.end(decision.decision_id, CheckCode.EQUITY_STALE, "2185 s old", NOW + SECOND)
        assert not unit.decisions.end(decision.decision_id, EndReason.FILLED, "", NOW + 2 * SECOND)
        assert unit.decisions.get(decision.decision_id) == replace(
            decision,
            outcome=Outcome.BLOCKED,
            reason=CheckCode.EQUITY_STALE,
            detail="2185 s old",
            ended_at=NOW + SECOND,
        )


def test_ending_an_unknown_decision_changes_nothing(ledger: SqlLedger) -> None:
    """The caller learns it from the answer."""
    with ledger.begin() as unit:
        assert not unit.decisions.end(a_decision().decision_id, EndReason.NO_SIGNAL, "", NOW)


def test_a_skipped_slot_is_recorded_as_ended_beside_the_open_one(ledger: SqlLedger) -> None:
    """An overlap is a decision too: nothing is silent."""
    open_one(ledger)
    skipped = _ended(a_decision(slot=NOW + 30 * SECOND), EndReason.OVERLAP, Outcome.SKIPPED)
    with ledger.begin() as unit:
        assert unit.decisions.add_ended(skipped)
        assert not unit.decisions.add_ended(skipped)
        assert unit.decisions.get(skipped.decision_id) == skipped


def _ended(decision: Decision, reason: EndReason, outcome: Outcome) -> Decision:
    return replace(decision, reason=reason, outcome=outcome, ended_at=decision.enqueued_at + SECOND)


def test_open_and_ended_cannot_be_confused(ledger: SqlLedger) -> None:
    """An ended one that is opened would block its symbol; an open one added as ended would never end."""
    ended = _ended(a_decision(), EndReason.OVERLAP, Outcome.SKIPPED)
    with ledger.begin() as unit:
        with pytest.raises(InvariantBroken):
            unit.decisions.open(ended)
        with pytest.raises(InvariantBroken):
            unit.decisions.add_ended(a_decision())


@pytest.mark.parametrize(
    "half_ended",
    [
        {"ended_at": NOW},
        {"ended_at": NOW, "outcome": Outcome.FAILED},
        {"ended_at": NOW, "reason": EndReason.DEADLINE},
    ],
)
def test_an_end_without_outcome_and_reason_is_refused(ledger: SqlLedger, half_ended: dict[str, Any]) -> None:
    """The table itself guards it, whoever writes."""
    with pytest.raises(InvariantBroken), ledger.begin() as unit:
        unit.decisions.add_ended(a_decision(**half_ended))


def test_lock_finds_what_get_finds(ledger: SqlLedger) -> None:
    """A stage locks its decision before it works on it."""
    decision = open_one(ledger)
    with ledger.begin() as unit:
        assert unit.decisions.lock(decision.decision_id) == decision
        assert unit.decisions.lock(a_decision(ETH).decision_id) is None


def test_the_newest_open_decisions_can_be_asked_for(ledger: SqlLedger) -> None:
    """An operator looks for what has not ended before anything else."""
    waiting, done = open_one(ledger), open_one(ledger, ETH)
    with ledger.begin() as unit:
        unit.decisions.end(done.decision_id, EndReason.NO_SIGNAL, "", done.enqueued_at)
    with ledger.read() as unit:
        assert [each.decision_id for each in unit.decisions.latest(outcome="open")] == [waiting.decision_id]
        assert [each.decision_id for each in unit.decisions.latest(outcome="no_signal")] == [done.decision_id]


def test_the_sweeper_sees_old_open_decisions_oldest_first(ledger: SqlLedger) -> None:
    """What is young is still on its way; what has ended needs nothing."""
    late = open_one(ledger, "LATE", NOW + 20 * SECOND)
    early = open_one(ledger, "EARLY", NOW + 10 * SECOND)
    open_one(ledger, "YOUNG", NOW + 90 * SECOND)
    ended = open_one(ledger, "ENDED", NOW)
    with ledger.begin() as unit:
        unit.decisions.end(ended.decision_id, EndReason.NO_SIGNAL, "", NOW)
        assert list(unit.decisions.still_open(ACCOUNT, NOW + 60 * SECOND, 10)) == [early, late]
        assert list(unit.decisions.still_open(ACCOUNT, NOW + 60 * SECOND, 1)) == [early]


def test_what_is_open_is_told_of_one_account_or_of_all(ledger: SqlLedger) -> None:
    """Who ends or resumes decisions names its account; as many of another's must not fill its page."""
    others = [open_one(ledger, f"S{number}", NOW, account="testnet:main") for number in range(3)]
    ours = open_one(ledger, BTC, NOW + SECOND)
    with ledger.read() as unit:
        assert list(unit.decisions.still_open(ACCOUNT, NOW + 60 * SECOND, 2)) == [ours]
        found = list(unit.decisions.still_open(None, NOW + 60 * SECOND, 10))
        assert {each.decision_id for each in found} == {each.decision_id for each in (ours, *others)}
        assert list(unit.decisions.latest(account=ACCOUNT)) == [ours]


def test_the_latest_decisions_are_filtered_and_newest_first(ledger: SqlLedger) -> None:
    """What `throughline decisions` lists."""
    old = open_one(ledger, BTC, NOW)
    with ledger.begin() as unit:
        unit.decisions.end(old.decision_id, CheckCode.HALTED, "", NOW)
    new = open_one(ledger, BTC, NOW + SECOND)
    eth = open_one(ledger, ETH, NOW + 2 * SECOND, mode=Mode.TESTNET, account="testnet:main")
    with ledger.read() as unit:
        old_now = unit.decisions.get(old.decision_id)
        latest = unit.decisions.latest
        assert list(latest()) == [eth, new, old_now]
        assert list(latest(limit=2)) == [eth, new]
        assert list(latest(symbol=BTC)) == [new, old_now]
        assert list(latest(mode="testnet")) == [eth]
        assert list(latest(outcome="blocked", reason="HALTED")) == [old_now]
        assert list(latest(since=NOW + SECOND)) == [eth, new]
        assert list(latest(outcome="no such outcome")) == []


def test_counts_are_by_outcome_with_open_ones_apart(ledger: SqlLedger) -> None:
    """Received = ended + open: the sum is every decision there is."""
    ended = open_one(ledger, BTC)
    open_one(ledger, ETH, NOW + SECOND)
    with ledger.begin() as unit:
        unit.decisions.end(ended.decision_id, EndReason.NO_SIGNAL, "", NOW)
        assert unit.decisions.counts() == {"no_signal": 1, "open": 1}
        assert unit.decisions.counts(since=NOW + SECOND) == {"open": 1}


def test_accounts_are_kept_as_they_are(ledger: SqlLedger) -> None:
    """The account is part of what keeps paper and live apart."""
    decision = open_one(ledger)
    with ledger.read() as unit:
        found = unit.decisions.get(decision.decision_id)
    assert found is not None
    assert (found.account, found.mode) == (ACCOUNT, Mode.PAPER)
