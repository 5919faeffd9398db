"""One call of a ccxt method is one HTTP request, and its answer comes back as it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import ccxt
import orjson

from pipeline.exchange.budget.gate import Gate
from pipeline.exchange.budget.ports import Budget, Held, Unlimited
from pipeline.exchange.budget.published import published_limits
from pipeline.exchange.replies import Lost, Reply, Return
from pipeline.exchange.transport import innermost, never_left, open_session, redacting_logger


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


class _Call(threading.local):
    """What belongs to the request that this thread is making right now."""

    signed_ms: int | None = None
    reply: tuple[int, str, Mapping[str, str]] | None = None


class Wire:
    """The ccxt object, with two of its hooks taken: the timestamp it signs, and the raw answer it reads.

    Both are kept per thread, so that a pinned timestamp can never be signed into another request.
    """

    def __init__(
        self, options: WireOptions, milliseconds: Callable[[], int], budget: Budget | None = None
    ) -> None:
        """`milliseconds` gives the time to sign for requests that are not pinned to one."""
        self._budget = budget or Unlimited()
        self._call = _Call()
        self._milliseconds = milliseconds
        self.ccxt: Any = getattr(ccxt, options.exchange_id)(_config(options, self._budget))
        self.ccxt.nonce = self._nonce
        self.ccxt.on_rest_response = self._remember
        if options.demo:
            self.ccxt.enable_demo_trading(True)  # noqa: FBT003 -- ccxt's own signature

    def request(self, method: str, params: Mapping[str, object], signed_ms: int | None = None) -> Return:
        """Call ccxt's implicit `method` once. `signed_ms` pins the timestamp that is signed. Never raises."""
        self._call.signed_ms, self._call.reply = signed_ms, None
        try:
            data = getattr(self.ccxt, method)(dict(params))
        except Exception as error:  # noqa: BLE001 -- whatever ccxt raises, the raw answer is what counts
            return self._after_failure(error)
        finally:
            self._call.signed_ms = None
        return self._reply(data) or Lost("the answer was never seen")

    def fetch_markets(self) -> list[dict[str, Any]] | Return:
        """ccxt's own reading of the exchange's instruments, or what came instead of it. One request."""
        self._call.reply = None
        try:
            markets = list(self.ccxt.fetch_markets())
        except Exception as error:  # noqa: BLE001 -- the same
            return self._after_failure(error)
        self._budget.learn(published_limits(self._body()))
        return markets

    def _body(self) -> str:
        return self._call.reply[1] if self._call.reply is not None else ""

    def _after_failure(self, error: Exception) -> Return:
        if isinstance(error, Held):
            return Lost(str(error), sent=False, retry_after_s=error.wait_s)
        why = f"{type(error).__name__}: {innermost(error)}"
        return self._reply(None) or Lost(why, sent=not never_left(error))

    def _reply(self, data: object) -> Reply | None:
        if self._call.reply is None:
            return None
        status, body, headers = self._call.reply
        return Reply(status, body, data if isinstance(data, dict | list) else _json(body), headers)

    def _nonce(self) -> int:
        pinned = self._call.signed_ms
        return self._milliseconds() if pinned is None else pinned

    def _remember(  # ccxt's signature  # noqa: PLR0917
        self, code: int, reason: str, url: str, method: str, headers: Any, body: str, *_request: object
    ) -> str:
        self._call.reply = (code, body, headers)
        return body.strip()


def _config(options: WireOptions, budget: Budget) -> dict[str, Any]:
    return {
        "apiKey": options.api_key,
        "secret": options.api_secret,
        "timeout": int(options.timeout_s * 1000),
        # The budget for requests is shared between processes; ccxt's own limiter knows only this one.
        "enableRateLimit": False,
        "session": open_session(options.base_url, Gate(budget), options.public_timeout_s),
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


def _json(body: str) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
