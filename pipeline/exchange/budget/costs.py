"""What a request costs the budget, and what it is for: told from its method, path and parameters alone.

Source: Binance, USD-M futures, the "Weight" of each endpoint and "General Info: LIMITS". Orders weigh nothing
against the address; they count against the account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum, unique

UNKNOWN_WEIGHT = 40
"""A path that the table does not have counts as dear: what is not known must not use the limit up."""

Weight = Callable[[str], int]
"""Of a query, as it is sent."""


@unique
class Kind(StrEnum):
    """What a request is for, least urgent first. `shared.RULES` says how much of the limit each may use."""

    LOAD = "load"
    MARKET = "market"
    PRICE = "price"
    ACCOUNT = "account"
    FATE = "fate"
    ORDER = "order"
    REDUCE = "reduce"
    CANCEL = "cancel"


PUBLIC = frozenset({Kind.LOAD, Kind.MARKET, Kind.PRICE})
"""They only read what everybody may read."""


@dataclass(frozen=True, slots=True)
class Cost:
    """`weight` against the address's limit a minute, `orders` against the account's limits of orders."""

    kind: Kind
    weight: int
    orders: int = 0


def _flat(weight: int) -> Weight:
    return lambda _query: weight


def _by_symbol(one: int, every: int) -> Weight:
    """Dearer without a symbol."""
    return lambda query: one if _params(query).get("symbol") else every


def _by_limit(steps: tuple[tuple[int, int], ...], most: int, unsaid: str) -> Weight:
    """Dearer with a larger `limit`; `unsaid` is what counts when none is told."""

    def weight(query: str) -> int:
        asked = _params(query).get("limit", unsaid)
        return next((cost for count, cost in steps if asked.isdecimal() and int(asked) <= count), most)

    return weight


_CANDLES = _by_limit(((99, 1), (499, 2), (1000, 5)), 10, "500")


def candles_weight(bars: int) -> int:
    """What one request for so many candles weighs."""
    return _CANDLES(f"limit={bars}")


_READS: Mapping[str, tuple[Kind, Weight]] = {
    "ping": (Kind.PRICE, _flat(1)),
    "time": (Kind.PRICE, _flat(1)),
    "ticker/bookTicker": (Kind.PRICE, _by_symbol(2, 5)),
    "ticker/price": (Kind.PRICE, _by_symbol(1, 2)),
    "premiumIndex": (Kind.PRICE, _by_symbol(1, 10)),
    "exchangeInfo": (Kind.MARKET, _flat(1)),
    "klines": (Kind.MARKET, _CANDLES),
    "depth": (Kind.MARKET, _by_limit(((50, 2), (100, 5), (500, 10)), 20, "500")),
    "ticker/24hr": (Kind.MARKET, _by_symbol(1, 40)),
    "order": (Kind.FATE, _flat(1)),
    "openOrder": (Kind.ACCOUNT, _flat(1)),
    "openOrders": (Kind.ACCOUNT, _by_symbol(1, 40)),
    "allOrders": (Kind.ACCOUNT, _flat(5)),
    "userTrades": (Kind.ACCOUNT, _flat(5)),
    "algoOrder": (Kind.FATE, _flat(1)),
    "openAlgoOrders": (Kind.ACCOUNT, _by_symbol(1, 40)),
    "allAlgoOrders": (Kind.ACCOUNT, _flat(5)),
    "account": (Kind.ACCOUNT, _flat(5)),
    "balance": (Kind.ACCOUNT, _flat(5)),
    "positionRisk": (Kind.ACCOUNT, _flat(5)),
    "leverageBracket": (Kind.ACCOUNT, _flat(1)),
    "commissionRate": (Kind.ACCOUNT, _flat(20)),
    "accountConfig": (Kind.ACCOUNT, _flat(5)),
    "symbolConfig": (Kind.ACCOUNT, _flat(5)),
    "income": (Kind.ACCOUNT, _flat(30)),
    "positionSide/dual": (Kind.ACCOUNT, _flat(30)),
    "multiAssetsMargin": (Kind.ACCOUNT, _flat(30)),
    "account/apiRestrictions": (Kind.ACCOUNT, _flat(1)),
    "capital/config/getall": (Kind.ACCOUNT, _flat(10)),
    "margin/allPairs": (Kind.ACCOUNT, _flat(1)),
    "margin/isolated/allPairs": (Kind.ACCOUNT, _flat(10)),
}

_UNKNOWN = (Kind.ACCOUNT, _flat(UNKNOWN_WEIGHT))

_CHANGES: Mapping[tuple[str, str], Cost] = {
    ("POST", "leverage"): Cost(Kind.ACCOUNT, 1),
    ("POST", "marginType"): Cost(Kind.ACCOUNT, 1),
    ("POST", "positionSide/dual"): Cost(Kind.ACCOUNT, 1),
    ("POST", "order/test"): Cost(Kind.ACCOUNT, 1),
    ("DELETE", "order"): Cost(Kind.CANCEL, 1),
    ("DELETE", "allOpenOrders"): Cost(Kind.CANCEL, 1),
    ("DELETE", "algoOrder"): Cost(Kind.CANCEL, 1),
    ("DELETE", "algoOpenOrders"): Cost(Kind.CANCEL, 1),
    # The dead man's switch cancels what we can no longer cancel ourselves.
    ("POST", "countdownCancelAll"): Cost(Kind.CANCEL, 10),
}

_PLACING = frozenset({("POST", "order"), ("POST", "algoOrder")})
_REDUCING = ("&reduceOnly=true&", "&closePosition=true&")


def cost_of(method: str, target: str, body: str | None = None) -> Cost:
    """The cost of one request: `target` is its path with its query, `body` a form, as they are sent."""
    path, _, query = target.partition("?")
    name = _name(path)
    if method == "GET":
        kind, weight = _READS.get(name, _UNKNOWN)
        if name == "userTrades" and "orderId" in _params(query):
            kind = Kind.FATE
        return Cost(kind, weight(query))
    if (method, name) in _PLACING:
        return Cost(Kind.REDUCE if _reduces(query, body or "") else Kind.ORDER, 0, orders=1)
    return _CHANGES.get((method, name), Cost(Kind.ACCOUNT, UNKNOWN_WEIGHT))


def _name(path: str) -> str:
    """`ticker/bookTicker` of `/fapi/v1/ticker/bookTicker`: versions of an endpoint weigh the same."""
    return path.lstrip("/").split("/", 2)[-1]


def _params(query: str) -> Mapping[str, str]:
    """What a weight depends on needs no decoding: a number, and whether there is a symbol."""
    return dict(pair.partition("=")[::2] for pair in query.split("&"))


def _reduces(*encoded: str) -> bool:
    return any(told in f"&{each}&" for each in encoded for told in _REDUCING)
