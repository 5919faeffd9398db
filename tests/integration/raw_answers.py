"""Raw HTTP answers to an order, and what they have to mean: ours in the first place, ccxt's beside it.

`means` is our answer: `placed`, `unknown`, or `refused CODE` (with ` again` where another attempt may follow).
`ccxt` is what `create_order` of the real class makes of the same bytes: the class of the exception, or
`id=...` of the order that it returns. Nothing of ours depends on it; a new ccxt that changes it is a reason
to look again at what else it changed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.raw_http import Raw

OURS = "0123456789abcdef0123456789abcdef"
HTML = {"Content-Type": "text/html"}
PAGE = "<html><head><title>Bad gateway</title></head><body>cloudflare</body></html>"


@dataclass(frozen=True, slots=True)
class Told:
    """One answer and its meanings."""

    name: str
    raw: Raw
    means: str
    ccxt: str


def told(name: str, body: object, means: str, ccxt: str, status: int = 200) -> Told:
    return Told(name, Raw(status, json.dumps(body)), means, ccxt)


def network(
    rate_limited: str, forbidden: str = "ExchangeNotAvailable", no_object: str = "id=None"
) -> Sequence[Told]:
    """What any of them can answer without having a word in it; what ccxt makes of three of them differs."""
    busy = Raw(429, "", {"Retry-After": "7"})
    return (
        Told("an empty body", Raw(), "unknown", "id=None"),
        Told("a page of HTML", Raw(200, PAGE, HTML), "unknown", "id=None"),
        Told("JSON that is no object", Raw(200, "[]"), "unknown", no_object),
        Told("a truncated body", Raw(200, '{"orderId": 80', promised=60), "unknown", "NetworkError"),
        Told("a reset connection", Raw(reset=True), "unknown", "NetworkError"),
        Told("silence", Raw(mute=True), "unknown", "RequestTimeout"),
        Told("403 with HTML", Raw(403, PAGE, HTML), "unknown", forbidden),
        Told("500 without a body", Raw(500), "unknown", "ExchangeNotAvailable"),
        Told("502 with HTML", Raw(502, PAGE, HTML), "unknown", "ExchangeNotAvailable"),
        Told("503 with HTML", Raw(503, PAGE, HTML), "unknown", "ExchangeNotAvailable"),
        Told("504 with HTML", Raw(504, PAGE, HTML), "unknown", "RequestTimeout"),
        Told("429 without a body", busy, "refused HTTP 429 again", rate_limited),
    )


def binance(name: str, code: int, msg: str, means: str, ccxt: str, status: int = 400) -> Told:
    return told(f"{code} {name}", {"code": code, "msg": msg}, means, ccxt, status)


_BINANCE_TAKEN = {
    "orderId": 8000000001,
    "symbol": "BTCUSDT",
    "status": "FILLED",
    "clientOrderId": OURS,
    "price": "60000",
    "avgPrice": "60000.0",
    "origQty": "0.010",
    "executedQty": "0.010",
    "timeInForce": "IOC",
    "type": "LIMIT",
    "side": "BUY",
    "reduceOnly": False,
    "updateTime": 1700000000000,
}

_UNKNOWN_503 = "Unknown error, please check your request or try again later."
_INTERNAL_503 = "Internal error; unable to process your request. Please try again."

BINANCE = (
    *network("DDoSProtection"),
    told("placed", _BINANCE_TAKEN, "placed", "id=8000000001"),
    told("another's order", {**_BINANCE_TAKEN, "clientOrderId": "x"}, "unknown", "id=8000000001"),
    told("no id", {**_BINANCE_TAKEN, "orderId": None}, "unknown", "id=None"),
    told("a float", {**_BINANCE_TAKEN, "executedQty": 0.01}, "unknown", "id=8000000001"),
    told("no word of an order", {"code": 200, "msg": "success"}, "unknown", "id=None"),
    Told("418", Raw(418, "", {"Retry-After": "120"}), "refused HTTP 418 again", "DDoSProtection"),
    binance("503, execution unknown", 0, _UNKNOWN_503, "unknown", "ExchangeNotAvailable", 503),
    binance("503, down", 0, "Service Unavailable.", "refused 0 again", "ExchangeNotAvailable", 503),
    binance("503, failed before", 0, _INTERNAL_503, "refused 0 again", "ExchangeNotAvailable", 503),
    binance("disconnected", -1001, "Internal error; unable to process.", "unknown", "OperationFailed", 500),
    binance("unexpected response", -1006, "An unexpected response was received.", "unknown", "OperationFailed", 500),
    binance("time-out inside", -1007, "Timeout waiting for response from backend.", "unknown", "RequestTimeout", 408),
    binance("overloaded", -1008, "Server is currently overloaded.", "refused -1008 again", "OperationFailed", 503),
    binance("too many requests", -1003, "Too many requests.", "refused -1003 again", "DDoSProtection", 429),
    binance("too many orders", -1015, "Too many new orders.", "refused -1015 again", "RateLimitExceeded"),
    binance("late", -1021, "Timestamp is outside of the recvWindow.", "refused -1021 again", "InvalidNonce"),
    binance("signature", -1022, "Signature for this request is not valid.", "refused -1022", "AuthenticationError"),
    binance("precision", -1111, "Precision is over the maximum.", "refused -1111", "BadRequest"),
    binance("symbol", -1121, "Invalid symbol.", "refused -1121", "BadSymbol"),
    binance("key", -2015, "Invalid API-key, IP, or permissions.", "refused -2015", "AuthenticationError", 401),
    binance("margin", -2019, "Margin is insufficient.", "refused -2019", "InsufficientFunds"),
    binance("reduce only", -2022, "ReduceOnly Order is rejected.", "refused -2022", "InvalidOrder"),
    binance("leverage", -2027, "Exceeded the maximum position.", "refused -2027", "OperationRejected"),
    binance("stops", -4045, "Reach max stop order limit.", "refused -4045", "OperationRejected"),
    binance("collar", -4131, "The counterparty's best price is off.", "refused -4131", "OperationRejected"),
    binance("notional", -4164, "Order's notional must be no smaller than 100.", "refused -4164", "InvalidOrder"),
    binance("algo", -4120, "Order type not supported for this endpoint.", "refused -4120", "InvalidOrder"),
    binance("duplicate", -2010, "NEW_ORDER_REJECTED", "unknown", "InvalidOrder"),
    binance("exists", -4116, "ClientOrderId is duplicated.", "unknown", "InvalidOrder"),
    binance("not listed", -9876, "Something new.", "unknown", "ExchangeError"),
    binance("under 502", -2019, "Margin is insufficient.", "unknown", "InsufficientFunds", 502),
)  # fmt: skip


def bybit(name: str, code: int, msg: str, means: str, ccxt: str) -> Told:
    body = {"retCode": code, "retMsg": msg, "result": {}, "retExtInfo": {}, "time": 1700000000000}
    return told(f"{code} {name}", body, means, ccxt)


_BYBIT_TAKEN = {"orderId": "1321003749386327552", "orderLinkId": OURS}

BYBIT = (
    *network("RateLimitExceeded", forbidden="RateLimitExceeded", no_object="ExchangeError"),
    told("placed", {"retCode": 0, "retMsg": "OK", "result": _BYBIT_TAKEN}, "placed", "id=1321003749386327552"),
    told("no order", {"retCode": 0, "retMsg": "OK", "result": {}}, "unknown", "id=None"),
    bybit("time-out inside", 10000, "Server Timeout", "unknown", "ExchangeError"),
    bybit("internal", 10016, "System error. Please try again later.", "unknown", "ExchangeError"),
    bybit("backend time-out", 170007, "Timeout waiting for response from backend server.", "unknown", "RequestTimeout"),
    bybit("parameter", 10001, "params error", "refused 10001", "BadRequest"),
    bybit("late", 10002, "invalid request, please check your timestamp", "refused 10002 again", "InvalidNonce"),
    bybit("key", 10003, "API key is invalid.", "refused 10003", "AuthenticationError"),
    bybit("too many requests", 10006, "Too many visits.", "refused 10006 again", "RateLimitExceeded"),
    bybit("price", 110003, "Order price is out of permissible range", "refused 110003", "InvalidOrder"),
    bybit("balance", 110007, "ab not enough for new order", "refused 110007", "InsufficientFunds"),
    bybit("reduce only", 110017, "Reduce-only rule not satisfied", "refused 110017", "InvalidOrder"),
    bybit("notional", 110094, "Order does not meet minimum order value", "refused 110094", "InvalidOrder"),
    bybit("exists", 110072, "OrderLinkedID is duplicate", "unknown", "InvalidOrder"),
    bybit("exists, spot", 170141, "Duplicate clientOrderId", "unknown", "InvalidOrder"),
    bybit("not listed", 999999, "Something new", "unknown", "ExchangeError"),
)  # fmt: skip


def okx(name: str, code: str, msg: str, means: str, ccxt: str) -> Told:
    """A complaint about the order itself stands inside the data."""
    inner = {"clOrdId": OURS, "ordId": "", "sCode": code, "sMsg": msg, "tag": ""}
    return told(f"{code} {name}", {"code": "1", "data": [inner], "msg": ""}, means, ccxt)


def okx_outer(name: str, code: str, msg: str, means: str, ccxt: str, status: int = 200) -> Told:
    return told(f"{code} {name}", {"code": code, "data": [], "msg": msg}, means, ccxt, status)


_OKX_TAKEN = {"clOrdId": OURS, "ordId": "312269865356374016", "sCode": "0", "sMsg": "", "tag": ""}

OKX = (
    *network("ExchangeNotAvailable", no_object="ExchangeError"),
    told("placed", {"code": "0", "data": [_OKX_TAKEN], "msg": ""}, "placed", "id=312269865356374016"),
    told("no order", {"code": "0", "data": [], "msg": ""}, "unknown", "id=None"),
    okx_outer("time-out inside", "50004", "Endpoint request timeout", "unknown", "RequestTimeout"),
    okx_outer("overloaded", "50013", "Systems are busy.", "unknown", "ExchangeNotAvailable", 503),
    okx_outer("internal", "50026", "System error. Try again later", "unknown", "ExchangeNotAvailable", 500),
    okx_outer("too many requests", "50011", "Too Many Requests", "refused 50011 again", "RateLimitExceeded", 429),
    okx_outer("late", "50102", "Timestamp request expired", "refused 50102 again", "InvalidNonce", 401),
    okx_outer("key", "50111", "Invalid OK-ACCESS-KEY", "refused 50111", "AuthenticationError", 401),
    okx("balance", "51008", "Order failed. Insufficient balance.", "refused 51008", "InsufficientFunds"),
    okx("minimum", "51020", "Order amount should be greater.", "refused 51020", "InvalidOrder"),
    okx("lot", "51121", "Order quantity must be a multiple of the lot size.", "refused 51121", "InvalidOrder"),
    okx("reduce only", "51169", "No position to reduce.", "refused 51169", "ExchangeError"),
    okx("timed out", "51149", "Order timed out. Please try again.", "unknown", "ExchangeError"),
    okx("exists", "51016", "Client order ID already exists.", "unknown", "InvalidOrder"),
    okx("not listed", "59999", "Something new", "unknown", "ExchangeError"),
)  # fmt: skip


def kraken(word: str, means: str, ccxt: str) -> Told:
    return told(word, {"error": [word]}, means, ccxt)


_KRAKEN_TAKEN = {"descr": {"order": "buy 0.01 XBTUSDT @ limit 60000.0"}, "txid": ["OU22CG-KLAF2-FWUDD7"]}

KRAKEN = (
    *network("RateLimitExceeded"),
    told("placed", {"error": [], "result": _KRAKEN_TAKEN}, "placed", "id=OU22CG-KLAF2-FWUDD7"),
    told("no order", {"error": [], "result": {}}, "unknown", "id=None"),
    told(
        "two errors",
        {"error": ["EOrder:Insufficient funds", "EService:Busy"]},
        "unknown",
        "InsufficientFunds",
    ),
    kraken("EService:Timeout", "unknown", "ExchangeError"),
    kraken("EService:Unavailable", "unknown", "ExchangeNotAvailable"),
    kraken("EService:Busy", "unknown", "ExchangeNotAvailable"),
    kraken("EGeneral:Internal error", "unknown", "ExchangeNotAvailable"),
    kraken("EAPI:Invalid nonce", "refused EAPI:Invalid nonce again", "InvalidNonce"),
    kraken("EAPI:Rate limit exceeded", "refused EAPI:Rate limit exceeded again", "DDoSProtection"),
    kraken("EOrder:Rate limit exceeded", "refused EOrder:Rate limit exceeded again", "DDoSProtection"),
    kraken("EAPI:Invalid key", "refused EAPI:Invalid key", "AuthenticationError"),
    kraken("EGeneral:Permission denied", "refused EGeneral:Permission denied", "PermissionDenied"),
    kraken("EOrder:Insufficient funds", "refused EOrder:Insufficient funds", "InsufficientFunds"),
    kraken("EOrder:Order minimum not met", "refused EOrder:Order minimum not met", "InvalidOrder"),
    kraken("EGeneral:Something new", "unknown", "ExchangeError"),
)

ANSWERS = {"binanceusdm": BINANCE, "bybit": BYBIT, "okx": OKX, "kraken": KRAKEN}
