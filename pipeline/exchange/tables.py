"""What each exchange's words mean for an order, as one table for each exchange.

A submission has four possible meanings: *placed* (the answer echoes our client order id), *refused*
(listed here, so nothing was placed), *exists* (an order with our id is there: ask for it) and *unknown*.
A question by client order id may also be answered *not found*. **What is not listed is unknown.**

`exists` and `unknown` settle nothing; they are listed so that the trace can say their meaning, and so that no
HTTP status turns them into a refusal. `docs/exchange-answers.md` is printed from these tables.

Sources: Binance, USD-M futures, "Error Codes" and "General Info: HTTP Return Codes"; Bybit, V5, "Error Codes";
OKX, V5, "Error Code"; Kraken, "API Error Messages"; probes of ccxt 4.5.90.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.exchange import words
from pipeline.exchange.words import ReadWords

CLIENT_ERROR = range(400, 500)
OK_OR_CLIENT_ERROR = (200, *CLIENT_ERROR)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A definite no: nothing was placed. It counts only together with one of these HTTP `statuses`."""

    meaning: str
    retryable: bool = False
    statuses: tuple[int, ...] | range = CLIENT_ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """How one exchange speaks. Codes and texts are matched exactly.

    `refused` by code, `refused_texts` by (status, text), `refused_statuses` by HTTP status whatever the body.
    `wrong_key` and `wait` are for reading requests: what a person must mend, and what passes by waiting.
    """

    name: str
    words: ReadWords
    refused: Mapping[str, Refusal]
    refused_texts: Mapping[tuple[int, str], Refusal] = field(default_factory=dict)
    refused_statuses: Mapping[int, Refusal] = field(default_factory=dict)
    exists: Mapping[str, str]
    unknown: Mapping[str, str]
    not_found: frozenset[str]
    wrong_key: Mapping[str, str]
    wait: frozenset[str]


_RATE = Refusal("too many requests", retryable=True)
_BANNED = Refusal("this address is banned for a while", retryable=True)
_LATE = Refusal("the request came outside its receive window", retryable=True)
_FORM = Refusal("a parameter is malformed")
_GRID = Refusal("the order breaks a filter of the instrument")

_BUSY = Refusal("the exchange is overloaded", retryable=True, statuses=(*CLIENT_ERROR, 503))

