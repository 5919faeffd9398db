"""An order that rests: watched for a while, then cancelled, and asked about until the exchange calls it final.

Nothing follows it before that: a cancellation that was only asked for proves nothing, the fill may be on its way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable
from pipeline.domain.events import EventName, Events
from pipeline.domain.orders import Order
from pipeline.domain.ports import Clock, Venue
from pipeline.execution.booking import Bookkeeper, Then, order_fields
from pipeline.execution.options import ExecutionOptions

TROUBLE = (ExchangeUnavailable, ExchangeRefused)


@dataclass(frozen=True, slots=True)
class Resting:
    """Waits for one order at a time. `pause` waits between two questions."""

    venue: Venue
    books: Bookkeeper
    clock: Clock
    options: ExecutionOptions
    events: Events
    pause: Callable[[float], None]

    def watch(self, order: Order, until: datetime) -> Order:
        """Ask until it is final or the time is over. Returns it as it stands then. Raises: LedgerUnavailable."""
        while not order.state.is_final and self.clock.now() < until:
            self.pause(self.options.rest_poll_s)
            order = self._ask(order, None)
        return order

    def cancel(self, order: Order, then: Then) -> Order:
        """Cancel it until the exchange says that it is final, for as long as one request may take.

        `then` is written together with its end. Not final afterwards: the resolver goes on.
        """
        give_up_at = self.clock.now() + timedelta(seconds=self.options.sending_stale_s)
        self.events.emit(EventName.ORDER_CANCEL, **order_fields(order), why="its time is over", problem="")
        while not order.state.is_final and self.clock.now() < give_up_at:
            self._request_cancellation(order)
            order = self._ask(order, then)
            if not order.state.is_final:
                self.pause(self.options.rest_poll_s)
        return order

    def _request_cancellation(self, order: Order) -> None:
        try:
            self.venue.cancel(order)
        except TROUBLE as error:
            self.events.emit(EventName.ORDER_UNKNOWN, **order_fields(order), problem=str(error))

    def _ask(self, order: Order, then: Then | None) -> Order:
        """Write down what is new. Silence and "not found" change nothing: it was acknowledged."""
        try:
            found = self.venue.find(order)
        except TROUBLE:
            return order
        if found is None or (found.state, found.filled_qty) == (order.state, order.filled_qty):
            return order
        return self.books.settle(order, found, then)
