"""A decision with a permit, a ledger in memory and an exchange that misbehaves on demand."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.decisions import Decision, End, Mode, Origin
from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.ids import decision_id
from pipeline.domain.intents import Intent, Leg, OrderType, TimeInForce
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import OrderTerms, Permit
from pipeline.domain.ports import Quote
from pipeline.domain.signals import Side
from pipeline.domain.switches import TradingState
from pipeline.execution.gate import PermitCheck
from pipeline.execution.options import ExecutionOptions
from pipeline.execution.outcome import Ending
from pipeline.execution.resolver import Resolver
from pipeline.execution.router import OrderRouter
from pipeline.governor.permits import PermitAuthority, Valid
from pipeline.governor.view import Limits
from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.sql import SqlLedger
from pipeline.testing import FakeQuote, FakeVenue, FixedClock
from pipeline.trace.events import RecordedEvents

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BTC = "BTC/USDT:USDT"
ACCOUNT = "main"
PASSED = (CheckVerdict(CheckCode.BAD_INPUT, ok=True, value="fine", limit="-"),)


class WorkerGone(BaseException):
    """Like `kill -9`: nothing that the program catches."""


def _die(seconds: float) -> None:
    raise WorkerGone


def decision(nonce: str = "", symbol: str = BTC) -> Decision:
    return Decision(
        decision_id=decision_id(symbol, NOON, nonce),
        symbol=symbol,
        slot=NOON,
        origin=Origin.BEAT,
        account=ACCOUNT,
        mode=Mode.PAPER,
        config_hash="c0ffee",
        enqueued_at=NOON,
        expires_at=NOON + timedelta(seconds=30),
        deadline_at=NOON + timedelta(seconds=60),
    )


def intent(**changes: object) -> Intent:
    wanted = Intent(
        symbol=BTC,
        leg=Leg.ENTRY,
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=TimeInForce.IOC,
        qty=Decimal("0.010"),
        limit_price=Decimal("60090.0"),
        reduce_only=False,
        decision_price=Decimal("59990.0"),
        priced_at=NOON,
        stop_loss=Decimal("59000.0"),
        take_profit=Decimal("62000.0"),
        strategy="adaptive_ob",
        score=Decimal("0.7"),
        reason="oversold",
    )
    return replace(wanted, **changes)  # type: ignore[arg-type]  # names of its own fields


def permit_check(authority: PermitAuthority) -> PermitCheck:
    """The governor's answer in execution's words."""

    def problem(permit: Permit, terms: OrderTerms, now: datetime) -> End | None:
        answer = authority.verify(permit, terms, now)
        if isinstance(answer, Valid):
            return None
        return End(EndReason.PERMIT_EXPIRED if answer.expired else EndReason.PERMIT_INVALID, answer.reason)

    return problem


@dataclass
class OrderWorld:
    """One decision that was permitted, and everything around it. Pauses turn the clock instead of waiting."""

    intent: Intent = field(default_factory=intent)
    options: ExecutionOptions = field(default_factory=ExecutionOptions)
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOON))
    ledger: SqlLedger = field(default_factory=memory_ledger)
    events: RecordedEvents = field(default_factory=RecordedEvents)
    decision: Decision = field(default_factory=decision)
    pauses: list[float] = field(default_factory=list)
    meanwhile: list[Callable[[], object]] = field(default_factory=list)
    """What happens during the next pauses, one each."""
    spread: Decimal = Decimal("0.1")
    no_quote: bool = False

    def __post_init__(self) -> None:
        self.venue = FakeVenue(self.clock, account=ACCOUNT)
        self.authority = PermitAuthority(b"a key of sixteen bytes and more", 10.0, self.clock)
        with self.ledger.begin() as unit:
            unit.switches.set_trading_state(ACCOUNT, TradingState.ACTIVE, by="test", reason="", at=NOON)
        self.permit = self.permitted(self.decision, self.intent)

    def permitted(self, for_decision: Decision, wanted: Intent) -> Permit:
        """Opens the decision and stores its permit."""
        terms = OrderTerms.of(wanted, for_decision.decision_id, ACCOUNT, Mode.PAPER)
        permit = self.authority.issue(terms, wanted.notional, Limits(), PASSED)
        with self.ledger.begin() as unit:
            assert unit.decisions.open(for_decision) is None
            unit.permits.add(permit)
        return permit

    @property
    def router(self) -> OrderRouter:
        return OrderRouter(
            self.ledger,
            self.venue,
            self.clock,
            permit_check(self.authority),
            self.options,
            self.events,
            pause=self._pause,
            quote=self._quote,
        )

    @property
    def resolver(self) -> Resolver:
        return Resolver(self.ledger, self.venue, self.clock, self.options, self.events)

    def place(self) -> Ending:
        return self.router.place(self.decision, self.intent, self.permit)

    def intend(self) -> Order:
        """Write it down as a worker does that is gone before it claims it."""
        with self.ledger.begin() as unit:
            return self.router.intend(unit, self.decision, self.intent, self.permit)

    def place_and_die(self) -> None:
        """Place it and be killed at the first wait: while it rests, or before another attempt."""
        with contextlib.suppress(WorkerGone):
            replace(self.router, pause=_die).place(self.decision, self.intent, self.permit)

    def pass_time(self, seconds: float) -> None:
        self.clock.turn(timedelta(seconds=seconds))

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.pass_time(seconds)
        if self.meanwhile:
            self.meanwhile.pop(0)()

    def _quote(self, symbol: str) -> Quote:
        if self.no_quote:
            raise ExchangeUnavailable("no quote")
        return FakeQuote(self.venue.best - self.spread, self.venue.best, self.clock.now())

    def resolve_until(self, done: Callable[[], bool], every_s: float = 5, at_most_s: float = 600) -> None:
        """Run the resolver as upkeep does, with the clock going on."""
        passed = 0.0
        while not done() and passed < at_most_s:
            self.pass_time(every_s)
            passed += every_s
            self.resolver.resolve(ACCOUNT)

    @property
    def orders(self) -> list[Order]:
        with self.ledger.read() as unit:
            return list(unit.orders.of(self.decision.decision_id))

    @property
    def order(self) -> Order:
        """The last attempt."""
        return self.orders[-1]

    @property
    def state(self) -> OrderState:
        return self.order.state

    @property
    def filled(self) -> Decimal:
        """The sum of the decision's fills."""
        with self.ledger.read() as unit:
            return sum((fill.qty for fill in unit.fills.of(self.decision.decision_id)), Decimal(0))

    @property
    def held(self) -> Decimal:
        """The signed quantity that the ledger holds."""
        with self.ledger.read() as unit:
            position = unit.positions.open_of(ACCOUNT, BTC)
        return position.signed_qty if position else Decimal(0)


def ended_for(ending: Ending) -> object:
    """The reason of an end; fails for what is unresolved."""
    assert isinstance(ending, End), ending
    return ending.reason
