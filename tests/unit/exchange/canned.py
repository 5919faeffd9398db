"""The real adapter and the real ccxt class over answers that are made up: no socket is opened."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pipeline.domain.decisions import Mode
from pipeline.domain.ids import ClientOrderId, DecisionId, PermitId
from pipeline.domain.intents import Leg, OrderType, TimeInForce
from pipeline.domain.orders import Order
from pipeline.domain.permits import OrderTerms, Permit
from pipeline.domain.signals import Side
from pipeline.exchange.ccxt_adapter import CcxtExchange, ExchangeOptions, connect
from pipeline.exchange.replies import Reply
from pipeline.exchange.wire import WireOptions
from pipeline.testing import FixedClock

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY, SECRET = "the-api-key", "the-api-secret"
CLIENT_ID = ClientOrderId("0123456789abcdef0123456789abcdef")

EXCHANGE_INFO = {
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "pair": "BTCUSDT",
            "contractType": "PERPETUAL",
            "deliveryDate": 4133404800000,
            "status": "TRADING",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "marginAsset": "USDT",
            "pricePrecision": 2,
            "quantityPrecision": 3,
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.10", "maxPrice": "1000000", "tickSize": "0.10"},
                {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
                {"filterType": "MIN_NOTIONAL", "notional": "100"},
            ],
        }
    ]
}

Answer = Exception | tuple[int, str, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it would leave."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str | None

    @property
    def params(self) -> dict[str, str]:
        """From its query or its body."""
        text = self.body or urlsplit(self.url).query
        return {name: values[0] for name, values in parse_qs(text).items()}


class Canned:
    """Stands where the transport stands: answers each path with what was prepared for it, and keeps what was asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: dict[str, Answer | Callable[[], Answer]] = {}
        self.answer("/fapi/v1/exchangeInfo", 200, EXCHANGE_INFO)

    def answer(self, path: str, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        self.answers[path] = (status, text, headers or {"content-type": "application/json"})

    def fail(self, path: str, error: Exception) -> None:
        self.answers[path] = error

    def send(self, method: str, url: str, headers: Mapping[str, str], body: str | None = None) -> Reply:
        self.asked.append(Asked(method, url, headers, body))
        prepared = self.answers[urlsplit(url).path]
        told = prepared() if callable(prepared) else prepared
        if isinstance(told, Exception):
            raise told
        status, text, answered = told
        return Reply.of(status, text.encode(), answered)

    @property
    def last(self) -> Asked:
        return self.asked[-1]

    def sent(self) -> dict[str, str]:
        """The parameters of the last request."""
        return self.last.params


def canned(
    clock: FixedClock | None = None, *, instruments_max_age_s: float = 600.0, **wire: Any
) -> tuple[CcxtExchange, Canned]:
    """The adapter and what it talks to."""
    options = ExchangeOptions(
        account="main",
        mode=Mode.PAPER,
        wire=WireOptions(api_key=KEY, api_secret=SECRET, **wire),
        instruments_max_age_s=instruments_max_age_s,
    )
    exchange, answers = connect(options, clock or FixedClock(NOON)), Canned()
    exchange._wire.transport = answers  # type: ignore[assignment]  # the part of it that is asked
    return exchange, answers


def an_order(**changes: Any) -> tuple[Order, Permit]:
    """An order about to be sent, with its permit."""
    fields: dict[str, Any] = {
        "client_order_id": CLIENT_ID,
        "decision_id": DecisionId("dec_20260301_120000_0123456789ab"),
        "leg": Leg.ENTRY,
        "attempt": 1,
        "account": "main",
        "mode": Mode.PAPER,
        "permit_id": PermitId("per_1"),
        "symbol": "BTC/USDT:USDT",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "tif": TimeInForce.IOC,
        "qty": Decimal("0.0100"),
        "limit_price": Decimal("60090.10"),
        "reduce_only": False,
        "decision_price": Decimal("60000"),
        "created_at": NOON,
        "sent_at": NOON,
    }
    order = Order(**fields | changes)
    terms = OrderTerms(
        **{
            name: getattr(order, name) for name in OrderTerms.__dataclass_fields__
        }  # the terms are the order's own
    )
    permit = Permit(
        permit_id=PermitId("per_1"),
        terms=terms,
        terms_hash=terms.hash(),
        reserved=terms.notional,
        limits={},
        issued_at=NOON,
        expires_at=NOON,
        signature="",
    )
    return order, permit


def told_order(**changes: object) -> dict[str, object]:
    """An order as Binance describes it."""
    return {
        "clientOrderId": CLIENT_ID,
        "orderId": 8000000001,
        "symbol": "BTCUSDT",
        "status": "FILLED",
        "executedQty": "0.010",
        "avgPrice": "60000.00",
        **changes,
    }
