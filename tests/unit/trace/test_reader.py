"""One id gives the whole story, from a real ledger in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from pipeline.domain import ids
from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.decisions import Decision, Mode, Origin, Stage, StageRecord, StageResult
from pipeline.domain.intents import Leg, OrderType, TimeInForce
from pipeline.domain.orders import Fill, Order, OrderReport, OrderState
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import OrderTerms, Permit
from pipeline.domain.ports import Unit
from pipeline.domain.positions import book
from pipeline.domain.signals import NearestMiss, Side, Signal, StrategyVerdict, VerdictKind
from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.sql import SqlLedger
from pipeline.trace.reader import read_trace, trace_record
from pipeline.trace.records import decision_record, number, order_record, position_record

AT = datetime(2026, 1, 2, 3, 4, 0, 250_000, UTC)
SYMBOL = "BTC/USDT:USDT"
ACCOUNT = "paper-main"
DECISION = ids.decision_id(SYMBOL, AT)
ORDER = ids.client_order_id(ACCOUNT, DECISION, Leg.ENTRY, 1)
QTY, PRICE = Decimal("0.00001"), Decimal("65000.1")


def later(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def a_decision() -> Decision:
    return Decision(
        decision_id=DECISION,
        symbol=SYMBOL,
        slot=AT,
        origin=Origin.BEAT,
        account=ACCOUNT,
        mode=Mode.PAPER,
        config_hash="0123456789ab",
        enqueued_at=AT,
        expires_at=later(30),
        deadline_at=later(60),
    )


def a_stage(stage: Stage, output: dict[str, object], result: StageResult = StageResult.PASSED) -> StageRecord:
    return StageRecord(
        decision_id=DECISION,
        stage=stage,
        task_id=ids.task_id(DECISION, stage),
        host="h1",
        worker="market@h1",
        pid=7,
        attempt=1,
        queue_wait_ms=1.5,
        started_at=later(1),
        run_ms=2.25,
        result=result,
        output=output,
    )


def a_verdict() -> StrategyVerdict:
    signal = Signal(
        side=Side.BUY,
        score=Decimal("0.8"),
        entry=PRICE,
        stop_loss=Decimal(64000),
        take_profit=Decimal(67000),
        reason="oversold",
    )
    return StrategyVerdict(
        strategy="adaptive_ob", kind=VerdictKind.SIGNAL, signal=signal, chosen=True, run_ms=0.4
    )


def a_near_miss() -> StrategyVerdict:
    miss = NearestMiss("rsi_above", 61.5, 70.0)
    return StrategyVerdict(strategy="adaptive_str", kind=VerdictKind.NO_SIGNAL, nearest_miss=miss)


def a_permit() -> Permit:
    terms = OrderTerms(
        account=ACCOUNT,
        mode=Mode.PAPER,
        decision_id=DECISION,
        leg=Leg.ENTRY,
        symbol=SYMBOL,
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=TimeInForce.IOC,
        qty=QTY,
        limit_price=PRICE,
        reduce_only=False,
    )
    return Permit(
        permit_id=ids.permit_id(DECISION, Leg.ENTRY),
        terms=terms,
        terms_hash=terms.hash(),
        reserved=terms.notional,
        limits={"max_positions": "8"},
        issued_at=later(2),
        expires_at=later(12),
        signature="worth-an-order",
    )


def an_order() -> Order:
    return Order(
        client_order_id=ORDER,
        decision_id=DECISION,
        leg=Leg.ENTRY,
        attempt=1,
        account=ACCOUNT,
        mode=Mode.PAPER,
        permit_id=a_permit().permit_id,
        symbol=SYMBOL,
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=TimeInForce.IOC,
        qty=QTY,
        limit_price=PRICE,
        reduce_only=False,
        decision_price=PRICE,
        created_at=later(3),
    )


def a_fill() -> Fill:
    return Fill(
        exchange="binanceusdm",
        symbol=SYMBOL,
        trade_id="t1",
        client_order_id=ORDER,
        decision_id=DECISION,
        account=ACCOUNT,
        side=Side.BUY,
        qty=QTY,
        price=PRICE,
        fee=Decimal("0.00026"),
        fee_asset="USDT",
        slippage_bps=Decimal("1.5"),
        occurred_at=later(4),
        recorded_at=later(5),
    )


def place_order(unit: Unit) -> None:
    unit.permits.add(a_permit())
    unit.permits.use(a_permit().permit_id, later(3))
    unit.orders.add(an_order())
    sending = unit.orders.step(an_order(), OrderState.SENDING, later(3), fence="f", sent_at=later(3))
    assert sending is not None
    report = OrderReport(
        client_order_id=ORDER,
        exchange_order_id="991",
        state=OrderState.FILLED,
        filled_qty=QTY,
        avg_price=PRICE,
    )
    unit.orders.step(sending, OrderState.FILLED, later(4), report=report)
    unit.fills.add(a_fill())
    (position,) = book(None, a_fill(), Mode.PAPER)
    unit.positions.save(position)


def write_story(unit: Unit) -> None:
    unit.decisions.open(a_decision())
    unit.stages.add(a_stage(Stage.FETCH, {"ranges": [{"timeframe": "30m", "count": 200}]}))
    unit.stages.add(a_stage(Stage.EVALUATE, {"intent": {"side": "buy"}}))
    unit.stages.add(a_stage(Stage.VALIDATE, {"permit_id": a_permit().permit_id}))
    unit.stages.add(a_stage(Stage.EXECUTE, {"state": "FILLED"}, StageResult.ENDED))
    unit.verdicts.add(DECISION, [a_verdict(), a_near_miss()])
    unit.verdicts.add_checks(DECISION, Leg.ENTRY, [CheckVerdict(CheckCode.MAX_POSITIONS, True, "2", "8")])  # noqa: FBT003
    place_order(unit)
    unit.decisions.end(DECISION, EndReason.FILLED, "filled", later(5.5))


@pytest.fixture(scope="module")
def ledger() -> Iterator[SqlLedger]:
    ledger = memory_ledger()
    with ledger.begin() as unit:
        write_story(unit)
    yield ledger
    ledger.close()


def story(ledger: SqlLedger, text: str = DECISION) -> dict[str, Any]:
    with ledger.read() as unit:
        trace = read_trace(unit, text)
    assert trace is not None
    record: dict[str, Any] = json.loads(json.dumps(trace_record(trace)))
    return record


def test_the_decision_stands_at_the_top(ledger: SqlLedger) -> None:
    """What, when, how it ended and why: the first screenful."""
    record = story(ledger)

    assert {name: record[name] for name in ("decision_id", "symbol", "slot", "mode", "origin")} == {
        "decision_id": DECISION,
        "symbol": SYMBOL,
        "slot": "2026-01-02T03:04:00.250Z",
        "mode": "paper",
        "origin": "beat",
    }
    assert (record["outcome"], record["reason"], record["detail"]) == ("executed", "FILLED", "filled")
    assert (record["enqueued_at"], record["ended_at"]) == (
        "2026-01-02T03:04:00.250Z",
        "2026-01-02T03:04:05.750Z",
    )
    assert record["total_ms"] == 5500


def test_each_stage_says_where_it_ran_and_what_it_read(ledger: SqlLedger) -> None:
    """A stage reads what the one before it stored."""
    stages = story(ledger)["stages"]

    assert [stage["stage"] for stage in stages] == ["fetch", "evaluate", "validate", "execute"]
    evaluate = stages[1]
    assert evaluate["inputs"] == {"ranges": [{"timeframe": "30m", "count": 200}]}
    assert evaluate["output"] == {"intent": {"side": "buy"}}
    told = ("task_id", "host", "worker", "attempt", "queue_wait_ms", "run_ms", "result")
    assert [evaluate[name] for name in told] == [
        f"{DECISION}.evaluate",
        "h1",
        "market@h1",
        1,
        1.5,
        2.25,
        "passed",
    ]


def test_verdicts_have_the_signal_or_the_nearest_miss(ledger: SqlLedger) -> None:
    """Why it traded, and why the other strategy did not."""
    signalled, missed = sorted(story(ledger)["verdicts"], key=lambda verdict: verdict["strategy"])

    assert (signalled["signal"]["entry"], signalled["chosen"]) == ("65000.1", True)
    assert missed["nearest_miss"] == {"condition": "rsi_above", "value": 61.5, "threshold": 70.0}


def test_checks_have_value_and_limit(ledger: SqlLedger) -> None:
    """How close it was."""
    (check,) = story(ledger)["checks"]

    assert (check["code"], check["ok"], check["value"], check["limit"]) == ("MAX_POSITIONS", True, "2", "8")


def test_the_permit_is_shown_without_its_signature(ledger: SqlLedger) -> None:
    """A trace is sent around; a signature places orders."""
    record = story(ledger)

    assert record["permit"]["state"] == "used"
    assert record["permit"]["limits"] == {"max_positions": "8"}
    assert "worth-an-order" not in json.dumps(record)


def test_orders_come_with_their_life(ledger: SqlLedger) -> None:
    """Each step with its time."""
    (order,) = story(ledger)["orders"]

    assert (order["client_order_id"], order["exchange_order_id"], order["state"]) == (ORDER, "991", "FILLED")
    assert (order["qty"], order["price"], order["filled_qty"]) == ("0.00001", "65000.1", "0.00001")
    assert (order["leg"], order["attempt"], order["side"], order["type"]) == ("entry", 1, "buy", "limit")
    steps = [(step["from"], step["to"]) for step in order["steps"]]
    assert ("INTENT", "SENDING") in steps
    assert steps[-1] == ("SENDING", "FILLED")
    assert all(step["at"].endswith("Z") for step in order["steps"])


def test_fills_and_position_end_the_story(ledger: SqlLedger) -> None:
    """What was paid, and what is held now."""
    record = story(ledger)

    (fill,) = record["fills"]
    assert (fill["price"], fill["fee"], fill["slippage_bps"]) == ("65000.1", "0.00026", "1.5")
    assert record["position"]["opened_by"] == DECISION
    assert (record["position"]["side"], record["position"]["qty"]) == ("long", "0.00001")


@pytest.mark.parametrize(
    "text",
    [
        DECISION[:-3],
        f"{DECISION}.validate",
        ORDER,
        "991",
        ids.permit_id(DECISION, Leg.ENTRY),
        ids.position_id(ACCOUNT, SYMBOL, DECISION),
    ],
)
def test_any_id_of_the_story_finds_it(text: str, ledger: SqlLedger) -> None:
    """People paste what they have: from Flower, from the exchange, from a log."""
    assert story(ledger, text)["decision_id"] == DECISION


def test_an_unknown_id_has_no_story(ledger: SqlLedger) -> None:
    """The command says so; it is no error."""
    with ledger.read() as unit:
        assert read_trace(unit, "dec_20200101_000000_000000000000") is None


def test_an_open_decision_has_a_story_as_well() -> None:
    """`enqueue --wait` shows it as it grows."""
    ledger = memory_ledger()
    with ledger.begin() as unit:
        unit.decisions.open(a_decision())

    record = story(ledger)
    ledger.close()

    assert (record["outcome"], record["ended_at"], record["permit"], record["position"]) == (
        None,
        None,
        None,
        None,
    )
    assert record["stages"] == []


def test_lists_have_plain_records() -> None:
    """`decisions`, `orders` and `positions` print the same fields as a trace."""
    (position,) = book(None, a_fill(), Mode.PAPER)

    assert decision_record(a_decision())["outcome"] is None
    assert order_record(an_order())["exchange_order_id"] is None
    assert "steps" not in order_record(an_order())
    assert position_record(position)["is_open"] is True


@pytest.mark.parametrize(("value", "text"), [("1E-8", "0.00000001"), ("2E+3", "2000"), ("0.10", "0.10")])
def test_numbers_are_written_plainly(value: str, text: str) -> None:
    """`1E-8` is a number to few spreadsheets and to no human."""
    assert number(Decimal(value)) == text
