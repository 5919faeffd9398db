"""What an exchange tells of a key, read from its answers as they are documented; what is not told is unknown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import ccxt
import pytest

from pipeline.exchange.key_rights import QUESTIONS, ask
from pipeline.exchange.replies import Lost, Reply, Return

BINANCE = {
    "ipRestrict": False,
    "createTime": 1698645219000,
    "enableReading": True,
    "enableWithdrawals": False,
    "enableInternalTransfer": True,
    "enableMargin": False,
    "enableFutures": False,
    "permitsUniversalTransfer": True,
    "enableVanillaOptions": False,
    "enableFixApiTrade": False,
    "enableFixReadOnly": True,
    "enableSpotAndMarginTrading": False,
    "enablePortfolioMarginTrading": True,
}
BYBIT = {
    "retCode": 0,
    "retMsg": "",
    "result": {
        "id": "13770661",
        "note": "readwrite api key",
        "apiKey": "XXXXXX",
        "readOnly": 0,
        "secret": "",
        "permissions": {
            "ContractTrade": ["Order", "Position"],
            "Spot": ["SpotTrade"],
            "Wallet": ["AccountTransfer", "SubMemberTransfer"],
            "Options": ["OptionsTrade"],
        },
        "ips": ["*"],
        "type": 1,
        "uta": 1,
    },
    "retExtInfo": {},
    "time": 1697525990798,
}
OKX = {
    "code": "0",
    "data": [
        {"acctLv": "2", "ip": "192.0.2.7", "perm": "read_only,trade", "posMode": "net_mode", "uid": "44"}
    ],
    "msg": "",
}
KRAKEN = {
    "error": [],
    "result": {"apiKeyName": "bot", "permissions": ["query-funds", "modify-trades"], "ipAllowlist": []},
}
SAFE = {"binanceusdm": BINANCE, "bybit": BYBIT, "okx": OKX, "kraken": KRAKEN}


def dangerous(exchange_id: str) -> Any:
    """The same answer of a key that may withdraw."""
    told = json.loads(json.dumps(SAFE[exchange_id]))
    match exchange_id:
        case "binanceusdm":
            told["enableWithdrawals"] = True
        case "bybit":
            told["result"]["permissions"]["Wallet"].append("Withdraw")
        case "okx":
            told["data"][0]["perm"] += ",withdraw"
        case _:
            told["result"]["permissions"].append("withdraw-funds")
    return told


def answering(data: object, status: int = 200) -> Any:
    def request(method: str, params: Mapping[str, object]) -> Return:
        return Reply(status, json.dumps(data), data)

    return request


@pytest.mark.parametrize("exchange_id", QUESTIONS)
def test_withdrawing_is_read_from_the_exchanges_own_answer(exchange_id: str) -> None:
    """A yes that is read as a no is a wallet that somebody else empties."""
    assert ask(exchange_id, answering(SAFE[exchange_id])).can_withdraw is False
    assert ask(exchange_id, answering(dangerous(exchange_id))).can_withdraw is True
    assert ask(exchange_id, answering(SAFE[exchange_id])).is_bound is (exchange_id == "okx")


@pytest.mark.parametrize("exchange_id", QUESTIONS)
def test_whatever_else_is_answered_means_that_nobody_knows(exchange_id: str) -> None:
    """Silence, an error and a new form are never taken for no."""
    strange: list[object] = [
        None,
        [],
        {},
        "page",
        {"code": -2015, "msg": "Invalid API-key"},
        {"result": {}, "data": []},
    ]
    strange += [{"error": ["EGeneral:Permission denied"]}, {"enableWithdrawals": "false", "ipRestrict": True}]
    assert [ask(exchange_id, answering(each)).can_withdraw for each in strange] == [None] * len(strange)
    assert ask(exchange_id, lambda *_: Lost("time out")).can_withdraw is None


def test_an_exchange_that_is_not_known_to_tell_is_named() -> None:
    """Somebody adds one and forgets this."""
    told = ask("somewhere", answering({}))
    assert told.can_withdraw is None
    assert "somewhere" in told.why


@pytest.mark.parametrize("exchange_id", QUESTIONS)
def test_ccxt_has_the_question(exchange_id: str) -> None:
    """A misspelt method would be unknown for ever."""
    assert callable(getattr(getattr(ccxt, exchange_id)(), QUESTIONS[exchange_id][0]))
