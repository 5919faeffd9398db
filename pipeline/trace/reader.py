"""The whole story of one decision, read back from the ledger by any id that belongs to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.domain.checks import CheckVerdict
from pipeline.domain.decisions import Decision, StageRecord
from pipeline.domain.ids import ClientOrderId
from pipeline.domain.orders import Fill, Order
from pipeline.domain.permits import Permit
from pipeline.domain.ports import Unit
from pipeline.domain.positions import Position
from pipeline.domain.signals import StrategyVerdict
from pipeline.trace.records import (
    Record,
    check_record,
    decision_record,
    fill_record,
    order_record,
    permit_record,
    position_record,
    stage_record,
    verdict_record,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """Everything that the ledger knows about one decision, in the order in which it happened.

    `steps` has the life of each order; `positions` are those that the decision opened or closed.
    """

    decision: Decision
    stages: tuple[StageRecord, ...]
    verdicts: tuple[StrategyVerdict, ...]
    checks: tuple[CheckVerdict, ...]
    permit: Permit | None
    orders: tuple[Order, ...]
    steps: Mapping[ClientOrderId, tuple[Mapping[str, object], ...]]
    fills: tuple[Fill, ...]
    positions: tuple[Position, ...]
    exits: tuple[Decision, ...] = ()
    exit_orders: tuple[Order, ...] = ()

    @property
    def position(self) -> Position | None:
        """The position that the decision opened, else the one that it closed."""
        own = [each for each in self.positions if each.opened_by == self.decision.decision_id]
        return next(iter([*own, *self.positions]), None)


def read_trace(unit: Unit, text: str) -> Trace | None:
    """The trace of the decision that `text` names: its id (or an unambiguous beginning of it), a task id, a
    client order id, the exchange's order id, a permit id or a position id. None when not exactly one matches.

    Raises: LedgerUnavailable.
    """
    decision_id = unit.find_decision(text)
    decision = None if decision_id is None else unit.decisions.get(decision_id)
    if decision is None:
        return None
    orders = tuple(unit.orders.of(decision.decision_id))
    opener = decision.opener or decision.decision_id
    return Trace(
        decision=decision,
        stages=tuple(unit.stages.of(decision.decision_id)),
        verdicts=tuple(unit.verdicts.of(decision.decision_id)),
        checks=tuple(unit.verdicts.checks_of(decision.decision_id)),
        permit=unit.permits.of(decision.decision_id),
        orders=orders,
        steps={each.client_order_id: tuple(unit.orders.steps_of(each.client_order_id)) for each in orders},
        fills=tuple(unit.fills.of(decision.decision_id)),
        positions=tuple(unit.positions.touched_by(opener)),
        exits=tuple(unit.decisions.exits_of(opener)),
        exit_orders=tuple(unit.orders.of_exits(opener)),
    )


def trace_record(trace: Trace) -> Record:
    """The trace as `throughline trace ID --json` prints it."""
    return {
        **decision_record(trace.decision),
        "stages": list(_stages(trace)),
        "verdicts": [verdict_record(each) for each in trace.verdicts],
        "checks": [check_record(each) for each in trace.checks],
        "permit": None if trace.permit is None else permit_record(trace.permit),
        "orders": [order_record(each, trace.steps.get(each.client_order_id, ())) for each in trace.orders],
        "fills": [fill_record(each) for each in trace.fills],
        "position": None if trace.position is None else position_record(trace.position, trace.exit_orders),
        "positions": [position_record(each, trace.exit_orders) for each in trace.positions],
        "exits": [decision_record(each) for each in trace.exits],
    }


def _stages(trace: Trace) -> Iterator[Record]:
    """Each stage reads what the one before it stored."""
    inputs: Mapping[str, object] = {}
    for stage in trace.stages:
        yield stage_record(stage, inputs)
        inputs = stage.output
