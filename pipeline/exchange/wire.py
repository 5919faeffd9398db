"""One call of a ccxt method is one HTTP request, and its answer comes back as it was."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import ccxt

from pipeline.exchange.budget.gate import Gate
from pipeline.exchange.budget.ports import Budget, Held, Unlimited
from pipeline.exchange.budget.published import published_limits
from pipeline.exchange.connection import NotSent
from pipeline.exchange.replies import Lost, Reply, Return
from pipeline.exchange.transport import Transport, innermost, redacting_logger


@dataclass(frozen=True, slots=True, kw_only=True)
class WireOptions:
    """How to reach the exchange. Keys are secrets; `base_url` diverts every request to a simulated
    exchange.
    """

    exchange_id: str = "binanceusdm"
    api_key: str = field(default="", repr=False)
    api_secret: str = field(default="", repr=False)
    timeout_s: float = 8.0
    public_timeout_s: float = 3.0
    receive_window_ms: int = 5000
    base_url: str = ""
    demo: bool = False


_PLAIN = re.compile("[A-Za-z0-9_.~-]*")
"""What stands for itself in an address."""

UNSIGNED = Lost("the request could not be made", sent=False)
"""Until a request is signed."""


class _Call(threading.local):
    """What belongs to the request that this thread is making right now."""

    signed_ms: int | None = None
    returned: Return = UNSIGNED


class Wire:
    """ccxt names the paths of an exchange and signs; what it signed is sent, once, and its answer comes back raw.

    Three of ccxt's hooks are taken: the timestamp it signs, the spelling of what it signs, and the request underneath
    all of its methods. What ccxt does around a request costs more than the request, and its classes of errors decide
    nothing here. All of it is kept per thread, so that a pinned timestamp can never be signed into another request.
    """

    def __init__(
        self, options: WireOptions, milliseconds: Callable[[], int], budget: Budget | None = None
    ) -> None:
        """`milliseconds` gives the time to sign for requests that are not pinned to one."""
        self._budget = budget or Unlimited()
        self._call = _Call()
        self._milliseconds = milliseconds
        self.transport = Transport(
            options.base_url, Gate(self._budget), options.timeout_s, options.public_timeout_s
        )
        self.ccxt: Any = getattr(ccxt, options.exchange_id)(_config(options))
        self.ccxt.nonce = self._nonce
        self.ccxt.request = self._request
        self.ccxt.urlencode = urlencoded
        if options.demo:
            self.ccxt.enable_demo_trading(True)  # noqa: FBT003 -- ccxt's own signature

    def request(self, method: str, params: Mapping[str, object], signed_ms: int | None = None) -> Return:
        """Call ccxt's implicit `method` once. `signed_ms` pins the timestamp that is signed. Never raises."""
        self._call.signed_ms, self._call.returned = signed_ms, UNSIGNED
        try:
            getattr(self.ccxt, method)(dict(params))
        except Exception as error:  # noqa: BLE001 -- whatever ccxt raises, the raw answer is what counts
            return self._after(error)
        finally:
            self._call.signed_ms = None
        return self._call.returned

    def fetch_markets(self) -> list[dict[str, Any]] | Return:
        """ccxt's own reading of the exchange's instruments, or what came instead of it. One request."""
        self._call.returned = UNSIGNED
        try:
            markets = list(self.ccxt.fetch_markets())
        except Exception as error:  # noqa: BLE001 -- the same
            return self._after(error)
        self._learn(self._call.returned)
        return markets

    def _learn(self, returned: Return) -> None:
        if isinstance(returned, Reply):
            self._budget.learn(published_limits(returned.body))

    def _after(self, error: Exception) -> Return:
        returned = self._call.returned
        return Lost(f"{UNSIGNED.why}: {_told(error)}", sent=False) if returned is UNSIGNED else returned

    def _request(  # ccxt's signature
        self, path: str, api: Any = "public", method: str = "GET", params: Any = None, config: Any = None
    ) -> object:
        """Whatever is raised or returned here, `_call.returned` is what counts."""
        signed = self.ccxt.sign(path, api, method, params or {})
        self._call.returned = Lost("the answer was never seen")
        self._call.returned = returned = self._sent(**signed)
        if isinstance(returned, Lost):
            raise ccxt.NetworkError(returned.why)
        if returned.status != 200:
            raise ccxt.ExchangeError(returned.described())
        return returned.data

    def _sent(self, method: str, url: str, headers: Mapping[str, str] | None, body: str | None) -> Return:
        """What comes back. A request counts as sent unless it is proven that it was not."""
        try:
            return self.transport.send(method, url, headers or {}, body)
        except Held as held:
            return Lost(str(held), sent=False, retry_after_s=held.wait_s)
        except NotSent as problem:
            return Lost(str(problem), sent=False)
        except Exception as error:  # noqa: BLE001 -- also what ends the task while it waits for the answer
            return Lost(_told(error))

    def _nonce(self) -> int:
        pinned = self._call.signed_ms
        return self._milliseconds() if pinned is None else pinned


def urlencoded(params: Mapping[str, object]) -> str:
    """As ccxt's own, which looks at each letter of each parameter: nearly all stand for themselves."""
    return "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in params.items()])


def _quoted(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if _PLAIN.fullmatch(text) else quote(text, safe="")


def _config(options: WireOptions) -> dict[str, Any]:
    return {
        "apiKey": options.api_key,
        "secret": options.api_secret,
        # The budget for requests is shared between processes; ccxt's own limiter knows only this one.
        "enableRateLimit": False,
        "logger": redacting_logger(options.api_key, options.api_secret),
        "has": {"fetchCurrencies": False},
        "options": {
            "maxRetriesOnFailure": 0,
            "adjustForTimeDifference": False,
            "recvWindow": options.receive_window_ms,
            "fetchMarkets": {"types": ["linear"]},
            "warnOnFetchOpenOrdersWithoutSymbol": False,
        },
    }


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {innermost(error)}"
