"""Trading states and the kill switch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique


@unique
class TradingState(StrEnum):
    """ACTIVE trades; REDUCING only reduces exposure; HALTED sends nothing new. Cancels pass in every state."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


@unique
class KillScope(StrEnum):
    GLOBAL = "global"
    SYMBOL = "symbol"
    STRATEGY = "strategy"


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSwitch:
    """A switch that is on. `name` is the symbol or strategy, empty for the global one."""

    scope: KillScope
    name: str
    reason: str
    set_by: str
    set_at: datetime

    @property
    def title(self) -> str:
        """`global kill switch`, `symbol kill switch BTC/USDT:USDT`"""
        return f"{self.scope} kill switch {self.name}".strip()

    def covers(self, symbol: str, strategy: str) -> bool:
        wanted = {KillScope.GLOBAL: "", KillScope.SYMBOL: symbol, KillScope.STRATEGY: strategy}
        return self.name == wanted[self.scope]
