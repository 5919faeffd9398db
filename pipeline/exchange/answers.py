"""What an exchange's answers mean, as one table for each exchange.

An order counts as placed only when the answer echoes our client order id beside the exchange's own id,
and as refused only when the answer is listed here. **Everything else is unknown**: `ExchangeError`
proves no refusal and `NetworkError` no ambiguity, so the table reads the HTTP status, the exchange's
code and its text, never a class of exceptions. Another exchange is another `Table`.

Source: Binance, USD-M futures, "Error Codes" and "General Info: HTTP Return Codes"; probes of ccxt 4.5.90.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable, ThroughlineError
from pipeline.domain.orders import Acknowledged, Answer, Order, OrderReport, Rejected, Unknown
from pipeline.exchange.replies import Lost, Reply, Return

CLIENT_ERROR = range(400, 500)
NOT_SENT = "NOT_SENT"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A definite no: nothing was placed. It counts only together with one of these HTTP `statuses`."""

    meaning: str
    retryable: bool = False
    statuses: tuple[int, ...] | range = CLIENT_ERROR


@dataclass(frozen=True, slots=True)
class Table:
    """How one exchange speaks. Codes and texts are matched exactly.

    `refused` by code, `refused_texts` by (status, text), `refused_statuses` by HTTP status whatever the body;
    `exists` and `unknown` are documented but settle nothing: they are listed so that the trace can say
    their meaning.
    """

    refused: Mapping[str, Refusal]
    refused_texts: Mapping[tuple[int, str], Refusal]
    refused_statuses: Mapping[int, Refusal]
    exists: Mapping[str, str]
    unknown: Mapping[str, str]
    not_found: frozenset[str]
    wrong_key: Mapping[str, str]
    wait: frozenset[str]


_BUSY = Refusal("the exchange is overloaded", retryable=True, statuses=(*CLIENT_ERROR, 503))
_RATE = Refusal("too many requests", retryable=True)
_LATE = Refusal("the request came outside its receive window", retryable=True)
_FORM = Refusal("a parameter is malformed")
_GRID = Refusal("the order breaks a filter of the instrument")

BINANCE_USDM = Table(
    refused={
        # access
        "-1002": Refusal("the key is not allowed to do this"),
        "-1011": Refusal("this address is not on the key's list"),
        "-1022": Refusal("the signature is wrong"),
        "-2014": Refusal("the API key is malformed"),
        "-2015": Refusal("the API key, its address or its rights are wrong"),
        # pace and clock
        "-1003": _RATE,
        "-1008": _BUSY,
        "-1015": Refusal("too many orders", retryable=True),
        "-1021": _LATE,
        "-5028": _LATE,
        # form
        **dict.fromkeys(("-1013", "-1111", "-4001", "-4002", "-4003", "-4004", "-4005"), _GRID),
        **dict.fromkeys(("-4013", "-4014", "-4016", "-4023", "-4024", "-4164"), _GRID),
        **dict.fromkeys(("-1014", "-1020", "-1100", "-1101", "-1102", "-1103", "-1104"), _FORM),
        **dict.fromkeys(("-1105", "-1106", "-1115", "-1116", "-1117", "-1118", "-1119"), _FORM),
        **dict.fromkeys(("-1130", "-1131", "-1136", "-4006", "-4015", "-4120"), _FORM),
        "-1121": Refusal("the exchange does not know this symbol"),
        # account and book
        "-2018": Refusal("the balance does not suffice"),
        "-2019": Refusal("the margin does not suffice"),
        "-2020": Refusal("the order cannot be filled"),
        "-2021": Refusal("the stop would trigger at once"),
        "-2022": Refusal("the order would not reduce the position"),
        "-2023": Refusal("the account is being liquidated"),
        "-2024": Refusal("the position does not suffice"),
        "-2025": Refusal("too many open orders"),
        "-2026": Refusal("this type of order cannot be reduce-only"),
        "-2027": Refusal("the position would exceed the maximum at this leverage"),
        "-2028": Refusal("the leverage leaves too little margin"),
        "-4061": Refusal("the position side does not fit the account's mode"),
        "-4131": Refusal("the best price is outside the exchange's collar"),
        "-4140": Refusal("the symbol does not trade now"),
        "-4141": Refusal("the symbol is closed"),
        "-4400": Refusal("the account is restricted to reducing"),
        "-5021": Refusal("fill-or-kill found too little"),
        "-5022": Refusal("post-only would have taken"),
    },
    refused_texts={
        # Binance answers 503 for three different truths; only the text tells them apart.
        (503, "Service Unavailable."): Refusal("the service is down", retryable=True),
        (503, "Internal error; unable to process your request. Please try again."): Refusal(
            "the exchange failed before it took the order", retryable=True
        ),
    },
    refused_statuses={
        418: Refusal("this address is banned for a while", retryable=True),
        429: _RATE,
    },
    exists={
        "-2010": "refused, or a duplicate of an order that exists",
        "-4116": "an open order has this client order id already: it exists, ask for it",
    },
    unknown={
        "-1000": "an unknown error while processing",
        "-1001": "disconnected inside the exchange",
        "-1006": "an unexpected answer inside the exchange: execution unknown",
        "-1007": "a time-out inside the exchange: execution unknown",
    },
    not_found=frozenset({"-2013"}),
    wrong_key={
        "-1002": "the key has no right to this request",
        "-1022": "the signature is wrong: check exchange.api_secret",
        "-2014": "the API key is malformed: check exchange.api_key",
        "-2015": "the API key, its address list or its rights are wrong: check exchange.api_key",
    },
    wait=frozenset({"-1001", "-1003", "-1006", "-1007", "-1008", "-1015", "-1021", "-5028"}),
)

