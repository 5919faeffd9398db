"""The least that an account has available, whatever its prices do until the minute is over."""

from __future__ import annotations

from decimal import Decimal

from simulator.account import Account
from simulator.clock import MINUTE_MS
from simulator.market import Market
from simulator.orders import ZERO

ROUNDING = Decimal(1)
"""USDT: far more than the last digits of sums that are added up in another order."""


class Cushion:
    """Answers most questions about an account's margin, at a cost that does not grow with what it holds.

    A price stays between the extremes of its bar, and what a symbol adds is linear in its price: at the worst it adds
    what it does at one of the two. Whom this does not cover the exact margin may still cover.
    """

    def __init__(self, account: Account, market: Market) -> None:
        self.account = account
        self._market = market
        self._minute = -1
        self._parts: dict[str, Decimal] = {}
        self._sum = ZERO

    def least(self, now_ms: int) -> Decimal:
        """At any moment of this minute there is more available, unless something happens to the account. Unit: USDT;
        below zero when there may be nothing.
        """
        if now_ms // MINUTE_MS != self._minute:
            self._begin(now_ms // MINUTE_MS)
        while self.account.changed:
            self._value(self.account.changed.pop(), now_ms)
        return self.account.wallet + self._sum - ROUNDING

    def _begin(self, minute: int) -> None:
        """Bars open at whole minutes: these are others, with other extremes."""
        account = self.account
        self._minute, self._parts, self._sum = minute, {}, ZERO
        account.changed.update(symbol for symbol, position in account.positions.items() if position.qty)
        account.changed.update(order.request.symbol for order in account.orders.open.values())

    def _value(self, symbol: str, now_ms: int) -> None:
        low, high = self._market.extremes(symbol, now_ms)
        part = min(self.account.adds(symbol, low), self.account.adds(symbol, high))
        self._sum += part - self._parts.get(symbol, ZERO)
        self._parts[symbol] = part
