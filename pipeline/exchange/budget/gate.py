"""The gate through which every request leaves and every answer comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import orjson
import requests

from pipeline.exchange.budget.costs import PUBLIC, Cost, cost_of
from pipeline.exchange.budget.ports import Budget, Stop, Told, Used
from pipeline.exchange.replies import retry_after_s

TOO_MANY, BANNED = 429, 418
TOO_MANY_ORDERS = -1015
UNTOLD_S: Mapping[int, float] = {TOO_MANY: 60.0, BANNED: 120.0}
"""How long to wait when the answer names no time: the exchange's minute, and its shortest ban."""


@dataclass(frozen=True, slots=True)
class Leave:
    """A request may leave: what it costs, and what was used with it."""

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

    def leave(self, request: requests.PreparedRequest) -> Leave:
        """Raises: Held; the request does not leave then."""
        body = request.body if isinstance(request.body, bytes | str) else None
        cost = cost_of(request.method or "", request.path_url, body)
        return Leave(cost, self._budget.take(cost))

    def came_back(self, leave: Leave, response: requests.Response) -> None:
        """Correct the count by the exchange's own, and stop everybody if it said so."""
        if response.status_code in UNTOLD_S:
            self._budget.stop(_stop(response))
        told = _told(response.headers)
        if told.anything:
            self._budget.correct(told, leave.used)


def _stop(response: requests.Response) -> Stop:
    wait_s = retry_after_s(response.headers)
    status = response.status_code
    path = response.request.path_url.partition("?")[0]
    return Stop(
        wait_s=UNTOLD_S[status] if wait_s is None else wait_s,
        why=f"the exchange answered {status} to {response.request.method} {path}",
        banned=status == BANNED,
        orders_only=status == TOO_MANY and _code(response) == TOO_MANY_ORDERS,
    )


def _code(response: requests.Response) -> object:
    """The exchange's own code. Too many orders concern the account; everything else the address, so all of us."""
    try:
        told = orjson.loads(response.content)
    except (orjson.JSONDecodeError, requests.RequestException):
        return None
    return told.get("code") if isinstance(told, dict) else None


def _told(headers: Mapping[str, str]) -> Told:
    return Told(
        weight_1m=_count(headers, "X-MBX-USED-WEIGHT-1M"),
        orders_10s=_count(headers, "X-MBX-ORDER-COUNT-10S"),
        orders_1m=_count(headers, "X-MBX-ORDER-COUNT-1M"),
    )


def _count(headers: Mapping[str, str], name: str) -> int | None:
    told = headers.get(name, "")
    return int(told) if told.isdecimal() and len(told) < 9 else None
