"""Whether it may trade: configuration, universe, account, switches."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from pipeline.domain.intents import Leg
from pipeline.domain.levels import Finding, LevelCode, Severity
from pipeline.domain.outcomes import EndReason
from pipeline.domain.positions import Equity, Position
from pipeline.domain.signals import Side
from pipeline.domain.switches import KillScope, TradingState
from pipeline.watch.checks.answers import (
    NO_LEDGER,
    NO_REDIS,
    Answer,
    ago,
    fine,
    found,
    found_or,
    lasting,
    listed,
    unknown,
)
from pipeline.watch.look import Away, Limits, Look

MISSED = 3
"""After so many missed intervals upkeep counts as not done."""
WORTH_A_STOP = 1000
"""A position worth less than this part of the equity wakes nobody."""


def release(look: Look, limits: Limits) -> Answer:
    """Which code the processes run. One that does not say is of a release that did not know how to."""
    if isinstance(look.pulses, Away):
        return unknown(NO_REDIS)
    said: dict[str, set[str]] = {}
    for pulse in look.pulses:
        if pulse.lives(look.at, limits.silent_after):
            said.setdefault(pulse.release or "one that does not say", set()).add(pulse.place)
    if len(said) < 2:
        return fine(f"every process runs {next(iter(said), 'the same release')}")
    listing = "; ".join(f"{value}: {listed(sorted(places))}" for value, places in sorted(said.items()))
    detail = f"{len(said)} releases are at work: {listing}"
    return found(Finding(code=LevelCode.VERSION_DRIFT, detail=detail))


def config(look: Look, limits: Limits) -> Answer:
    """From what the processes say of themselves; the ledger's heartbeats have those that worked lately."""
    said = _by_hash(look, limits)
    if len(said) > 1:
        listing = "; ".join(f"{value}: {listed(sorted(places))}" for value, places in sorted(said.items()))
        detail = f"{len(said)} configurations are at work: {listing}"
        return found(Finding(code=LevelCode.CONFIG_DRIFT, detail=detail))
    if isinstance(look.pulses, Away) and isinstance(look.book, Away):
        return unknown(NO_REDIS)
    return fine(f"every process runs {next(iter(said), 'the same configuration')}")


def _by_hash(look: Look, limits: Limits) -> Mapping[str, set[str]]:
    said: dict[str, set[str]] = {}
    if not isinstance(look.pulses, Away):
        for pulse in look.pulses:
            if pulse.lives(look.at, limits.silent_after):
                said.setdefault(pulse.config_hash, set()).add(pulse.place)
    if not isinstance(look.book, Away):
        for value in look.book.config_hashes - said.keys():
            said.setdefault(value, set()).add("a process that worked on a decision lately")
    return said


def universe(look: Look, _limits: Limits) -> Answer:
    if isinstance(look.book, Away):
        return unknown(NO_LEDGER)
    kept = look.book.universe
    if kept is None:
        return unknown("the universe was never made")
    summary = str(kept.report.get("summary", f"{len(kept.symbols)} symbols"))
    if not kept.symbols:
        return found(Finding(code=LevelCode.UNIVERSE_EMPTY, detail=f"no symbol may be traded: {summary}"))
    return fine(summary)


def universe_age(look: Look, limits: Limits) -> Answer:
    if isinstance(look.book, Away):
        return unknown(NO_LEDGER)
    kept = look.book.universe
    if kept is None:
        return unknown("the universe was never made")
    said = f"it was checked {ago(kept.checked_at, look.at)}"
    if look.at - kept.checked_at > MISSED * limits.universe_every:
        every = lasting(limits.universe_every)
        return found(Finding(code=LevelCode.UNIVERSE_OLD, detail=f"{said}; every {every} is wanted"))
    return fine(said)


def foreign(look: Look, limits: Limits) -> Answer:
    if isinstance(look.book, Away):
        return unknown(NO_LEDGER)
    refused = (EndReason.OUTSIDE_UNIVERSE, EndReason.SYMBOL_NOT_TRADED)
    groups = [group for group in look.book.ended if group.reason in refused]
    many, of = sum(group.many for group in groups), sum(group.many for group in look.book.ended)
    if not groups:
        return fine("every pass was over a symbol of the universe")
    most = many * 10 >= of * 9
    span = lasting(limits.recent)
    detail = f"{many} of {of} passes of the last {span} were over symbols that the universe does not allow"
    return found(
        Finding(
            code=LevelCode.FOREIGN_SYMBOLS,
            detail=detail,
            evidence=tuple(f"{group.newest}: {group.detail}" for group in groups),
            severity=Severity.CRITICAL if most else None,
        )
    )


