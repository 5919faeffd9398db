"""The gate through which every request leaves and every answer comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.exchange.budget.costs import PUBLIC, Cost, cost_of
from pipeline.exchange.budget.ports import Budget, Stop, Told, Used
from pipeline.exchange.replies import Reply

TOO_MANY, BANNED = 429, 418
TOO_MANY_ORDERS = "-1015"
UNTOLD_S: Mapping[int, float] = {TOO_MANY: 60.0, BANNED: 120.0}
"""How long to wait when the answer names no time: the exchange's minute, and its shortest ban."""


@dataclass(frozen=True, slots=True)
class Leave:
    """A request may leave: `what` it is, what it costs, and what was used with it."""

    what: str
    cost: Cost
    used: Used

    @property
    def public(self) -> bool:
        """Whether it only reads what everybody may read."""
        return self.cost.kind in PUBLIC


class Gate:
    """Asks the budget before each request, and tells it what the exchange's answer says."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def leave(self, method: str, target: str, body: str | None) -> Leave:
        """`target` is the path with its query. Raises: Held; the request does not leave then."""
        cost = cost_of(method, target, body)
        return Leave(f"{method} {target.partition('?')[0]}", cost, self._budget.take(cost))

    def came_back(self, leave: Leave, reply: Reply) -> None:
        """Correct the count by the exchange's own, and stop everybody if it said so."""
        if reply.status in UNTOLD_S:
            self._budget.stop(_stop(leave, reply))
        told = _told(reply.headers)
        if told.anything:
            self._budget.correct(told, leave.used)


def _stop(leave: Leave, reply: Reply) -> Stop:
    """Too many orders concern the account; everything else the address, so all of us."""
    status, wait_s = reply.status, reply.retry_after_s
    return Stop(
        wait_s=UNTOLD_S[status] if wait_s is None else wait_s,
        why=f"the exchange answered {status} to {leave.what}",
        banned=status == BANNED,
        orders_only=status == TOO_MANY and reply.code == TOO_MANY_ORDERS,
    )


def _told(headers: Mapping[str, str]) -> Told:
    return Told(
        weight_1m=_count(headers, "x-mbx-used-weight-1m"),
        orders_10s=_count(headers, "x-mbx-order-count-10s"),
        orders_1m=_count(headers, "x-mbx-order-count-1m"),
    )


def _count(headers: Mapping[str, str], name: str) -> int | None:
    told = headers.get(name, "")
    return int(told) if told.isdecimal() and len(told) < 9 else None
