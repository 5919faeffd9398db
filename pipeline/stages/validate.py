"""Stage three: does the governor permit the intent?

Requires: evaluate's output, an intent.
Produces: a permit in the ledger, its worst case reserved in the same transaction, and every check's verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.domain.decisions import Advance, Decision, End, StageEnd, StageRecord
from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable, InvariantBroken, UnknownSymbol
from pipeline.domain.events import EventName, Events
from pipeline.domain.instruments import Instrument
from pipeline.domain.intents import Intent
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import Denied, OrderTerms, Permit
from pipeline.domain.ports import Clock, MarketData, Quote, Unit
from pipeline.domain.signals import Side
from pipeline.domain.timeframes import Timeframe
from pipeline.governor.assess import assess
from pipeline.governor.permits import PermitAuthority
from pipeline.governor.universe import Universe
from pipeline.governor.view import Limits, WorldView
from pipeline.stages.running import Conclusion


@dataclass(frozen=True, slots=True)
class Outside:
    """What the exchange says at this moment. What it did not say is None, and the checks deny."""

    exchange_now: datetime | None = None
    instrument: Instrument | None = None
    quote: Quote | None = None


@dataclass(frozen=True, slots=True)
class Validate:
    """The validate stage, called with a decision."""

    market: MarketData
    universe: Callable[[], Universe]
    limits: Limits
    authority: PermitAuthority
    trigger: Timeframe
    clock: Clock
    events: Events

    def __call__(self, decision: Decision, before: StageRecord | None) -> Conclusion:
        intent = read_intent(before)
        outside = self._look_outside(intent.symbol)
        in_universe = intent.symbol in self.universe().symbols
        return lambda unit: self._decide(unit, decision, intent, outside, in_universe)

    def _look_outside(self, symbol: str) -> Outside:
        with suppress(ExchangeUnavailable, ExchangeRefused, UnknownSymbol):
            return Outside(
                exchange_now=self.market.now(),
                instrument=self.market.instruments().find(symbol),
                quote=self.market.quote(symbol),
            )
        return Outside()

    def _decide(
        self, unit: Unit, decision: Decision, intent: Intent, outside: Outside, in_universe: bool
    ) -> StageEnd:
        unit.permits.lock_budget(decision.account)
        view = self._view(unit, decision, intent, outside, in_universe)
        terms = OrderTerms.of(intent, decision.decision_id, decision.account, decision.mode)
        answer = assess(intent, terms, view, self.limits, self.authority)
        unit.verdicts.add_checks(decision.decision_id, intent.leg, answer.verdicts)
        if isinstance(answer, Denied):
            return self._denied(intent, answer)
        if decision.dry_run:
            return End(EndReason.DRY_RUN, f"would be permitted: {describe(intent)}; a dry run sends nothing")
        return self._permitted(unit, intent, answer)

    def _view(
        self, unit: Unit, decision: Decision, intent: Intent, outside: Outside, in_universe: bool
    ) -> WorldView:
        now = self.clock.now()
        account = decision.account
        lookback = timedelta(seconds=float(self.limits.duplicate_within_s or 0))
        return WorldView(
            account=account,
            mode=decision.mode,
            now=now,
            exchange_now=outside.exchange_now,
            in_universe=in_universe,
            instrument=outside.instrument,
            quote=outside.quote,
            timeframe_s=self.trigger.seconds,
            equity=unit.equity.latest(account),
            positions=unit.positions.all_open(account),
            unsettled=unit.orders.unsettled(account),
            reserving=unit.permits.reserving(account, now),
            recent=unit.orders.recent(account, intent.symbol, now - lookback),
            kill_switches=unit.switches.on(),
            trading_state=unit.switches.trading_state(account),
        )

    def _denied(self, intent: Intent, denied: Denied) -> End:
        codes = [verdict.code.value for verdict in denied.verdicts if not verdict.ok]
        first = denied.first
        name = EventName.BUY_BLOCKED if intent.side is Side.BUY else EventName.SELL_BLOCKED
        self.events.emit(name, side=intent.side.value, codes=codes, value=first.value, limit=first.limit)
        others = f"; also {', '.join(codes[1:])}" if len(codes) > 1 else ""
        return End(
            denied.reason, f"{first.code}: {first.value}, limit {first.limit}. {first.detail}{others}".strip()
        )

    def _permitted(self, unit: Unit, intent: Intent, permit: Permit) -> Advance:
        unit.permits.add(permit)
        self.events.emit(
            EventName.SIGNAL_VALIDATED,
            permit_id=permit.permit_id,
            side=intent.side.value,
            qty=str(intent.qty),
            limit_px=str(intent.limit_price),
            expires_at=permit.expires_at,
        )
        return Advance({"permit_id": permit.permit_id})


def read_intent(before: StageRecord | None) -> Intent:
    """The intent that evaluate stored. Raises: InvariantBroken when there is none."""
    record = before.output.get("intent") if before is not None else None
    if not isinstance(record, dict):
        raise InvariantBroken("evaluate passed on without an intent")
    return Intent.from_record(record)


def describe(intent: Intent) -> str:
    """`buy 0.5 BTC/USDT:USDT at most 60,000` in a line."""
    bound = "at most" if intent.side.sign > 0 else "at least"
    return f"{intent.side} {intent.qty} {intent.symbol} at {bound} {intent.limit_price} ({intent.strategy})"
