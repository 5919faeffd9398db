"""A ledger of dictionaries: the promises of the ports that placing and resolving an order rest on, and no more.

Compare-and-set, unique fills and all-or-nothing units are what it must share with the real one;
`test_both_ledgers_tell_the_same_story` runs the same accidents on both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TypeVar, cast

from pipeline.domain.decisions import Decision
from pipeline.domain.entries import Transaction
from pipeline.domain.errors import InvariantBroken
from pipeline.domain.ids import ClientOrderId, DecisionId, PermitId
from pipeline.domain.intents import Leg
from pipeline.domain.orders import Fill, Order, OrderReport, OrderState, may_step
from pipeline.domain.outcomes import Reason, outcome_of
from pipeline.domain.permits import Permit, PermitState
from pipeline.domain.ports import Ledger, Unit
from pipeline.domain.positions import Position
from pipeline.domain.switches import KillSwitch, TradingState

Key = TypeVar("Key")
Value = TypeVar("Value")


class Undo:
    """How to take back what an unfinished unit has written."""

    def __init__(self) -> None:
        self._steps: list[Callable[[], object]] = []

    def put(self, table: dict[Key, Value], key: Key, value: Value) -> None:
        if key in table:
            before = table[key]
            self._steps.append(lambda: table.__setitem__(key, before))
        else:
            self._steps.append(lambda: table.pop(key))
        table[key] = value

    def keep(self) -> None:
        self._steps.clear()

    def take_back(self) -> None:
        while self._steps:
            self._steps.pop()()


class DictDecisions:
    def __init__(self, undo: Undo) -> None:
        self._undo = undo
        self.all: dict[DecisionId, Decision] = {}
        self._open: dict[str, DecisionId | None] = {}

    def open(self, decision: Decision) -> Decision | None:
        standing = self._open.get(decision.symbol)
        if standing is not None:
            return self.all[standing]
        self._undo.put(self.all, decision.decision_id, decision)
        self._undo.put(self._open, decision.symbol, decision.decision_id)
        return None

    def end(self, decision_id: DecisionId, reason: Reason, detail: str, at: datetime) -> bool:
        decision = self.all[decision_id]
        if not decision.is_open:
            return False
        ended = replace(decision, outcome=outcome_of(reason), reason=reason, detail=detail, ended_at=at)
        self._undo.put(self.all, decision_id, ended)
        self._undo.put(self._open, decision.symbol, None)
        return True

    def lock(self, decision_id: DecisionId) -> Decision | None:
        return self.all.get(decision_id)


class DictPermits:
    def __init__(self, undo: Undo) -> None:
        self._undo = undo
        self.all: dict[PermitId, Permit] = {}
        self._by_leg: dict[tuple[DecisionId, Leg], PermitId] = {}

    def add(self, permit: Permit) -> bool:
        key = permit.terms.decision_id, permit.terms.leg
        if key in self._by_leg:
            return False
        self._undo.put(self._by_leg, key, permit.permit_id)
        self._undo.put(self.all, permit.permit_id, permit)
        return True

    def of(self, decision_id: DecisionId, leg: Leg) -> Permit | None:
        found = self._by_leg.get((decision_id, leg))
        return self.all[found] if found is not None else None

    def use(self, permit_id: PermitId, at: datetime) -> bool:
        permit = self.all[permit_id]
        if permit.state is not PermitState.ISSUED or at >= permit.expires_at:
            return False
        self._undo.put(self.all, permit_id, replace(permit, state=PermitState.USED, used_at=at))
        return True

    def release(self, permit_id: PermitId) -> bool:
        permit = self.all[permit_id]
        if permit.state is not PermitState.ISSUED:
            return False
        self._undo.put(self.all, permit_id, replace(permit, state=PermitState.RELEASED))
        return True


class DictOrders:
    def __init__(self, undo: Undo) -> None:
        self._undo = undo
        self.all: dict[ClientOrderId, Order] = {}

    def add(self, order: Order) -> bool:
        same = (order.decision_id, order.leg, order.attempt)
        taken = any((other.decision_id, other.leg, other.attempt) == same for other in self.all.values())
        if order.client_order_id in self.all or taken:
            return False
        self._undo.put(self.all, order.client_order_id, order)
        return True

    def get(self, client_order_id: ClientOrderId) -> Order | None:
        return self.all.get(client_order_id)

    def of(self, decision_id: DecisionId) -> Sequence[Order]:
        mine = [order for order in self.all.values() if order.decision_id == decision_id]
        return sorted(mine, key=lambda order: order.attempt)

    def step(
        self,
        order: Order,
        to: OrderState,
        at: datetime,
        *,
        fence: str | None = None,
        sent_at: datetime | None = None,
        report: OrderReport | None = None,
        detail: str = "",
    ) -> Order | None:
        if not may_step(order.state, to):
            raise InvariantBroken(f"order {order.client_order_id} cannot go from {order.state} to {to}")
        stands = self.all[order.client_order_id]
        if (stands.state, stands.fence) != (order.state, order.fence):
            return None
        after = replace(
            stands,
            state=to,
            resolved_at=at if to.is_final else None,
            fence=fence or stands.fence,
            sent_at=sent_at or stands.sent_at,
            detail=detail or stands.detail,
        )
        if report is not None:
            after = replace(
                after,
                exchange_order_id=report.exchange_order_id or stands.exchange_order_id,
                filled_qty=report.filled_qty,
                avg_price=stands.avg_price if report.avg_price is None else report.avg_price,
            )
        self._undo.put(self.all, order.client_order_id, after)
        return after

    def note_miss(self, client_order_id: ClientOrderId, at: datetime) -> Order:
        order = self.all[client_order_id]
        first = order.first_miss_at or at
        after = replace(order, misses=order.misses + 1, first_miss_at=first, last_miss_at=at)
        self._undo.put(self.all, client_order_id, after)
        return after

    def unsettled(self, account: str, symbol: str | None = None) -> Sequence[Order]:
        return [
            order
            for order in self.all.values()
            if not order.state.is_final and (symbol is None or order.symbol == symbol)
        ]

    def under_way(self, account: str, symbol: str | None = None) -> Sequence[Order]:
        return [order for order in self.unsettled(account, symbol) if not order.waits]

    def recent(self, account: str, symbol: str, since: datetime) -> Sequence[Order]:
        return [o for o in self.all.values() if o.symbol == symbol and o.created_at >= since]

    def add_fee(self, fill: Fill) -> None:
        order = self.all[fill.client_order_id]
        after = replace(order, fee=order.fee + fill.fee, fee_asset=fill.fee_asset)
        self._undo.put(self.all, fill.client_order_id, after)


class DictFills:
    def __init__(self, undo: Undo, orders: DictOrders) -> None:
        self._undo, self._orders = undo, orders
        self.all: dict[tuple[str, str, str], Fill] = {}

    def add(self, fill: Fill) -> bool:
        key = fill.exchange, fill.symbol, fill.trade_id
        if key in self.all:
            return False
        self._undo.put(self.all, key, fill)
        self._orders.add_fee(fill)
        return True

    def of(self, decision_id: DecisionId) -> Sequence[Fill]:
        return [fill for fill in self.all.values() if fill.decision_id == decision_id]

    def of_order(self, client_order_id: ClientOrderId) -> Sequence[Fill]:
        return [fill for fill in self.all.values() if fill.client_order_id == client_order_id]

    def trade_ids(self, account: str, symbol: str, since: datetime) -> frozenset[str]:
        wanted = (fill for fill in self.all.values() if (fill.account, fill.symbol) == (account, symbol))
        return frozenset(fill.trade_id for fill in wanted if fill.occurred_at >= since)


class DictPositions:
    def __init__(self, undo: Undo) -> None:
        self._undo = undo
        self.all: dict[str, Position] = {}

    def lock_symbol(self, account: str, symbol: str) -> None:
        """A unit is alone anyway."""

    def open_of(self, account: str, symbol: str) -> Position | None:
        return next((p for p in self.all.values() if p.symbol == symbol and p.is_open), None)

    def touched_by(self, decision_id: DecisionId) -> Sequence[Position]:
        return [p for p in self.all.values() if decision_id in {p.opened_by, p.closed_by}]

    def save(self, position: Position) -> None:
        self._undo.put(self.all, position.position_id, position)


class DictJournal:
    def __init__(self, undo: Undo) -> None:
        self._undo = undo
        self.all: dict[str, Transaction] = {}

    def post(self, transaction: Transaction) -> bool:
        if transaction.transaction_id in self.all:
            return False
        self._undo.put(self.all, transaction.transaction_id, transaction)
        return True


class DictSwitches:
    """Nothing is switched off."""

    def __init__(self) -> None:
        self._state = TradingState.HALTED

    def on(self) -> Sequence[KillSwitch]:
        return ()

    def trading_state(self, account: str) -> TradingState:
        return self._state

    def set_trading_state(
        self, account: str, state: TradingState, *, by: str, reason: str, at: datetime
    ) -> None:
        self._state = state


class DictLedger:
    """One process' ledger; its units take turns and may not be nested."""

    def __init__(self) -> None:
        self._undo = Undo()
        self._busy = False
        self.decisions = DictDecisions(self._undo)
        self.permits = DictPermits(self._undo)
        self.orders = DictOrders(self._undo)
        self.fills = DictFills(self._undo, self.orders)
        self.positions = DictPositions(self._undo)
        self.journal = DictJournal(self._undo)
        self.switches = DictSwitches()

    def as_ledger(self) -> Ledger:
        """As the ports call it: it has what an order needs of them."""
        return cast("Ledger", self)

    def begin(self, *, durable: bool = False) -> AbstractContextManager[Unit]:
        return self._begin()

    @contextmanager
    def _begin(self) -> Iterator[Unit]:
        if self._busy:
            raise InvariantBroken("a unit was opened inside another one")
        self._busy = True
        try:
            yield cast("Unit", self)
        except BaseException:
            self._undo.take_back()
            raise
        else:
            self._undo.keep()
        finally:
            self._busy = False

    def read(self) -> AbstractContextManager[Unit]:
        return self._begin()

    def held(self, symbol: str) -> Decimal:
        position = self.positions.open_of("", symbol)
        return position.signed_qty if position is not None else Decimal(0)
