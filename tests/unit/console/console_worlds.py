"""A decision from candle to fill, written to a real ledger in memory: what the drawings are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pipeline.domain import ids
from pipeline.domain.checks import NOT_APPLICABLE, CheckCode, CheckVerdict
from pipeline.domain.decisions import Decision, Mode, Origin, Stage, StageRecord, StageResult
from pipeline.domain.intents import Leg, OrderType, TimeInForce
from pipeline.domain.orders import Fill, Order, OrderReport, OrderState
from pipeline.domain.outcomes import EndReason, Reason
from pipeline.domain.permits import OrderTerms, Permit
from pipeline.domain.ports import Ledger, Unit
from pipeline.domain.positions import Equity, book
from pipeline.domain.signals import NearestMiss, Regime, Side, Signal, StrategyVerdict, VerdictKind
from pipeline.domain.timeframes import CandleRange

AT = datetime(2026, 1, 2, 3, 4, 0, 250_000, UTC)
ACCOUNT = "paper-main"
SYMBOL = "BTC/USDT:USDT"
QTY, LIMIT, PRICE = Decimal("0.012"), Decimal("65100.5"), Decimal("65000.1")
TERMS_PER_STAGE_MS = 20.0


def later(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def a_decision(symbol: str = SYMBOL, after_s: float = 0.0) -> Decision:
    at = later(after_s)
    return Decision(
        decision_id=ids.decision_id(symbol, at),
        symbol=symbol,
        slot=at.replace(microsecond=0),
        origin=Origin.BEAT,
        account=ACCOUNT,
        mode=Mode.PAPER,
        config_hash="0123456789ab",
        enqueued_at=at,
        expires_at=at + timedelta(seconds=30),
        deadline_at=at + timedelta(seconds=60),
    )


def a_stage(
    decision: Decision, stage: Stage, result: StageResult, output: Mapping[str, object] | None = None
) -> StageRecord:
    place = list(Stage).index(stage)
    role = "market" if place < 2 else "orders"
    return StageRecord(
        decision_id=decision.decision_id,
        stage=stage,
        task_id=ids.task_id(decision.decision_id, stage),
        host="h1",
        worker=f"{role}@h1",
        pid=100 + place,
        attempt=1,
        queue_wait_ms=2.5,
        started_at=decision.enqueued_at + timedelta(milliseconds=place * TERMS_PER_STAGE_MS + 2.5),
        run_ms=10.0,
        result=result,
        output=output or {},
    )


def ranges() -> dict[str, object]:
    whole = CandleRange("30m", later(-9000), later(-1800), 200, "rest")
    missing = CandleRange("4h", None, None, 0, "rest", "the exchange has only 3 bars")
    return {"ranges": [whole.as_record(), missing.as_record()]}


def enqueue(ledger: Ledger, decision: Decision) -> Decision:
    with ledger.begin() as unit:
        unit.decisions.open(decision)
    return decision


def end(ledger: Ledger, decision: Decision, reason: Reason, after_s: float, *stages: Stage) -> None:
    """The decision ran through these stages and ended in the last of them."""
    with ledger.begin() as unit:
        for stage in stages:
            result = StageResult.ENDED if stage is stages[-1] else StageResult.PASSED
            output = ranges() if stage is Stage.FETCH else None
            unit.stages.add(a_stage(decision, stage, result, output))
        at = decision.enqueued_at + timedelta(seconds=after_s)
        unit.decisions.end(decision.decision_id, reason, f"ended for {reason}", at)


def execute(ledger: Ledger, decision: Decision) -> str:
    """The decision ran through all stages and bought; returns its client order id."""
    enqueue(ledger, decision)
    end(ledger, decision, EndReason.FILLED, 0.2, *Stage)
    with ledger.begin() as unit:
        unit.verdicts.add(decision.decision_id, verdicts())
        unit.verdicts.add_checks(decision.decision_id, Leg.ENTRY, checks())
        permit = a_permit(decision)
        unit.permits.add(permit)
        unit.permits.use(permit.permit_id, later(0.1))
        order = _placed(unit, decision, permit)
        fill = a_fill(order)
        unit.fills.add(fill)
        for position in book(None, fill, Mode.PAPER):
            unit.positions.save(position)
        unit.equity.add(an_equity())
    return order.client_order_id


def verdicts() -> list[StrategyVerdict]:
    signal = Signal.from_floats(
        Side.BUY,
        score=0.71,
        entry=65000.1,
        stop_loss=64000.0,
        take_profit=67000.0,
        reason="oversold [bounce]",
    )
    return [
        StrategyVerdict(strategy="adaptive_ob", kind=VerdictKind.SIGNAL, signal=signal, chosen=True),
        StrategyVerdict(
            strategy="adaptive_str",
            kind=VerdictKind.NO_SIGNAL,
            regime=Regime.RANGING,
            nearest_miss=NearestMiss("rsi", 41.25, 28.5),
        ),
        StrategyVerdict(strategy="broken", kind=VerdictKind.FAILED, error="Traceback …\nValueError: no bars"),
    ]


def checks() -> list[CheckVerdict]:
    return [
        CheckVerdict(CheckCode.EQUITY_STALE, True, "age 1.2 s", "60 s"),  # noqa: FBT003  the verdict's own field
        CheckVerdict(CheckCode.RATE, True, "reduces", NOT_APPLICABLE),  # noqa: FBT003  the same
        CheckVerdict(CheckCode.MAX_VALUE, False, "2100 USDT", "2000 USDT"),  # noqa: FBT003  the same
    ]


def a_permit(decision: Decision) -> Permit:
    terms = OrderTerms(
        account=ACCOUNT,
        mode=Mode.PAPER,
        decision_id=decision.decision_id,
        leg=Leg.ENTRY,
        symbol=decision.symbol,
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=TimeInForce.IOC,
        qty=QTY,
        limit_price=LIMIT,
        reduce_only=False,
    )
    return Permit(
        permit_id=ids.permit_id(decision.decision_id, Leg.ENTRY),
        terms=terms,
        terms_hash=terms.hash(),
        reserved=terms.notional,
        limits={"max_value": "2000"},
        issued_at=later(0.05),
        expires_at=later(10.05),
        signature="s" * 64,
    )


def _placed(unit: Unit, decision: Decision, permit: Permit) -> Order:
    client_order_id = ids.client_order_id(ACCOUNT, decision.decision_id, Leg.ENTRY, 1)
    order = Order(
        client_order_id=client_order_id,
        decision_id=decision.decision_id,
        leg=Leg.ENTRY,
        attempt=1,
        account=ACCOUNT,
        mode=Mode.PAPER,
        permit_id=permit.permit_id,
        symbol=decision.symbol,
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=TimeInForce.IOC,
        qty=QTY,
        limit_price=LIMIT,
        reduce_only=False,
        decision_price=PRICE,
        created_at=later(0.08),
    )
    unit.orders.add(order)
    sending = unit.orders.step(order, OrderState.SENDING, later(0.1), fence="f", sent_at=later(0.1))
    assert sending is not None
    report = OrderReport(
        client_order_id=client_order_id,
        exchange_order_id="8000000001",
        state=OrderState.FILLED,
        filled_qty=QTY,
        avg_price=PRICE,
    )
    filled = unit.orders.step(sending, OrderState.FILLED, later(0.15), report=report)
    assert filled is not None
    return filled


def a_fill(order: Order) -> Fill:
    return Fill(
        exchange="binanceusdm",
        symbol=order.symbol,
        trade_id="500000001",
        client_order_id=order.client_order_id,
        decision_id=order.decision_id,
        account=ACCOUNT,
        side=Side.BUY,
        qty=QTY,
        price=PRICE,
        fee=Decimal("0.312"),
        fee_asset="USDT",
        slippage_bps=Decimal("-0.63"),
        occurred_at=later(0.14),
        recorded_at=later(0.15),
    )


def an_equity() -> Equity:
    return Equity(
        account=ACCOUNT,
        mode=Mode.PAPER,
        equity=Decimal("10000.5"),
        available=Decimal(9000),
        unrealised_pnl=Decimal(0),
        occurred_at=AT,
        recorded_at=AT,
    )
