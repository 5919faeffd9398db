"""Records to put into a ledger, and ledgers that have some."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from pipeline.domain.decisions import Decision, Mode, Origin, Stage, StageRecord, StageResult
from pipeline.domain.ids import DecisionId, client_order_id, decision_id, permit_id, position_id, task_id
from pipeline.domain.intents import Leg, OrderType, TimeInForce
from pipeline.domain.orders import Fill, Order, OrderReport, OrderState
from pipeline.domain.permits import OrderTerms, Permit
from pipeline.domain.positions import Position
from pipeline.domain.signals import Side
from pipeline.ledger.sql import SqlLedger

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ACCOUNT = "paper:main"
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def a_decision(symbol: str = BTC, slot: datetime = NOW, **changes: Any) -> Decision:
    decision = Decision(
        decision_id=decision_id(symbol, slot),
        symbol=symbol,
        slot=slot,
        origin=Origin.BEAT,
        account=ACCOUNT,
        mode=Mode.PAPER,
        config_hash="c0ffee",
        enqueued_at=slot,
        expires_at=slot + 30 * SECOND,
        deadline_at=slot + 60 * SECOND,
        universe_version="u1",
    )
    return replace(decision, **changes)


def a_stage(of: DecisionId, stage: Stage = Stage.FETCH, **changes: Any) -> StageRecord:
    record = StageRecord(
        decision_id=of,
        stage=stage,
        task_id=task_id(of, stage),
        host="alpha",
        worker="market@alpha",
        pid=4711,
        attempt=1,
        queue_wait_ms=1.5,
        started_at=NOW,
        run_ms=2.25,
        result=StageResult.PASSED,
        output={"ranges": [{"timeframe": "30m", "count": 200, "problem": ""}], "qty": "0.10"},
    )
    return replace(record, **changes)


def a_permit(of: Decision, leg: Leg = Leg.ENTRY, **changes: Any) -> Permit:
    terms = OrderTerms(
        account=of.account,
        mode=of.mode,
        decision_id=of.decision_id,
        leg=leg,
        symbol=of.symbol,
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=TimeInForce.IOC,
        qty=Decimal("0.25"),
        limit_price=Decimal("101.5"),
        reduce_only=False,
    )
    permit = Permit(
        permit_id=permit_id(of.decision_id, leg),
        terms=terms,
        terms_hash=terms.hash(),
        reserved=terms.notional,
        limits={"max_order_notional_usdt": "2000"},
        issued_at=NOW,
        expires_at=NOW + 10 * SECOND,
        signature="5161",
    )
    return replace(permit, **changes)


def an_order(of: Permit, attempt: int = 1, **changes: Any) -> Order:
    terms = of.terms
    order = Order(
        client_order_id=client_order_id(terms.account, terms.decision_id, terms.leg, attempt),
        decision_id=terms.decision_id,
        leg=terms.leg,
        attempt=attempt,
        account=terms.account,
        mode=terms.mode,
        permit_id=of.permit_id,
        symbol=terms.symbol,
        side=terms.side,
        type=terms.type,
        tif=terms.tif,
        qty=terms.qty,
        limit_price=terms.limit_price,
        reduce_only=terms.reduce_only,
        decision_price=Decimal("101"),
        created_at=NOW,
    )
    return replace(order, **changes)


def a_report(of: Order, state: OrderState, filled: str = "0", price: str | None = None) -> OrderReport:
    return OrderReport(
        client_order_id=of.client_order_id,
        exchange_order_id="8000001",
        state=state,
        filled_qty=Decimal(filled),
        avg_price=None if price is None else Decimal(price),
    )


def a_fill(of: Order, trade_id: str = "t1", **changes: Any) -> Fill:
    fill = Fill(
        exchange="binanceusdm",
        symbol=of.symbol,
        trade_id=trade_id,
        client_order_id=of.client_order_id,
        decision_id=of.decision_id,
        account=of.account,
        side=of.side,
        qty=Decimal("0.1"),
        price=Decimal("101.25"),
        fee=Decimal("0.00405"),
        fee_asset="USDT",
        slippage_bps=Decimal("24.75247524752475247524752475"),
        occurred_at=NOW,
        recorded_at=NOW + SECOND,
    )
    return replace(fill, **changes)


def a_position(of: Decision, **changes: Any) -> Position:
    position = Position(
        position_id=position_id(of.account, of.symbol, of.decision_id),
        account=of.account,
        mode=of.mode,
        symbol=of.symbol,
        side=Side.BUY,
        qty=Decimal("0.25"),
        entry_price=Decimal("101.25"),
        realised_pnl=Decimal(0),
        fees=Decimal("0.01"),
        opened_by=of.decision_id,
        opened_at=NOW,
    )
    return replace(position, **changes)


def closed(position: Position, by: Decision, at: datetime = NOW + SECOND) -> Position:
    return replace(position, qty=Decimal(0), closed_by=by.decision_id, closed_at=at)


def open_one(ledger: SqlLedger, symbol: str = BTC, slot: datetime = NOW, **changes: Any) -> Decision:
    """A decision that is in the ledger, open."""
    decision = a_decision(symbol, slot, **changes)
    with ledger.begin() as unit:
        assert unit.decisions.open(decision) is None
    return decision


def permitted(ledger: SqlLedger, symbol: str = BTC, slot: datetime = NOW) -> Permit:
    """A permit that is in the ledger, with its open decision."""
    permit = a_permit(open_one(ledger, symbol, slot))
    with ledger.begin() as unit:
        assert unit.permits.add(permit)
    return permit


def ordered(
    ledger: SqlLedger, symbol: str = BTC, slot: datetime = NOW, state: OrderState = OrderState.INTENT
) -> Order:
    """An order that is in the ledger in that state, with its permit and open decision."""
    sent_at = None if state is OrderState.INTENT else NOW
    order = an_order(permitted(ledger, symbol, slot), state=state, sent_at=sent_at, created_at=slot)
    with ledger.begin() as unit:
        assert unit.orders.add(order)
    return order
