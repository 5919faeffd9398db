"""What each level says, what to do about it, and which others are only its consequences."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.domain.levels import Finding, LevelCode, Rung, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a code says, and what to do. `looks`: in so many looks in a row it must be found before it counts.

    `explains`: levels that are nothing but its consequences while it stands.
    """

    severity: Severity
    rung: Rung
    says: str
    do: str
    explains: frozenset[LevelCode] = frozenset()
    looks: int = 1


def cause_of(code: LevelCode, standing: Collection[LevelCode]) -> LevelCode | None:
    """The first standing code, down the ladder, that explains this one."""
    return next(
        (other for other in LevelCode if other in standing and code in MEANINGS[other].explains), None
    )


def weight_of(finding: Finding) -> Severity:
    return finding.severity or MEANINGS[finding.code].severity


def by_cause(findings: Iterable[Finding]) -> Sequence[Finding]:
    """The first cause first: what nothing else explains, the gravest first, down the ladder; then consequences."""
    known = list(findings)
    standing = {each.code for each in known}
    return sorted(
        known,
        key=lambda each: (
            cause_of(each.code, standing) is not None,
            -weight_of(each).rank,
            list(LevelCode).index(each.code),
            each.subject,
        ),
    )


_STANDSTILL = frozenset(
    {
        LevelCode.UNIVERSE_OLD,
        LevelCode.NO_DECISION,
        LevelCode.NO_SIGNAL,
        LevelCode.EQUITY_STALE,
        LevelCode.NOT_RECONCILED,
        LevelCode.POSITION_UNPROTECTED,
        LevelCode.ORDER_UNKNOWN,
    }
)
"""What follows when nothing is done any more."""
_JAM = _STANDSTILL | {
    LevelCode.QUEUE_UNCONSUMED,
    LevelCode.QUEUE_STUCK,
    LevelCode.HANDOFF_BROKEN,
    LevelCode.DECISION_STUCK,
    LevelCode.DECISIONS_FAIL,
}
"""What follows when it is begun and not finished."""
_PROCESSES = frozenset(
    {
        LevelCode.NOTHING_RUNS,
        LevelCode.BEAT_GONE,
        LevelCode.WORKER_GONE,
        LevelCode.PROCESS_MUTE,
        LevelCode.THREAD_HUNG,
        LevelCode.WATCH_GONE,
        LevelCode.FEED_GONE,
        LevelCode.FEED_SILENT,
    }
)
_BLOCKED = frozenset({LevelCode.BREAKER_OPEN})

