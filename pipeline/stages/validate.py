"""Stage three: does the governor permit the intent?

Requires: evaluate's output, an intent.
Produces: a permit in the ledger, its worst case reserved in the same transaction, and every check's verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pipeline.domain.checks import CheckVerdict
from pipeline.domain.decisions import Advance, Decision, End, StageEnd, StageRecord
from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable, InvariantBroken, UnknownSymbol
from pipeline.domain.events import Area, EventName, Events
from pipeline.domain.guards import Lookback
from pipeline.domain.instruments import Instrument
from pipeline.domain.intents import Intent
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import Denied, OrderTerms, Permit
from pipeline.domain.ports import Clock, MarketData, Quote, Unit
from pipeline.domain.positions import Position
from pipeline.domain.signals import Side
from pipeline.domain.standing import Standing
from pipeline.domain.timeframes import Timeframe
from pipeline.execution.crashpoints import CrashPoint, reached
from pipeline.governor import latches
from pipeline.governor.assess import assess
from pipeline.governor.exposure import Effect, effect_of
from pipeline.governor.permits import PermitAuthority
from pipeline.governor.rules.answers import seconds_between
from pipeline.governor.universe import Universe
from pipeline.governor.view import Limits, Safeguards, WorldView
from pipeline.stages.remembering import horizon, tell, trip
from pipeline.stages.running import Conclusion


@dataclass(frozen=True, slots=True)
class Outside:
    """What the exchange says at this moment. What it did not say is None, and the checks deny."""

    exchange_now: datetime | None = None
    instrument: Instrument | None = None
    quote: Quote | None = None
    clock_offset_s: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be judged, with what was learnt about it before the transaction; `guarded` is the position that
    it is the stop or the target of, as the transaction has it.
    """

    decision: Decision
    intent: Intent
    outside: Outside
    in_universe: bool
    bar_jump_bps: Decimal | None
    guarded: Position | None = None


@dataclass(frozen=True, slots=True)
class Validate:
    """The validate stage, called with a decision."""

    market: MarketData
    universe: Callable[[], Universe]
    limits: Limits
    authority: PermitAuthority
    lookback: Lookback
    config_hash: str
    trigger: Timeframe
    clock: Clock
    events: Events

    def __call__(self, decision: Decision, before: StageRecord | None) -> Conclusion:
        intent = read_intent(before)
        asked = Asked(
            decision=decision,
            intent=intent,
            outside=self.look_outside(intent.symbol),
            in_universe=intent.symbol in self.universe(),
            bar_jump_bps=read_jump(before),
        )
        return lambda unit: self._decide(unit, asked)

    def look_outside(self, symbol: str) -> Outside:
        """What the exchange says about a symbol now, as far as it answers. Raises nothing."""
        with suppress(ExchangeUnavailable, ExchangeRefused, UnknownSymbol):
            theirs = self.market.now()
            return Outside(
                exchange_now=theirs,
                clock_offset_s=seconds_between(self.clock.now(), theirs),
                instrument=self.market.instruments().find(symbol),
                quote=self._quote(symbol),
            )
        return Outside()

    def _quote(self, symbol: str) -> Quote | None:
        with suppress(ExchangeUnavailable, ExchangeRefused, UnknownSymbol):
            return self.market.quote(symbol)
        return None

    def _decide(self, unit: Unit, asked: Asked) -> StageEnd:
        decision, intent = asked.decision, asked.intent
        answer = self.judge(unit, asked)
        if isinstance(answer, Denied):
            return self._denied(intent, answer)
        if decision.dry_run:
            return End(EndReason.DRY_RUN, f"would be permitted: {describe(intent)}; a dry run sends nothing")
        return self._permitted(unit, intent, answer)

    def judge(self, unit: Unit, asked: Asked) -> Permit | Denied:
        """The governor's answer, its verdicts written down. The permit itself is the caller's to add."""
        decision, intent = asked.decision, asked.intent
        view = self._seen(unit, asked)
        terms = OrderTerms.of(intent, decision.decision_id, decision.account, decision.mode)
        answer = assess(intent, terms, view, self.limits, self.authority)
        unit.verdicts.add_checks(decision.decision_id, intent.leg, answer.verdicts)
        self._debug(answer.verdicts)
        self._trip(unit, view)
        return answer

    def _debug(self, verdicts: Sequence[CheckVerdict]) -> None:
        if self.events.wants(Area.GOVERNOR):
            data = {each.code.value: each.as_record() for each in verdicts}
            self.events.emit(EventName.DEBUG, area=Area.GOVERNOR.value, what="every check", data=data)

    def _trip(self, unit: Unit, view: WorldView) -> None:
        """What denies until somebody re-arms it is written down where it was found."""
        trips = latches.repetitions(view.activity, self.limits)
        tell(self.events, view.account, trip(unit, view.account, list(trips), view.now))

    def _seen(self, unit: Unit, asked: Asked) -> WorldView:
        """A guard is judged by its position and its instrument alone, and takes nothing of the account's budget:
        nothing else is read for it. What would not guard that position is judged by the whole account.
        """
        beside = self._beside(asked)
        if effect_of(asked.intent, beside) is Effect.GUARDS:
            return beside
        unit.permits.lock_budget(asked.decision.account)
        return self._view(unit, asked)

    def _beside(self, asked: Asked) -> WorldView:
        """The position that is guarded, and nothing else: whatever asks for more denies."""
        return WorldView(
            account=asked.decision.account,
            mode=asked.decision.mode,
            now=self.clock.now(),
            instrument=asked.outside.instrument,
            positions=(asked.guarded,) if asked.guarded is not None else (),
        )

    def _view(self, unit: Unit, asked: Asked) -> WorldView:
        now, decision, outside, symbol = self.clock.now(), asked.decision, asked.outside, asked.intent.symbol
        account = decision.account
        known = unit.standing(account, symbol, now, horizon(self.limits, self.lookback, now))
        return WorldView(
            account=account,
            mode=decision.mode,
            now=now,
            exchange_now=outside.exchange_now,
            in_universe=asked.in_universe,
            instrument=outside.instrument,
            quote=outside.quote,
            timeframe_s=self.trigger.seconds,
            equity=known.equity,
            positions=known.positions,
            unsettled=known.unsettled,
            reserving=known.reserving,
            recent=known.recent,
            kill_switches=known.kill_switches,
            trading_state=known.trading_state,
            bar_jump_bps=asked.bar_jump_bps,
            activity=known.activity,
            safeguards=self._safeguards(known, decision),
            clock_offset_s=outside.clock_offset_s,
        )

    def _safeguards(self, known: Standing, decision: Decision) -> Safeguards:
        """What is remembered; this process and whoever opened the decision take part as well."""
        return Safeguards(
            latches=known.latches,
            marks=known.marks,
            reconciliation=known.reconciliation,
            config_hashes=known.config_hashes | {self.config_hash, decision.config_hash},
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
        reached(CrashPoint.PERMIT_UNCOMMITTED, intent.symbol)
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


def read_jump(before: StageRecord | None) -> Decimal | None:
    """The largest move between the signal's bars that evaluate saw; None when it did not say."""
    told = before.output.get("bar_jump_bps") if before is not None else None
    try:
        return Decimal(told) if isinstance(told, str) else None
    except ArithmeticError:
        return None


def describe(intent: Intent) -> str:
    """`buy 0.5 BTC/USDT:USDT at most 60,000` in a line."""
    bound = "at most" if intent.side.sign > 0 else "at least"
    return f"{intent.side} {intent.qty} {intent.symbol} at {bound} {intent.limit_price} ({intent.strategy})"
