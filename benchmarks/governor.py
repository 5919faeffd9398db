"""What the governor's checks of one intent cost, with and without their transaction: `python -m
benchmarks.governor`.

The ledger is filled first as after a busy day: positions, permits, several thousand orders. Then one intent
after another is validated by the real stage, in its transaction, as a worker does it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from config.sections.trading import GovernorSettings
from pipeline.domain.decisions import Advance, Decision, Mode, Origin, Stage, StageRecord, StageResult
from pipeline.domain.guards import Lookback, Reconciliation, marks_after
from pipeline.domain.ids import client_order_id, decision_id, permit_id
from pipeline.domain.instruments import Instruments
from pipeline.domain.intents import Intent, Leg, OrderType, TimeInForce
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.permits import OrderTerms
from pipeline.domain.positions import Equity
from pipeline.domain.signals import Side
from pipeline.domain.switches import TradingState
from pipeline.domain.timeframes import SystemClock, Timeframe
from pipeline.governor.assess import assess
from pipeline.governor.permits import PermitAuthority
from pipeline.governor.universe import Universe
from pipeline.governor.view import Limits, WorldView
from pipeline.ledger.sql import SqlLedger
from pipeline.stages.validate import Asked, Validate, read_intent, read_jump
from pipeline.testing import FakeMarketData, btc
from pipeline.trace.events import RecordedEvents

ACCOUNT, HASH = "paper-bench", "0123456789ab"
PRICE = Decimal("60000.0")
BUDGET_MS = {"median": 3.0, "p99": 10.0}


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds of one intent."""

    place: str
    intents: int
    median: float
    p99: float
    worst: float

    @classmethod
    def of(cls, place: str, seconds: list[float]) -> Timing:
        ordered = sorted(each * 1000 for each in seconds)
        p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        return cls(
            place, len(ordered), round(statistics.median(ordered), 3), round(p99, 3), round(ordered[-1], 3)
        )

    def as_record(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}


def symbol(number: int) -> str:
    return f"B{number}/USDT:USDT"


def decision(number: int, at: datetime) -> Decision:
    return Decision(
        decision_id=decision_id(symbol(number), at, f"bench {number}"),
        symbol=symbol(number),
        slot=at,
        origin=Origin.PYTHON,
        account=ACCOUNT,
        mode=Mode.PAPER,
        config_hash=HASH,
        enqueued_at=at,
        expires_at=at + timedelta(seconds=30),
        deadline_at=at + timedelta(seconds=60),
    )


def intent(number: int, at: datetime) -> Intent:
    return Intent(
        symbol=symbol(number),
        leg=Leg.ENTRY,
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=TimeInForce.IOC,
        qty=Decimal("0.002"),
        limit_price=PRICE,
        reduce_only=False,
        decision_price=PRICE,
        priced_at=at,
        stop_loss=PRICE * Decimal("0.98"),
        take_profit=PRICE * Decimal("1.03"),
        strategy="bench",
        score=Decimal("0.7"),
        reason="bench",
    )


def evaluated(made: Decision, wanted: Intent) -> StageRecord:
    return StageRecord(
        decision_id=made.decision_id,
        stage=Stage.EVALUATE,
        task_id="bench",
        host="bench",
        worker="bench",
        pid=0,
        attempt=1,
        queue_wait_ms=0.0,
        started_at=made.enqueued_at,
        run_ms=0.0,
        result=StageResult.PASSED,
        output={"intent": wanted.as_record(), "bar_jump_bps": "12.5"},
    )


@dataclass(frozen=True, slots=True)
class Bench:
    """A ledger as after a busy day, and the stage that validates on it."""

    ledger: SqlLedger
    stage: Validate

    def fill(self, orders: int) -> None:
        """An account with equity, a comparison, and so many orders of the last day."""
        now = SystemClock().now()
        equity = Equity(
            account=ACCOUNT,
            mode=Mode.PAPER,
            equity=Decimal(10**7),
            available=Decimal(10**7),
            unrealised_pnl=Decimal(0),
            occurred_at=now,
            recorded_at=now,
        )
        with self.ledger.begin() as unit:
            unit.equity.add(equity)
            unit.guards.save_marks(marks_after(None, equity))
            unit.guards.save_reconciliation(Reconciliation(account=ACCOUNT, compared_at=now))
            unit.switches.set_trading_state(ACCOUNT, TradingState.ACTIVE, by="bench", reason="bench", at=now)
            for number in range(orders):
                self._order(
                    unit, 10**6 + number, now - timedelta(seconds=5 + number * 86000 / max(1, orders))
                )

    def _order(self, unit: object, number: int, at: datetime) -> None:
        made = decision(number, at)
        wanted = intent(number, at)
        terms = OrderTerms.of(wanted, made.decision_id, ACCOUNT, Mode.PAPER)
        passed = assess(wanted, terms, self._calm(at), CALM, self.stage.authority).verdicts[:1]
        permit = self.stage.authority.issue(terms, Decimal(0), CALM, passed, at)
        unit.decisions.open(made)  # type: ignore[attr-defined]
        unit.permits.add(permit)  # type: ignore[attr-defined]
        unit.permits.use(permit.permit_id, permit.issued_at)  # type: ignore[attr-defined]
        unit.orders.add(_order_of(made, wanted))  # type: ignore[attr-defined]

    def _calm(self, at: datetime) -> WorldView:
        return WorldView(account=ACCOUNT, mode=Mode.PAPER, now=at, kill_switches=())

    def decisions(self, count: int) -> Iterator[tuple[Decision, StageRecord]]:
        """Open decisions with an intent, one for each symbol."""
        now = SystemClock().now()
        for number in range(count):
            made = decision(number, now)
            with self.ledger.begin() as unit:
                unit.decisions.open(made)
            yield made, evaluated(made, intent(number, SystemClock().now()))

    def whole(self, made: Decision, before: StageRecord) -> float:
        """Seconds of the stage's transaction: lock, view, every check, verdicts, permit, commit. It must
        permit.
        """
        conclude = self.stage(made, before)
        began = time.perf_counter()
        with self.ledger.begin() as unit:
            finish = conclude(unit)
        took = time.perf_counter() - began
        if not isinstance(finish, Advance):
            raise SystemExit(f"the benchmark's own intent was denied: {finish}")
        with self.ledger.begin() as unit:
            unit.permits.release(permit_id(made.decision_id, Leg.ENTRY))
        return took

    def checks_alone(self, made: Decision, before: StageRecord) -> float:
        """Seconds of the checks and the signature, once everything is read."""
        wanted = read_intent(before)
        asked = Asked(
            decision=made,
            intent=wanted,
            outside=self.stage.look_outside(wanted.symbol),
            in_universe=True,
            bar_jump_bps=read_jump(before),
        )
        with self.ledger.read() as unit:
            view = self.stage._view(unit, asked)  # noqa: SLF001 - measured from inside
        terms = OrderTerms.of(wanted, made.decision_id, ACCOUNT, Mode.PAPER)
        began = time.perf_counter()
        assess(wanted, terms, view, self.stage.limits, self.stage.authority)
        return time.perf_counter() - began


