"""One world: a few dozen decisions on a few symbols, their accidents, and what came of them."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.decisions import Decision, End, Mode, Origin
from pipeline.domain.errors import Transient
from pipeline.domain.events import Area, EventName, Level
from pipeline.domain.ids import decision_id
from pipeline.domain.intents import Intent, Leg, OrderType, TimeInForce
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import OrderTerms, Permit
from pipeline.domain.ports import Ledger
from pipeline.domain.signals import Side
from pipeline.domain.switches import TradingState
from pipeline.execution.aftermath import Answered
from pipeline.execution.options import ExecutionOptions
from pipeline.execution.outcome import Ending
from pipeline.execution.resolver import Resolver
from pipeline.execution.router import OrderRouter
from pipeline.governor.permits import PermitAuthority
from pipeline.governor.view import Limits
from pipeline.testing import Accident, FakeQuote, FixedClock
from tests.fault.machine.accidents import FragileLedger, Killed, Mishap, ModelExchange, Points, Temper

ACCOUNT = "main"
PASSED = (CheckVerdict(CheckCode.BAD_INPUT, ok=True, value="fine", limit="-"),)
START = datetime(2026, 3, 1, tzinfo=UTC)
KINDS = (
    (OrderType.LIMIT, TimeInForce.IOC),
    (OrderType.LIMIT, TimeInForce.IOC),
    (OrderType.LIMIT, TimeInForce.GTC),
    (OrderType.MARKET, TimeInForce.IOC),
)
SUBMISSIONS = (
    Accident.NONE,
    Accident.LOST_REQUEST,
    Accident.LOST_ANSWER,
    Accident.LATE,
    Accident.BUSY,
    Accident.BUSY,
    Accident.REFUSED,
)
OPTIONS = ExecutionOptions(rest_poll_s=0.5)
LEFT = 0.5
"""How many of the answers that an order has filled whole are written down later."""
FORGOTTEN = 0.2
"""How many of those never are: the process was killed."""


class Silent:
    """Nobody listens."""

    def emit(self, name: EventName, /, *, level: Level | None = None, **fields: object) -> None:
        """Nothing."""

    def wants(self, area: Area) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Task:
    """A permitted decision, as its message would name it."""

    decision: Decision
    intent: Intent
    permit: Permit


@dataclass
class World:
    """Runs decisions through accidents. Everything random comes from the seed."""

    seed: int
    ledger: Ledger
    symbols: int = 8
    injected: Counter[str] = field(default_factory=Counter)
    tasks: list[Task] = field(default_factory=list)
    left: list[tuple[Task, Answered]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.clock = FixedClock(START)
        self.point = Points(self.clock, self.rng, self._meanwhile, self.injected)
        self.exchange = ModelExchange(self.clock, account=ACCOUNT, rests=True)
        self.exchange.point, self.exchange.rng, self.exchange.temper = self.point, self.rng, Temper()
        self.exchange.permitted, self.exchange.violations = {}, []
        self.exchange.injected = self.injected
        self.authority = PermitAuthority(b"a key of sixteen bytes and more", 10.0, self.clock)
        with self.ledger.begin() as unit:
            unit.switches.set_trading_state(ACCOUNT, TradingState.ACTIVE, by="model", reason="", at=START)
        fragile = FragileLedger(self.ledger, self.point)
        self.router = OrderRouter(
            fragile,
            self.exchange,
            self.clock,
            lambda permit, terms, now: None,
            OPTIONS,
            Silent(),
            pause=self._pause,
            quote=self._quote,
        )
        self.resolver = Resolver(fragile, self.exchange, self.clock, OPTIONS, Silent())

    # -------------------------------------------------------------------------------------- one decision

    def run(self, number: int) -> None:
        """One decision with at least one accident, delivered as often as it takes or as somebody likes."""
        self._bad_day()
        task = self._permitted(number)
        self.tasks.append(task)
        for _ in range(self.rng.choice((1, 1, 2, 3))):
            self.point.plan(self._mishaps())
            self.deliver(task)
            self._time_passes()
            self.come_back()

    def _bad_day(self) -> None:
        rng, exchange = self.rng, self.exchange
        exchange.accidents = [rng.choice(SUBMISSIONS) for _ in range(rng.randint(1, 3))]
        exchange.fill_fraction = Decimal(rng.choice(("0", "0.3", "0.5", "1", "1")))
        exchange.late_by = timedelta(seconds=rng.uniform(0.5, 20))
        exchange.hidden_for = timedelta(seconds=rng.choice((0, 0, rng.uniform(0, 15))))
        exchange.trades_late_by = timedelta(seconds=rng.choice((0, 0, rng.uniform(0, 10))))
        exchange.best = Decimal(rng.randint(595_000, 605_000)) / 10
        exchange.temper = Temper(*(rng.choice((0.0, 0.0, 0.3)) for _ in range(3)))

    def _mishaps(self) -> list[tuple[int, Mishap]]:
        many = self.rng.choice((1, 1, 2, 3))
        return [(self.rng.randint(1, 24), self.rng.choice(list(Mishap))) for _ in range(many)]

    def _permitted(self, number: int) -> Task:
        rng, now = self.rng, self.clock.now()
        symbol = f"S{rng.randrange(self.symbols)}/USDT:USDT"
        decision = Decision(
            decision_id=decision_id(symbol, now, f"{self.seed} {number}"),
            symbol=symbol,
            slot=now,
            origin=Origin.BEAT,
            account=ACCOUNT,
            mode=Mode.PAPER,
            config_hash="c0ffee",
            enqueued_at=now,
            expires_at=now + timedelta(seconds=30),
            deadline_at=now + timedelta(seconds=60),
        )
        wanted = self._intent(symbol)
        terms = OrderTerms.of(wanted, decision.decision_id, ACCOUNT, Mode.PAPER)
        permit = self.authority.issue(terms, wanted.notional, Limits(), PASSED)
        with self.ledger.begin() as unit:
            standing = unit.decisions.open(decision)
            if standing is not None:  # the sweeper gave it up, its order may still be anywhere
                unit.decisions.end(standing.decision_id, EndReason.KEEPS_DYING, "", now)
                unit.decisions.open(decision)
            unit.permits.add(permit)
        self.exchange.permitted[decision.decision_id] = wanted.qty
        return Task(decision, wanted, permit)

    def _intent(self, symbol: str) -> Intent:
        kind, tif = self.rng.choice(KINDS)
        side = self.rng.choice(list(Side))
        best = self.exchange.best
        bound = best * (1 + Decimal(side.sign) * Decimal("0.0015"))
        return Intent(
            symbol=symbol,
            leg=Leg.ENTRY,
            side=side,
            type=kind,
            tif=tif,
            qty=Decimal(self.rng.randint(4, 20)) / 1000,
            limit_price=bound.quantize(Decimal("0.1")),
            reduce_only=False,
            decision_price=best,
            priced_at=self.clock.now(),
            stop_loss=None,
            take_profit=None,
            strategy="model",
            score=Decimal(1),
            reason="model",
            min_notional=Decimal(100),
        )

    def deliver(self, task: Task) -> Ending | None:
        """One delivery of the message. None when the process or the ledger was gone before its end."""
        with contextlib.suppress(Killed, Transient):
            begun = self.router.begin(task.decision, task.intent, task.permit)
            if isinstance(begun, Answered) and self.rng.random() < LEFT:
                self.left.append((task, begun))
                self.injected["answer left behind"] += 1
                return None
            return self._finish(task, begun)
        return None

    def come_back(self) -> None:
        """To an answer that was left behind other entries; or nobody ever does, as its process was killed."""
        if not self.left:
            return
        task, begun = self.left.pop(self.rng.randrange(len(self.left)))
        if self.rng.random() < FORGOTTEN:
            self.injected["answer forgotten"] += 1
            return
        with contextlib.suppress(Killed, Transient):
            self._finish(task, begun)

    def _finish(self, task: Task, begun: Ending | Answered) -> Ending:
        ending = self.router.finish(begun)
        if isinstance(ending, End):
            with self.ledger.begin() as unit:
                unit.decisions.end(task.decision.decision_id, ending.reason, "", self.clock.now())
        return ending

    def resolve(self) -> None:
        with contextlib.suppress(Killed, Transient):
            self.resolver.resolve(ACCOUNT)

    # ------------------------------------------------------------------------------- what goes on meanwhile

    def _meanwhile(self, mishap: Mishap) -> None:
        self.come_back()
        if mishap is Mishap.RESOLVED:
            self.resolve()
        elif self.tasks:
            self.deliver(self.rng.choice(self.tasks[-3:]))

    def _pause(self, seconds: float) -> None:
        self.clock.turn(timedelta(seconds=seconds))

    def _quote(self, symbol: str) -> FakeQuote:
        best = self.exchange.best
        return FakeQuote(best - Decimal("0.1"), best, self.clock.now())

    def _time_passes(self) -> None:
        self.clock.turn(timedelta(seconds=self.rng.uniform(0, 15)))
        self.point.plan(self._mishaps())
        self.resolve()

    # ------------------------------------------------------------------------------------------ the end of it

    def calm_down(self) -> None:
        """No more accidents: the exchange answers, and the resolver asks until nothing is open."""
        self.exchange.accidents, self.exchange.temper = [], Temper()
        self.exchange.hidden_for = self.exchange.trades_late_by = timedelta(0)
        self.point.plan([])
        for _ in range(60):
            if not self._unsettled():
                return
            self.clock.turn(timedelta(seconds=5))
            self.resolve()

    def _unsettled(self) -> Sequence[Order]:
        with self.ledger.read() as unit:
            return unit.orders.unsettled(ACCOUNT)

    def findings(self) -> list[str]:
        """What is wrong, from the exchange's books against the ledger's. Empty is what there should be."""
        found = list(self.exchange.violations)
        found += [f"{order.client_order_id} is {order.state}: {order.detail}" for order in self._unsettled()]
        for task in self.tasks:
            found += self._of_decision(task)
        return found + self._positions()

    def _of_decision(self, task: Task) -> list[str]:
        with self.ledger.read() as unit:
            orders = {order.client_order_id: order for order in unit.orders.of(task.decision.decision_id)}
            fills = unit.fills.of(task.decision.decision_id)
        placed = [p for p in self.exchange._book if p.order.decision_id == task.decision.decision_id]
        found = [
            f"{p.order.client_order_id} is unknown to the ledger"
            for p in placed
            if p.order.client_order_id not in orders
        ]
        live = {p.order.client_order_id: p.report for p in placed}
        for name, order in orders.items():
            report = live.get(name)
            if report is None and order.state not in ABSENT:
                found.append(f"{name} is {order.state} and was never on the exchange")
            if report is not None and (order.state, order.filled_qty) != (report.state, report.filled_qty):
                found.append(
                    f"{name} is {order.state} {order.filled_qty}, there {report.state} {report.filled_qty}"
                )
        trades = {trade.trade_id: trade.qty for p in placed for trade in p.trades}
        if {fill.trade_id: fill.qty for fill in fills} != trades:
            found.append(f"the fills of {task.decision.decision_id} are not its trades")
        if orders and not isinstance(self.deliver(task), End):
            found.append(f"{task.decision.decision_id} does not end")
        return found

    def _positions(self) -> list[str]:
        theirs = {holding.symbol: holding.qty for holding in self.exchange.holdings()}
        found = []
        for number in range(self.symbols):
            symbol = f"S{number}/USDT:USDT"
            with self.ledger.read() as unit:
                position = unit.positions.open_of(ACCOUNT, symbol)
            ours = position.signed_qty if position is not None else Decimal(0)
            if ours != theirs.get(symbol, Decimal(0)):
                found.append(f"{symbol}: the ledger holds {ours}, the exchange {theirs.get(symbol, 0)}")
        return found


ABSENT = frozenset({OrderState.REJECTED, OrderState.NOT_PLACED, OrderState.ABANDONED})


@dataclass(frozen=True, slots=True)
class Story:
    """What became of a world: accidents injected, final states, what the auditor found."""

    seed: int
    injected: Counter[str]
    states: Counter[str]
    sent: int
    findings: tuple[str, ...]


def play(seed: int, decisions: int, ledger: Ledger) -> Story:
    """One world from its seed."""
    world = World(seed, ledger)
    for number in range(decisions):
        world.run(number)
    world.calm_down()
    findings = tuple(world.findings())
    with ledger.read() as unit:
        orders = [order for task in world.tasks for order in unit.orders.of(task.decision.decision_id)]
    states = Counter(order.state.value for order in orders)
    return Story(seed, world.injected, states, len(world.exchange.requests), findings)
