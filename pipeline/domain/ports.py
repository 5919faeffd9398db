"""What the pipeline asks of the world. Small, written by its callers; adapters fulfil them.

Every method of a `Unit` works inside one transaction: it commits when the block ends, and leaving the block by an
exception rolls all of it back. Writes are idempotent where their docstring says so. All methods raise
`LedgerUnavailable` when the ledger cannot be reached or stays locked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from pipeline.domain.checks import CheckVerdict
from pipeline.domain.decisions import Decision, Judgement, Stage, StageRecord
from pipeline.domain.guards import Activity, Breaker, Heartbeat, Latch, Marks, Reconciliation, UniverseRecord
from pipeline.domain.ids import ClientOrderId, DecisionId, PermitId
from pipeline.domain.instruments import Instruments
from pipeline.domain.intents import Leg
from pipeline.domain.orders import Answer, Fill, Order, OrderReport, OrderState, Trade
from pipeline.domain.outcomes import Reason
from pipeline.domain.permits import Permit
from pipeline.domain.positions import Equity, Holding, Position
from pipeline.domain.signals import StrategyVerdict
from pipeline.domain.switches import KillScope, KillSwitch, TradingState
from pipeline.domain.timeframes import Clock

__all__ = [
    "Clock",
    "Decisions",
    "EquityCurve",
    "Fills",
    "Guards",
    "Ledger",
    "MarketData",
    "Orders",
    "Permits",
    "Positions",
    "Quote",
    "Sessions",
    "Stages",
    "Switches",
    "Unit",
    "Venue",
    "Verdicts",
]


class Decisions(Protocol):
    def open(self, decision: Decision) -> Decision | None:
        """Insert an open decision. None when it was inserted; otherwise the decision that stands in its way:
        the same one (equal `decision_id`), or the open one of the same account and symbol.
        """

    def add_ended(self, decision: Decision) -> bool:
        """Insert a decision that has already ended (an overlap, say). False when its id exists."""

    def get(self, decision_id: DecisionId) -> Decision | None: ...

    def lock(self, decision_id: DecisionId) -> Decision | None:
        """Like `get`, and nobody else can change it until this unit ends."""

    def end(self, decision_id: DecisionId, reason: Reason, detail: str, at: datetime) -> bool:
        """Set the outcome once. False when it had ended before (nothing changes then)."""

    def last_judgement(
        self, account: str, symbol: str, config_hash: str, since: datetime
    ) -> Judgement | None:
        """The newest judgement that still stands: of a decision enqueued since then, under this configuration.

        It stands when its signal opened a position, or when the bars alone gave no order and no strategy
        failed. A decision that closed one (turning around takes a second), that was blocked, rejected, expired
        or failed, and a dry run, leave none.
        """

    def still_open(self, enqueued_before: datetime, limit: int) -> Sequence[Decision]:
        """Open decisions enqueued before that instant, oldest first."""

    def latest(
        self,
        *,
        symbol: str | None = None,
        outcome: str | None = None,
        reason: str | None = None,
        mode: str | None = None,
        since: datetime | None = None,
        limit: int = 50,
    ) -> Sequence[Decision]:
        """Newest first. `outcome` may be `open` as well: those that have none yet."""

    def counts(self, since: datetime | None = None) -> Mapping[str, int]:
        """How many decisions by outcome; open ones under `open`."""

    def reasons(self, account: str, since: datetime) -> Mapping[Reason, int]:
        """How many decisions that were enqueued since then have ended, by reason."""


class Stages(Protocol):
    def add(self, record: StageRecord) -> bool:
        """Insert once. False when (decision, stage) is stored already (nothing changes then)."""

    def get(self, decision_id: DecisionId, stage: Stage) -> StageRecord | None: ...

    def of(self, decision_id: DecisionId) -> Sequence[StageRecord]:
        """In the order of the chain."""

    def count_delivery(self, decision_id: DecisionId, stage: Stage, at: datetime) -> int:
        """Note one more delivery beyond the first of this stage's message; returns how many there were in all.

        A message that was delivered once has no row; the first call returns 2.
        """

    def deliveries(self, decision_id: DecisionId, stage: Stage) -> int:
        """How many deliveries are known of, at least 1."""

    def last_delivery_at(self, decision_id: DecisionId, stage: Stage) -> datetime | None:
        """When `count_delivery` was last called for it."""


class Verdicts(Protocol):
    def add(self, decision_id: DecisionId, verdicts: Iterable[StrategyVerdict]) -> None: ...

    def of(self, decision_id: DecisionId) -> Sequence[StrategyVerdict]: ...

    def add_checks(self, decision_id: DecisionId, leg: Leg, verdicts: Iterable[CheckVerdict]) -> None:
        """Idempotent by (decision, leg, code)."""

    def checks_of(self, decision_id: DecisionId) -> Sequence[CheckVerdict]: ...


class Permits(Protocol):
    def lock_budget(self, account: str) -> None:
        """Until this unit ends, no other unit can reserve for the account: limits hold under concurrency."""

    def add(self, permit: Permit) -> bool:
        """Insert once. False when (decision, leg) has a permit already."""

    def of(self, decision_id: DecisionId, leg: Leg | None = None) -> Permit | None:
        """The permit of that leg, or the first one issued. It comes without its verdicts: `Verdicts.checks_of`."""

    def use(self, permit_id: PermitId, at: datetime) -> bool:
        """Compare-and-set from `issued` to `used`, only while `at` is before its expiry."""

    def release(self, permit_id: PermitId) -> bool:
        """Compare-and-set from `issued` to `released`."""

    def reserving(self, account: str, now: datetime) -> Sequence[Permit]:
        """Issued, unexpired, unused permits: their `reserved` counts against the limits."""


class Orders(Protocol):
    def add(self, order: Order) -> bool:
        """Insert once. False when its client order id, or its (decision, leg, attempt), exists."""

    def get(self, client_order_id: ClientOrderId) -> Order | None: ...

    def of(self, decision_id: DecisionId) -> Sequence[Order]:
        """By leg and attempt."""

    def step(
        self,
        order: Order,
        to: OrderState,
        at: datetime,
        *,
        fence: str | None = None,
        sent_at: datetime | None = None,
        report: OrderReport | None = None,
        detail: str = "",
    ) -> Order | None:
        """Compare-and-set from `order.state` (and `order.fence`) to `to`, and record the step.

        Returns the order as it stands now, or None when somebody else moved it first.
        Raises: InvariantBroken when the table of steps does not allow it.
        """

    def note_miss(self, client_order_id: ClientOrderId, at: datetime) -> Order:
        """The exchange answered "not found" once more: counts it, with the time of the first and last."""

    def unsettled(self, account: str, symbol: str | None = None) -> Sequence[Order]:
        """Orders that are not final: INTENT, SENDING, UNKNOWN, ACKED, PARTIALLY_FILLED."""

    def recent(self, account: str, symbol: str, since: datetime) -> Sequence[Order]:
        """Orders created since then, newest first."""

    def activity(
        self, account: str, symbol: str, *, now: datetime, latch_since: datetime, losses_since: datetime
    ) -> Activity:
        """What was ordered within the last second, minute and day, and what went wrong since `latch_since`.

        `last_loss_at` is the newest loss on the symbol since `losses_since`.
        """

    def latest(
        self, *, symbol: str | None = None, state: str | None = None, mode: str | None = None, limit: int = 50
    ) -> Sequence[Order]: ...

    def steps_of(self, client_order_id: ClientOrderId) -> Sequence[Mapping[str, object]]:
        """Each step as `{from, to, at, detail}`, oldest first."""


class Fills(Protocol):
    def add(self, fill: Fill) -> bool:
        """Insert once by (exchange, symbol, trade_id). False when it was known."""

    def of(self, decision_id: DecisionId) -> Sequence[Fill]: ...

    def of_order(self, client_order_id: ClientOrderId) -> Sequence[Fill]: ...


class Positions(Protocol):
    def open_of(self, account: str, symbol: str) -> Position | None: ...

    def all_open(self, account: str | None = None) -> Sequence[Position]: ...

    def save(self, position: Position) -> None:
        """Insert or replace by `position_id`. At most one open position for each account and symbol."""

    def get(self, position_id: str) -> Position | None: ...

    def touched_by(self, decision_id: DecisionId) -> Sequence[Position]:
        """Those that the decision opened or closed."""

    def latest(
        self,
        *,
        account: str | None = None,
        symbol: str | None = None,
        mode: str | None = None,
        limit: int = 50,
    ) -> Sequence[Position]:
        """Newest first, open ones before closed ones."""


class EquityCurve(Protocol):
    def add(self, equity: Equity) -> None: ...

    def latest(self, account: str) -> Equity | None: ...


class Switches(Protocol):
    def on(self) -> Sequence[KillSwitch]:
        """Every switch that is on."""

    def set(self, switch: KillSwitch) -> None: ...

    def clear(self, scope: KillScope, name: str, *, by: str, reason: str, at: datetime) -> bool:
        """False when it was not on. Who cleared it, when and why is kept."""

    def trading_state(self, account: str) -> TradingState:
        """HALTED when it was never set."""

    def set_trading_state(
        self, account: str, state: TradingState, *, by: str, reason: str, at: datetime
    ) -> None: ...


class Sessions(Protocol):
    def start(
        self,
        *,
        session_id: str,
        config_hash: str,
        account: str,
        mode: str,
        snapshot: Mapping[str, object],
        at: datetime,
    ) -> None:
        """Record one run of the program with its configuration (without secrets)."""

    def latest(self) -> Mapping[str, object] | None:
        """`session_id, config_hash, account, mode, snapshot, started_at` of the newest."""


class Guards(Protocol):
    """What the governor remembers. Changes of latches and breaker are also rows that only grow."""

    def latches(self, account: str) -> Sequence[Latch]:
        """Every latch that was ever tripped, as it stands now."""

    def set_latch(self, latch: Latch) -> bool:
        """Trip it or re-arm it. False when it stands like that already (nothing changes then)."""

    def marks(self, account: str) -> Marks | None: ...

    def save_marks(self, marks: Marks) -> None: ...

    def reconciliation(self, account: str) -> Reconciliation | None: ...

    def save_reconciliation(self, reconciliation: Reconciliation) -> None: ...

    def beat(self, heartbeat: Heartbeat) -> None: ...

    def config_hashes(self, account: str, since: datetime) -> frozenset[str]:
        """The configurations of all processes that beat since then."""

    def breaker(self, account: str) -> Breaker | None: ...

    def open_breaker(self, breaker: Breaker) -> bool:
        """False when it is open already; the first reason stays."""

    def close_breaker(self, account: str, *, reason: str, at: datetime) -> bool:
        """False when it was not open."""

    def universe(self, account: str) -> UniverseRecord | None:
        """The version in force."""

    def universe_version(self, version: str) -> UniverseRecord | None:
        """Any version that was ever in force."""

    def save_universe(self, record: UniverseRecord) -> bool:
        """Put it in force. True when its version is another one than before."""


class Unit(Protocol):
    """One transaction's view of the ledger: a small repository for each kind of record."""

    @property
    def decisions(self) -> Decisions: ...
    @property
    def stages(self) -> Stages: ...
    @property
    def verdicts(self) -> Verdicts: ...
    @property
    def permits(self) -> Permits: ...
    @property
    def orders(self) -> Orders: ...
    @property
    def fills(self) -> Fills: ...
    @property
    def positions(self) -> Positions: ...
    @property
    def equity(self) -> EquityCurve: ...
    @property
    def switches(self) -> Switches: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def guards(self) -> Guards: ...

    def find_decision(self, text: str) -> DecisionId | None:
        """By decision id (or an unambiguous beginning of one), task id, client order id, the exchange's order id,
        permit id or position id (that is the decision that opened it). None when no decision, or several, match.
        """


