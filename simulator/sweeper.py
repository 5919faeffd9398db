"""Moves time forward: fills resting orders, fires triggers, charges funding, cancels what a countdown ends,
liquidates."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from simulator import funding
from simulator.account import Account
from simulator.engine import Engine
from simulator.orders import AlgoOrder, Order, OrderRequest, OrderType, Side, TimeInForce

ROUNDING = 0.6
"""Ticks. The walk of a price is rounded to whole ones: it reaches an order from half a tick before."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An open order of either kind and the price that sets it off."""

    account: Account
    order: Order | AlgoOrder
    price: Decimal
    when_rising: bool

    def reached(self, start: Decimal, end: Decimal) -> Decimal | None:
        """Where on the way from start to end it goes off, if it does."""
        far = max(start, end) if self.when_rising else min(start, end)
        if (far < self.price) if self.when_rising else (far > self.price):
            return None
        already = start >= self.price if self.when_rising else start <= self.price
        return start if already else self.price


class Sweeper:
    """Keeps the engine's orders in step with the clock.

    It is asked with every request, so it only looks at a symbol when an order of it may go off.
    """

    def __init__(self, engine: Engine, now_ms: int) -> None:
        self._engine = engine
        self._seen_ms = now_ms
        self._countdowns: dict[tuple[str, str], int] = {}
        self._next_deadline_ms = math.inf
        """No countdown ends before."""
        self._news: set[str] = set()
        self._next: list[tuple[int, str]] = []
        """A heap: before which moment nothing of which symbol goes off."""

    def set_countdown(self, account: Account, symbol: str, deadline_ms: int | None) -> None:
        """Cancel all orders of a symbol at that time unless it is set anew; None takes it back."""
        key = (account.api_key, symbol)
        self._countdowns.pop(key, None)
        if deadline_ms is not None:
            self._countdowns[key] = deadline_ms
            self._next_deadline_ms = min(self._next_deadline_ms, deadline_ms)

    def advance(self, now_ms: int) -> None:
        """Bring everything from the last seen time to now."""
        if now_ms >= self._next_deadline_ms:
            self._end_countdowns(now_ms)
        self._walk_funded(now_ms)

    def _end_countdowns(self, now_ms: int) -> None:
        due = [(deadline, key) for key, deadline in self._countdowns.items() if deadline <= now_ms]
        for deadline, key in sorted(due):
            self._walk_funded(deadline)
            del self._countdowns[key]
            account = self._engine.accounts.get(key[0])
            if account is not None:
                self._engine.cancel_all(account, key[1], deadline)
        self._next_deadline_ms = min(self._countdowns.values(), default=math.inf)

    def _walk_funded(self, now_ms: int) -> None:
        for at_ms in funding.times(self._seen_ms, now_ms):
            self._walk_all(at_ms)
            self._engine.fund(at_ms)
        self._walk_all(now_ms)

    def _walk_all(self, now_ms: int) -> None:
        if now_ms <= self._seen_ms:
            return
        for symbol in self._due(now_ms):
            self._walk(symbol, now_ms)
            self._news.add(symbol)
        self._seen_ms = now_ms

    def _due(self, now_ms: int) -> list[str]:
        """The symbols of which something may go off between the last seen time and now, in the order of their names."""
        self._take_news()
        due = set()
        while self._next and self._next[0][0] <= now_ms:
            due.add(heapq.heappop(self._next)[1])
        return sorted(due)

    def _take_news(self) -> None:
        """Work out when to look again at symbols that were looked at, or that have got an order since."""
        for account in self._engine.accounts.values():
            for orders in (account.orders.open, account.orders.open_algos):
                self._news |= orders.news
                orders.news.clear()
        for symbol in self._news:
            quiet_until_ms = self._quiet_until(symbol)
            if quiet_until_ms is not None:
                heapq.heappush(self._next, (quiet_until_ms, symbol))
        self._news.clear()

    def _quiet_until(self, symbol: str) -> int | None:
        """A moment before which no order of a symbol goes off; None when none ever will as things are."""
        waiting = self._waiting(symbol)
        if not waiting:
            return None
        tick = self._engine.market.instrument(symbol).tick
        rising = [one.price for one in waiting if one.when_rising]
        falling = [one.price for one in waiting if not one.when_rising]
        high = float(min(rising) / tick) - ROUNDING if rising else math.inf
        low = float(max(falling) / tick) + ROUNDING if falling else -math.inf
        return self._engine.market.stays_within(symbol, self._seen_ms, low, high)

    def _walk(self, symbol: str, now_ms: int) -> None:
        market, waiting = self._engine.market, self._waiting(symbol)
        instrument = market.instrument(symbol)
        price = market.last(symbol, self._seen_ms)
        for at_ms, ticks in market.path(symbol, self._seen_ms, now_ms):
            target = instrument.price(max(1, round(ticks)))
            waiting = self._sweep(symbol, waiting, price, target, at_ms)
            price = target

    def _sweep(
        self, symbol: str, waiting: list[Waiting], start: Decimal, end: Decimal, at_ms: int
    ) -> list[Waiting]:
        """Set off what lies between two prices, nearest first; what still waits afterwards is the answer."""
        while True:
            reached = [
                (abs(price - start), number, price)
                for number, one in enumerate(waiting)
                if (price := one.reached(start, end)) is not None
            ]
            if not reached:
                return waiting
            _, number, start = min(reached)
            self._set_off(waiting[number], start, at_ms)
            waiting = self._waiting(symbol)

    def _set_off(self, waiting: Waiting, price: Decimal, at_ms: int) -> None:
        order = waiting.order
        if isinstance(order, AlgoOrder):
            tick = self._engine.market.instrument(order.request.symbol).tick
            self._engine.trigger(waiting.account, order, int(price / tick), at_ms)
        else:
            self._engine.fill_resting(waiting.account, order, at_ms)

    def _waiting(self, symbol: str) -> list[Waiting]:
        return [one for account in self._engine.accounts.values() for one in waiting_of(account, symbol)]

    def liquidate(self, now_ms: int) -> None:
        """Close everything of an account whose margin balance no longer covers the maintenance margin."""
        for account in self._engine.accounts.values():
            self._liquidate(account, now_ms)

    def _liquidate(self, account: Account, now_ms: int) -> None:
        if self._engine.cushion(account).least(now_ms) >= 0:
            return  # the maintenance margin is less than the margin that a position needs at any leverage
        if not any(position.qty for position in account.positions.values()):
            return
        margin = self._engine.margin(account, now_ms)
        if margin.balance >= margin.maintenance:
            return
        for symbol in list(account.positions):
            self._engine.cancel_all(account, symbol, now_ms)
            held = account.held(symbol)
            if held:
                side = Side.SELL if held > 0 else Side.BUY
                request = liquidation(symbol, side, abs(held), now_ms)
                self._engine.execute(account, request, self._engine.book(symbol, now_ms), now_ms)


def waiting_of(account: Account, symbol: str) -> Iterator[Waiting]:
    """What waits of one account and symbol, oldest first: orders, then conditional ones."""
    for order in account.orders.open.of(symbol):
        request = order.request
        if request.price is not None:
            yield Waiting(account, order, request.price, request.side is Side.SELL)
    for algo in account.orders.open_algos.of(symbol):
        yield Waiting(account, algo, algo.trigger, algo.request.triggers_rising)


def liquidation(symbol: str, side: Side, qty: Decimal, now_ms: int) -> OrderRequest:
    """Binance names such orders autoclose-<time>."""
    client_id = f"autoclose-{now_ms}-{symbol}"
    return OrderRequest(
        symbol, side, OrderType.MARKET, qty, None, TimeInForce.IOC, client_id, reduce_only=True
    )
