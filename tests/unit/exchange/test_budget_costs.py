"""What requests cost, and what they are for."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from pipeline.exchange.budget.costs import UNKNOWN_WEIGHT, Cost, Kind, cost_of
from pipeline.exchange.budget.published import published_limits
from pipeline.exchange.budget.rules import RULES, RateLimits, ceiling
from simulator.gateway import ROUTES
from simulator.params import Params

QUESTIONS: list[dict[str, str]] = [
    {},
    {"symbol": "BTCUSDT"},
    *({"symbol": "BTCUSDT", "limit": limit} for limit in ("5", "99", "100", "499", "500", "1000", "1001")),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=urlencode)
def test_every_request_weighs_what_the_exchange_counts(question: dict[str, str]) -> None:
    """A weight that is too small earns a 429, one that is too large starves decisions of their data."""
    for (method, path), route in ROUTES.items():
        query = urlencode(question)
        cost = cost_of(method, f"{path}?{query}" if query else path)
        counted = (route.weight(Params.parse(query, "")), int(route.places_order))
        assert (cost.weight, cost.orders) == counted, f"{method} {path}"


@pytest.mark.parametrize(
    ("method", "path", "body", "kind"),
    [
        ("GET", "/fapi/v1/klines?symbol=BTCUSDT&limit=2", None, Kind.MARKET),
        ("GET", "/fapi/v1/time", None, Kind.PRICE),
        ("GET", "/fapi/v1/ticker/bookTicker?symbol=BTCUSDT", None, Kind.PRICE),
        ("GET", "/fapi/v1/order?symbol=BTCUSDT&origClientOrderId=a", None, Kind.FATE),
        ("GET", "/fapi/v1/userTrades?symbol=BTCUSDT&orderId=7&limit=1000", None, Kind.FATE),
        ("GET", "/fapi/v1/userTrades?symbol=BTCUSDT&limit=1000", None, Kind.ACCOUNT),
        ("GET", "/fapi/v3/account", None, Kind.ACCOUNT),
        ("POST", "/fapi/v1/order", "symbol=BTCUSDT&side=BUY", Kind.ORDER),
        ("POST", "/fapi/v1/order", "symbol=BTCUSDT&side=BUY&reduceOnly=false", Kind.ORDER),
        ("POST", "/fapi/v1/order", "symbol=BTCUSDT&side=SELL&reduceOnly=true", Kind.REDUCE),
        ("POST", "/fapi/v1/algoOrder", "side=SELL&closePosition=true", Kind.REDUCE),
        ("DELETE", "/fapi/v1/order?symbol=BTCUSDT", None, Kind.CANCEL),
        ("DELETE", "/fapi/v1/allOpenOrders?symbol=BTCUSDT", None, Kind.CANCEL),
    ],
)
def test_a_request_tells_by_itself_what_it_is_for(
    method: str, path: str, body: str | None, kind: Kind
) -> None:
    """Whoever sends it, an exit goes before an entry, and a price before a candle."""
    assert cost_of(method, path, body).kind is kind


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_what_the_table_does_not_know_is_dear(method: str) -> None:
    """A new endpoint that nobody weighed must not use the limit up unseen."""
    assert cost_of(method, "/fapi/v9/novelty") == Cost(Kind.ACCOUNT, UNKNOWN_WEIGHT)


def test_the_more_urgent_may_use_more_of_the_limit() -> None:
    """A first load of a thousand symbols leaves room for the price that a decision waits for."""
    shares = [RULES[kind].weight_share for kind in (Kind.LOAD, Kind.MARKET, Kind.PRICE)]
    assert shares == sorted(shares, key=lambda share: share or 0)
    assert RULES[Kind.CANCEL].weight_share is RULES[Kind.CANCEL].orders_share is None
    assert (ceiling(None, 2400), ceiling(RULES[Kind.LOAD].weight_share, 2400)) == (-1, 1200)


def test_published_limits_may_lower_ours_and_never_raise_them() -> None:
    """An exchange that halves its limits must not find out that our file still has the old ones."""
    told = published_limits(
        '{"timezone":"UTC","rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,'
        '"limit":1200},{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":900}],"symbols":[]}'
    )
    ours = RateLimits(weight_1m=2400, orders_10s=300, orders_1m=1200)
    assert ours.lowered_to(told) == RateLimits(weight_1m=1200, orders_10s=300, orders_1m=1200)


@pytest.mark.parametrize(
    "text", ["", "<html>", '{"rateLimits": [}', '{"rateLimits": [1, {"limit": "x"}, {"limit": -5}]}']
)
def test_limits_that_cannot_be_read_change_nothing(text: str) -> None:
    """A page of HTML is no reason to stop asking, nor to ask more."""
    assert RateLimits().lowered_to(published_limits(text)) == RateLimits()
