"""The ladder: every check, from the broker to the fills. The watchdog and the doctor climb down the same one."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.domain.levels import LevelCode, Rung
from pipeline.watch.checks import chain, processes, queues, servers, trading
from pipeline.watch.checks.answers import Answer, Check, Checked, Status, unknown
from pipeline.watch.look import Limits, Look

C = LevelCode

LADDER: tuple[Check, ...] = (
    Check("Redis", Rung.BROKER, (C.BROKER_DOWN, C.BROKER_REFUSES), servers.broker),
    Check("persistence", Rung.BROKER, (C.BROKER_FORGETFUL,), servers.persistence),
    Check("ledger", Rung.LEDGER, (C.LEDGER_DOWN,), servers.ledger),
    Check("exchange", Rung.EXCHANGE, (C.EXCHANGE_DOWN,), servers.exchange),
    Check("clocks", Rung.EXCHANGE, (C.CLOCK_OFF,), servers.clocks),
    Check("running", Rung.PROCESSES, (C.NOTHING_RUNS,), processes.running),
    Check("hosts", Rung.PROCESSES, (C.HOST_GONE,), processes.hosts),
    Check("beat", Rung.PROCESSES, (C.BEAT_GONE,), processes.beat),
    Check("workers", Rung.PROCESSES, (C.WORKER_GONE,), processes.workers),
    Check("pool", Rung.PROCESSES, (C.PROCESS_MUTE,), processes.children),
    Check("threads", Rung.PROCESSES, (C.THREAD_HUNG,), processes.threads),
    Check("watchdog", Rung.PROCESSES, (C.WATCH_GONE,), processes.watchdog),
    Check("logs", Rung.PROCESSES, (C.LOGGING_STOPPED,), processes.logs),
    Check("consumers", Rung.QUEUES, (C.QUEUE_UNCONSUMED,), queues.consumers),
    Check("waiting", Rung.QUEUES, (C.QUEUE_STUCK,), queues.waiting_times),
    Check("hand-offs", Rung.QUEUES, (C.HANDOFF_BROKEN,), queues.handoffs),
    Check("release", Rung.CONFIG, (C.VERSION_DRIFT,), trading.release),
    Check("configuration", Rung.CONFIG, (C.CONFIG_DRIFT,), trading.config),
    Check("universe", Rung.UNIVERSE, (C.UNIVERSE_EMPTY,), trading.universe),
    Check("universe's age", Rung.UNIVERSE, (C.UNIVERSE_OLD,), trading.universe_age),
    Check("symbols", Rung.UNIVERSE, (C.FOREIGN_SYMBOLS,), trading.foreign),
    Check("feed", Rung.DATA, (C.FEED_GONE, C.FEED_SILENT), chain.feed),
    Check("candles", Rung.DATA, (C.DATA_MISSING,), chain.data),
    Check("decisions", Rung.CHAIN, (C.NO_DECISION,), chain.silence),
    Check("received = ended", Rung.CHAIN, (C.DECISION_STUCK,), chain.received),
    Check("failures", Rung.CHAIN, (C.DECISIONS_FAIL,), chain.failures),
    Check("strategies", Rung.STRATEGIES, (C.STRATEGY_FAILS,), chain.strategies),
    Check("signals", Rung.STRATEGIES, (C.NO_SIGNAL,), chain.signals),
    Check("equity", Rung.ACCOUNT, (C.EQUITY_STALE,), trading.equity),
    Check("reconciliation", Rung.ACCOUNT, (C.NOT_RECONCILED,), trading.reconciliation),
    Check("trading state", Rung.GOVERNOR, (C.TRADING_HALTED,), trading.state),
    Check("kill switches", Rung.GOVERNOR, (C.KILL_SWITCH_ON,), trading.switches),
    Check("latches", Rung.GOVERNOR, (C.LATCH_TRIPPED,), trading.latches),
    Check("breaker", Rung.GOVERNOR, (C.BREAKER_OPEN,), trading.breaker),
    Check("stops", Rung.ORDERS, (C.POSITION_UNPROTECTED,), trading.stops),
    Check("unknown orders", Rung.ORDERS, (C.ORDER_UNKNOWN,), chain.unknown_orders),
    Check("refused orders", Rung.ORDERS, (C.ORDERS_REJECTED,), chain.rejections),
    Check("alerts", Rung.ALERTS, (C.ALERTS_FAIL,), chain.alerts),
)


def climb(look: Look, limits: Limits) -> Sequence[Checked]:
    """Every check's answer, down the ladder. A check that raises does not know, and says so."""
    return [Checked(check, _judged(check, look, limits)) for check in LADDER]


def _judged(check: Check, look: Look, limits: Limits) -> Answer:
    try:
        return check.judge(look, limits)
    except Exception as error:  # noqa: BLE001 - one check's mistake must not blind the others
        return unknown(f"the check itself failed: {error!r}")


__all__ = ["LADDER", "Check", "Checked", "Status", "climb"]