TABLES: Mapping[str, Table] = {"binanceusdm": BINANCE_USDM}

ReadReport = Callable[[object], OrderReport]


def classify(table: Table, order: Order, returned: Return, read_report: ReadReport) -> Answer:
    """What the answer to a submission means. Unknown is the last line, and the only default."""
    if isinstance(returned, Lost):
        return Unknown(returned.why) if returned.sent else Rejected(NOT_SENT, returned.why, retryable=True)
    if returned.status == 200:
        return _acknowledged(order, returned, read_report)
    refusal = definite_refusal(table, returned)
    if refusal is not None:
        code = returned.code or f"HTTP {returned.status}"
        message = returned.message or refusal.meaning
        return Rejected(code, message, refusal.retryable, returned.retry_after_s)
    known = {**table.exists, **table.unknown}.get(returned.code, "")
    return Unknown(f"{returned.described()}{f' ({known})' if known else ''}")


def definite_refusal(table: Table, reply: Reply) -> Refusal | None:
    """The listed row that an answer matches, if there is one."""
    by_code = table.refused.get(reply.code)
    if by_code is not None and reply.status in by_code.statuses:
        return by_code
    by_text = table.refused_texts.get((reply.status, reply.message or reply.body.strip()))
    if by_text is not None:
        return by_text
    if reply.code in table.exists or reply.code in table.unknown:
        return None  # whatever the status says: the code means that it may be there
    return table.refused_statuses.get(reply.status)


def _acknowledged(order: Order, reply: Reply, read_report: ReadReport) -> Answer:
    try:
        report = read_report(reply.data)
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return Unknown(f"the answer is no order: {reply.described()}")
    if report.client_order_id != order.client_order_id or not report.exchange_order_id:
        return Unknown(f"the answer does not echo our client order id: {reply.described()}")
    return Acknowledged(report)


def reading_error(table: Table, returned: Return, what: str) -> ThroughlineError:
    """The exception for a reading request that did not give what it should. `what` was being read."""
    if isinstance(returned, Lost):
        return ExchangeUnavailable(f"{what}: {returned.why}")
    told = f"{what}: {returned.described()}"
    if returned.code in table.wrong_key:
        return ExchangeRefused(f"{told}; {table.wrong_key[returned.code]}", code=returned.code)
    if _worth_waiting(table, returned):
        return ExchangeUnavailable(told, retry_after_s=returned.retry_after_s)
    return ExchangeRefused(told, code=returned.code)


def _worth_waiting(table: Table, reply: Reply) -> bool:
    if reply.status in table.refused_statuses or reply.code in table.wait or reply.status >= 500:
        return True
    return not reply.code  # no word of the exchange itself: a gateway, a proxy, a truncated page
