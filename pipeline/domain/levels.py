"""Levels: what is wrong, for as long as it is wrong. An event says that something happened; a level stands.

The ladder goes from what everything needs to what comes out of it: a trouble on one rung explains many on the rungs
below, and hardly one above.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum, unique


@unique
class Severity(StrEnum):
    """`notice` is worth knowing, `warning` worth a look today, `critical` worth being woken for."""

    NOTICE = "notice"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Severity).index(self)


@unique
class Rung(StrEnum):
    """The rungs of the doctor's ladder, in their order."""

    BROKER = "broker"
    LEDGER = "ledger"
    EXCHANGE = "exchange"
    PROCESSES = "processes"
    QUEUES = "queues"
    CONFIG = "config"
    UNIVERSE = "universe"
    DATA = "data"
    CHAIN = "chain"
    STRATEGIES = "strategies"
    ACCOUNT = "account"
    GOVERNOR = "governor"
    ORDERS = "orders"
    ALERTS = "alerts"


@unique
class LevelCode(StrEnum):
    """Every trouble that has a name. The table in `docs/watch.md` is made from `pipeline/domain/meanings.py`."""

    BROKER_DOWN = "BROKER_DOWN"
    BROKER_REFUSES = "BROKER_REFUSES"
    BROKER_FORGETFUL = "BROKER_FORGETFUL"
    LEDGER_DOWN = "LEDGER_DOWN"
    EXCHANGE_DOWN = "EXCHANGE_DOWN"
    CLOCK_OFF = "CLOCK_OFF"
    NOTHING_RUNS = "NOTHING_RUNS"
    HOST_GONE = "HOST_GONE"
    BEAT_GONE = "BEAT_GONE"
    WORKER_GONE = "WORKER_GONE"
    PROCESS_MUTE = "PROCESS_MUTE"
    THREAD_HUNG = "THREAD_HUNG"
    WATCH_GONE = "WATCH_GONE"
    LOGGING_STOPPED = "LOGGING_STOPPED"
    QUEUE_UNCONSUMED = "QUEUE_UNCONSUMED"
    QUEUE_STUCK = "QUEUE_STUCK"
    HANDOFF_BROKEN = "HANDOFF_BROKEN"
    VERSION_DRIFT = "VERSION_DRIFT"
    CONFIG_DRIFT = "CONFIG_DRIFT"
    UNIVERSE_EMPTY = "UNIVERSE_EMPTY"
    UNIVERSE_OLD = "UNIVERSE_OLD"
    FOREIGN_SYMBOLS = "FOREIGN_SYMBOLS"
    FEED_GONE = "FEED_GONE"
    FEED_SILENT = "FEED_SILENT"
    DATA_MISSING = "DATA_MISSING"
    NO_DECISION = "NO_DECISION"
    DECISION_STUCK = "DECISION_STUCK"
    DECISIONS_FAIL = "DECISIONS_FAIL"
    STRATEGY_FAILS = "STRATEGY_FAILS"
    NO_SIGNAL = "NO_SIGNAL"
    EQUITY_STALE = "EQUITY_STALE"
    NOT_RECONCILED = "NOT_RECONCILED"
    TRADING_HALTED = "TRADING_HALTED"
    KILL_SWITCH_ON = "KILL_SWITCH_ON"
    LATCH_TRIPPED = "LATCH_TRIPPED"
    BREAKER_OPEN = "BREAKER_OPEN"
    POSITION_UNPROTECTED = "POSITION_UNPROTECTED"
    ORDER_UNKNOWN = "ORDER_UNKNOWN"
    ORDERS_REJECTED = "ORDERS_REJECTED"
    ALERTS_FAIL = "ALERTS_FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One trouble, found now. `subject`: which process or queue, where there can be several of one code.

    `severity`: where it is another than the code's own.
    """

    code: LevelCode
    detail: str
    subject: str = ""
    evidence: tuple[str, ...] = ()
    severity: Severity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A finding that stands `since` then. `cause`: the code whose consequence it is, if any.

    `told_at`: when somebody was last told of it.
    """

    account: str
    code: LevelCode
    subject: str
    severity: Severity
    detail: str
    since: datetime
    seen_at: datetime
    cause: LevelCode | None = None
    told_at: datetime | None = None

    @property
    def key(self) -> tuple[LevelCode, str]:
        return self.code, self.subject


@unique
class AlertKind(StrEnum):
    """Why somebody is told: a level is new, still stands after a long time, or is over."""

    RAISED = "raised"
    REMINDED = "reminded"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """What somebody is told of a level at `at`. `also`: codes of its consequences that stand."""

    account: str
    kind: AlertKind
    code: LevelCode
    subject: str
    severity: Severity
    detail: str
    since: datetime
    at: datetime
    also: tuple[LevelCode, ...] = ()
