"""Why one symbol does not trade: the way of its last decision, step by step, with the numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pipeline.domain.checks import CheckVerdict
from pipeline.domain.decisions import Decision, Stage
from pipeline.domain.outcomes import EndReason, Outcome
from pipeline.domain.ports import Unit
from pipeline.domain.signals import StrategyVerdict, VerdictKind
from pipeline.domain.switches import KillScope, TradingState
from pipeline.domain.timeframes import iso
from pipeline.watch.checks.answers import Status, ago


@dataclass(frozen=True, slots=True)
class Symptom:
    """One step on the way to an order."""

    step: str
    status: Status
    detail: str


@dataclass(frozen=True, slots=True)
class Examination:
    """A symbol's steps, in the order in which they matter. `last`: its newest decision."""

    symbol: str
    at: datetime
    steps: Sequence[Symptom]
    last: Decision | None

    @property
    def blocked_by(self) -> Symptom | None:
        """The first step that keeps it from trading."""
        return next((each for each in self.steps if each.status is Status.FINDING), None)

    def as_record(self) -> dict[str, object]:
        blocked = self.blocked_by
        return {
            "symbol": self.symbol,
            "at": iso(self.at),
            "blocked_by": blocked.step if blocked else None,
            "last_decision": self.last.decision_id if self.last else None,
            "steps": [
                {"step": each.step, "status": each.status.value, "detail": each.detail} for each in self.steps
            ],
        }


def examine_symbol(unit: Unit, account: str, symbol: str, now: datetime) -> Examination:
    """Raises: LedgerUnavailable."""
    newest = unit.decisions.latest(account=account, symbol=symbol, limit=20)
    last = next((each for each in newest if not each.is_open), None)
    steps = [
        _in_universe(unit, account, symbol),
        _switched(unit, account, symbol),
        _resolved(unit, account, symbol),
        *_way(unit, last, now),
    ]
    return Examination(symbol, now, steps, last)


def _ok(step: str, detail: str) -> Symptom:
    return Symptom(step, Status.OK, detail)


def _finding(step: str, detail: str) -> Symptom:
    return Symptom(step, Status.FINDING, detail)


def _in_universe(unit: Unit, account: str, symbol: str) -> Symptom:
    kept = unit.guards.universe(account)
    if kept is None:
        return Symptom("universe", Status.UNKNOWN, "the universe was never made")
    if symbol in kept.symbols:
        return _ok("universe", f"it is one of {len(kept.symbols)} symbols")
    return _finding("universe", f"it is not in the universe: {_why_out(kept.report, symbol)}")


def _why_out(report: object, symbol: str) -> str:
    listings = report.get("listings", ()) if isinstance(report, dict) else ()
    for listing in listings:
        if isinstance(listing, dict) and symbol in (listing.get("symbol"), listing.get("name")):
            return f"{listing.get('standing')}: {listing.get('detail')}"
    return "nobody asked for it; see universe.symbols"


def _switched(unit: Unit, account: str, symbol: str) -> Symptom:
    state = unit.switches.trading_state(account)
    if state is TradingState.HALTED:
        return _finding("switches", f"trading is {state}: {unit.rounds.reason_of_state(account)[0]}")
    covering = [
        switch
        for switch in unit.switches.on()
        if switch.scope is KillScope.GLOBAL or (switch.scope is KillScope.SYMBOL and switch.name == symbol)
    ]
    if covering:
        return _finding("switches", f"the {covering[0].scope} kill switch is on: {covering[0].reason}")
    return _ok("switches", f"trading is {state}, and no kill switch covers it")


def _resolved(unit: Unit, account: str, symbol: str) -> Symptom:
    doubtful = [order for order in unit.orders.unsettled(account, symbol) if order.state.may_be_on_exchange]
    if not doubtful:
        return _ok("orders", "no order on it is unsettled")
    order = doubtful[0]
    return _finding(
        "orders",
        f"{order.client_order_id} is {order.state}; nothing new is sent until it is known: {order.detail}",
    )


def _way(unit: Unit, last: Decision | None, now: datetime) -> Iterator[Symptom]:
    """What the newest decision that has ended met on its way."""
    if last is None:
        yield _finding("decision", "no decision over it has ended on this account")
        return
    if last.reason is EndReason.UNCHANGED:
        said = f"{last.decision_id} ended {_when(last, now)}: {last.detail}"
        yield Symptom("newest decision", Status.SKIPPED, said)
        last = _judged_by(unit, last) or last
    yield _decision(last, now)
    yield from _strategies(unit.verdicts.of(last.decision_id))
    yield from _checks(unit.verdicts.checks_of(last.decision_id))


def _judged_by(unit: Unit, last: Decision) -> Decision | None:
    fetch = unit.stages.get(last.decision_id, Stage.FETCH)
    told = fetch.output.get("judged_by") if fetch is not None else None
    return unit.decisions.get(type(last.decision_id)(str(told))) if told else None


def _when(decision: Decision, now: datetime) -> str:
    return ago(decision.ended_at or decision.enqueued_at, now)


def _decision(last: Decision, now: datetime) -> Symptom:
    said = f"{last.decision_id} ended {_when(last, now)} as {last.outcome}, {last.reason}: {last.detail}"
    if last.outcome is Outcome.NO_SIGNAL:
        return Symptom("decision", Status.SKIPPED, said)
    return _ok("decision", said) if last.outcome is Outcome.EXECUTED else _finding("decision", said[:500])


def _strategies(verdicts: Sequence[StrategyVerdict]) -> Iterator[Symptom]:
    for verdict in verdicts:
        if verdict.kind is VerdictKind.SIGNAL and verdict.signal is not None:
            signal = verdict.signal
            yield _ok(verdict.strategy, f"wanted to {signal.side} with score {signal.score}: {signal.reason}")
        elif verdict.kind is VerdictKind.FAILED:
            yield _finding(verdict.strategy, f"failed: {verdict.error.strip().splitlines()[-1]}")
        else:
            yield Symptom(verdict.strategy, Status.SKIPPED, f"no signal: {_miss(verdict)}")


def _miss(verdict: StrategyVerdict) -> str:
    miss = verdict.nearest_miss
    if miss is None:
        return "it did not say what was missing"
    if math.isnan(miss.value):
        return miss.condition
    return f"it wants {miss.condition} {miss.threshold:g}, and has {miss.value:g}"


def _checks(verdicts: Sequence[CheckVerdict]) -> Iterator[Symptom]:
    if verdicts and all(verdict.ok for verdict in verdicts):
        yield _ok("governor", f"all {len(verdicts)} checks agreed")
    for verdict in verdicts:
        if not verdict.ok:
            yield _finding(
                verdict.code.value,
                f"saw {verdict.value}, allows {verdict.limit}{': ' if verdict.detail else ''}{verdict.detail}",
            )
