"""Orders on the exchange that the ledger does not have: ours are adopted, everybody else's are left alone.

Ours is an order whose client order id follows from a decision in the ledger. That the ledger lost its row can
only mean that the ledger itself was lost and restored: its decision and its permit must be there, and the order
must be the permitted one.

A stop or target whose decision was lost as well is known by the position that it protects, for its id follows from
that. As far as the ledger knows nobody permitted it: it is taken back, once another one of its leg rests.
"""

from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.domain.decisions import Decision
from pipeline.domain.ids import ClientOrderId, DecisionId, PermitId, client_order_id
from pipeline.domain.intents import Leg, TimeInForce
from pipeline.domain.orders import ListedOrder, Order, OrderState
from pipeline.domain.permits import OrderTerms, Permit
from pipeline.domain.ports import Ledger, Unit, Venue
from pipeline.domain.positions import Position
from pipeline.domain.reconciliation import Finding, Remedy, Subject
from pipeline.execution.booking import Bookkeeper
from pipeline.execution.protection import GUARDS, exit_id

DECIDED_BEFORE = timedelta(hours=1)
"""How long before an order its decision may have been enqueued."""
MOST_DECISIONS = 5000
HIGHEST_ATTEMPT = 10
EXIT_BEFORE_S, MOST_EXITS, HIGHEST_EXIT_ATTEMPT = 20, 50, 3
"""How long before its order an exit may have been opened, and how many of them a position may have had."""
OURS = 32
"""How many characters a client order id of ours has, all of them lower-case hex digits."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a client order id comes from."""

    decision_id: DecisionId
    leg: Leg
    attempt: int


@dataclass(frozen=True, slots=True)
class Adoption:
    """Looks at one order that the ledger does not have."""

    ledger: Ledger
    venue: Venue
    books: Bookkeeper
    account: str

    def look_at(self, told: ListedOrder, now: datetime) -> Finding:
        """Adopt it, leave it, or say why it is ours and cannot be adopted. Raises: LedgerUnavailable."""
        origin = self._origin(told)
        if origin is None:
            return self._without_decision(told)
        with self.ledger.begin(durable=True) as unit:
            permit = unit.permits.of(origin.decision_id, origin.leg)
            problem = "the ledger has no permit for it" if permit is None else unlike(told, permit.terms)
            order = self._take_in(unit, told, origin, permit, now) if permit and not problem else None
        if order is None:
            what = f"{_described(told)} follows from {origin.decision_id}, but {problem or 'somebody else has it'}"
            return Finding(Subject.ORDER, told.symbol, what, Remedy.ESCALATED)
        self.books.settle(order, told.report)
        what = f"{_described(told)} of {origin.decision_id} was missing in the ledger"
        return Finding(Subject.ORDER, told.symbol, what, Remedy.ADOPTED)

    def _without_decision(self, told: ListedOrder) -> Finding:
        with self.ledger.read() as unit:
            position = unit.positions.open_of(self.account, told.symbol)
            resting = {each.leg for each in unit.orders.unsettled(self.account, told.symbol) if each.waits}
        origin = _guard_of(position, told, self.account) if position else None
        if position is None or origin is None:
            what = f"{_described(told)} is none of ours: it stays untouched"
            return Finding(Subject.ORDER, told.symbol, what, Remedy.LEFT)
        what = f"{_described(told)} is the {origin.leg} of a decision that the ledger has lost"
        if told.state is not OrderState.ACKED:
            return Finding(Subject.ORDER, told.symbol, f"{what}, and it was filled", Remedy.ESCALATED)
        if origin.leg not in resting:
            return Finding(Subject.ORDER, told.symbol, f"{what}: it stays until another rests", Remedy.TOLD)
        self.venue.cancel(_as_lost(told, origin, position))
        return Finding(Subject.ORDER, told.symbol, f"{what}: taken back", Remedy.CANCELED)

    def _origin(self, told: ListedOrder) -> Origin | None:
        if not _looks_like_ours(told):
            return None
        since = told.occurred_at - DECIDED_BEFORE
        with self.ledger.read() as unit:
            decisions = unit.decisions.latest(
                account=self.account, symbol=told.symbol, since=since, limit=MOST_DECISIONS
            )
        return next(filter(None, (_origin_in(each, told, self.account) for each in decisions)), None)

    @staticmethod
    def _take_in(
        unit: Unit, told: ListedOrder, origin: Origin, permit: Permit, now: datetime
    ) -> Order | None:
        """The order as if it had been sent from here; None when it is there meanwhile."""
        order = _as_order(told, origin, permit)
        if not unit.orders.add(order):
            return None
        unit.permits.use(permit.permit_id, told.occurred_at)
        detail = "found on the exchange, missing in the ledger"
        return unit.orders.step(
            order, OrderState.SENDING, now, fence=uuid.uuid4().hex, sent_at=told.occurred_at, detail=detail
        )


