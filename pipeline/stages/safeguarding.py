"""The upkeep of what the governor looks at: equity, comparison with the exchange, breaker, and who takes
part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from pipeline.domain.events import EventName, Events
from pipeline.domain.guards import Breaker, Heartbeat, Reconciliation
from pipeline.domain.ports import Clock, Ledger, Unit, Venue
from pipeline.domain.positions import Equity
from pipeline.domain.reconciliation import REPAIRS, Finding
from pipeline.execution.accounts import refresh_equity
from pipeline.execution.cancelling import Cancelled, cancel_covered
from pipeline.execution.reconciling import Reconciler
from pipeline.governor.breaker import BreakerRules, Ended, Overload, overload
from pipeline.governor.view import Limits
from pipeline.stages.remembering import alert, keep_marks, tell

NEWEST_PART = 5
"""The breaker closes on what the newest fifth of its window says: soon after its cause is gone."""


@dataclass(frozen=True, slots=True)
class Safeguarding:
    """One account's upkeep. `breaker_window` is how far back the breaker counts decisions; `tolerance` is what of the
    wallet may stay unexplained, in the settlement asset.
    """

    ledger: Ledger
    venue: Venue
    clock: Clock
    events: Events
    account: str
    limits: Limits
    breaker_rules: BreakerRules
    breaker_window: timedelta
    tolerance: Decimal = Decimal(0)

    def refresh_equity(self) -> Equity:
        """Ask the exchange, record the answer, and trip the latches of losses if it is time.

        Raises: ExchangeUnavailable, ExchangeRefused, LedgerUnavailable.
        """
        equity = refresh_equity(self.ledger, self.venue, self.events)
        with self.ledger.begin() as unit:
            tripped = keep_marks(unit, equity, self.limits, self.clock.now())
        tell(self.events, self.account, tripped)
        return equity

    def reconcile(self, *, thorough: bool = True) -> Sequence[Finding]:
        """Compare ledger and exchange, repair what a rule repairs, record what is left. `thorough`: open orders too.

        Raises: ExchangeUnavailable, ExchangeRefused, LedgerUnavailable.
        """
        findings = self._reconciler().run(thorough=thorough)
        differences = tuple(str(each) for each in findings if each.blocks)
        found = Reconciliation(account=self.account, compared_at=self.clock.now(), differences=differences)
        with self.ledger.begin() as unit:
            before = unit.guards.reconciliation(self.account)
            unit.guards.save_reconciliation(found)
        repaired = [f"{each} [{each.remedy}]" for each in findings if each.remedy in REPAIRS]
        if repaired or before is None or before.differences != differences:
            self.events.emit(
                EventName.RECONCILED, account=self.account, differences=list(differences), repaired=repaired
            )
        if differences and (before is None or before.differences != differences):
            alert(self.events, "ledger and exchange disagree", "; ".join(differences), account=self.account)
        return findings

    def audit(self) -> Sequence[Finding]:
        """Add up every entry in the books. Raises: LedgerUnavailable."""
        return self._reconciler().wallets.audit()

    def accept_balance(self, why: str) -> Decimal:
        """Book what of the wallet nothing explains, on somebody's responsibility; how much it was.

        Raises: ExchangeUnavailable, ExchangeRefused, LedgerUnavailable.
        """
        return self._reconciler().wallets.accept(why)

    def _reconciler(self) -> Reconciler:
        return Reconciler(
            self.ledger, self.venue, self.clock, self.events, self.account, tolerance=self.tolerance
        )

    def cancel_covered(self) -> Cancelled:
        """Cancel the open entry orders that a kill switch covers. Raises: LedgerUnavailable."""
        return cancel_covered(self.ledger, self.venue, self.account, self.events)

    def watch_breaker(self) -> Breaker | None:
        """Open or close the circuit breaker; the open one. Raises: LedgerUnavailable."""
        now = self.clock.now()
        with self.ledger.begin() as unit:
            standing = unit.guards.breaker(self.account)
            found = overload(self._ended(unit, now), self._empty(unit), self.breaker_rules, standing)
            opened = self._as_breaker(found, now) if found is not None else None
            changed = (
                unit.guards.open_breaker(opened)
                if opened is not None
                else unit.guards.close_breaker(self.account, reason="the cause is gone", at=now)
            )
        if changed:
            self._tell(opened)
        return (standing or opened) if opened is not None else None

    def _ended(self, unit: Unit, now: datetime) -> Ended:
        reasons = unit.decisions.reasons
        newest = now - self.breaker_window / NEWEST_PART
        return Ended(
            whole=reasons(self.account, now - self.breaker_window), newest=reasons(self.account, newest)
        )

    def _empty(self, unit: Unit) -> str:
        kept = unit.guards.universe(self.account)
        return str(kept.report.get("summary", "no symbol")) if kept is not None and not kept.symbols else ""

    def _as_breaker(self, found: Overload, now: datetime) -> Breaker:
        return Breaker(account=self.account, reason=found.reason, detail=found.detail, opened_at=now)

    def _tell(self, opened: Breaker | None) -> None:
        if opened is None:
            self.events.emit(EventName.BREAKER, account=self.account, open=False)
            return
        self.events.emit(
            EventName.BREAKER, account=self.account, open=True, reason=opened.reason, detail=opened.detail
        )
        alert(
            self.events, f"the circuit breaker is open: {opened.reason}", opened.detail, account=self.account
        )

    def beat(self, process: str, config_hash: str) -> None:
        """This process takes part, with this configuration. Raises: LedgerUnavailable."""
        with self.ledger.begin() as unit:
            unit.guards.beat(
                Heartbeat(
                    process=process,
                    account=self.account,
                    config_hash=config_hash,
                    beat_at=self.clock.now(),
                )
            )
