"""What can happen to a process, to its ledger and to its requests, and where."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum, unique

from pipeline.domain.errors import ExchangeUnavailable, LedgerUnavailable
from pipeline.domain.orders import Answer, Order, OrderReport, Trade
from pipeline.domain.permits import Permit
from pipeline.domain.ports import Ledger, Unit
from pipeline.testing import Accident, FakeVenue, FixedClock


class Killed(BaseException):
    """Like `kill -9`: nothing that the program catches."""


@unique
class Mishap(StrEnum):
    """What happens at one point of a run: every call of a port is a point."""

    KILL = "process killed"
    LOCKED = "ledger does not answer"
    FROZEN = "process frozen for up to a minute"
    DELIVERED_AGAIN = "the same message delivered meanwhile"
    RESOLVED = "the resolver ran meanwhile"


@dataclass
class Points:
    """Every call of a port passes here; the one that is counted down to has an accident."""

    clock: FixedClock
    rng: random.Random
    meanwhile: Callable[[Mishap], None]
    injected: Counter[str]
    planned: list[tuple[int, Mishap]] = field(default_factory=list)
    passed: int = 0

    def plan(self, mishaps: list[tuple[int, Mishap]]) -> None:
        self.planned, self.passed = sorted(mishaps), 0

    def __call__(self, where: str, *, inside: bool = False, ledger: bool = False) -> None:
        """`inside` a unit nobody else can act; only a `ledger` call can fail for the ledger."""
        self.passed += 1
        if not self.planned or self.passed < self.planned[0][0]:
            return
        _, mishap = self.planned[0]
        if mishap in {Mishap.DELIVERED_AGAIN, Mishap.RESOLVED} and inside:
            return
        if mishap is Mishap.LOCKED and not ledger:
            return
        self.planned.pop(0)
        self.injected[f"{mishap} at {where}"] += 1
        self._happen(mishap, where)

    def _happen(self, mishap: Mishap, where: str) -> None:
        match mishap:
            case Mishap.KILL:
                raise Killed(where)
            case Mishap.LOCKED:
                raise LedgerUnavailable(f"locked at {where}")
            case Mishap.FROZEN:
                self.clock.turn(timedelta(seconds=self.rng.choice((1, 6, 60)) * self.rng.random()))
            case _:
                rest, self.planned = self.planned, []
                self.meanwhile(mishap)
                self.planned = rest


@dataclass(frozen=True)
class FragileLedger:
    """A ledger with a point before, inside and after each unit."""

    inner: Ledger
    point: Points

    def begin(self, *, durable: bool = False) -> AbstractContextManager[Unit]:
        return self._begin(durable)

    @contextmanager
    def _begin(self, durable: bool) -> Iterator[Unit]:
        self.point("begin", ledger=True)
        with self.inner.begin(durable=durable) as unit:
            yield unit
            self.point("uncommitted", inside=True, ledger=True)
        self.point("committed", ledger=True)

    def read(self) -> AbstractContextManager[Unit]:
        self.point("read", ledger=True)
        return self.inner.read()


@dataclass(slots=True)
class Temper:
    """How bad the exchange is at present: chances from 0 to 1."""

    down: float = 0.0
    cancel_lost: float = 0.0
    filled_meanwhile: float = 0.0


class ModelExchange(FakeVenue):
    """The fake exchange with a bad temper, points around its calls, and a witness of its own at its gate."""

    point: Points
    rng: random.Random
    temper: Temper
    permitted: dict[str, Decimal]
    violations: list[str]
    injected: Counter[str]

    def submit(self, order: Order, permit: Permit) -> Answer:
        self.point("before send")
        if self.accidents and self.accidents[0] is not Accident.NONE:
            self.injected[f"submission: {self.accidents[0]}"] += 1
        answer = super().submit(order, permit)
        self.point("after send")
        return answer

    def find(self, order: Order) -> OrderReport | None:
        self.point("find")
        self._moods("find")
        self._trade_meanwhile()
        known = self._known(order)
        found = super().find(order)
        if found is None and known is not None:
            self.injected["a live order is called not found"] += 1
        return found

    def trades(self, order: Order) -> list[Trade]:
        self.point("trades")
        self._moods("trades")
        found = list(super().trades(order))
        self.rng.shuffle(found)
        return found + found[:1]  # out of order, and one of them twice

    def cancel(self, order: Order) -> bool:
        self.point("before cancel")
        if self.rng.random() < self.temper.cancel_lost:
            self.injected["cancellation lost"] += 1
            raise ExchangeUnavailable("the cancellation got no answer")
        self._trade_meanwhile()
        is_cancelled = super().cancel(order)
        self.point("after cancel")
        return is_cancelled

    def _moods(self, question: str) -> None:
        if self.rng.random() < self.temper.down:
            self.injected[f"no answer to {question}"] += 1
            raise ExchangeUnavailable(f"no answer to {question}")

    def _trade_meanwhile(self) -> None:
        """Somebody trades with what rests."""
        if self.rng.random() >= self.temper.filled_meanwhile:
            return
        for placed in self._book:
            if not placed.report.state.is_final:
                left = placed.order.qty - placed.report.filled_qty
                self.injected["filled while it rested"] += 1
                self.trade(min(left, Decimal(self.rng.randint(1, 6)) / 1000))
                return

    def _place(self, order: Order) -> object:  # type: ignore[override]  # what it gives back is its own business
        self._witness(order)
        return super()._place(order)

    def _witness(self, order: Order) -> None:
        """The exchange's own view of the promise: one order for each permit's quantity, and one at a time."""
        mine = [placed for placed in self._book if placed.order.decision_id == order.decision_id]
        if any(placed.order.client_order_id == order.client_order_id for placed in mine):
            self.violations.append(f"{order.client_order_id} reached the book twice")
        if any(not placed.report.state.is_final for placed in mine):
            self.violations.append(f"{order.client_order_id} reached the book beside another of its decision")
        filled = sum((placed.report.filled_qty for placed in mine), Decimal(0))
        if filled + order.qty > self.permitted[order.decision_id]:
            self.violations.append(f"{order.client_order_id} exceeds its permit")
