"""One look at everything: what the checks judge. Each part says by itself when it could not be looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.domain.decisions import Stage
from pipeline.domain.guards import Breaker, Latch, Reconciliation, UniverseRecord
from pipeline.domain.ids import DecisionId
from pipeline.domain.liveness import Pulse
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.positions import Equity, Position
from pipeline.domain.rounds import EndedGroup
from pipeline.domain.switches import KillSwitch, TradingState


@dataclass(frozen=True, slots=True)
class Away:
    """A part that could not be looked at."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """One queue. `tasks` are the ids of its messages, the oldest ones at least; `whole` when they are all of them."""

    depth: int
    oldest_at: datetime | None
    oldest_task: str
    tasks: frozenset[str]
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerView:
    """Queues by name, and the messages that workers hold. `refuses`: why Redis takes no writes, empty when it does."""

    queues: Mapping[str, QueueView]
    held: frozenset[str]
    persistent: bool | None
    refuses: str = ""

    def has(self, task_id: str, queue: str) -> bool | None:
        """Whether a message is in its queue or at a worker; None when the queue is too long to say."""
        view = self.queues.get(queue)
        if task_id in self.held or (view is not None and task_id in view.tasks):
            return True
        return False if view is not None and view.whole else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An open decision whose next stage has not been done since `heard_at`."""

    decision_id: DecisionId
    symbol: str
    next_stage: Stage
    heard_at: datetime
    deadline_at: datetime

    @property
    def task_id(self) -> str:
        return f"{self.decision_id}.{self.next_stage}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BookView:
    """What the ledger says of the account. `ended`, `orders` and `failing` are of the recent past (`Limits.recent`),
    `ended_long` reaches as far back as a signal is missed.
    """

    running_since: datetime | None
    universe: UniverseRecord | None
    joined_at: Mapping[str, datetime]
    last_finished: Mapping[str, datetime]
    ended: Sequence[EndedGroup]
    ended_long: Sequence[EndedGroup]
    waiting: Sequence[Waiting]
    failing: Mapping[str, tuple[int, str]]
    config_hashes: frozenset[str]
    equity: Equity | None
    reconciliation: Reconciliation | None
    trading: TradingState
    trading_why: str
    switches: Sequence[KillSwitch]
    latches: Sequence[Latch]
    breaker: Breaker | None
    unsettled: Sequence[Order]
    orders: Mapping[OrderState, int]
    refusals: Mapping[str, int]
    positions: Sequence[Position]

    @property
    def open_positions(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeView:
    """What the exchange answered to a question just now. `problem` is empty when all was well.

    `skew_s`: its clock minus ours. `account_problem`: why it does not tell the account; None when it was not asked.
    """

    asked_at: datetime
    problem: str = ""
    skew_s: float | None = None
    account_problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedView:
    """The feed that leads, as it last told: `up` of its connections have told a candle, `behind` symbols lack a bar."""

    at: datetime
    holder: str
    symbols: int
    connections: int
    up: int
    behind: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything at one moment. `exchange` is None when nobody asked it, `feed` when there never was one."""

    at: datetime
    account: str
    broker: BrokerView | Away
    pulses: Sequence[Pulse] | Away
    book: BookView | Away
    exchange: ExchangeView | Away | None = None
    feed: FeedView | Away | None = None
    lost: Sequence[Waiting] = ()
    alerts_lost: int = 0
    alerts_problem: str = ""
    asked_by_watch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When silence is a finding."""

    silent_after: timedelta
    stopping_for: timedelta
    queue_oldest: timedelta
    handoff_after: timedelta
    silent_for: timedelta
    recent: timedelta
    signal_within: timedelta
    deadline_grace: timedelta
    equity_every: timedelta
    equity_max_age: timedelta
    reconcile_every: timedelta
    reconciled_max_age: timedelta
    universe_every: timedelta
    unknown_for: timedelta
    unprotected_for: timedelta
    skew: timedelta
    queues: tuple[str, ...] = field(default=())
