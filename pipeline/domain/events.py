"""Events: the closed list of things that the pipeline says, and how it says them.

The names are stable: people grep for them, dashboards and alerts are built on them. What each says and which fields it
carries stands in `pipeline/domain/catalogue.py`; a name that is new here needs its row there.
"""

from __future__ import annotations

from enum import StrEnum, unique
from typing import Protocol


@unique
class Level(StrEnum):
    """How loud. INFO alone tells everything about every pass; the others only make it stand out."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@unique
class Area(StrEnum):
    """What can be debugged by itself, without a restart: `throughline debug on AREA`."""

    FETCH = "fetch"
    STRATEGIES = "strategies"
    GOVERNOR = "governor"
    EXECUTION = "execution"
    EXCHANGE = "exchange"
    LEDGER = "ledger"


@unique
class EventName(StrEnum):
    """Every event. `docs/events.md` has what each means and carries."""

    # the chain
    DECISION_START = "DECISION_START"
    DATA_FETCH = "DATA_FETCH"
    STRATEGY_CHECK = "STRATEGY_CHECK"
    STRATEGY_BROKEN = "STRATEGY_BROKEN"
    SIGNAL_GENERATED = "SIGNAL_GENERATED"
    NO_SIGNAL = "NO_SIGNAL"
    SIGNAL_VALIDATED = "SIGNAL_VALIDATED"
    SIGNAL_QUEUED = "SIGNAL_QUEUED"
    STAGE_END = "STAGE_END"
    STAGE_REPEATED = "STAGE_REPEATED"
    DECISION_END = "DECISION_END"
    DECISION_RESUMED = "DECISION_RESUMED"
    BEAT_LEADS = "BEAT_LEADS"
    BEAT_STANDS_BY = "BEAT_STANDS_BY"
    BEAT_STEPS_BACK = "BEAT_STEPS_BACK"
    SLOT_MISSED = "SLOT_MISSED"
    PUBLISH_FAILED = "PUBLISH_FAILED"

    # the feed
    FEED_LEADS = "FEED_LEADS"
    FEED_STANDS_BY = "FEED_STANDS_BY"
    FEED_CONNECTED = "FEED_CONNECTED"
    FEED_LOST = "FEED_LOST"
    FEED_MUTE = "FEED_MUTE"
    FEED_LOAD = "FEED_LOAD"
    FEED_BEHIND = "FEED_BEHIND"
    FEED_REPAIR = "FEED_REPAIR"
    FEED_COMPLETE = "FEED_COMPLETE"
    FEED_TROUBLE = "FEED_TROUBLE"
    BAR_REFUSED = "BAR_REFUSED"

    # what a signal became
    BUY_TRIGGERED = "BUY_TRIGGERED"
    BUY_CANDIDATE = "BUY_CANDIDATE"
    BUY_BLOCKED = "BUY_BLOCKED"
    BUY_ORDER = "BUY_ORDER"
    BUY_FILLED = "BUY_FILLED"
    SELL_TRIGGERED = "SELL_TRIGGERED"
    SELL_CANDIDATE = "SELL_CANDIDATE"
    SELL_BLOCKED = "SELL_BLOCKED"
    SELL_ORDER = "SELL_ORDER"
    SELL_FILLED = "SELL_FILLED"

    # orders and positions
    ORDER_CONTEXT = "ORDER_CONTEXT"
    ORDER_PLACED = "ORDER_PLACED"
    ORDER_FAILED = "ORDER_FAILED"
    ORDER_UNKNOWN = "ORDER_UNKNOWN"
    ORDER_RESOLVED = "ORDER_RESOLVED"
    ORDER_REMAINDER = "ORDER_REMAINDER"
    POSITION_OPENED = "POSITION_OPENED"
    POSITION_CLOSED = "POSITION_CLOSED"
    UNPROTECTED = "UNPROTECTED"
    DUST = "DUST"
    EQUITY = "EQUITY"

    # what may be traded, and whether
    UNIVERSE = "UNIVERSE"
    TRADING_STATE = "TRADING_STATE"
    KILL_SWITCH = "KILL_SWITCH"
    LATCH = "LATCH"
    BREAKER = "BREAKER"
    RECONCILED = "RECONCILED"
    ORDER_CANCEL = "ORDER_CANCEL"
    ALERT = "ALERT"
    SECURITY = "SECURITY"

    # processes and their configuration
    PROCESS_START = "PROCESS_START"
    PROCESS_END = "PROCESS_END"
    SHUTDOWN_HEARTBEAT = "SHUTDOWN_HEARTBEAT"
    THREAD_HUNG = "THREAD_HUNG"

    # what the watchdog sees
    OTHER_RELEASE = "OTHER_RELEASE"
    WATCH_LEADS = "WATCH_LEADS"
    WATCH_STANDS_BY = "WATCH_STANDS_BY"
    LEVEL = "LEVEL"
    QUEUE_STATE = "QUEUE_STATE"
    SLOT_SUMMARY = "SLOT_SUMMARY"
    DASH_EVENT = "DASH_EVENT"

    # configuration and upkeep
    CONFIG_HASH = "CONFIG_HASH"
    CONFIG_DIFF = "CONFIG_DIFF"
    CONFIG_OVERRIDES = "CONFIG_OVERRIDES"
    UPKEEP_FAILED = "UPKEEP_FAILED"
    SLOW = "SLOW"
    DEBUG = "DEBUG"
    DEBUGGING = "DEBUGGING"
    CALLBACK_BROKEN = "CALLBACK_BROKEN"
    RATE_LIMITED = "RATE_LIMITED"
    RATE_BUDGET = "RATE_BUDGET"
    LOGGING_STOPPED = "LOGGING_STOPPED"
    LOG_LINES_LOST = "LOG_LINES_LOST"

    @property
    def level(self) -> Level:
        """How loud it is unless the emitter says otherwise."""
        return LEVELS.get(self, Level.INFO)


LEVELS: dict[EventName, Level] = {
    EventName.BEAT_STEPS_BACK: Level.ERROR,
    EventName.OTHER_RELEASE: Level.ERROR,
    EventName.SLOT_MISSED: Level.WARNING,
    EventName.PUBLISH_FAILED: Level.ERROR,
    EventName.FEED_LOST: Level.WARNING,
    EventName.FEED_MUTE: Level.WARNING,
    EventName.FEED_BEHIND: Level.WARNING,
    EventName.FEED_TROUBLE: Level.ERROR,
    EventName.BAR_REFUSED: Level.WARNING,
    EventName.ORDER_FAILED: Level.WARNING,
    EventName.ORDER_UNKNOWN: Level.ERROR,
    EventName.UNPROTECTED: Level.ERROR,
    EventName.DUST: Level.WARNING,
    EventName.TRADING_STATE: Level.WARNING,
    EventName.KILL_SWITCH: Level.WARNING,
    EventName.LATCH: Level.WARNING,
    EventName.BREAKER: Level.WARNING,
    EventName.ORDER_CANCEL: Level.WARNING,
    EventName.ALERT: Level.ERROR,
    EventName.SECURITY: Level.ERROR,
    EventName.STRATEGY_BROKEN: Level.ERROR,
    EventName.CONFIG_DIFF: Level.WARNING,
    EventName.UPKEEP_FAILED: Level.ERROR,
    EventName.THREAD_HUNG: Level.ERROR,
    EventName.RATE_LIMITED: Level.WARNING,
    EventName.RATE_BUDGET: Level.ERROR,
    EventName.LEVEL: Level.WARNING,
    EventName.SLOW: Level.WARNING,
    EventName.DEBUG: Level.DEBUG,
    EventName.CALLBACK_BROKEN: Level.ERROR,
    EventName.LOGGING_STOPPED: Level.ERROR,
    EventName.LOG_LINES_LOST: Level.WARNING,
}


class Events(Protocol):
    """Where events go. Emitting never raises and never waits for anything but the disk."""

    def emit(self, name: EventName, /, *, level: Level | None = None, **fields: object) -> None:
        """Say that something happened now.

        `fields` are plain values: text, numbers, Decimal, datetime, enums, and lists and dicts of them. The
        current decision (id, symbol, stage, task) is added by the emitter and need not be repeated.
        """

    def wants(self, area: Area) -> bool:
        """Whether somebody is debugging this area now: then, and only then, emit its DEBUG events."""
