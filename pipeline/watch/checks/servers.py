"""What everything needs: Redis, the ledger, the exchange, and a clock that they agree on."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.domain.levels import Finding, LevelCode
from pipeline.watch.checks.answers import NO_REDIS, Answer, fine, found, lasting, skipped, unknown
from pipeline.watch.look import Away, ExchangeView, Limits, Look


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


def clocks(look: Look, limits: Limits) -> Answer:
    """Ours beside the exchange's, and every host's beside Redis'."""
    off = [*_against_the_exchange(look, limits), *_against_redis(look, limits)]
    if off:
        return found(*off)
    seen = look.exchange
    if seen is None or isinstance(seen, Away) or seen.skew_s is None:
        return unknown("the exchange does not tell its time")
    return fine(f"the exchange's clock is {seen.skew_s:+.2f} s from ours, and no host's is off")


def _against_the_exchange(look: Look, limits: Limits) -> Iterator[Finding]:
    seen, limit = look.exchange, limits.skew
    if (
        isinstance(seen, ExchangeView)
        and seen.skew_s is not None
        and abs(seen.skew_s) > limit.total_seconds()
    ):
        said = f"the exchange's clock is {seen.skew_s:+.2f} s from ours; the limit is {lasting(limit)}"
        yield Finding(code=LevelCode.CLOCK_OFF, detail=said)


def _against_redis(look: Look, limits: Limits) -> Iterator[Finding]:
    """Where all hosts find Redis' clock wrong, it is that one."""
    if isinstance(look.pulses, Away):
        return
    limit_s = limits.skew.total_seconds()
    living = [each for each in look.pulses if each.lives(look.at, limits.silent_after)]
    worst_last = sorted(living, key=lambda each: abs(each.clock_ahead_s))
    ahead = {each.host: each.clock_ahead_s for each in worst_last}
    off = {host: by_s for host, by_s in ahead.items() if abs(by_s) > limit_s}
    if len(off) == len(ahead) > 1:
        by_s = min(off.values(), key=abs)
        said = f"Redis' clock is {-by_s:+.1f} s from that of every host"
        yield Finding(code=LevelCode.CLOCK_OFF, subject="redis", detail=said)
        return
    for host, by_s in sorted(off.items()):
        said = f"the clock of {host} is {by_s:+.1f} s from Redis'; the limit is {limit_s:g} s"
        yield Finding(code=LevelCode.CLOCK_OFF, subject=host, detail=said)