def _looks_like_ours(told: ListedOrder) -> bool:
    return len(told.client_order_id) == OURS and not set(told.client_order_id) - set("0123456789abcdef")


def _guard_of(position: Position, told: ListedOrder, account: str) -> Origin | None:
    """The exit of this position that the order belongs to; None when it is none."""
    if not _looks_like_ours(told) or not told.reduce_only or told.side is position.side:
        return None
    seconds = range(-2, EXIT_BEFORE_S)
    for number, second in itertools.product(range(MOST_EXITS), seconds):
        decision_id = exit_id(position, number, told.occurred_at - timedelta(seconds=second))
        for leg, attempt in itertools.product(GUARDS, range(1, HIGHEST_EXIT_ATTEMPT + 1)):
            if client_order_id(account, decision_id, leg, attempt) == told.client_order_id:
                return Origin(decision_id, leg, attempt)
    return None


def _origin_in(decision: Decision, told: ListedOrder, account: str) -> Origin | None:
    candidates = (Origin(decision.decision_id, leg, n) for leg in Leg for n in range(1, HIGHEST_ATTEMPT + 1))
    wanted = told.client_order_id
    return next(
        (o for o in candidates if client_order_id(account, o.decision_id, o.leg, o.attempt) == wanted), None
    )


def unlike(told: ListedOrder, terms: OrderTerms) -> str:
    """In what an order differs from the permitted one; empty when it is the same. A reducing order may have been cut
    to the position.
    """
    cut = terms.reduce_only and told.qty < terms.qty
    pairs = {
        "symbol": (told.symbol, terms.symbol),
        "side": (told.side, terms.side),
        "type": (told.type.lower(), terms.type.value),
        "quantity": (terms.qty if cut else told.qty, terms.qty),
        "price": (told.limit_price or terms.limit_price, terms.limit_price),
        "reduce-only": (told.reduce_only, terms.reduce_only),
    }
    return "; ".join(
        f"its {name} is {found}, permitted was {allowed}"
        for name, (found, allowed) in pairs.items()
        if found != allowed
    )


def _as_order(told: ListedOrder, origin: Origin, permit: Permit) -> Order:
    terms = permit.terms
    return Order(
        client_order_id=ClientOrderId(told.client_order_id),
        decision_id=origin.decision_id,
        leg=origin.leg,
        attempt=origin.attempt,
        account=terms.account,
        mode=terms.mode,
        permit_id=permit.permit_id,
        symbol=terms.symbol,
        side=terms.side,
        type=terms.type,
        tif=terms.tif,
        qty=terms.qty,
        limit_price=terms.limit_price,
        reduce_only=terms.reduce_only,
        decision_price=terms.limit_price,
        created_at=told.occurred_at,
    )


def _as_lost(told: ListedOrder, origin: Origin, position: Position) -> Order:
    """What there is to say about a guard whose decision and permit are lost: enough to take it back."""
    return Order(
        client_order_id=ClientOrderId(told.client_order_id),
        decision_id=origin.decision_id,
        leg=origin.leg,
        attempt=origin.attempt,
        account=position.account,
        mode=position.mode,
        permit_id=PermitId(""),
        symbol=told.symbol,
        side=told.side,
        type=GUARDS[origin.leg],
        tif=TimeInForce.GTC,
        qty=told.qty,
        limit_price=told.limit_price,
        reduce_only=True,
        decision_price=told.limit_price,
        created_at=told.occurred_at,
    )


def _described(told: ListedOrder) -> str:
    return f"order {told.client_order_id} ({told.side} {told.qty}, {told.state})"
