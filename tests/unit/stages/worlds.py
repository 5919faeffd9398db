"""What the stage tests have in common: a ledger in memory, a clock to turn, and decisions to run."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pipeline.domain.decisions import Decision, Delivery, Mode, Origin, Stage
from pipeline.domain.ids import client_order_id, permit_id, task_id
from pipeline.domain.intents import Leg, OrderType, TimeInForce
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.permits import OrderTerms, Permit, PermitState
from pipeline.domain.signals import Side
from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.sql import SqlLedger
from pipeline.stages.opening import Opened, Opener, OpeningTerms, PassRequest
from pipeline.testing import FixedClock
from pipeline.trace.events import RecordedEvents

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BTC = "BTC/USDT:USDT"
ACCOUNT, OTHER = "paper-main", "paper-other"


def terms(cadence_s: float = 30, deadline_s: float = 60) -> OpeningTerms:
    return OpeningTerms(
        account=ACCOUNT,
        mode=Mode.PAPER,
        config_hash="0123456789ab",
        cadence=timedelta(seconds=cadence_s),
        deadline=timedelta(seconds=deadline_s),
    )


@dataclass
class StageWorld:
    """A ledger, a clock and recorded events, with the few verbs that the tests speak. Decisions are `account`'s."""

    ledger: SqlLedger = field(default_factory=memory_ledger)
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOON))
    events: RecordedEvents = field(default_factory=RecordedEvents)
    account: str = ACCOUNT

    def open(
        self, symbol: str = BTC, slot: datetime = NOON, *, nonce: str = "", dry_run: bool = False
    ) -> Opened:
        request = PassRequest(symbol=symbol, slot=slot, origin=Origin.BEAT, nonce=nonce, dry_run=dry_run)
        return self.opener.open(request, "u1")

    @property
    def opener(self) -> Opener:
        return Opener(replace(terms(), account=self.account), self.ledger, self.clock, self.events)

    def decision(self, opened: Opened) -> Decision:
        with self.ledger.read() as unit:
            found = unit.decisions.get(opened.decision.decision_id)
        assert found is not None
        return found

    def delivery(self, decision: Decision, stage: Stage, attempt: int = 1) -> Delivery:
        return Delivery(
            task_id=task_id(decision.decision_id, stage),
            host="host-a",
            worker="market@host-a",
            pid=4711,
            attempt=attempt,
            received_at=self.clock.now(),
            published_at=self.clock.now() - timedelta(milliseconds=12),
        )


def an_order(decision: Decision, state: OrderState) -> Order:
    """An entry of a decision, in whatever state the test needs."""
    return Order(
        client_order_id=client_order_id(decision.account, decision.decision_id, Leg.ENTRY, 1),
        decision_id=decision.decision_id,
        leg=Leg.ENTRY,
        attempt=1,
        account=decision.account,
        mode=decision.mode,
        permit_id=permit_id(decision.decision_id, Leg.ENTRY),
        symbol=decision.symbol,
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=TimeInForce.IOC,
        qty=Decimal("0.01"),
        limit_price=Decimal(60000),
        reduce_only=False,
        decision_price=Decimal(59990),
        state=state,
        created_at=NOON,
    )


def a_permit(decision: Decision) -> Permit:
    """The permit of `an_order`, used."""
    order = an_order(decision, OrderState.INTENT)
    terms = OrderTerms(
        account=order.account,
        mode=order.mode,
        decision_id=order.decision_id,
        leg=order.leg,
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        tif=order.tif,
        qty=order.qty,
        limit_price=order.limit_price,
        reduce_only=order.reduce_only,
    )
    return Permit(
        permit_id=order.permit_id,
        terms=terms,
        terms_hash=terms.hash(),
        reserved=terms.notional,
        limits={},
        issued_at=NOON,
        expires_at=NOON + timedelta(seconds=10),
        signature="",
        state=PermitState.USED,
        used_at=NOON,
    )
