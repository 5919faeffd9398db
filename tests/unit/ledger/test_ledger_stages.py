"""A stage's result is stored once; deliveries beyond the first are counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.domain.decisions import Stage, StageResult
from pipeline.domain.errors import InvariantBroken
from pipeline.domain.ids import DecisionId
from pipeline.ledger.sql import SqlLedger
from tests.unit.ledger.ledger_worlds import NOW, SECOND, a_stage, open_one


def test_a_stage_is_read_back_equal(ledger: SqlLedger) -> None:
    """The next stage reads its output from here."""
    record = a_stage(open_one(ledger).decision_id)
    with ledger.begin() as unit:
        assert unit.stages.add(record)
        assert unit.stages.get(record.decision_id, Stage.FETCH) == record
        assert unit.stages.get(record.decision_id, Stage.EXECUTE) is None


def test_the_second_result_of_a_stage_is_refused_and_changes_nothing(ledger: SqlLedger) -> None:
    """A message delivered twice leads to one result."""
    record = a_stage(open_one(ledger).decision_id)
    with ledger.begin() as unit:
        unit.stages.add(record)
        assert not unit.stages.add(replace(record, result=StageResult.ENDED, output={}))
        assert unit.stages.get(record.decision_id, Stage.FETCH) == record


def test_stages_come_in_the_order_of_the_chain(ledger: SqlLedger) -> None:
    """Whatever the order in which they were stored."""
    decision = open_one(ledger).decision_id
    with ledger.begin() as unit:
        for stage in reversed(Stage):
            unit.stages.add(a_stage(decision, stage, queue_wait_ms=None))
        assert [record.stage for record in unit.stages.of(decision)] == list(Stage)


def test_a_stage_of_an_unknown_decision_is_refused(ledger: SqlLedger) -> None:
    """No record without its decision."""
    with pytest.raises(InvariantBroken), ledger.begin() as unit:
        unit.stages.add(a_stage(DecisionId("dec_20260301_120000_000000000000")))


def test_a_message_delivered_once_needs_no_row(ledger: SqlLedger) -> None:
    """Counting costs nothing while all is well."""
    decision = open_one(ledger).decision_id
    with ledger.read() as unit:
        assert unit.stages.deliveries(decision, Stage.FETCH) == 1
        assert unit.stages.last_delivery_at(decision, Stage.FETCH) is None


def test_every_further_delivery_is_counted(ledger: SqlLedger) -> None:
    """A message that keeps killing its worker is recognised by this number."""
    decision = open_one(ledger).decision_id
    with ledger.begin() as unit:
        assert unit.stages.count_delivery(decision, Stage.EXECUTE, NOW) == 2
        assert unit.stages.count_delivery(decision, Stage.EXECUTE, NOW + SECOND) == 3
        assert unit.stages.deliveries(decision, Stage.EXECUTE) == 3
        assert unit.stages.deliveries(decision, Stage.FETCH) == 1
        assert unit.stages.last_delivery_at(decision, Stage.EXECUTE) == NOW + SECOND
