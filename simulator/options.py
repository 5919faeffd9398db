"""How a simulator is started."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

DEFAULT_PORT = 8090


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line can say; each field has the name of its option.

    Unit: `speed` simulated seconds a second; `balance` in USDT; limits per minute and per ten seconds;
    `ban_s`, `update_s` real seconds.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    seed: int = 1
    symbols: str | None = None
    inactive: str = ""
    data: Path | None = None
    speed: float = 1.0
    start: str | None = None
    journal: Path | None = None
    state: Path | None = None
    api_key: str = "sim-key"
    api_secret: str = "sim-secret"  # noqa: S105 - the well-known key of an exchange that does not exist
    balance: Decimal = Decimal(10_000)
    weight_limit: int = 2400
    order_limit_10s: int = 300
    order_limit_1m: int = 1200
    ban_after: int = 20
    ban_s: float = 120.0
    update_s: float = 1.0
