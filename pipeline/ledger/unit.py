"""One transaction's view of the ledger."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from pipeline.domain.ids import DecisionId
from pipeline.domain.standing import Horizon, Standing
from pipeline.ledger.decisions import SqlDecisions
from pipeline.ledger.fills import SqlFills
from pipeline.ledger.finding import find_decisions
from pipeline.ledger.guards import SqlGuards
from pipeline.ledger.journal import SqlJournal
from pipeline.ledger.levels import SqlLevels
from pipeline.ledger.orders import SqlOrders
from pipeline.ledger.permits import SqlPermits
from pipeline.ledger.positions import SqlEquityCurve, SqlPositions
from pipeline.ledger.rounds import SqlRounds
from pipeline.ledger.sessions import SqlSessions
from pipeline.ledger.stages import SqlStages
from pipeline.ledger.standing import standing
from pipeline.ledger.statistics import SqlStatistics
from pipeline.ledger.switches import SqlSwitches
from pipeline.ledger.verdicts import SqlVerdicts


class SqlUnit:
    """Fulfils `ports.Unit`. Of no use once its block has ended."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def decisions(self) -> SqlDecisions:
        return SqlDecisions(self._connection)

    @property
    def stages(self) -> SqlStages:
        return SqlStages(self._connection)

    @property
    def verdicts(self) -> SqlVerdicts:
        return SqlVerdicts(self._connection)

    @property
    def permits(self) -> SqlPermits:
        return SqlPermits(self._connection)

    @property
    def orders(self) -> SqlOrders:
        return SqlOrders(self._connection)

    @property
    def fills(self) -> SqlFills:
        return SqlFills(self._connection)

    @property
    def positions(self) -> SqlPositions:
        return SqlPositions(self._connection)

    @property
    def equity(self) -> SqlEquityCurve:
        return SqlEquityCurve(self._connection)

    @property
    def journal(self) -> SqlJournal:
        return SqlJournal(self._connection)

    @property
    def switches(self) -> SqlSwitches:
        return SqlSwitches(self._connection)

    @property
    def sessions(self) -> SqlSessions:
        return SqlSessions(self._connection)

    @property
    def guards(self) -> SqlGuards:
        return SqlGuards(self._connection)

    @property
    def statistics(self) -> SqlStatistics:
        return SqlStatistics(self._connection)

    @property
    def levels(self) -> SqlLevels:
        return SqlLevels(self._connection)

    @property
    def rounds(self) -> SqlRounds:
        return SqlRounds(self._connection)

    def standing(self, account: str, symbol: str, now: datetime, horizon: Horizon) -> Standing:
        return standing(self._connection, account, symbol, now, horizon)

    def find_decision(self, text: str) -> DecisionId | None:
        found = self.find_decisions(text, 2)
        return found[0] if len(found) == 1 else None

    def find_decisions(self, text: str, at_most: int) -> list[DecisionId]:
        return find_decisions(self._connection, text, at_most)
