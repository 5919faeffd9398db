"""Learning the fate of orders that are not settled: by asking, never by sending."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pipeline.domain.decisions import End
from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable, InvariantBroken, UnknownSymbol
from pipeline.domain.events import EventName, Events
from pipeline.domain.ids import ClientOrderId
from pipeline.domain.intents import TimeInForce
from pipeline.domain.orders import Order, OrderReport, OrderState
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import Permit, PermitState
from pipeline.domain.ports import Clock, Ledger, Unit, Venue
from pipeline.execution.absence import Absent, Answers, Proof, Settle, Wait, judge, too_early
from pipeline.execution.attempts import is_overdue
from pipeline.execution.booking import Bookkeeper, as_it_stands, order_fields
from pipeline.execution.crashpoints import CrashPoint, reached
from pipeline.execution.options import ExecutionOptions
from pipeline.execution.outcome import abandonment

SILENCES = 2
"""So many questions in a row without an answer, and the others are asked in the next pass: each may cost a time-out.
One alone says little about an exchange on a bad day, and nobody asks about a fill that stands behind it in the row.
"""
NEVER = datetime.min.replace(tzinfo=UTC)
VANISHED = "the exchange has acknowledged it, and does not know it any more"
KNOWN_SINCE = timedelta(days=7)
"""How old an order of ours may be whose trade turns up now."""


def nobody(symbol: str) -> None:
    """Where nobody waits for fills."""


@dataclass(frozen=True, slots=True)
class Resolver:
    """Asks the exchange about unsettled orders. Two at once do no harm: every step is a compare-and-set."""

    ledger: Ledger
    venue: Venue
    clock: Clock
    options: ExecutionOptions
    events: Events
    _passes: dict[ClientOrderId, datetime] = field(default_factory=dict, init=False, compare=False)
    """When the last pass began in which this process asked about an order."""

    def resolve(
        self, account: str, symbol: str | None = None, booked: Callable[[str], None] = nobody
    ) -> Sequence[Order]:
        """Ask about every unsettled order but those that rest until their trigger price: who protects the position
        watches them. Returns those that became final: their decisions can be concluded.

        `booked` is called with an order's symbol as soon as fills of it are booked: what they opened needs its stop
        before the next question is asked. An exchange that answers two questions in a row with nothing ends the pass
        early; the orders stay as they are, and the next pass begins behind them. One whose symbol is not listed any
        more stays as it is, and is named.
        Raises: LedgerUnavailable; InvariantBroken, after all orders were asked about.
        """
        with self.ledger.read() as unit:
            doubtful = unit.orders.under_way(account, symbol)
        settled, broken, silences, began = [], [], 0, self.clock.now()
        for order in self._in_turn(doubtful):
            if silences == SILENCES:
                break
            self._passes[order.client_order_id] = began
            try:
                after = self.ask(order)
            except (ExchangeUnavailable, ExchangeRefused) as error:
                self.events.emit(EventName.ORDER_UNKNOWN, **order_fields(order), problem=str(error))
                silences += 1
                continue
            except UnknownSymbol as error:  # nobody can be asked about it, and nobody was
                self.events.emit(EventName.ORDER_UNKNOWN, **order_fields(order), problem=str(error))
                continue
            except InvariantBroken as error:  # one impossible order must not hide the fate of the others
                broken.append(error)
                continue
            silences = 0
            if (
                after.filled_qty and after != order
            ):  # the quantity alone may have been known before its trades
                booked(after.symbol)
            if after.state.is_final:
                settled.append(after)
        if broken:
            raise broken[0]
        return settled

    def _in_turn(self, doubtful: Sequence[Order]) -> Sequence[Order]:
        """Those that were asked about in no pass, or in the oldest, come first: nobody stands for ever behind questions
        that are never answered. Of one pass those come first that were missed least.
        """
        passes = self._passes
        for settled in passes.keys() - {each.client_order_id for each in doubtful}:
            del passes[settled]
        return sorted(doubtful, key=lambda each: (passes.get(each.client_order_id, NEVER), each.misses))

    def ask(
        self, order: Order, sender_gone_after: timedelta | None = None, *, is_cancelled: bool = False
    ) -> Order:
        """Learn what can be learnt about one order now. Returns it as it stands then. Who takes longer than
        `sender_gone_after` to say what became of it is not waited for; None: than the options say. `is_cancelled`: the
        exchange has just said that its cancellation ended it.

        Raises: ExchangeUnavailable, ExchangeRefused when the exchange did not say; LedgerUnavailable.
        """
        if order.state is OrderState.INTENT:
            return self._abandon_if_dead(order)
        if order.state is OrderState.SENDING:
            order = self._take_from_lost_sender(order, sender_gone_after)
        if order.state.is_final or order.state is OrderState.SENDING:
            return order
        return self._question(order, is_cancelled=is_cancelled)

    def look(self, order: Order) -> Order:
        """Write down what the exchange knows of an order, whoever sends it just now; nothing when it knows none.

        Raises: ExchangeUnavailable, ExchangeRefused, LedgerUnavailable.
        """
        found = self.venue.find(order)
        return order if found is None else self._tell(order, self._books().settle(order, found))

    # ---------------------------------------------------------------------------------------- never sent

    def _abandon_if_dead(self, order: Order) -> Order:
        """An INTENT whose permit has run out will never be sent by anybody."""
        now = self.clock.now()
        with self.ledger.begin(durable=True) as unit:
            permit = unit.permits.of(order.decision_id, order.leg)
            if permit is not None and now < permit.expires_at:
                return order
            end = End(EndReason.PERMIT_EXPIRED, "nobody sent it while its permit lived")
            return abandon(unit, order, permit, end, now)

    # ---------------------------------------------------------------------------------------------- sent

    def _take_from_lost_sender(self, order: Order, gone_after: timedelta | None) -> Order:
        now = self.clock.now()
        waited = gone_after or timedelta(seconds=self.options.sending_stale_s)
        if order.sent_at is not None and now - order.sent_at < waited:
            return order
        with self.ledger.begin(durable=True) as unit:
            detail = "its sender is gone or frozen"
            after = unit.orders.step(order, OrderState.UNKNOWN, now, detail=detail) or as_it_stands(
                unit, order
            )
        reached(CrashPoint.LOST_SENDER_RECORDED, order.symbol)
        return after

    def _cancel_if_overdue(self, order: Order) -> None:
        """Whoever waited for a resting order is gone: it must not fill at a price of long ago."""
        if is_overdue(order, self.clock.now(), self.options):
            self.venue.cancel(order)
            why = "it rests longer than its time"
            self.events.emit(EventName.ORDER_CANCEL, **order_fields(order), why=why, problem="")

    def _question(self, order: Order, *, is_cancelled: bool) -> Order:
        self._cancel_if_overdue(order)
        found = self.venue.find(order)
        if found is None and order.state is not OrderState.UNKNOWN:
            # it was acknowledged: whoever says "not found" is wrong, and the lists know better
            found = self.venue.listed(order, self._since(order))
        if found is None and is_cancelled:
            found = _cancelled(order)
        if found is None and (order.waits or order.state is OrderState.UNKNOWN):
            order = self._note_miss(order)
        reached(CrashPoint.RESOLVER_ANSWERED, order.symbol)
        now = self.clock.now()
        verdict = judge(order, Answers(found), now, self.options)
        if isinstance(verdict, Wait) and _is_worth_proving(order, now, self.options):
            verdict = judge(order, Answers(None, self._proof(order)), now, self.options)
        return self._apply(order, verdict, now)

    def _note_miss(self, order: Order) -> Order:
        """One that waited for its price protects nothing from now on: the next look at its position places another."""
        now = self.clock.now()
        with self.ledger.begin() as unit:
            if order.waits:
                unit.orders.step(order, OrderState.UNKNOWN, now, detail=VANISHED)
            missed = unit.orders.note_miss(order.client_order_id, now)
        if order.waits and missed.state is OrderState.UNKNOWN:
            self.events.emit(EventName.ORDER_UNKNOWN, **order_fields(missed), problem=missed.detail)
        return missed

    def _proof(self, order: Order) -> Proof:
        """Every other place where the order could show. The ledger is read last, after the exchange has
        spoken.
        """
        since = self._since(order)
        listed = self.venue.listed(order, since)
        trades = self.venue.trades_since(order.symbol, since)
        held = sum((h.qty for h in self.venue.holdings() if h.symbol == order.symbol), Decimal(0))
        with self.ledger.read() as unit:
            known = {
                o.exchange_order_id
                for o in unit.orders.recent(order.account, order.symbol, since - KNOWN_SINCE)
            }
            booked = unit.fills.trade_ids(order.account, order.symbol, since)
            position = unit.positions.open_of(order.account, order.symbol)
        strays = sum(
            trade.exchange_order_id not in known and trade.trade_id not in booked for trade in trades
        )
        expected = position.signed_qty if position else Decimal(0)
        return Proof(listed=listed, stray_trades=strays, held=held, expected=expected)

    def _since(self, order: Order) -> datetime:
        return (order.sent_at or order.created_at) - self.options.receive_window

    def _apply(self, order: Order, verdict: Settle | Wait | Absent, now: datetime) -> Order:
        match verdict:
            case Settle(report):
                return self._tell(order, self._books().settle(order, report))
            case Absent(proof):
                return self._tell(order, self._declare_absent(order, proof, now))
            case Wait(why, stuck=True):
                self.events.emit(
                    EventName.ORDER_UNKNOWN, **order_fields(order), problem=why, misses=order.misses
                )
        return order

    def _declare_absent(self, order: Order, proof: str, now: datetime) -> Order:
        to = OrderState.EXPIRED if order.exchange_order_id else OrderState.NOT_PLACED
        with self.ledger.begin(durable=True) as unit:
            after = unit.orders.step(order, to, now, detail=proof) or as_it_stands(unit, order)
            reached(CrashPoint.ABSENCE_UNCOMMITTED, order.symbol)
        reached(CrashPoint.ABSENCE_COMMITTED, order.symbol)
        return after

    def _books(self) -> Bookkeeper:
        return Bookkeeper(self.ledger, self.venue, self.clock, self.events)

    def _tell(self, before: Order, after: Order) -> Order:
        if after.state is not before.state:
            was = before.state.value
            self.events.emit(EventName.ORDER_RESOLVED, **order_fields(after), was=was, detail=after.detail)
        return after


def _cancelled(order: Order) -> OrderReport:
    """All that is known of an order that was ended by its cancellation, and is forgotten since. Had it traded before,
    it would be told for months.
    """
    return OrderReport(
        client_order_id=order.client_order_id,
        exchange_order_id=order.exchange_order_id,
        state=OrderState.CANCELED,
        filled_qty=order.filled_qty,
        avg_price=order.avg_price,
    )


def _is_worth_proving(order: Order, now: datetime, options: ExecutionOptions) -> bool:
    return order.state is OrderState.UNKNOWN and not too_early(order, now, options)


def abandon(unit: Unit, order: Order, permit: Permit | None, end: End, now: datetime) -> Order:
    """An order that was never sent never will be; what its permit had reserved is free again."""
    if permit is not None and permit.state is PermitState.ISSUED:
        unit.permits.release(permit.permit_id)
    after = unit.orders.step(order, OrderState.ABANDONED, now, detail=abandonment(end))
    return after or as_it_stands(unit, order)


def blocks_its_symbol(order: Order) -> bool:
    """Whether nothing new may be ordered on the symbol: its fate is unknown, or its fills are not booked
    yet.
    """
    if order.state in {OrderState.SENDING, OrderState.UNKNOWN}:
        return True
    return order.state.may_be_on_exchange and order.tif is not TimeInForce.GTC