def equity(look: Look, limits: Limits) -> Answer:
    if isinstance(look.book, Away):
        return unknown(NO_LEDGER)
    known = look.book.equity
    if known is None:
        return found(Finding(code=LevelCode.EQUITY_STALE, detail="equity was never recorded"))
    said = f"equity is {known.equity:,.2f} USDT, {lasting(look.at - known.occurred_at)} old"
    problem = _overdue(look.at - known.occurred_at, limits.equity_every, limits.equity_max_age)
    if not problem:
        return fine(said)
    return found(Finding(code=LevelCode.EQUITY_STALE, detail=f"{said}; {problem}{_account_problem(look)}"))


def _overdue(age: timedelta, every: timedelta, max_age: timedelta) -> str:
    """Named when upkeep has missed it several times, before the governor begins to deny; empty until then."""
    if age <= min(max_age, MISSED * every + timedelta(seconds=5)):
        return ""
    when = "the governor" if age > max_age else f"at {lasting(max_age)} the governor"
    return f"every {lasting(every)} is wanted, {when} denies everything"


def _account_problem(look: Look) -> str:
    seen = look.exchange
    asked = None if seen is None or isinstance(seen, Away) else seen.account_problem
    return f"; asked just now, the exchange says: {asked}" if asked else ""


def reconciliation(look: Look, limits: Limits) -> Answer:
    if isinstance(look.book, Away):
        return unknown(NO_LEDGER)
    known = look.book.reconciliation
    if known is None:
        detail = "ledger and exchange were never compared"
        return found(Finding(code=LevelCode.NOT_RECONCILED, detail=detail))
    if known.differences:
        detail = f"ledger and exchange differ: {'; '.join(known.differences)}"
        return found(Finding(code=LevelCode.NOT_RECONCILED, detail=detail))
    said = f"ledger and exchange were equal {ago(known.compared_at, look.at)}"
    problem = _overdue(look.at - known.compared_at, limits.reconcile_every, limits.reconciled_max_age)
    return (
        found(Finding(code=LevelCode.NOT_RECONCILED, detail=f"{said}; {problem}")) if problem else fine(said)
    )


def stops(look: Look, limits: Limits) -> Answer:
    if isinstance(look.book, Away):
        return unknown(NO_LEDGER)
    guarded = {order.symbol for order in look.book.unsettled if order.leg is Leg.STOP and order.waits}
    bare = [
        _unprotected(position, look.at, look.book.equity)
        for position in look.book.positions
        if position.symbol not in guarded and look.at - position.opened_at > limits.unprotected_for
    ]
    return found_or(bare, f"each of {look.book.open_positions} open positions has its stop")


def _unprotected(position: Position, now: datetime, equity: Equity | None) -> Finding:
    """What is worth nearly nothing may be too little to be ordered at all: that is worth a notice."""
    worth = position.qty * position.entry_price
    little = equity is not None and worth * WORTH_A_STOP < equity.equity
    side = "long" if position.side is Side.BUY else "short"
    return Finding(
        code=LevelCode.POSITION_UNPROTECTED,
        subject=position.symbol,
        detail=f"{side} {position.qty} {position.symbol} ({worth:,.2f} USDT), opened {ago(position.opened_at, now)}, "
        f"has no stop on the exchange",
        evidence=(position.position_id,),
        severity=Severity.NOTICE if little else None,
    )


def state(look: Look, _limits: Limits) -> Answer:
    if isinstance(look.book, Away):
        return unknown(NO_LEDGER)
    trading = look.book.trading
    if trading is TradingState.ACTIVE:
        return fine("trading is ACTIVE")
    return found(
        Finding(code=LevelCode.TRADING_HALTED, detail=f"trading is {trading}: {look.book.trading_why}")
    )


def switches(look: Look, _limits: Limits) -> Answer:
    if isinstance(look.book, Away):
        return unknown(NO_LEDGER)
    on = [
        Finding(
            code=LevelCode.KILL_SWITCH_ON,
            subject=f"{switch.scope} {switch.name}".strip(),
            detail=f"the {switch.title} is on since {ago(switch.set_at, look.at)}: "
            f"{switch.reason} (by {switch.set_by})",
            severity=Severity.CRITICAL if switch.scope is KillScope.GLOBAL else None,
        )
        for switch in look.book.switches
    ]
    return found_or(on, "no kill switch is on")


def latches(look: Look, _limits: Limits) -> Answer:
    if isinstance(look.book, Away):
        return unknown(NO_LEDGER)
    tripped = [
        Finding(
            code=LevelCode.LATCH_TRIPPED,
            subject=latch.code.value,
            detail=f"{latch.code} tripped {ago(latch.changed_at, look.at)}: {latch.reason}",
        )
        for latch in look.book.latches
    ]
    return found_or(tripped, "no latch has tripped")


def breaker(look: Look, _limits: Limits) -> Answer:
    if isinstance(look.book, Away):
        return unknown(NO_LEDGER)
    open_one = look.book.breaker
    if open_one is None:
        return fine("the circuit breaker is closed")
    detail = f"{open_one.reason} since {ago(open_one.opened_at, look.at)}: {open_one.detail}"
    return found(Finding(code=LevelCode.BREAKER_OPEN, detail=detail))
