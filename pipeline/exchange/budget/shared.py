"""The budget that all processes on all hosts share, in Redis."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import redis

from pipeline.domain.events import EventName, Events, Level
from pipeline.exchange.budget.costs import Cost, Kind
from pipeline.exchange.budget.heard import Heard, Standing
from pipeline.exchange.budget.line import Line
from pipeline.exchange.budget.ports import UNASKED, Held, Stop, Told, Used
from pipeline.exchange.budget.rules import NO_LIMIT, RULES, RateLimits, ceiling
from pipeline.exchange.budget.scripts import CORRECT, STOP, TAKE

MARGIN_S = 0.1
"""Told to wait until a moment, we wait a little longer: clocks and wires differ."""
BANNED = "the exchange has banned our address"
AGAIN_S = 1.0
"""After how long a caller may try again when Redis did not answer."""

STOPS = ("stop", "orders_stop")
"""As `TAKE` names what stops everything, and what stops orders alone."""

Answer = Sequence[bytes | int | str]
"""As `TAKE` describes it."""


class RedisAway(Exception):
    """Redis did not answer: nobody knows what was used, nor whether the exchange told somebody to stop."""


class SharedBudget:
    """Fulfils `Budget`. One round trip to Redis for each request; a second one only where the exchange counted more.

    `client` should give up within about a second: every request waits for it. While Redis is away only cancels and
    orders that reduce a position leave (see `rules.RULES`), and the stops that this process has heard of hold. A Redis
    that has lost one (flushed, or a replica that came too late) is told it again by the next who asks and knows of it.
    """

    def __init__(
        self, client: redis.Redis, limits: RateLimits, events: Events, *, exchange: str, account: str
    ) -> None:
        """Weight counts for the whole `exchange` (`live-binanceusdm`), orders for the `account` (`live-main`)."""
        self._limits = limits
        self._events = events
        self._account = account
        where = f"tl:budget:{exchange}"
        self._weight, self._orders = f"{where}:weight", f"{where}:orders:{account}"
        self._stop, self._orders_stop = f"{where}:stop", f"{where}:orders_stop:{account}"
        self._ban = f"{where}:ban"
        self._keys = (self._weight, self._orders, self._stop, self._orders_stop)
        self._stops = dict(zip(STOPS, (self._stop, self._orders_stop), strict=True))
        self._line = Line(client)
        self._heard = Heard()
        self._away = False

    @property
    def limits(self) -> RateLimits:
        return self._limits

    def learn(self, limits: RateLimits) -> None:
        self._limits = self._limits.lowered_to(limits)

    def take(self, cost: Cost) -> Used:
        try:
            answer = self._ask(cost, count=True)
        except RedisAway as problem:
            if not RULES[cost.kind].without_redis:
                raise Held(f"{UNASKED}: {problem}", AGAIN_S) from problem
            return Used()
        return _granted(answer, cost)

    def room(self, kind: Kind) -> int:
        try:
            wait_ms, _, _, used, *_ = self._ask(Cost(kind, 1), count=False)
        except RedisAway:
            return 0
        most = ceiling(RULES[kind].weight_share, self._limits.weight_1m)
        if int(wait_ms):
            return 0
        return NO_LIMIT if most < 0 else max(0, most - int(used) + 1)

    def correct(self, told: Told, used: Used) -> None:
        if not _exceeds(told, used):
            return
        counts = [
            -1 if count is None else count for count in (told.weight_1m, told.orders_10s, told.orders_1m)
        ]
        try:
            with self._redis():
                self._line.run(CORRECT, [self._weight, self._orders], counts)
        except RedisAway:
            return  # what the exchange counts comes with its next answer again

    def stop(self, stop: Stop) -> None:
        wait_s = stop.wait_s + MARGIN_S
        key = self._orders_stop if stop.orders_only else self._stop
        self._heard.hear(key, time.monotonic() + wait_s, stop.why)
        if self._write_down(key, wait_s, stop.why):
            what = "orders" if stop.orders_only else "everything"
            self._events.emit(EventName.RATE_LIMITED, stopped=what, wait_s=stop.wait_s, why=stop.why)
        if stop.banned and self._write_down(self._ban, wait_s, stop.why):
            detail = f"{stop.why}; nothing is sent for {stop.wait_s:g} s, cancellations included"
            self._events.emit(EventName.ALERT, account=self._account, what=BANNED, detail=detail)

    def _write_down(self, key: str, wait_s: float, why: str) -> bool:
        """Write the stop down; whether nobody had. Without Redis everybody is the first."""
        try:
            with self._redis():
                return bool(self._line.run(STOP, [key], [math.ceil(wait_s * 1000), why]))
        except RedisAway:
            return True

    def _ask(self, cost: Cost, *, count: bool) -> Answer:
        """What Redis answers, or the stop that it has lost. Raises: RedisAway, where no stop is known here either."""
        asked_at = time.monotonic()
        stops = (self._stop, self._orders_stop) if cost.orders else (self._stop,)
        known = self._heard.standing(stops, asked_at)
        most = _ceilings(cost.kind, self._limits)
        counted = int(count and not known)
        try:
            with self._redis():
                answer: Answer = self._line.run(TAKE, self._keys, (cost.weight, cost.orders, *most, counted))
        except RedisAway:
            if not known:
                raise
            return _stopped(known[0])
        lost = self._compared(answer, known, asked_at)
        return _stopped(lost[0]) if lost else answer

    def _compared(self, answer: Answer, known: Sequence[Standing], asked_at: float) -> Sequence[Standing]:
        """Learn the stop that holds the request; tell Redis those again that stand before it and did not hold it."""
        wait_ms, what, why, *_ = answer
        held_by = self._stops.get(_text(what))
        if held_by is not None:  # a margin less: handed from process to process for ever, it would not end
            self._heard.hear(held_by, asked_at + float(wait_ms) / 1000 - MARGIN_S, _text(why))
        lost = [] if held_by == self._stop else [each for each in known if each.key != held_by]
        for each in lost:
            self._write_down(each.key, each.wait_s, each.why)
        return lost

    @contextmanager
    def _redis(self) -> Iterator[None]:
        """Raises: RedisAway. An outage is said once when it begins and once when it is over."""
        try:
            yield
        except redis.RedisError as problem:
            if not self._away:
                self._away = True
                self._events.emit(EventName.RATE_BUDGET, answers=False, problem=str(problem))
            raise RedisAway(str(problem)) from problem
        if self._away:
            self._away = False
            self._events.emit(EventName.RATE_BUDGET, level=Level.INFO, answers=True)


@cache
def _ceilings(kind: Kind, limits: RateLimits) -> tuple[int, int, int]:
    rule = RULES[kind]
    return (
        ceiling(rule.weight_share, limits.weight_1m),
        ceiling(rule.orders_share, limits.orders_10s),
        ceiling(rule.orders_share, limits.orders_1m),
    )


def _stopped(stop: Standing) -> Answer:
    """What Redis would answer if it knew of this stop."""
    return math.ceil(stop.wait_s * 1000), STOPS[0], stop.why, 0, 0, 0


def _granted(answer: Answer, cost: Cost) -> Used:
    """Raises: Held."""
    wait_ms, what, why, *used = answer
    if int(wait_ms):
        raise Held(_why(_text(what), _text(why), cost), float(wait_ms) / 1000)
    return Used(*map(int, used))


def _why(what: str, why: str, cost: Cost) -> str:
    if what in STOPS:
        return why
    share = RULES[cost.kind].weight_share if what == "weight" else RULES[cost.kind].orders_share
    return f"{cost.kind} requests may use {share:.0%} of the limit of {what}, and it is used up"


def _text(told: bytes | int | str) -> str:
    return told.decode() if isinstance(told, bytes) else str(told)


def _exceeds(told: Told, used: Used) -> bool:
    return (
        (told.weight_1m or 0) > used.weight_1m
        or (told.orders_10s or 0) > used.orders_10s
        or (told.orders_1m or 0) > used.orders_1m
    )
