"""The event catalogue: what each event says and which fields it carries. `docs/events.md` is made from it.

The names are stable: people grep for them, dashboards and alerts are built on them. To add an event, add its name (and
its level, unless that is INFO) in `pipeline/domain/events.py`, a row here, words that are new in
`pipeline/domain/event_fields.py`, and run `python -m pipeline.trace.reference docs/events.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.domain.event_fields import FIELDS, EventField
from pipeline.domain.events import EventName, Level

COMMON = ("decision_id", "symbol", "stage", "mode", "task_id")
"""What the emitter adds from the decision that is being worked on; every event may carry it."""


@dataclass(frozen=True, slots=True)
class EventType:
    """One event: what it says, the fields that it always has, and those that it may have."""

    name: EventName
    says: str
    needs: tuple[EventField, ...]
    may: tuple[EventField, ...]
    declared: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """The fields are looked up for each line: their names are put together once."""
        names = frozenset(each.name for each in (*self.needs, *self.may))
        object.__setattr__(self, "declared", names.union(COMMON))

    @property
    def level(self) -> Level:
        return self.name.level

    def undeclared(self, fields: Mapping[str, object]) -> list[str]:
        """The names that the catalogue does not know for this event."""
        return [] if fields.keys() <= self.declared else sorted(fields.keys() - self.declared)

    def problems(self, fields: Mapping[str, object]) -> list[str]:
        """What is wrong with these fields, in words: undeclared, missing, or of another type."""
        unknown = [f"{name} is not declared" for name in self.undeclared(fields)]
        missing = [f"{each.name} is missing" for each in self.needs if each.name not in fields]
        unfit = [
            f"{name} is {value!r}, which is no {FIELDS[name].type}"
            for name, value in fields.items()
            if name in FIELDS and not FIELDS[name].type.fits(value)
        ]
        return unknown + missing + unfit


def _event(name: EventName, says: str, needs: str = "", may: str = "") -> tuple[EventName, EventType]:
    return name, EventType(name, says, _fields(needs), _fields(may))


def _fields(names: str) -> tuple[EventField, ...]:
    return tuple(FIELDS[name] for name in names.split())


ORDER = "decision_id symbol client_order_id exchange_order_id side qty limit_px state filled_qty avg_price attempt"
FILL = (
    "decision_id symbol client_order_id trade_id qty price fee fee_asset slippage_bps occurred_at leg opened_by "
    "closed_by"
)
POSITION = "position_id symbol side qty entry_price realised_pnl fees opened_by closed_by"
SIGNAL = "strategy side score entry stop_loss take_profit reason regime"
TRIGGER = "strategy side score regime why"
CANDIDATE = "strategy leg side score qty limit_px why"
DENIAL = "side codes value limit"

CATALOGUE: Mapping[EventName, EventType] = dict(
    [
        # -- the chain ------------------------------------------------------------------------------------------
        _event(
            EventName.DECISION_START,
            "a pass over a symbol begins; its row stands in the ledger",
            "decision_id symbol slot mode config_hash enqueued_at origin",
        ),
        _event(EventName.DATA_FETCH, "which candles the decision sees", "timeframes sources"),
        _event(
            EventName.STRATEGY_CHECK,
            "one strategy's verdict, with the nearest miss",
            "strategy verdict regime chosen run_ms",
            "condition observed threshold error",
        ),
        _event(
            EventName.STRATEGY_BROKEN,
            "a strategy's file or package cannot be used; the others run",
            "file line what",
        ),
        _event(EventName.SIGNAL_GENERATED, "a strategy wants something", SIGNAL),
        _event(EventName.NO_SIGNAL, "no strategy wants anything, or their signals cancel each other", "why"),
        _event(
            EventName.SIGNAL_VALIDATED,
            "the governor gave its permit",
            "permit_id side qty limit_px expires_at",
        ),
        _event(
            EventName.SIGNAL_QUEUED,
            "a signal's message stands in the queue of its next stage",
            "queue queued_task_id",
        ),
        _event(
            EventName.STAGE_END,
            "one stage in one line that tells its whole story",
            "stage result worker attempt queue_wait_ms run_ms summary",
            "next reason parts",
        ),
        _event(
            EventName.STAGE_REPEATED,
            "a message came again; its result was known",
            "decision_id stage handed_on",
        ),
        _event(
            EventName.DECISION_END,
            "how the pass ended: once for each decision",
            "decision_id symbol outcome reason detail total_ms",
        ),
        _event(
            EventName.DECISION_RESUMED,
            "a decision had lost its message and goes on",
            "decision_id symbol stage attempt",
        ),
        _event(EventName.BEAT_LEADS, "this beat fires from now on", "fence before"),
        _event(EventName.BEAT_STANDS_BY, "another beat fires; this one waits for its end", "holder"),
        _event(
            EventName.BEAT_STEPS_BACK,
            "this beat fires no more: it could not renew its lease in time, or its host's clock is off",
            "problem",
        ),
        _event(EventName.SLOT_MISSED, "beat came too late for some slots of a symbol", "symbol missed"),
        _event(
            EventName.PUBLISH_FAILED,
            "a message could not be published",
            "error",
            "task symbol slot",
        ),
        # -- the feed -------------------------------------------------------------------------------------------
        _event(EventName.FEED_LEADS, "this feed writes the candles from now on", "fence before"),
        _event(EventName.FEED_STANDS_BY, "another feed has the lease; this one waits for it", "holder"),
        _event(EventName.FEED_CONNECTED, "a connection has told its first candle", "symbols"),
        _event(
            EventName.FEED_LOST, "a connection has ended; it is made again", "symbols problem wait_s"
        ),
        _event(
            EventName.FEED_MUTE,
            "a connection is open and tells nothing; it is made again",
            "symbols for_s",
        ),
        _event(EventName.FEED_LOAD, "how far the first load is", "symbols missing"),
        _event(
            EventName.FEED_BEHIND,
            "bars that are due have not come; they are asked for",
            "symbols lacking",
        ),
        _event(
            EventName.FEED_REPAIR,
            "the exchange was asked for a symbol's missing bars",
            "symbol lacked well detail sources",
        ),
        _event(EventName.FEED_COMPLETE, "no bar is missing any more", "for_s"),
        _event(EventName.FEED_TROUBLE, "the feed cannot do a part of its work", "problem"),
        _event(
            EventName.BAR_REFUSED,
            "a bar that the socket told was not written",
            "symbol timeframe bar problem",
        ),
        # -- what a signal became -------------------------------------------------------------------------------
        _event(EventName.BUY_TRIGGERED, "this signal to buy was chosen among the strategies'", TRIGGER),
        _event(EventName.BUY_CANDIDATE, "the signal to buy was sized and goes to the governor", CANDIDATE),
        _event(EventName.BUY_BLOCKED, "the governor denied a purchase", DENIAL),
        _event(EventName.BUY_ORDER, "an order to buy goes out", f"{ORDER} strategy reason"),
        _event(EventName.BUY_FILLED, "a purchase was filled", FILL),
        _event(EventName.SELL_TRIGGERED, "this signal to sell was chosen among the strategies'", TRIGGER),
        _event(EventName.SELL_CANDIDATE, "the signal to sell was sized and goes to the governor", CANDIDATE),
        _event(EventName.SELL_BLOCKED, "the governor denied a sale", DENIAL),
        _event(EventName.SELL_ORDER, "an order to sell goes out", f"{ORDER} strategy reason"),
        _event(EventName.SELL_FILLED, "a sale was filled", FILL),
        # -- orders and positions -------------------------------------------------------------------------------
        _event(
            EventName.ORDER_CONTEXT,
            "everything about an order attempt, before it is sent",
            "intent_id decision_id client_order_id permit_id symbol side qty limit_px quote_budget notional tif "
            "slippage_bps min_notional max_retries retry_backoff_ms attempt attempt_start_ts",
        ),
        _event(EventName.ORDER_PLACED, "the exchange has the order", ORDER),
        _event(
            EventName.ORDER_FAILED,
            "the exchange refused the order, or it was never placed",
            f"{ORDER} problem",
        ),
        _event(
            EventName.ORDER_UNKNOWN,
            "an order's fate is unknown; the resolver asks",
            f"{ORDER} problem",
            "misses",
        ),
        _event(EventName.ORDER_RESOLVED, "an unknown order's fate is known", f"{ORDER} was detail"),
        _event(
            EventName.ORDER_REMAINDER,
            "what a resting order did not fill is not asked for again",
            f"{ORDER} rest why",
        ),
        _event(EventName.POSITION_OPENED, "a position was opened", POSITION),
        _event(EventName.POSITION_CLOSED, "a position was closed", POSITION),
        _event(
            EventName.UNPROTECTED,
            "a position is without its stop: it is closed at once instead, or protecting it has failed",
            "symbol why",
            "position_id opened_by",
        ),
        _event(
            EventName.DUST,
            "what is left of a position is too small to keep: it is closed, or cannot be ordered",
            "position_id symbol qty least why",
        ),
        _event(
            EventName.EQUITY,
            "the account, as the exchange told it",
            "account equity available unrealised_pnl",
        ),
        # -- what may be traded, and whether --------------------------------------------------------------------
        _event(
            EventName.UNIVERSE,
            "what may be traded, or why that is not known",
            "symbols",
            "version source out summary problem",
        ),
        _event(
            EventName.TRADING_STATE, "trading was halted, reduced or allowed", "state before reason by"
        ),
        _event(EventName.KILL_SWITCH, "a kill switch was turned", "on scope name reason by", "was_on"),
        _event(
            EventName.LATCH, "a latch tripped, or somebody re-armed it", "account code tripped reason", "by"
        ),
        _event(
            EventName.BREAKER, "the circuit breaker opened or closed", "account open", "reason detail"
        ),
        _event(
            EventName.RECONCILED,
            "ledger and exchange were compared, with another result than before, or something was repaired",
            "account differences repaired",
        ),
        _event(EventName.ORDER_CANCEL, "an open order was cancelled", f"{ORDER} why problem"),
        _event(EventName.ALERT, "somebody should look at this now", "what detail account"),
        _event(
            EventName.SECURITY,
            "a message or a permit that nobody of ours made; nothing was done",
            "what",
            "problem",
        ),
        # -- processes and their configuration ------------------------------------------------------------------
        _event(
            EventName.PROCESS_START, "a worker or beat is ready for work", "role config_hash account"
        ),
        _event(
            EventName.PROCESS_END,
            "a process has stopped in an orderly way; a worker says what became of the tasks that it held",
            "role",
            "finished handed_back",
        ),
        _event(
            EventName.SHUTDOWN_HEARTBEAT,
            "a process lives: every half minute, when it begins to stop, and when it has stopped",
            "process state components threads done last_done_age_s up_s note",
        ),
        _event(
            EventName.THREAD_HUNG,
            "a part of a process has been at one thing for too long",
            "process thread part doing for_s limit_s where",
        ),
        _event(
            EventName.OTHER_RELEASE,
            "a message of processes that run other code was refused; a decision ends with it",
            "task theirs ours",
        ),
        # -- what the watchdog sees -----------------------------------------------------------------------------
        _event(
            EventName.WATCH_LEADS,
            "this watchdog tells from now on; with a problem: Redis does not answer, and nobody can say who leads",
            "fence before",
            "problem",
        ),
        _event(EventName.WATCH_STANDS_BY, "another watchdog tells; this one waits for its end", "holder"),
        _event(
            EventName.LEVEL,
            "the watchdog raised a level, or cleared it; docs/watch.md says what each code means",
            "code about severity raised since detail cause",
        ),
        _event(
            EventName.QUEUE_STATE,
            "the queues, every half minute; received and ended are of the last hour",
            "queues oldest_s held received ended positions state",
        ),
        _event(
            EventName.SLOT_SUMMARY,
            "one round of the schedule, in which each symbol had its slot",
            "since until received ended outcomes slowest_symbol slowest_ms slowest_stage slowest_stage_ms",
        ),
        _event(EventName.DASH_EVENT, "a page for people begins to answer", "page url login"),
        # -- configuration and upkeep ---------------------------------------------------------------------------
        _event(
            EventName.CONFIG_HASH, "with which configuration a run starts", "session_id config_hash"
        ),
        _event(EventName.CONFIG_DIFF, "what changed since the run before", "changes"),
        _event(EventName.CONFIG_OVERRIDES, "what environment variables changed", "overrides"),
        _event(EventName.UPKEEP_FAILED, "a periodic task could not do its work", "what problem", "account"),
        _event(
            EventName.RATE_LIMITED,
            "the exchange told us to stop; until then nothing leaves any process of ours",
            "stopped wait_s why",
        ),
        _event(
            EventName.RATE_BUDGET,
            "the rate budget cannot be asked, and only cancellations and exits leave; or it can again",
            "answers",
            "problem",
        ),
        _event(
            EventName.SLOW,
            "a stage or a message took longer than its threshold; `part` took most of it",
            "what ms limit_ms part parts",
        ),
        _event(EventName.DEBUG, "what an area says while it is being debugged", "area what data"),
        _event(EventName.DEBUGGING, "somebody switched debugging on or off", "areas by"),
        _event(EventName.CALLBACK_BROKEN, "a callback of the user's cannot be used; the rest goes on", "problem"),
        _event(
            EventName.LOGGING_STOPPED,
            "the disk is nearly full: no more lines, what is left is for the ledger",
            "file free_mb least_mb",
        ),
        _event(
            EventName.LOG_LINES_LOST, "lines could not be written; there is room again", "lines file"
        ),
    ]
)  # fmt: skip