MEANINGS: Mapping[LevelCode, Meaning] = {
    LevelCode.BROKER_DOWN: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.BROKER,
        says="Redis does not answer: no message moves",
        do="start it, or `throughline up` where it is the embedded one; check redis.url",
        explains=_JAM | _PROCESSES | {LevelCode.DATA_MISSING, LevelCode.EXCHANGE_DOWN},
        looks=2,
    ),
    LevelCode.BROKER_REFUSES: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.BROKER,
        says="Redis answers and takes no writes: out of memory, read-only, or its disk is full",
        do="`redis-cli info memory` and `info persistence`; give it room; it must not evict (noeviction)",
        explains=_JAM | _PROCESSES | {LevelCode.DATA_MISSING},
    ),
    LevelCode.BROKER_FORGETFUL: Meaning(
        severity=Severity.NOTICE,
        rung=Rung.BROKER,
        says="Redis keeps no append-only file: its crash loses every message it held",
        do="appendonly yes, appendfsync everysec; the ledger ends what was lost, later",
    ),
    LevelCode.LEDGER_DOWN: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.LEDGER,
        says="the ledger cannot be read or written: nothing is opened, nothing is permitted",
        do="start its server, make room on its disk, check ledger.url; decisions go on by themselves afterwards",
        explains=_JAM | {LevelCode.DATA_MISSING, LevelCode.THREAD_HUNG},
        looks=2,
    ),
    LevelCode.EXCHANGE_DOWN: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.EXCHANGE,
        says="the exchange does not answer, or refuses everything: no data, no orders",
        do="its status page; this host's network; the key's permissions; wait out a ban, do not restart into it",
        explains=_STANDSTILL
        | {
            LevelCode.THREAD_HUNG,
            LevelCode.QUEUE_STUCK,
            LevelCode.FEED_GONE,
            LevelCode.FEED_SILENT,
            LevelCode.DATA_MISSING,
            LevelCode.DECISIONS_FAIL,
            LevelCode.DECISION_STUCK,
            LevelCode.ORDERS_REJECTED,
            LevelCode.BREAKER_OPEN,
        },
        looks=2,
    ),
    LevelCode.CLOCK_OFF: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.EXCHANGE,
        says="a host's clock differs from the exchange's or Redis': its governor denies, the exchange refuses "
        "its signatures, its beat does not lead",
        do="switch on time synchronisation there (chrony, systemd-timesyncd)",
        explains=_BLOCKED | {LevelCode.ORDERS_REJECTED, LevelCode.FEED_GONE, LevelCode.DECISIONS_FAIL},
        looks=2,
    ),
    LevelCode.NOTHING_RUNS: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.PROCESSES,
        says="no beat and no worker lives",
        do="`throughline up`, or the roles on their hosts",
        explains=_JAM | (_PROCESSES - {LevelCode.NOTHING_RUNS}),
    ),
    LevelCode.HOST_GONE: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.PROCESSES,
        says="all processes of a host fell silent, and those of others live: it is dead, frozen, or cut off",
        do="is it up? Does it reach Redis, the ledger and the exchange? `throughline doctor` there says what it misses",
        explains=_JAM | (_PROCESSES - {LevelCode.NOTHING_RUNS}) | {LevelCode.DATA_MISSING},
    ),
    LevelCode.BEAT_GONE: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.PROCESSES,
        says="no beat lives: nothing new is enqueued, and no upkeep",
        do="`throughline status` (is it restarted?), `logs/beat.out`; start `throughline beat`",
        explains=_STANDSTILL | {LevelCode.DECISION_STUCK},
    ),
    LevelCode.WORKER_GONE: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.PROCESSES,
        says="a worker fell silent without saying goodbye: killed, frozen, or cut off",
        do="its log; `dmesg` for the killer of processes; start it again",
        explains=_JAM | {LevelCode.PROCESS_MUTE, LevelCode.DATA_MISSING},
    ),
    LevelCode.PROCESS_MUTE: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.PROCESSES,
        says="a child of a living worker says nothing: frozen, or stuck in code that never lets go",
        do="`kill -9` it: its worker starts another one, and its task comes again",
        explains=_JAM,
    ),
    LevelCode.THREAD_HUNG: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.PROCESSES,
        says="a thread has been at one thing for too long; the place is named",
        do="look at the place; what hangs in a task is killed at chain.hard_time_limit_s",
        explains=_JAM,
    ),
    LevelCode.WATCH_GONE: Meaning(
        severity=Severity.WARNING,
        rung=Rung.PROCESSES,
        says="no watchdog lives: nobody would tell",
        do="start `throughline watch`; `throughline up` does, unless watch.enabled is false",
    ),
    LevelCode.LOGGING_STOPPED: Meaning(
        severity=Severity.WARNING,
        rung=Rung.PROCESSES,
        says="a process cannot write its log: its disk is full, or its folder is gone; it trades on, unseen",
        do="make room on that host's disk; what is kept free for the ledger is logging.keep_free_mb",
    ),
    LevelCode.QUEUE_UNCONSUMED: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.QUEUES,
        says="no living worker takes messages from a queue",
        do="start `throughline worker --queues <queue>` on some host",
        explains=_JAM - {LevelCode.QUEUE_UNCONSUMED, LevelCode.HANDOFF_BROKEN} | {LevelCode.DATA_MISSING},
    ),
    LevelCode.QUEUE_STUCK: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.QUEUES,
        says="messages wait too long in a queue that has workers",
        do="more processes for its worker; if it completes nothing at all, restart it",
        explains=_STANDSTILL | {LevelCode.DECISION_STUCK, LevelCode.DECISIONS_FAIL},
    ),
    LevelCode.HANDOFF_BROKEN: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.QUEUES,
        says="messages vanish between two stages: not in the queue, at no worker, and the stage was not done",
        do="who else reads this Redis? Look for a second consumer, an eviction policy, a flush",
        explains=_STANDSTILL | {LevelCode.DECISION_STUCK, LevelCode.DECISIONS_FAIL},
    ),
    LevelCode.VERSION_DRIFT: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.CONFIG,
        says="processes of one account run different code: messages of the other release are refused, and the governor "
        "denies everything",
        do="stop those that differ, and start them with the release of the others; docs/hosts.md",
        explains=_BLOCKED | {LevelCode.CONFIG_DRIFT, LevelCode.DECISIONS_FAIL},
    ),
    LevelCode.CONFIG_DRIFT: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.CONFIG,
        says="processes of one account run different configurations: the governor denies everything",
        do="`throughline config hash` on each host; give all the same file and restart those that differ",
        explains=_BLOCKED,
    ),
    LevelCode.UNIVERSE_EMPTY: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.UNIVERSE,
        says="no symbol may be traded: of the wanted names the exchange trades none",
        do="`throughline universe` says why for each name; then `throughline trading active --reason ...`",
        explains=_BLOCKED
        | {
            LevelCode.NO_DECISION,
            LevelCode.NO_SIGNAL,
            LevelCode.FOREIGN_SYMBOLS,
            LevelCode.TRADING_HALTED,
        },
    ),
    LevelCode.UNIVERSE_OLD: Meaning(
        severity=Severity.WARNING,
        rung=Rung.UNIVERSE,
        says="the universe was not checked against the exchange for three intervals",
        do="is there a worker for the queue `upkeep`? Does the exchange answer?",
    ),
    LevelCode.FOREIGN_SYMBOLS: Meaning(
        severity=Severity.WARNING,
        rung=Rung.UNIVERSE,
        says="somebody enqueues symbols that the universe does not allow; each is skipped",
        do="the decisions' origin says who; use one symbol list: `throughline universe`",
        explains=_BLOCKED,
    ),
    LevelCode.FEED_GONE: Meaning(
        severity=Severity.WARNING,
        rung=Rung.DATA,
        says="no feed follows the candles: every pass asks the exchange by REST",
        do="`throughline status` (is it restarted?), `logs/feed.out`; start `throughline feed`",
    ),
    LevelCode.FEED_SILENT: Meaning(
        severity=Severity.WARNING,
        rung=Rung.DATA,
        says="the feed lives and hears nothing: its connections are open or opened anew, and no candle comes",
        do="the exchange's status page; a proxy or firewall that cuts WebSockets; REST serves meanwhile",
        looks=2,
    ),
    LevelCode.DATA_MISSING: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.DATA,
        says="most passes end for want of candles, or because they are too old",
        do="the detail names timeframes and errors; `throughline doctor SYMBOL`",
        explains=frozenset({LevelCode.NO_SIGNAL}),
    ),
    LevelCode.NO_DECISION: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.CHAIN,
        says="symbols of the universe finished no decision for two cadences",
        do="`throughline doctor SYMBOL` for the first of them",
        explains=frozenset({LevelCode.NO_SIGNAL}),
    ),
    LevelCode.DECISION_STUCK: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.CHAIN,
        says="received is not ended: decisions are open past their deadline, and no order of theirs is",
        do="`throughline decisions --outcome open`; the sweeper ends them: is the queue `upkeep` worked on?",
    ),
    LevelCode.DECISIONS_FAIL: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.CHAIN,
        says="most decisions fail or run out of time",
        do="`throughline trace ID` of the one named has the stack trace",
        explains=frozenset({LevelCode.NO_SIGNAL}),
    ),
    LevelCode.STRATEGY_FAILS: Meaning(
        severity=Severity.WARNING,
        rung=Rung.STRATEGIES,
        says="a strategy raises, or overruns its time; the others go on",
        do="`throughline trace ID` of the decision named; `throughline kill on --strategy NAME --reason ...` stops it",
    ),
    LevelCode.NO_SIGNAL: Meaning(
        severity=Severity.NOTICE,
        rung=Rung.STRATEGIES,
        says="no strategy wanted anything for watch.signal_within_s",
        do="perhaps nothing: `throughline doctor SYMBOL` has the nearest miss",
    ),
    LevelCode.EQUITY_STALE: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.ACCOUNT,
        says="the account's equity is unknown or old: soon the governor denies everything",
        do="can the exchange's account be read? `throughline doctor` asks it; key, permissions, address",
        explains=_BLOCKED,
    ),
    LevelCode.NOT_RECONCILED: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.ACCOUNT,
        says="ledger and exchange were not compared lately, or they differ",
        do="`throughline positions`, and the exchange's own page; whoever traded by hand closes it there",
        explains=_BLOCKED,
    ),
    LevelCode.TRADING_HALTED: Meaning(
        severity=Severity.WARNING,
        rung=Rung.GOVERNOR,
        says="trading is halted or only reduces",
        do="`throughline trading active --reason ...` when its reason is gone",
        explains=_BLOCKED,
    ),
    LevelCode.KILL_SWITCH_ON: Meaning(
        severity=Severity.WARNING,
        rung=Rung.GOVERNOR,
        says="a kill switch is on",
        do="`throughline kill status`, then `throughline kill off --reason ...` with its --symbol or --strategy",
        explains=_BLOCKED,
    ),
    LevelCode.LATCH_TRIPPED: Meaning(
        severity=Severity.WARNING,
        rung=Rung.GOVERNOR,
        says="a latch tripped; nothing is opened until a person re-arms it",
        do="`throughline latches`, then `throughline rearm LATCH --reason ...`",
        explains=_BLOCKED,
    ),
    LevelCode.BREAKER_OPEN: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.GOVERNOR,
        says="one rule denies nearly everything: something is set up wrongly",
        do="its reason names the rule; `throughline doctor SYMBOL` has value and limit",
    ),
    LevelCode.POSITION_UNPROTECTED: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.ORDERS,
        says="a position is open, and by the ledger no stop of it rests on the exchange",
        do="`throughline trace POSITION_ID` has its exits and their refusals; place a stop by hand, or close it",
        looks=2,
    ),
    LevelCode.ORDER_UNKNOWN: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.ORDERS,
        says="the fate of an order is unknown for longer than a request may take; its symbol is blocked",
        do="the resolver asks; look for its client order id on the exchange",
    ),
    LevelCode.ORDERS_REJECTED: Meaning(
        severity=Severity.CRITICAL,
        rung=Rung.ORDERS,
        says="the exchange refuses most orders",
        do="`throughline orders --state REJECTED` has its codes: margin, permissions, limits",
        explains=_BLOCKED,
    ),
    LevelCode.ALERTS_FAIL: Meaning(
        severity=Severity.WARNING,
        rung=Rung.ALERTS,
        says="alerts do not get out",
        do="check alerts.urls and alerts.webhook_url; the log has every alert",
    ),
}
"""Every code's meaning, down the ladder."""
