"""What the ledger keeps of levels and alerts, and the sums that the watchdog asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from pipeline.domain.levels import Alert, Level
from pipeline.domain.orders import OrderState
from pipeline.domain.rounds import EndedGroup, SlotSums


class Levels(Protocol):
    """Whatever stands is a row; what is over is none."""

    def standing(self, account: str) -> Sequence[Level]: ...

    def replace(self, account: str, levels: Iterable[Level]) -> None:
        """From now on exactly these stand."""

    def note(self, alert: Alert) -> None:
        """Whom was told what: rows that only grow."""

    def alerts(self, account: str, limit: int = 50) -> Sequence[Alert]:
        """Newest first."""


class Rounds(Protocol):
    """Sums over the decisions of an account."""

    def ended(self, account: str, since: datetime) -> Sequence[EndedGroup]:
        """Decisions enqueued since then that have ended, by reason; the most frequent first."""

    def last_finished(self, account: str, since: datetime) -> Mapping[str, datetime]:
        """By symbol: when the newest decision ended by its own work, of those enqueued since then."""

    def received(self, account: str, since: datetime) -> tuple[int, int]:
        """How many decisions were enqueued since then, and how many of them have ended."""

    def joined_at(self, account: str) -> Mapping[str, datetime]:
        """When each symbol of the universe in force that was not in the one before came in, at the earliest."""

    def failing(self, account: str, since: datetime) -> Mapping[str, tuple[int, str]]:
        """By strategy: how many verdicts failed since then, and the newest error."""

    def orders(self, account: str, since: datetime) -> Mapping[OrderState, int]:
        """Orders made since then, by their state now."""

    def refusals(self, account: str, since: datetime) -> Mapping[str, int]:
        """What the exchange said to the orders that it refused since then, with how often."""

    def slots(self, account: str, since: datetime, until: datetime) -> SlotSums:
        """The scheduled decisions whose slot lies in that stretch."""

    def reason_of_state(self, account: str) -> tuple[str, str]:
        """Why trading is in its state, and who put it there; empty when it was never set."""