CALM = Limits.of(GovernorSettings())


def _order_of(made: Decision, wanted: Intent) -> Order:
    return Order(
        client_order_id=client_order_id(ACCOUNT, made.decision_id, Leg.ENTRY, 1),
        decision_id=made.decision_id,
        leg=Leg.ENTRY,
        attempt=1,
        account=ACCOUNT,
        mode=Mode.PAPER,
        permit_id=permit_id(made.decision_id, Leg.ENTRY),
        symbol=wanted.symbol,
        side=wanted.side,
        type=wanted.type,
        tif=wanted.tif,
        qty=wanted.qty,
        limit_price=wanted.limit_price,
        reduce_only=False,
        decision_price=wanted.decision_price,
        state=OrderState.FILLED,
        created_at=made.enqueued_at,
        sent_at=made.enqueued_at,
    )


def make(ledger: SqlLedger, intents: int) -> Bench:
    clock = SystemClock()
    symbols = [symbol(number) for number in range(intents)]
    known = Instruments.of(btc(symbol=name, market_id=name.split("/")[0] + "USDT") for name in symbols)
    market = FakeMarketData(clock, known=known, bid=PRICE, ask=PRICE + Decimal("0.1"))
    universe = Universe.of(symbols)
    limits = replace(
        CALM, **{name: Decimal(10**9) for name in ("max_orders_per_day", "max_orders_per_minute")}
    )
    stage = Validate(
        market=market,
        universe=lambda: universe,
        limits=replace(limits, max_orders_per_s=Decimal(10**9), equity_max_age_s=Decimal(600)),
        authority=PermitAuthority(b"sixteen bytes or more", 10.0, clock),
        lookback=Lookback(),
        config_hash=HASH,
        trigger=Timeframe.parse("30m"),
        clock=clock,
        events=RecordedEvents(),
    )
    return Bench(ledger, stage)


def measure(place: str, url: str, intents: int, orders: int) -> list[Timing]:
    """Both timings of one ledger."""
    ledger = SqlLedger(url)
    ledger.migrate()
    bench = make(ledger, intents)
    bench.fill(orders)
    pure: Callable[[Decision, StageRecord], float] = bench.checks_alone
    pairs = [(pure(made, before), bench.whole(made, before)) for made, before in bench.decisions(intents)]
    ledger.close()
    return [
        Timing.of(f"{place}: checks alone", [alone for alone, _ in pairs]),
        Timing.of(f"{place}: with the transaction", [whole for _, whole in pairs]),
    ]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--intents", type=int, default=1000, help="how many are validated")
    parser.add_argument("--orders", type=int, default=2000, help="how many orders the last day already had")
    parser.add_argument(
        "--postgres", default="", help="URL of an empty PostgreSQL database, to measure there too"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document instead of text")
    told = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        timings = measure("SQLite", f"sqlite:///{Path(folder) / 'ledger.sqlite3'}", told.intents, told.orders)
    if told.postgres:
        timings += measure("PostgreSQL", told.postgres, told.intents, told.orders)
    if told.json:
        print(json.dumps([each.as_record() for each in timings]))
    else:
        print(f"{datetime.now(UTC):%Y-%m-%d}, {told.intents} intents after {told.orders} orders, in ms\n")
        for each in timings:
            print(
                f"{each.place:<32} median {each.median:8.3f}   p99 {each.p99:8.3f}   worst {each.worst:8.3f}"
            )
    whole = [each for each in timings if each.place.endswith("transaction")]
    return int(any(each.median >= BUDGET_MS["median"] or each.p99 >= BUDGET_MS["p99"] for each in whole))


if __name__ == "__main__":
    sys.exit(main())
