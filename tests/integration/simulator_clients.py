"""Ways to a simulated exchange that tests share: ccxt over either kind of address, and the control paths."""

from __future__ import annotations

import re
from typing import Any

import ccxt
import requests
from requests.adapters import HTTPAdapter

from tests.support.servers import Simulator

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
Exchange = Any  # ccxt carries no annotations


class Divert(HTTPAdapter):
    """Sends requests for Binance to the simulator; ccxt goes on believing in the real address."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.url = re.sub(r"^https://[^/]+", self._url, request.url or "")
        return super().send(request, *args, **kwargs)


def local(url: str, **more: Any) -> Exchange:
    """ccxt with its addresses replaced."""
    exchange = ccxt.binanceusdm(
        {"apiKey": "sim-key", "secret": "sim-secret", "enableRateLimit": False, "timeout": 20_000, **more}
    )
    for name, address in exchange.urls["api"].items():
        if isinstance(address, str):
            exchange.urls["api"][name] = re.sub(r"^https://[^/]+", url, address)
    return exchange


def diverted(url: str, **more: Any) -> Exchange:
    """ccxt with its real addresses, diverted underneath: it finds its table of errors by the address."""
    exchange = ccxt.binanceusdm(
        {"apiKey": "sim-key", "secret": "sim-secret", "enableRateLimit": False, "timeout": 20_000, **more}
    )
    exchange.session.mount("https://fapi.binance.com", Divert(url))
    exchange.session.mount("https://api.binance.com", Divert(url))
    return exchange


def control(server: Simulator, method: str, name: str, /, **body: Any) -> Any:
    answer = requests.request(method, f"{server.url}/_sim/{name}", json=body or None, timeout=60)
    return answer.json()


def price(exchange: Exchange, symbol: str = BTC) -> float:
    return float(exchange.fetch_ticker(symbol)["last"])