BINANCE_USDM = Table(
    name="Binance USD-M",
    words=words.binance,
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
        "-4045": Refusal("too many conditional orders"),
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
        418: _BANNED,
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


def _by_code(rows: Mapping[str, str], retryable: Mapping[str, str]) -> Mapping[str, Refusal]:
    """Refusals of an exchange that complains under HTTP 200, from `code: meaning`."""
    fixed = {code: Refusal(told, statuses=OK_OR_CLIENT_ERROR) for code, told in rows.items()}
    passing = {
        code: Refusal(told, retryable=True, statuses=OK_OR_CLIENT_ERROR) for code, told in retryable.items()
    }
    return {**fixed, **passing}


BYBIT = Table(
    name="Bybit V5",
    words=words.bybit,
    refused=_by_code(
        {
            # access
            "10003": "the API key is invalid",
            "10004": "the signature is wrong",
            "10005": "the key is not allowed to do this",
            "10007": "the API key is missing",
            "10008": "the account is banned",
            "10009": "this address is banned",
            "10010": "this address is not on the key's list",
            "10024": "the account's country is not allowed to trade this",
            "10027": "the account may not trade",
            "10029": "the symbol is not on the key's list",
            "110066": "nothing may be traded now",
            # form
            "10001": "a parameter is malformed",
            "10017": "there is no such path",
            "110003": "the price is outside the permitted range",
            "110094": "the order is worth less than the minimum",
            "170121": "the exchange does not know this symbol",
            "170124": "the quantity is too large",
            "170134": "the price has too many decimals",
            "170136": "the quantity is below the minimum",
            "170137": "the quantity has too many decimals",
            "170140": "the order is worth less than the minimum",
            # account and book
            "110004": "the balance does not suffice",
            "110006": "the margin does not suffice",
            "110007": "the available balance does not suffice",
            "110009": "too many conditional orders",
            "110012": "the available balance does not suffice",
            "110014": "the available balance does not suffice for the margin",
            "110016": "the position would exceed the risk limit",
            "110017": "the order would not reduce the position",
            "110020": "too many open orders",
            "110021": "the open interest is exceeded",
            "110023": "the contract may only be reduced",
            "110040": "the order would cause a liquidation",
            "110042": "the contract may only be reduced before its delivery",
            "110044": "the available margin does not suffice",
            "110045": "the balance does not suffice",
            "110051": "the balance does not cover the lowest price",
            "110052": "the balance does not suffice to set a price",
            "110053": "the balance does not cover the market price",
            "110092": "the trigger lies on the wrong side of the price",
            "110093": "the trigger lies on the wrong side of the price",
            "170131": "the balance does not suffice",
            "170193": "the buy price is too high",
            "170194": "the sell price is too low",
        },
        retryable={
            "10002": "the request came outside its receive window",
            "10006": "too many requests",
            "10018": "too many requests from this address",
            "170005": "too many orders",
            "170222": "too many requests",
        },
    ),
    refused_statuses={429: _RATE},
    exists={
        "10014": "the request is a duplicate",
        "12141": "an order has this client order id already",
        "110030": "an order has this id already",
        "110072": "an order has this client order id already",
        "170141": "an order has this client order id already",
    },
    unknown={
        "5004": "a time-out inside the exchange",
        "10000": "a time-out inside the exchange",
        "10016": "an internal error: execution unknown",
        "170001": "an internal error",
        "170007": "a time-out waiting for the backend",
        "170032": "a network error inside the exchange",
        "170146": "a time-out while creating the order",
        "170149": "creating the order failed: how far it came is not said",
    },
    not_found=frozenset({"110001", "170213"}),
    wrong_key={
        "10003": "the API key is invalid",
        "10004": "the signature is wrong",
        "10005": "the key has no right to this request",
        "10010": "this address is not on the key's list",
    },
    wait=frozenset({"5004", "10000", "10002", "10006", "10016", "10018", "170001", "170007", "170032"}),
)

OKX = Table(
    name="OKX V5",
    words=words.okx,
    refused=_by_code(
        {
            # access
            "50007": "the account is blocked",
            "50027": "the account may not trade",
            "50101": "the key belongs to another environment",
            "50103": "the API key is missing",
            "50105": "the passphrase is wrong",
            "50110": "this address is not on the key's list",
            "50111": "the API key is invalid",
            "50113": "the signature is wrong",
            "50114": "the key is not allowed to do this",
            "51009": "the exchange blocks orders of this account",
            "51010": "the account's mode does not allow this",
            # form
            "50002": "the body is no JSON",
            "50014": "a parameter is missing",
            "51000": "a parameter is malformed",
            "51001": "the exchange does not know this symbol",
            "51006": "the price is outside the permitted range",
            "51007": "the quantity is below one contract",
            "51020": "the quantity is below the minimum",
            "51116": "the price or trigger is outside the permitted range",
            "51120": "the quantity is below the minimum",
            "51121": "the quantity is no multiple of the lot",
            "51202": "the quantity of a market order is too large",
            # account and book
            "51004": "the position would exceed the limit at this leverage",
            "51005": "the order is too large",
            "51008": "the balance or margin does not suffice",
            "51022": "the contract is suspended",
            "51025": "too many open orders",
            "51027": "the contract has expired",
            "51028": "the contract is being delivered",
            "51112": "the order closes more than is held",
            "51119": "the balance does not suffice",
            "51127": "there is no available balance",
            "51131": "the balance does not suffice",
            "51136": "the price would break the exchange's limit",
            "51137": "the buy price is above the exchange's limit",
            "51138": "the sell price is below the exchange's limit",
            "51169": "there is no position to reduce",
            "51170": "the order would not reduce the position",
        },
        retryable={
            "50011": "too many requests",
            "50061": "too many orders of this account",
            "50102": "the request came outside its time limit",
        },
    ),
    refused_statuses={429: _RATE},
    exists={
        "51011": "an order has this id already",
        "51016": "an order has this client order id already",
    },
    unknown={
        "1": "the operation failed: why is not said",
        "50001": "the matching engine is being upgraded",
        "50004": "a time-out that says nothing about success or failure",
        "50005": "the service is offline",
        "50013": "the exchange is overloaded",
        "50026": "an internal error",
        "51149": "the order timed out: ask for it",
    },
    not_found=frozenset({"51603"}),
    wrong_key={
        "50105": "the passphrase is wrong",
        "50111": "the API key is invalid",
        "50113": "the signature is wrong",
        "50114": "the key has no right to this request",
    },
    wait=frozenset({"50001", "50004", "50005", "50011", "50013", "50026", "50061", "50102"}),
)

KRAKEN = Table(
    name="Kraken spot",
    words=words.kraken,
    refused=_by_code(
        {
            # access
            "EAPI:Invalid key": "the API key is invalid",
            "EAPI:Invalid signature": "the signature is wrong",
            "EGeneral:Permission denied": "the key is not allowed to do this",
            "ETrade:User Locked": "the account is locked",
            # form
            "EGeneral:Invalid arguments": "a parameter is malformed",
            "EGeneral:Invalid arguments:price": "the price is malformed",
            "EGeneral:Invalid arguments:volume": "the quantity is malformed",
            "EGeneral:Invalid arguments:volume minimum not met": "the quantity is below the minimum",
            "EOrder:Invalid price": "the price is malformed",
            "EOrder:Invalid price:Invalid price argument": "the price is malformed",
            "EOrder:Tick size check failed": "the price is no multiple of the tick",
            "EQuery:Unknown asset pair": "the exchange does not know this symbol",
            "EQuery:Invalid asset pair": "the exchange does not know this symbol",
            # account and book
            "EOrder:Cannot open position": "the account may not hold a position in this",
            "EOrder:Cost minimum not met": "the order is worth less than the minimum",
            "EOrder:Insufficient funds": "the balance does not suffice",
            "EOrder:Insufficient margin": "the exchange has no margin to lend",
            "EOrder:Margin allowance exceeded": "the margin allowance is used up",
            "EOrder:Margin level too low": "the margin does not suffice",
            "EOrder:Order minimum not met": "the quantity is below the minimum",
            "EOrder:Orders limit exceeded": "too many open orders",
            "EOrder:Positions limit exceeded": "too many open positions",
            "EOrder:Reduce only:No position exists": "there is no position to reduce",
            "EService:Market in cancel_only mode": "the market takes no orders now",
            "EService:Market in post_only mode": "the market takes only resting orders now",
        },
        retryable={
            "EAPI:Invalid nonce": "another request with a later nonce came first",
            "EAPI:Rate limit exceeded": "too many requests",
            "EGeneral:Too many requests": "too many requests from this address",
            "EOrder:Rate limit exceeded": "too many orders",
            "EService:Deadline elapsed": "the request came after its deadline",
        },
    ),
    refused_statuses={429: _RATE},
    exists={},  # Kraken does not document its word for a used client order id: so it stays unknown
    unknown={
        "EGeneral:Internal error": "an internal error",
        "EGeneral:Temporary lockout": "the key is locked for a while",
        "EService:Busy": "the service is overloaded",
        "EService:Timeout": "a time-out inside the exchange",
        "EService:Unavailable": "the matching engine is offline: orders were accepted under this word before",
    },
    not_found=frozenset({"EOrder:Unknown order"}),
    wrong_key={
        "EAPI:Invalid key": "the API key is invalid",
        "EAPI:Invalid signature": "the signature is wrong",
        "EGeneral:Permission denied": "the key has no right to this request",
    },
    wait=frozenset(
        {
            "EAPI:Invalid nonce",
            "EAPI:Rate limit exceeded",
            "EGeneral:Temporary lockout",
            "EGeneral:Too many requests",
            "EService:Busy",
            "EService:Timeout",
            "EService:Unavailable",
        }
    ),
)

TABLES: Mapping[str, Table] = {"binanceusdm": BINANCE_USDM, "bybit": BYBIT, "okx": OKX, "kraken": KRAKEN}
