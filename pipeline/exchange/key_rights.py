"""What an API key may do besides trading, as far as its exchange tells.

A key that may withdraw is worth stealing; one that may only trade is worth much less. What is not told is unknown, and
never taken for no.

| exchange | asked | withdrawing is |
|---|---|---|
| Binance | `GET /sapi/v1/account/apiRestrictions` | `enableWithdrawals` |
| Bybit | `GET /v5/user/query-api` | `Withdraw` among `permissions.Wallet` |
| OKX | `GET /api/v5/account/config` | `withdraw` in `perm` |
| Kraken | `POST /0/private/GetApiKeyInfo` | a permission that begins with `withdraw` |

Source: the exchanges' own documentation, 2026; not yet seen from a live account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.exchange.replies import Reply, Return

UNREADABLE = (KeyError, IndexError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, slots=True)
class KeyRights:
    """`None`: nobody knows. `is_bound` when the key works from listed addresses only. `why` in words."""

    can_withdraw: bool | None
    is_bound: bool | None
    why: str


Request = Callable[[str, Mapping[str, object]], Return]
Told = tuple[bool, bool]
"""Whether it may withdraw, whether it is bound to addresses."""


def ask(exchange_id: str, request: Request) -> KeyRights:
    """Ask the exchange once. Raises nothing: whatever goes wrong, the rights are unknown."""
    question = QUESTIONS.get(exchange_id)
    if question is None:
        return KeyRights(None, None, f"{exchange_id} is not known to tell what a key may do")
    method, reader = question
    returned = request(method, {})
    if not isinstance(returned, Reply):
        return KeyRights(None, None, f"no answer: {returned.why}")
    try:
        can_withdraw, is_bound = reader(returned.data)
    except UNREADABLE:
        return KeyRights(None, None, f"{exchange_id} did not tell: {returned.described()}")
    return KeyRights(can_withdraw, is_bound, f"{exchange_id} says so")


def _binance(data: Any) -> Told:
    return _flag(data["enableWithdrawals"]), _flag(data["ipRestrict"])


def _bybit(data: Any) -> Told:
    permissions, addresses = data["result"]["permissions"], data["result"]["ips"]
    return "Withdraw" in permissions.get("Wallet", []), bool(addresses) and "*" not in addresses


def _okx(data: Any) -> Told:
    config = data["data"][0]
    return "withdraw" in config["perm"].split(","), bool(config["ip"])


def _kraken(data: Any) -> Told:
    told = data["result"]
    can_withdraw = any(str(each).startswith("withdraw") for each in list(told["permissions"]))
    return can_withdraw, bool(told.get("ip_allowlist") or told.get("ipAllowlist"))


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


QUESTIONS: Mapping[str, tuple[str, Callable[[Any], Told]]] = {
    "binanceusdm": ("sapiGetAccountApiRestrictions", _binance),
    "bybit": ("privateGetV5UserQueryApi", _bybit),
    "okx": ("privateGetAccountConfig", _okx),
    "kraken": ("privatePostGetApiKeyInfo", _kraken),
}
"""By ccxt's names for exchanges, and for their methods."""
