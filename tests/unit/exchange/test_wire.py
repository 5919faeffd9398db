"""What is signed is spelled as ccxt would."""

from __future__ import annotations

import ccxt

from pipeline.exchange.wire import Wire, WireOptions, urlencoded

AWKWARD: dict[str, object] = {
    "symbol": "1000PEPEUSDT",
    "quantity": "0.00100",
    "timestamp": 1_795_291_911_704,
    "newClientOrderId": "x-1_2~3.4:/=&?#+%",
    "reduceOnly": "true",
    "closePosition": True,
    "priceProtect": False,
    "币 & name": "安 z",
    "nothing": None,
    "line": "a\n",
}


def test_parameters_are_spelled_as_ccxt_spells_them() -> None:
    """A parameter that ends early, or smuggles another one in, would be signed and obeyed."""
    theirs = ccxt.Exchange.urlencode

    assert urlencoded(AWKWARD) == theirs(AWKWARD)
    assert [urlencoded({name: value}) for name, value in AWKWARD.items()] == [
        theirs({name: value}) for name, value in AWKWARD.items()
    ]
    assert urlencoded({}) == theirs({})


def test_a_request_is_signed_as_ccxt_signs_it() -> None:
    """The exchange refuses a signature over another spelling than the one that arrives."""
    wire = Wire(WireOptions(api_key="key", api_secret="secret"), lambda: 1_795_291_911_704)
    theirs = ccxt.binanceusdm({"apiKey": "key", "secret": "secret", "options": {"recvWindow": 5000}})
    theirs.nonce = lambda: 1_795_291_911_704

    for method in ("GET", "POST"):
        asked = ("order", ["fapiPrivate"], method, AWKWARD)
        assert wire.ccxt.sign(*asked) == theirs.sign(*asked)
