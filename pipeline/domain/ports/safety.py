"""What the ledger keeps of switches, and of what the governor remembers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from pipeline.domain.guards import Breaker, Heartbeat, Latch, Marks, Reconciliation, UniverseRecord
from pipeline.domain.switches import KillScope, KillSwitch, TradingState


class Switches(Protocol):
    def on(self) -> Sequence[KillSwitch]:
        """Every switch that is on."""

    def set(self, switch: KillSwitch) -> None: ...

    def clear(self, scope: KillScope, name: str, *, by: str, reason: str, at: datetime) -> bool:
        """False when it was not on. Who cleared it, when and why is kept."""

    def trading_state(self, account: str) -> TradingState:
        """HALTED when it was never set."""

    def set_trading_state(
        self, account: str, state: TradingState, *, by: str, reason: str, at: datetime
    ) -> None: ...


class Guards(Protocol):
    """What the governor remembers. Changes of latches and breaker are also rows that only grow."""

    def latches(self, account: str) -> Sequence[Latch]:
        """Every latch that was ever tripped, as it stands now."""

    def set_latch(self, latch: Latch) -> bool:
        """Trip it or re-arm it. False when it stands like that already (nothing changes then)."""

    def marks(self, account: str) -> Marks | None: ...

    def save_marks(self, marks: Marks) -> None: ...

    def reconciliation(self, account: str) -> Reconciliation | None: ...

    def save_reconciliation(self, reconciliation: Reconciliation) -> None: ...

    def beat(self, heartbeat: Heartbeat) -> None: ...

    def config_hashes(self, account: str, since: datetime) -> frozenset[str]:
        """The configurations of all processes that beat since then."""

    def breaker(self, account: str) -> Breaker | None: ...

    def open_breaker(self, breaker: Breaker) -> bool:
        """False when it is open already; the first reason stays."""

    def close_breaker(self, account: str, *, reason: str, at: datetime) -> bool:
        """False when it was not open."""

    def universe(self, account: str) -> UniverseRecord | None:
        """The version in force."""

    def universe_version(self, version: str) -> UniverseRecord | None:
        """Any version that was ever in force."""

    def save_universe(self, record: UniverseRecord) -> bool:
        """Put it in force. True when its version is another one than before."""
