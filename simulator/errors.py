"""Refusals in Binance's words: HTTP status, code and text, one constant for each."""

from __future__ import annotations

from dataclasses import dataclass

import orjson


@dataclass(frozen=True, slots=True)
class Refusal:
    """One of Binance's error answers; `msg` may hold `{}` places for details."""

    code: int
    msg: str
    status: int = 400


class ApiError(Exception):
    """The request is refused; the caller answers with `status` and `body()`.

    `retry_after_s` goes out as the Retry-After header where it is set.
    """

    def __init__(self, refusal: Refusal, *details: object, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        self.code = refusal.code
        self.status = refusal.status
        self.msg = refusal.msg.format(*details)
        super().__init__(f"{self.code} {self.msg}")

    def body(self) -> bytes:
        return orjson.dumps({"code": self.code, "msg": self.msg})


class OptionsError(Exception):
    """The simulator cannot start as asked; the text says what to change."""


UNKNOWN = Refusal(-1000, "An unknown error occurred while processing the request.")
DISCONNECTED = Refusal(-1001, "Internal error; unable to process your request. Please try again.", 503)
TOO_MANY_REQUESTS = Refusal(
    -1003,
    "Too many requests; current limit of IP({}) is {} requests per minute. Please use the websocket for live "
    "updates to avoid polling the API.",
    429,
)
BANNED = Refusal(
    -1003,
    "Way too many requests; IP({}) banned until {}. Please use the websocket for live updates to avoid bans.",
    418,
)
UNEXPECTED_RESPONSE = Refusal(
    -1006,
    "An unexpected response was received from the message bus. Execution status unknown.",
    503,
)
BACKEND_TIMEOUT = Refusal(
    -1007,
    "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    408,
)
OVERLOADED = Refusal(
    -1008,
    "Server is currently overloaded with other requests. Please try again in a few minutes.",
    503,
)
TOO_MANY_ORDERS = Refusal(-1015, "Too many new orders; current limit is {} orders per {}.", 429)
OUTSIDE_WINDOW = Refusal(-1021, "Timestamp for this request is outside of the recvWindow.")
AHEAD_OF_SERVER = Refusal(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
BAD_SIGNATURE = Refusal(-1022, "Signature for this request is not valid.")
MISSING_PARAMETER = Refusal(-1102, "Mandatory parameter '{}' was not sent, was empty/null, or malformed.")
NOT_REQUIRED = Refusal(-1106, "Parameter '{}' sent when not required.")
PRECISION = Refusal(-1111, "Precision is over the maximum defined for this asset.")
BAD_TIME_IN_FORCE = Refusal(-1115, "Invalid timeInForce.")
BAD_ORDER_TYPE = Refusal(-1116, "Invalid orderType.")
BAD_SIDE = Refusal(-1117, "Invalid side.")
BAD_INTERVAL = Refusal(-1120, "Invalid interval.")
BAD_SYMBOL = Refusal(-1121, "Invalid symbol.")
BAD_PARAMETER = Refusal(-1130, "Data sent for parameter '{}' is not valid.")
BAD_RECV_WINDOW = Refusal(-1131, "Invalid recvWindow: it must be from 1 to 60000.")
UNKNOWN_CANCEL = Refusal(-2011, "Unknown order sent.")
NO_SUCH_ORDER = Refusal(-2013, "Order does not exist.")
BAD_KEY_FORMAT = Refusal(-2014, "API-key format invalid.", 401)
UNKNOWN_KEY = Refusal(-2015, "Invalid API-key, IP, or permissions for action.", 401)
MARGIN_INSUFFICIENT = Refusal(-2019, "Margin is insufficient.")
WOULD_TRIGGER = Refusal(-2021, "Order would immediately trigger.")
REDUCE_ONLY = Refusal(-2022, "ReduceOnly Order is rejected.")
PRICE_BELOW_ZERO = Refusal(-4001, "Price less than 0.")
PRICE_TOO_HIGH = Refusal(-4002, "Price greater than max price.")
QTY_BELOW_ZERO = Refusal(-4003, "Quantity less than or equal to zero.")
QTY_TOO_SMALL = Refusal(-4004, "Quantity less than min quantity.")
QTY_TOO_LARGE = Refusal(-4005, "Quantity greater than max quantity.")
STOP_BELOW_ZERO = Refusal(-4006, "Stop price less than zero.")
PRICE_TOO_LOW = Refusal(-4013, "Price less than min price.")
TICK_SIZE = Refusal(-4014, "Price not increased by tick size.")
BAD_CLIENT_ID = Refusal(-4015, "Client order id is not valid.")
LIMIT_TOO_HIGH = Refusal(-4016, "Limit price can't be higher than {}.")
LIMIT_TOO_LOW = Refusal(-4024, "Limit price can't be lower than {}.")
BAD_LEVERAGE = Refusal(-4028, "Leverage {} is not valid.")
SAME_MARGIN_TYPE = Refusal(-4046, "No need to change margin type.")
SAME_POSITION_SIDE = Refusal(-4059, "No need to change position side.")
WRONG_POSITION_SIDE = Refusal(-4061, "Order's position side does not match user's setting.")
DUPLICATE_CLIENT_ID = Refusal(-4116, "ClientOrderId is duplicated.")
USE_ALGO_ORDER = Refusal(
    -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
)
PERCENT_PRICE = Refusal(-4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit.")
SYMBOL_CLOSED = Refusal(-4141, "Symbol is closed.")
MIN_NOTIONAL = Refusal(-4164, "Order's notional must be no smaller than {} (unless you choose reduce only).")
SPAN_TOO_LONG = Refusal(-4165, "Invalid time interval; maximum time interval is {} days.")
NOT_SUPPORTED = Refusal(-4172, "The simulated exchange does not support {}.")
NO_SUCH_PATH = Refusal(-5000, "Path {}, Method {} is invalid", 404)
FOK_NOT_FILLED = Refusal(
    -5021, "Due to the order could not be filled immediately, the FOK order has been rejected."
)
POST_ONLY = Refusal(
    -5022, "Due to the order could not be executed as maker, the Post Only order will be rejected."
)
UNKNOWN_503 = Refusal(0, "Unknown error, please check your request or try again later.", 503)
UNAVAILABLE_503 = Refusal(0, "Service Unavailable.", 503)
INTERNAL_503 = Refusal(0, "Internal error; unable to process your request. Please try again.", 503)
