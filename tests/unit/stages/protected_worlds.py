"""An order world in which a position is opened, and protected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

from config.settings import Settings
from pipeline.domain.decisions import Decision, Mode, Stage, StageRecord, StageResult
from pipeline.domain.guards import Lookback
from pipeline.domain.intents import Leg
from pipeline.domain.orders import Order
from pipeline.domain.outcomes import EndReason
from pipeline.domain.ports import Ledger
from pipeline.domain.positions import Position
from pipeline.domain.switches import KillScope, KillSwitch
from pipeline.domain.timeframes import Timeframe
from pipeline.execution.protection import ProtectionRules
from pipeline.governor.universe import Universe
from pipeline.governor.view import Limits
from pipeline.stages.exits import Exits
from pipeline.stages.opening import OpeningTerms
from pipeline.stages.planning import Planner
from pipeline.stages.protecting import Protector
from pipeline.stages.validate import Validate
from pipeline.testing import FakeMarketData
from tests.unit.execution.order_worlds import ACCOUNT, BTC, NOON, OrderWorld, decision

QTY = Decimal("0.010")
STOP, TARGET = Decimal("59000.0"), Decimal("62000.0")
PRICE = Decimal("60000.0")
RULES = ProtectionRules(default_stop=Decimal("0.05"), patience=timedelta(seconds=20))


@dataclass
class ProtectedWorld(OrderWorld):
    """The decision of the order world buys 0.010 BTC at 60,000, with a stop at 59,000 and a target at 62,000."""

    rules: ProtectionRules = field(default_factory=lambda: RULES)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.market = FakeMarketData(self.clock)
        with self.ledger.begin() as unit:
            unit.stages.add(self._evaluated())

    def _evaluated(self) -> StageRecord:
        return StageRecord(
            decision_id=self.decision.decision_id,
            stage=Stage.EVALUATE,
            task_id="",
            host="",
            worker="",
            pid=1,
            attempt=1,
            queue_wait_ms=None,
            started_at=NOON,
            run_ms=1.0,
            result=StageResult.PASSED,
            output={"intent": self.intent.as_record()},
        )

    def buy(self) -> None:
        """The entry fills, and its decision ends."""
        self.place()
        with self.ledger.begin() as unit:
            unit.decisions.end(self.decision.decision_id, EndReason.FILLED, "", self.clock.now())

    def protector(self, ledger: Ledger | None = None) -> Protector:
        used = ledger or self.ledger
        governor = Validate(
            market=self.market,
            universe=lambda: Universe.of([BTC]),
            limits=Limits.of(Settings().governor),
            authority=self.authority,
            lookback=Lookback(),
            config_hash="c0ffee",
            trigger=Timeframe.parse("1m"),
            clock=self.clock,
            events=self.events,
        )
        exits = Exits(
            ledger=used,
            clock=self.clock,
            events=self.events,
            terms=OpeningTerms(
                account=ACCOUNT,
                mode=Mode.PAPER,
                config_hash="c0ffee",
                cadence=timedelta(seconds=30),
                deadline=timedelta(seconds=60),
            ),
            governor=governor,
            router=replace(self.router, ledger=used),
        )
        return Protector(
            ledger=used,
            venue=self.venue,
            clock=self.clock,
            events=self.events,
            account=ACCOUNT,
            planner=Planner(
                account=ACCOUNT,
                market=self.market,
                clock=self.clock,
                events=self.events,
                rules=self.rules,
            ),
            governor=governor,
            resolver=replace(self.resolver, ledger=used),
            exits=exits,
        )

    def protect(self) -> bool:
        return self.protector().protect(BTC)

    def cycle(self, seconds: float = 2) -> Sequence[str]:
        """What upkeep does every two seconds."""
        self.pass_time(seconds)
        self.resolver.resolve(ACCOUNT)
        return self.protector().cycle()

    def kill(self) -> None:
        with self.ledger.begin() as unit:
            unit.switches.set(
                KillSwitch(scope=KillScope.GLOBAL, name="", reason="panic", set_by="me", set_at=NOON)
            )

    # -- what there is -------------------------------------------------------------------------------------------

    @property
    def resting(self) -> dict[Leg, list[tuple[Decimal, Decimal]]]:
        """What rests on the exchange, by leg, as (quantity, trigger price)."""
        there = self.venue.waiting([BTC])
        found: dict[Leg, list[tuple[Decimal, Decimal]]] = {}
        for order in self.exit_orders:
            if order.client_order_id in there:
                found.setdefault(order.leg, []).append((order.qty, order.limit_price))
        return found

    @property
    def exit_orders(self) -> Sequence[Order]:
        with self.ledger.read() as unit:
            return unit.orders.of_exits(self.decision.decision_id)

    @property
    def exits(self) -> Sequence[Decision]:
        with self.ledger.read() as unit:
            return unit.decisions.exits_of(self.decision.decision_id)

    @property
    def position(self) -> Position:
        """The newest one."""
        with self.ledger.read() as unit:
            return unit.positions.latest(account=ACCOUNT)[0]

    def on_exchange(self) -> Decimal:
        return sum((each.qty for each in self.venue.holdings()), Decimal(0))


WHOLE = {Leg.STOP: [(QTY, STOP)], Leg.TARGET: [(QTY, TARGET)]}
"""A protected position, as `resting` tells it."""


def another(nonce: str) -> Decision:
    return decision(nonce)
