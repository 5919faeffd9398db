"""Keeping the universe: made on a schedule, stored in the ledger, and the same for everybody who reads it
there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from pipeline.domain.events import EventName, Events
from pipeline.domain.guards import UniverseRecord
from pipeline.domain.ports import Clock, Ledger, MarketData, Unit
from pipeline.domain.switches import TradingState
from pipeline.governor.universe import Universe, UniverseReport, Wanted, build, ranked
from pipeline.stages.remembering import GOVERNOR, alert

MISSED_CHECKS = 3
"""A universe that was not checked for so many intervals is made anew by whoever needs it."""


@dataclass(frozen=True, slots=True)
class UniverseKeeper:
    """Makes the universe of an account, and remembers each version. `volumes`: by symbol, of 24 h, in
    quote.
    """

    ledger: Ledger
    market: MarketData
    volumes: Callable[[], Mapping[str, Decimal]]
    clock: Clock
    events: Events
    account: str
    wanted: Wanted
    check_every: timedelta

    def current(self) -> Universe:
        """The version in force. Raises: ExchangeUnavailable, ExchangeRefused when it must be made and
        cannot.
        """
        kept = self.kept()
        if kept is None or kept.key != self.wanted.key or self._is_old(kept):
            return self.check().universe
        return Universe(kept.symbols, kept.version)

    def kept(self) -> UniverseRecord | None:
        """The version that the ledger holds in force, however old. Raises: LedgerUnavailable."""
        with self.ledger.read() as unit:
            return unit.guards.universe(self.account)

    def report(self) -> UniverseReport:
        """The universe as it would be made now; writes nothing. Raises: ExchangeUnavailable,
        ExchangeRefused.
        """
        instruments = self.market.instruments()
        if self.wanted.top:
            return ranked(self.volumes(), self.wanted, instruments)
        return build(self.wanted.symbols, self.wanted.block, instruments)

    def check(self) -> UniverseReport:
        """Make it anew and put it in force. An empty one halts trading, and calls somebody.

        Raises: ExchangeUnavailable, ExchangeRefused: then the last version stays in force.
        """
        report = self.report()
        with self.ledger.begin() as unit:
            changed = unit.guards.save_universe(self._record(report))
            before = self._halt(unit, report) if report.is_empty else None
        if changed:
            self._tell(report)
        if before not in {None, TradingState.HALTED}:
            alert(
                self.events, "trading is halted: the universe is empty", report.summary, account=self.account
            )
        return report

    def _is_old(self, kept: UniverseRecord) -> bool:
        return self.clock.now() - kept.checked_at > MISSED_CHECKS * self.check_every

    def _record(self, report: UniverseReport) -> UniverseRecord:
        return UniverseRecord(
            account=self.account,
            version=report.universe.version,
            symbols=report.universe.symbols,
            key=self.wanted.key,
            report=report.as_record(),
            checked_at=self.clock.now(),
        )

    def _halt(self, unit: Unit, report: UniverseReport) -> TradingState:
        """Only a person lets it trade again. Returns the state before."""
        before = unit.switches.trading_state(self.account)
        if before is not TradingState.HALTED:
            why = f"the universe is empty: {report.summary}"
            unit.switches.set_trading_state(
                self.account, TradingState.HALTED, by=GOVERNOR, reason=why, at=self.clock.now()
            )
        return before

    def _tell(self, report: UniverseReport) -> None:
        self.events.emit(
            EventName.UNIVERSE,
            version=report.universe.version,
            symbols=len(report.universe),
            source=self.wanted.source,
            out={each.name: each.detail for each in report.out()[:50]},
            summary=report.summary,
        )
