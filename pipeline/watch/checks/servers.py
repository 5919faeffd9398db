"""What everything needs: Redis, the ledger, the exchange, and a clock that they agree on."""

from __future__ import annotations

from pipeline.domain.levels import Finding, LevelCode
from pipeline.watch.checks.answers import NO_REDIS, Answer, fine, found, skipped, unknown
from pipeline.watch.look import Away, Limits, Look


def broker(look: Look, _limits: Limits) -> Answer:
    if isinstance(look.broker, Away):
        return found(Finding(code=LevelCode.BROKER_DOWN, detail=look.broker.why))
    if look.broker.refuses:
        return found(Finding(code=LevelCode.BROKER_REFUSES, detail=f"Redis says: {look.broker.refuses}"))
    return fine("Redis answers and takes writes")


def persistence(look: Look, _limits: Limits) -> Answer:
    if isinstance(look.broker, Away):
        return unknown(NO_REDIS)
    if look.broker.persistent is None:
        return skipped("Redis lets nobody ask whether it keeps an append-only file")
    if not look.broker.persistent:
        detail = "appendonly is off: a crash of Redis loses every message that it holds"
        return found(Finding(code=LevelCode.BROKER_FORGETFUL, detail=detail))
    return fine("Redis keeps an append-only file")


def ledger(look: Look, _limits: Limits) -> Answer:
    if isinstance(look.book, Away):
        return found(Finding(code=LevelCode.LEDGER_DOWN, detail=look.book.why))
    return fine("the ledger answers")


def exchange(look: Look, _limits: Limits) -> Answer:
    seen = look.exchange
    if seen is None:
        return skipped("it was not asked")
    if isinstance(seen, Away):
        return found(Finding(code=LevelCode.EXCHANGE_DOWN, detail=seen.why))
    if seen.problem:
        return found(Finding(code=LevelCode.EXCHANGE_DOWN, detail=seen.problem))
    return fine("the exchange answers")


def clock(look: Look, limits: Limits) -> Answer:
    seen = look.exchange
    if seen is None or isinstance(seen, Away) or seen.skew_s is None:
        return unknown("the exchange does not tell its time")
    limit_s = limits.skew.total_seconds()
    said = f"the exchange's clock is {seen.skew_s:+.2f} s from ours"
    if abs(seen.skew_s) > limit_s:
        return found(Finding(code=LevelCode.CLOCK_OFF, detail=f"{said}; the limit is {limit_s:g} s"))
    return fine(said)
