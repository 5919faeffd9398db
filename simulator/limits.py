"""Request weights per address and minute, order counts per account and 10 s or 1 min, as Binance has them.

Limits run on real time, whatever the speed of the simulated clock: they are about requests, not about prices.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from simulator.clock import iso, wall_ms
from simulator.errors import BANNED, TOO_MANY_ORDERS, TOO_MANY_REQUESTS, ApiError
from simulator.options import Options

MINUTE_S = 60.0
TEN_S = 10.0


@dataclass(slots=True)
class Counter:
    """Counts within fixed windows of real time."""

    window_s: float
    used: int = 0
    number: int = -1

    def add(self, amount: int, now_s: float) -> int:
        """Count, and say how much the current window has now."""
        number = int(now_s // self.window_s)
        if number != self.number:
            self.number, self.used = number, 0
        self.used += amount
        return self.used

    def left_s(self, now_s: float) -> float:
        """Seconds until the window ends."""
        return self.window_s - now_s % self.window_s


@dataclass(slots=True)
class Caller:
    """What one address has used, and whether it is banned."""

    weight: Counter = field(default_factory=lambda: Counter(MINUTE_S))
    ignored: int = 0
    banned_until_s: float = 0.0


@dataclass(slots=True)
class OrderCount:
    """What one account has ordered."""

    ten: Counter = field(default_factory=lambda: Counter(TEN_S))
    minute: Counter = field(default_factory=lambda: Counter(MINUTE_S))


class Limits:
    """429 above the limit; 418 and a ban for those who go on after `ban_after` answers of 429."""

    def __init__(self, options: Options, now_s: Callable[[], float] = time.monotonic) -> None:
        self._options = options
        self._now_s = now_s
        self._callers: dict[str, Caller] = {}
        self._orders: dict[str, OrderCount] = {}

    def charge(self, address: str, weight: int) -> int:
        """Count a request; the weight used in this minute is the answer.

        Raises: ApiError 429 or 418 with Retry-After.
        """
        now = self._now_s()
        caller = self._callers.setdefault(address, Caller())
        if now < caller.banned_until_s:
            raise self._banned(address, caller, now)
        used = caller.weight.add(weight, now)
        if used <= self._options.weight_limit:
            caller.ignored = 0
            return used
        caller.ignored += 1
        if caller.ignored > self._options.ban_after:
            caller.banned_until_s = now + self._options.ban_s
            caller.ignored = 0
            raise self._banned(address, caller, now)
        left = math.ceil(caller.weight.left_s(now))
        raise ApiError(TOO_MANY_REQUESTS, address, self._options.weight_limit, retry_after_s=left)

    def count_order(self, api_key: str) -> tuple[int, int]:
        """Count an order; the orders of these ten seconds and of this minute are the answer.

        Raises: ApiError -1015.
        """
        now = self._now_s()
        count = self._orders.setdefault(api_key, OrderCount())
        ten, minute = count.ten.add(1, now), count.minute.add(1, now)
        if ten > self._options.order_limit_10s:
            left = math.ceil(count.ten.left_s(now))
            raise ApiError(TOO_MANY_ORDERS, self._options.order_limit_10s, "10 SECOND", retry_after_s=left)
        if minute > self._options.order_limit_1m:
            left = math.ceil(count.minute.left_s(now))
            raise ApiError(TOO_MANY_ORDERS, self._options.order_limit_1m, "1 MINUTE", retry_after_s=left)
        return ten, minute

    def forget(self) -> None:
        """Start counting anew: lifts bans as well."""
        self._callers.clear()
        self._orders.clear()

    def _banned(self, address: str, caller: Caller, now: float) -> ApiError:
        left = caller.banned_until_s - now
        until = iso(wall_ms() + int(left * 1000))
        return ApiError(BANNED, address, until, retry_after_s=math.ceil(left))
