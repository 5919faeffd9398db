"""Evaluate and validate: from bars to an intent, from an intent to a permit, and what stops either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import numpy as np

from config.settings import Settings
from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import Advance, Decision, End, Mode, Stage, StageEnd, StageRecord, StageResult
from pipeline.domain.events import EventName
from pipeline.domain.guards import Lookback, Reconciliation, marks_after
from pipeline.domain.orders import OrderState
from pipeline.domain.outcomes import EndReason
from pipeline.domain.positions import Equity
from pipeline.domain.signals import Side, Signal, VerdictKind
from pipeline.domain.switches import TradingState
from pipeline.domain.timeframes import CandleRange, Timeframe
from pipeline.governor.permits import PermitAuthority
from pipeline.governor.universe import Universe
from pipeline.governor.view import Limits
from pipeline.stages.evaluate import Evaluate
from pipeline.stages.remembering import rearm
from pipeline.stages.validate import Validate
from pipeline.strategies.candles import Candles, Floats
from pipeline.strategies.interface import AnyStrategy, NearestMiss, Params, Strategy, View
from pipeline.strategies.sizing import SizingRules
from pipeline.strategies.window import Window
from pipeline.testing import FakeMarketData
from tests.unit.stages.worlds import BTC, NOON, StageWorld, an_order

RULES = SizingRules(
    risk_per_trade=Decimal("0.01"),
    max_notional=Decimal(1000),
    max_leverage=Decimal(3),
    slippage_bps=Decimal(10),
)
LIMITS = Limits.of(Settings().governor)


class Scripted(Strategy[Params]):
    """Says what it was told to say."""

    name = "scripted"
    warm_up = 1
    answer: Signal | NearestMiss | Exception = NearestMiss("rsi below", 40.0, 30.0)

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        return {}

    def signal(self, view: View) -> Signal | NearestMiss:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def buy(price: float = 60000.0) -> Signal:
    return Signal.from_floats(
        Side.BUY, score=0.8, entry=price, stop_loss=price * 0.98, take_profit=price * 1.04, reason="told so"
    )


def scripted(answer: Signal | NearestMiss | Exception) -> AnyStrategy:
    strategy = Scripted(Params())
    strategy.answer = answer
    return strategy


def bars(count: int = 30) -> Candles:
    opened = (np.arange(count) - count) * 60_000 + int(NOON.timestamp() * 1000)
    price = np.full(count, 60000.0)
    return Candles(opened.astype(np.int64), price, price.copy(), price.copy(), price.copy(), np.ones(count))


@dataclass
class Desk(StageWorld):
    """A world with a market, an equity and a trading state, through which one decision passes."""

    equity: str = "10000"
    trading: TradingState = TradingState.ACTIVE
    lost: str = ""
    limits: Limits = field(default_factory=lambda: LIMITS)

    def __post_init__(self) -> None:
        self.market = FakeMarketData(self.clock)
        with self.ledger.begin() as unit:
            unit.switches.set_trading_state("paper-main", self.trading, by="test", reason="test", at=NOON)
            unit.guards.save_reconciliation(Reconciliation(account="paper-main", compared_at=NOON))
            if self.equity:
                unit.equity.add(self._equity())
                unit.guards.save_marks(marks_after(None, self._equity()))

    def _equity(self) -> Equity:
        return Equity(
            account="paper-main",
            mode=Mode.PAPER,
            equity=Decimal(self.equity),
            available=Decimal(self.equity),
            unrealised_pnl=Decimal(0),
            occurred_at=NOON,
            recorded_at=NOON,
        )

    def window(self, symbol: str, *_: object) -> Window:
        first, last = bars().opened_at(0), bars().opened_at(-1)
        ranges = (CandleRange("1m", first, last, 30, "store", self.lost),)
        return Window(symbol, NOON, {"1m": bars()}, ranges)

    exact = window

    def evaluate(self, decision: Decision, answer: Signal | NearestMiss | Exception) -> StageEnd:
        stage = Evaluate(
            market=self.market,
            windows=self,
            strategies=[scripted(answer)],
            cancel_within=Decimal("0.1"),
            sizing=RULES,
            trigger=timedelta(minutes=1),
            events=self.events,
        )
        fetched = Advance({"ranges": [each.as_record() for each in self.window(BTC).ranges]})
        with self.ledger.begin() as unit:
            return stage(decision, self.record(decision, Stage.FETCH, fetched))(unit)

    def validate(self, decision: Decision, evaluated: StageEnd) -> StageEnd:
        stage = Validate(
            market=self.market,
            universe=lambda: Universe.of([BTC]),
            limits=self.limits,
            authority=PermitAuthority(b"0123456789abcdef0123456789abcdef", 10, self.clock),
            lookback=Lookback(),
            config_hash=decision.config_hash,
            trigger=Timeframe.parse("1m"),
            clock=self.clock,
            events=self.events,
        )
        assert isinstance(evaluated, Advance)
        with self.ledger.begin() as unit:
            return stage(decision, self.record(decision, Stage.EVALUATE, evaluated))(unit)

    def record(self, decision: Decision, stage: Stage, end: Advance) -> StageRecord:
        delivery = self.delivery(decision, stage)
        return StageRecord(
            decision_id=decision.decision_id,
            stage=stage,
            task_id=delivery.task_id,
            host=delivery.host,
            worker=delivery.worker,
            pid=delivery.pid,
            attempt=1,
            queue_wait_ms=1.0,
            started_at=NOON,
            run_ms=1.0,
            result=StageResult.PASSED,
            output=end.output,
        )


def reason_of(end: StageEnd) -> object:
    assert isinstance(end, End)
    return end.reason


def test_a_signal_becomes_an_intent_sized_by_risk_and_caps() -> None:
    desk = Desk()
    end = desk.evaluate(desk.open().decision, buy())
    assert isinstance(end, Advance)
    intent = end.output["intent"]
    assert isinstance(intent, dict)
    assert Decimal(intent["qty"]) * Decimal(intent["limit_price"]) <= RULES.max_notional * Decimal("1.001")
    assert intent["tif"] == "IOC"


def test_no_signal_ends_with_the_nearest_miss_in_words_and_in_the_ledger() -> None:
    """C3: which condition failed, its value and its threshold."""
    desk = Desk()
    decision = desk.open().decision
    end = desk.evaluate(decision, NearestMiss("rsi below", 41.5, 30.0))
    assert reason_of(end) is EndReason.NO_SIGNAL
    with desk.ledger.read() as unit:
        (verdict,) = unit.verdicts.of(decision.decision_id)
    assert verdict.nearest_miss == NearestMiss("rsi below", 41.5, 30.0)


def test_a_strategy_that_raises_is_a_failed_verdict_with_its_trace() -> None:
    desk = Desk()
    decision = desk.open().decision
    desk.evaluate(decision, ZeroDivisionError("in the strategy"))
    with desk.ledger.read() as unit:
        (verdict,) = unit.verdicts.of(decision.decision_id)
    assert verdict.kind is VerdictKind.FAILED
    assert "in the strategy" in verdict.error


def test_bars_that_are_gone_since_the_fetch_end_the_decision() -> None:
    """Judging other bars than those that fetch recorded would make the trace a lie."""
    desk = Desk(lost="missing: flushed")
    assert reason_of(desk.evaluate(desk.open().decision, buy())) is EndReason.INSUFFICIENT_DATA


def test_without_any_recorded_equity_nothing_is_sized() -> None:
    """Fail closed: no equity, no size, no order."""
    desk = Desk(equity="")
    assert reason_of(desk.evaluate(desk.open().decision, buy())) is CheckCode.EQUITY_STALE


def test_an_order_too_small_for_the_exchange_is_an_outcome() -> None:
    desk = Desk(equity="1")
    assert reason_of(desk.evaluate(desk.open().decision, buy())) is EndReason.TOO_SMALL


def test_a_permitted_intent_has_its_permit_and_every_verdict_in_the_ledger() -> None:
    """D2 and D5."""
    desk = Desk()
    decision = desk.open().decision
    end = desk.validate(decision, desk.evaluate(decision, buy()))
    assert isinstance(end, Advance)
    with desk.ledger.read() as unit:
        permit = unit.permits.of(decision.decision_id)
        checks = unit.verdicts.checks_of(decision.decision_id)
    assert permit is not None
    assert permit.permit_id == end.output["permit_id"]
    assert all(check.ok for check in checks)
    assert len(checks) >= 10


def test_a_denied_intent_names_the_rule_its_value_and_its_limit() -> None:
    """A5: blocked, with which rule, which limit, which value; and no permit exists."""
    desk = Desk(trading=TradingState.HALTED)
    decision = desk.open().decision
    end = desk.validate(decision, desk.evaluate(decision, buy()))
    assert reason_of(end) is CheckCode.HALTED
    assert isinstance(end, End)
    assert "HALTED" in end.detail
    with desk.ledger.read() as unit:
        assert unit.permits.of(decision.decision_id) is None
    assert EventName.BUY_BLOCKED in desk.events.names


def test_an_exchange_that_gives_no_quote_denies() -> None:
    """D3: the governor blocks when it cannot know."""
    desk = Desk()
    decision = desk.open().decision
    evaluated = desk.evaluate(decision, buy())
    desk.market.unavailable = "no route to the exchange"
    end = desk.validate(decision, evaluated)
    assert isinstance(end, End)
    assert isinstance(end.reason, CheckCode)


def test_equity_older_than_its_limit_denies_with_its_age() -> None:
    """Incident I5: the governor was blocking on an equity 2,185 s old, and entries slipped past it."""
    desk = Desk()
    decision = desk.open().decision
    evaluated = desk.evaluate(decision, buy())
    desk.clock.turn(timedelta(seconds=61))
    with desk.ledger.begin() as unit:
        unit.decisions.lock(decision.decision_id)
    denied = desk.validate(decision, evaluated)
    with desk.ledger.read() as unit:
        checks = {check.code: check for check in unit.verdicts.checks_of(decision.decision_id)}
    assert isinstance(denied, End)
    assert not checks[CheckCode.EQUITY_STALE].ok
    assert "61" in checks[CheckCode.EQUITY_STALE].value


def test_a_dry_run_is_judged_and_gets_no_permit() -> None:
    desk = Desk()
    decision = desk.open(dry_run=True).decision
    end = desk.validate(decision, desk.evaluate(decision, buy()))
    assert reason_of(end) is EndReason.DRY_RUN
    with desk.ledger.read() as unit:
        assert unit.permits.of(decision.decision_id) is None


PATIENT = replace(
    LIMITS,
    max_rejects=Decimal(1),
    duplicate_within_s=Decimal(0),
    signal_max_age_bars=Decimal(100),
    equity_max_age_s=Decimal(3600),
    reconciled_max_age_s=Decimal(3600),
)


def refused(desk: Desk, nonce: str) -> StageEnd:
    """One more pass over the symbol; if it is permitted, the exchange refuses its order."""
    desk.clock.turn(timedelta(seconds=1))
    decision = desk.open(slot=desk.clock.now(), nonce=nonce).decision
    end = desk.validate(decision, desk.evaluate(decision, buy()))
    with desk.ledger.begin() as unit:
        if isinstance(end, Advance):
            now, order = desk.clock.now(), an_order(decision, OrderState.REJECTED)
            assert unit.permits.use(order.permit_id, now)
            assert unit.orders.add(replace(order, created_at=now, sent_at=now))
        unit.decisions.end(decision.decision_id, EndReason.REJECTED_BY_EXCHANGE, "", desk.clock.now())
    return end


def test_repeated_rejects_latch_until_a_person_rearms_it() -> None:
    """An account that the exchange refuses must not go on knocking, nor start again by itself."""
    desk = Desk(limits=PATIENT)
    assert [type(refused(desk, nonce)) for nonce in "ab"] == [Advance, Advance]
    assert reason_of(refused(desk, "c")) is CheckCode.LATCHED
    with desk.ledger.read() as unit:
        (latch,) = unit.guards.latches("paper-main")
    assert (latch.code, latch.tripped, latch.reason) == (
        CheckCode.LATCHED,
        True,
        "2 rejected orders, limit 1",
    )
    desk.clock.turn(Lookback().latch_window)
    later = refused(desk, "d")
    assert isinstance(later, End)
    assert later.reason is CheckCode.LATCHED
    assert "2 rejected orders" in later.detail
    with desk.ledger.begin() as unit:
        rearm(unit, "paper-main", latch.code, by="ann", reason="margin paid in", now=desk.clock.now())
    assert isinstance(refused(desk, "e"), Advance)
    assert [each["what"] for each in desk.events.of(EventName.ALERT)] == ["the latch LATCHED has tripped"]


def test_rearming_forgives_the_rejects_before_it() -> None:
    """Else the latch would trip again with the next intent, on what somebody has looked at already."""
    desk = Desk(limits=PATIENT)
    for nonce in "abc":
        refused(desk, nonce)
    with desk.ledger.begin() as unit:
        rearm(unit, "paper-main", CheckCode.LATCHED, by="ann", reason="seen", now=desk.clock.now())
    assert [type(refused(desk, nonce)) for nonce in "de"] == [Advance, Advance]
    assert reason_of(refused(desk, "f")) is CheckCode.LATCHED
