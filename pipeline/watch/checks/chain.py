"""What comes out: data, decisions, signals, orders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pipeline.domain.levels import Finding, LevelCode
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.outcomes import EndReason, Outcome, outcome_of
from pipeline.domain.rounds import NOBODYS_WORK, EndedGroup
from pipeline.watch.checks.answers import (
    NO_LEDGER,
    Answer,
    ago,
    fine,
    found,
    found_or,
    lasting,
    listed,
    skipped,
    unknown,
)
from pipeline.watch.checks.processes import BEAT
from pipeline.watch.look import Away, BookView, Limits, Look

LACKING = frozenset({EndReason.INSUFFICIENT_DATA, EndReason.STALE_CANDLES})
WITHOUT_SIGNAL = NOBODYS_WORK | LACKING | {
    EndReason.NO_SIGNAL,
    EndReason.UNCHANGED,
    EndReason.OUTSIDE_UNIVERSE,
    EndReason.SYMBOL_NOT_TRADED,
    EndReason.TIME_LIMIT,
    EndReason.UNAVAILABLE,
    EndReason.STAGE_RAISED,
}  # fmt: skip
FEW = 3
"""Fewer than these prove nothing."""


def feed(look: Look, limits: Limits) -> Answer:
    seen = look.feed
    if isinstance(seen, Away):
        return unknown(seen.why)
    if seen is None:
        return skipped("there never was a feed: every pass asks the exchange by REST")
    if look.at - seen.at > limits.silent_after:
        said = f"the feed of {seen.holder} fell silent {ago(seen.at, look.at)}, and no other leads"
        return found(Finding(code=LevelCode.FEED_GONE, detail=said))
    said = f"{seen.up} of {seen.connections} connections tell candles of {seen.symbols} symbols"
    if seen.up < seen.connections:
        return found(Finding(code=LevelCode.FEED_SILENT, detail=f"only {said}; {seen.behind} are behind"))
    return fine(said)


def data(look: Look, limits: Limits) -> Answer:
    if isinstance(look.book, Away):
        return unknown(NO_LEDGER)
    lacking = [group for group in look.book.ended if group.reason in LACKING]
    judged = [group for group in look.book.ended if group.reason not in NOBODYS_WORK]
    return _share(LevelCode.DATA_MISSING, lacking, judged, "ended for want of candles", limits)


def _share(
    code: LevelCode,
    bad: Sequence[EndedGroup],
    of: Sequence[EndedGroup],
    what: str,
    limits: Limits,
) -> Answer:
    """A finding when at least half of the decisions are bad, and they are not too few to prove anything."""
    many, total = sum(group.many for group in bad), sum(group.many for group in of)
    span = lasting(limits.recent)
    if many * 2 < total or not many:
        return fine(f"{many} of {total} decisions of the last {span} {what}")
    if many < FEW:
        return fine(f"{many} of {total} decisions of the last {span} {what}; fewer than {FEW} prove nothing")
    newest = max(bad, key=lambda group: group.newest)
    detail = f"{many} of {total} decisions of the last {span} {what}: {newest.detail or newest.reason}"
    return found(
        Finding(
            code=code, detail=detail[:400], evidence=tuple(f"{each.newest}: {each.reason}" for each in bad)
        )
    )


def silence(look: Look, limits: Limits) -> Answer:
    """Measured at the end of the chain, for each symbol."""
    if isinstance(look.book, Away):
        return unknown(NO_LEDGER)
    book = look.book
    if book.universe is None or not book.universe.symbols:
        return skipped("there is no universe")
    started = since_when(look)
    if started is None:
        return skipped("nothing runs")
    silent = _silent(book, started, look.at, limits)
    of = len(book.universe.symbols)
    if not silent:
        return fine(f"each of {of} symbols finished a decision lately, or is new")
    detail = f"{len(silent)} of {of} symbols finished no decision for {lasting(limits.silent_for)}"
    return found(Finding(code=LevelCode.NO_DECISION, detail=f"{detail}: {listed(silent)}"))


def since_when(look: Look) -> datetime | None:
    """From when on there should be decisions: since the session began, and somebody fires."""
    session = look.book.running_since if isinstance(look.book, BookView) else None
    pulses = () if isinstance(look.pulses, Away) else look.pulses
    beats = [pulse.started_at for pulse in pulses if pulse.role.startswith(BEAT)]
    known = [at for at in (session, min(beats, default=None)) if at]
    return max(known, default=None)


def _silent(book: BookView, started: datetime, now: datetime, limits: Limits) -> list[str]:
    """Symbols that finished nothing for too long, the longest first, with their last end."""
    heard: list[tuple[datetime, str]] = []
    for symbol in book.universe.symbols if book.universe else ():
        last = book.last_finished.get(symbol)
        known = [at for at in (started, last, book.joined_at.get(symbol)) if at]
        if now - max(known) > limits.silent_for:
            heard.append((max(known), f"{symbol} ({f'last {ago(last, now)}' if last else 'none yet'})"))
    return [said for _, said in sorted(heard)]


def received(look: Look, limits: Limits) -> Answer:
    """Received = ended: who is open past the deadline, without an order that is out, was forgotten."""
    if isinstance(look.book, Away):
        return unknown(NO_LEDGER)
    late = [each for each in look.book.waiting if look.at - each.deadline_at > limits.deadline_grace]
    if not late:
        return fine("received = ended, but for what is being worked on")
    oldest = late[0]
    detail = (
        f"{len(late)} decisions are open past their deadline; the oldest, {oldest.decision_id}, "
        f"waits for {oldest.next_stage} since {ago(oldest.heard_at, look.at)}"
    )
    return found(Finding(code=LevelCode.DECISION_STUCK, detail=detail))


def failures(look: Look, limits: Limits) -> Answer:
    """An entry that the market did not fill has expired as well, and nothing is wrong with the chain."""
    if isinstance(look.book, Away):
        return unknown(NO_LEDGER)
    bad = [
        group
        for group in look.book.ended
        if outcome_of(group.reason) is Outcome.FAILED
        or group.reason in (EndReason.NOT_STARTED, EndReason.DEADLINE)
    ]
    return _share(LevelCode.DECISIONS_FAIL, bad, look.book.ended, "failed or ran out of time", limits)


def strategies(look: Look, limits: Limits) -> Answer:
    if isinstance(look.book, Away):
        return unknown(NO_LEDGER)
    failing = [
        Finding(
            code=LevelCode.STRATEGY_FAILS,
            subject=name,
            detail=f"{name} failed {many} times within {lasting(limits.recent)}: {_last_line(error)}",
        )
        for name, (many, error) in look.book.failing.items()
        if many >= FEW
    ]
    return found_or(failing, "no strategy fails")


def _last_line(error: str) -> str:
    return next((line for line in reversed(error.splitlines()) if line.strip()), "")[:200]


def signals(look: Look, limits: Limits) -> Answer:
    if isinstance(look.book, Away):
        return unknown(NO_LEDGER)
    if not limits.signal_within:
        return skipped("watch.signal_within_s is 0")
    started = since_when(look)
    if started is None or look.at - started < limits.signal_within:
        return skipped(f"it has not run for {lasting(limits.signal_within)} yet")
    wanted = sum(group.many for group in look.book.ended_long if group.reason not in WITHOUT_SIGNAL)
    passes = sum(group.many for group in look.book.ended_long)
    if wanted:
        return fine(f"{wanted} of {passes} passes within {lasting(limits.signal_within)} had a signal")
    detail = f"none of {passes} passes within {lasting(limits.signal_within)} had a signal"
    return found(Finding(code=LevelCode.NO_SIGNAL, detail=detail))


def unknown_orders(look: Look, limits: Limits) -> Answer:
    if isinstance(look.book, Away):
        return unknown(NO_LEDGER)
    doubtful = [order for order in look.book.unsettled if _is_doubtful(order, look.at, limits)]
    return found_or([_unresolved(order, look.at) for order in doubtful], "the fate of every order is known")


def _is_doubtful(order: Order, now: datetime, limits: Limits) -> bool:
    unsure = order.state in (OrderState.UNKNOWN, OrderState.SENDING)
    return unsure and now - (order.sent_at or order.created_at) > limits.unknown_for


def _unresolved(order: Order, now: datetime) -> Finding:
    sent = order.sent_at or order.created_at
    return Finding(
        code=LevelCode.ORDER_UNKNOWN,
        subject=order.symbol,
        detail=f"{order.client_order_id} ({order.side} {order.qty} {order.symbol}) was sent {ago(sent, now)}; "
        f"{order.state}, {order.misses} times not found: {order.detail}"[:400],
    )


def rejections(look: Look, limits: Limits) -> Answer:
    if isinstance(look.book, Away):
        return unknown(NO_LEDGER)
    rejected, total = look.book.orders.get(OrderState.REJECTED, 0), sum(look.book.orders.values())
    said = f"{rejected} of {total} orders of the last {lasting(limits.recent)} were refused"
    if rejected * 2 < total or not rejected:
        return fine(said)
    if rejected < FEW:
        return fine(f"{said}; fewer than {FEW} prove nothing")
    words = "; ".join(f"{text} ({many} times)" for text, many in look.book.refusals.items())
    return found(Finding(code=LevelCode.ORDERS_REJECTED, detail=f"{said}: {words}"))


def alerts(look: Look, _limits: Limits) -> Answer:
    if not look.asked_by_watch:
        return skipped("only the watchdog knows what it could not tell")
    if not look.alerts_lost:
        return fine("every alert got out")
    detail = f"{look.alerts_lost} alerts did not get out: {look.alerts_problem}"
    return found(Finding(code=LevelCode.ALERTS_FAIL, detail=detail))
