"""The ledger: transactions over all its records."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from pipeline.domain.ids import DecisionId
from pipeline.domain.ports.chain import Decisions, Sessions, Stages, Verdicts
from pipeline.domain.ports.safety import Guards, Switches
from pipeline.domain.ports.trade import EquityCurve, Fills, Journal, Orders, Permits, Positions
from pipeline.domain.ports.watching import Levels, Rounds
from pipeline.domain.standing import Horizon, Standing


class Unit(Protocol):
    """One transaction's view of the ledger: a small repository for each kind of record."""

    @property
    def decisions(self) -> Decisions: ...
    @property
    def stages(self) -> Stages: ...
    @property
    def verdicts(self) -> Verdicts: ...
    @property
    def permits(self) -> Permits: ...
    @property
    def orders(self) -> Orders: ...
    @property
    def fills(self) -> Fills: ...
    @property
    def positions(self) -> Positions: ...
    @property
    def equity(self) -> EquityCurve: ...
    @property
    def journal(self) -> Journal: ...
    @property
    def switches(self) -> Switches: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def guards(self) -> Guards: ...
    @property
    def levels(self) -> Levels: ...
    @property
    def rounds(self) -> Rounds: ...

    def standing(self, account: str, symbol: str, now: datetime, horizon: Horizon) -> Standing:
        """Everything that the governor asks about, read at once: on PostgreSQL in one round trip."""

    def find_decision(self, text: str) -> DecisionId | None:
        """By decision id (or an unambiguous beginning of one), task id, client order id, the exchange's order id,
        permit id or position id (that is the decision that opened it). None when no decision, or several, match.
        """

    def find_decisions(self, text: str, at_most: int) -> Sequence[DecisionId]:
        """All that match; of those whose ids begin so, the newest."""


class Ledger(Protocol):
    """The record."""

    def begin(self, *, durable: bool = False) -> AbstractContextManager[Unit]:
        """A writing transaction. With `durable` it survives a power cut once the block has ended:
        used for what lets an order leave, and for what nobody could tell us again.
        """

    def read(self) -> AbstractContextManager[Unit]:
        """A reading transaction; writes in it are an error."""