class Ledger(Protocol):
    """The record."""

    def begin(self, *, durable: bool = False) -> AbstractContextManager[Unit]:
        """A writing transaction. With `durable` it survives a power cut once the block has ended:
        used for everything that concerns an order.
        """

    def read(self) -> AbstractContextManager[Unit]:
        """A reading transaction; writes in it are an error."""


class Quote(Protocol):
    """Best bid and ask in quote currency, with the exchange's time."""

    @property
    def bid(self) -> Decimal: ...
    @property
    def ask(self) -> Decimal: ...
    @property
    def occurred_at(self) -> datetime: ...


class MarketData(Protocol):
    """The exchange's public side. All raise ExchangeUnavailable or ExchangeRefused."""

    def instruments(self) -> Instruments:
        """Every active or inactive instrument; cached by the adapter for a while."""

    def now(self) -> datetime:
        """The exchange's clock, by the offset last measured."""

    def bars(self, symbol: str, timeframe: str, since: datetime, limit: int) -> Sequence[Sequence[float]]:
        """Rows of [open time in ms, open, high, low, close, volume], as the exchange sent them: unchecked,
        the last may still be forming.
        """

    def quote(self, symbol: str) -> Quote:
        """The best bid and ask right now."""


class Venue(Protocol):
    """The exchange's private side: only `pipeline.execution` and the upkeep of equity hold one."""

    @property
    def name(self) -> str:
        """The exchange's name in fills (`binanceusdm`)."""

    def submit(self, order: Order, permit: Permit) -> Answer:
        """One request, never repeated, signed with `order.sent_at`. Raises nothing: what is not a listed answer
        is `Unknown`.
        """

    def find(self, order: Order) -> OrderReport | None:
        """Ask by client order id. None when the exchange says it does not know it. Raises: ExchangeUnavailable,
        ExchangeRefused.
        """

    def listed(self, order: Order, since: datetime) -> OrderReport | None:
        """Search open orders and the order history since then for the client order id; None when absent from both."""

    def trades(self, order: Order) -> Sequence[Trade]:
        """All trades of an order that has an `exchange_order_id`, oldest first."""

    def trades_since(self, symbol: str, since: datetime) -> Sequence[Trade]:
        """The account's trades on a symbol since then: the last place where a lost order could show."""

    def cancel(self, order: Order) -> None:
        """Ask for its cancellation; it being gone already is no error."""

    def equity(self) -> Equity: ...

    def holdings(self) -> Sequence[Holding]:
        """Positions that are not zero."""
