"""An order is written once, moved only along the table of steps, and by one hand."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from pipeline.domain.errors import InvariantBroken
from pipeline.domain.ids import ClientOrderId, DecisionId
from pipeline.domain.intents import Leg, OrderType
from pipeline.domain.orders import STEPS, Brief, Order, OrderState
from pipeline.execution.protection import GUARDS
from pipeline.ledger.sql import SqlLedger
from tests.unit.ledger.ledger_worlds import (
    ACCOUNT,
    BTC,
    ETH,
    NOW,
    SECOND,
    a_permit,
    a_report,
    an_order,
    open_one,
    ordered,
    permitted,
)

S = OrderState


def test_an_order_is_read_back_equal(ledger: SqlLedger) -> None:
    """Every field: it is asked about on the exchange by these values."""
    order = ordered(ledger)
    with ledger.read() as unit:
        assert unit.orders.get(order.client_order_id) == order
        assert unit.orders.get(ClientOrderId("0" * 32)) is None


def test_an_order_is_added_once(ledger: SqlLedger) -> None:
    """By its client order id, and by decision, leg and attempt."""
    order = ordered(ledger)
    with ledger.begin() as unit:
        assert not unit.orders.add(order)
        assert not unit.orders.add(replace(order, client_order_id=ClientOrderId("f" * 32)))
        assert list(unit.orders.of(order.decision_id)) == [order]


def test_orders_of_a_decision_come_by_leg_and_attempt(ledger: SqlLedger) -> None:
    """The entry with its attempts first, then its stop."""
    decision = open_one(ledger)
    entry, stop = a_permit(decision), a_permit(decision, Leg.STOP)
    orders = [an_order(entry, 1), an_order(entry, 2), an_order(stop, 1)]
    with ledger.begin() as unit:
        unit.permits.add(stop)
        unit.permits.add(entry)
        for order in reversed(orders):
            unit.orders.add(order)
        assert list(unit.orders.of(decision.decision_id)) == orders


def test_a_step_moves_the_order_and_is_recorded(ledger: SqlLedger) -> None:
    """The trace tells how an order got where it is."""
    order = ordered(ledger)
    with ledger.begin(durable=True) as unit:
        sending = unit.orders.step(order, S.SENDING, NOW, fence="w1", sent_at=NOW - SECOND)
        assert sending is not None
        report = a_report(order, S.FILLED, "0.25", "101.3")
        filled = unit.orders.step(sending, S.FILLED, NOW + SECOND, report=report, detail="at once")
    assert sending == replace(order, state=S.SENDING, fence="w1", sent_at=NOW - SECOND)
    assert filled == replace(
        sending,
        state=S.FILLED,
        resolved_at=NOW + SECOND,
        exchange_order_id="8000001",
        filled_qty=Decimal("0.25"),
        avg_price=Decimal("101.3"),
        detail="at once",
    )
    with ledger.read() as unit:
        assert unit.orders.get(order.client_order_id) == filled
        assert list(unit.orders.steps_of(order.client_order_id)) == [
            {"from": S.INTENT, "to": S.SENDING, "at": NOW, "detail": ""},
            {"from": S.SENDING, "to": S.FILLED, "at": NOW + SECOND, "detail": "at once"},
        ]


def test_an_order_that_goes_out_has_a_time_of_sending(ledger: SqlLedger) -> None:
    """The resolver counts its waiting from there."""
    order = ordered(ledger)
    with ledger.begin() as unit:
        sending = unit.orders.step(order, S.SENDING, NOW + SECOND, fence="w1")
    assert sending is not None
    assert sending.sent_at == NOW + SECOND


def test_the_second_to_take_a_step_from_the_same_state_gets_nothing(ledger: SqlLedger) -> None:
    """At most one send: who comes second must not send."""
    order = ordered(ledger)
    with ledger.begin() as unit:
        assert unit.orders.step(order, S.SENDING, NOW, fence="w1") is not None
        assert unit.orders.step(order, S.SENDING, NOW, fence="w2") is None
        assert unit.orders.step(order, S.ABANDONED, NOW) is None
        found = unit.orders.get(order.client_order_id)
        assert len(unit.orders.steps_of(order.client_order_id)) == 1
    assert found is not None
    assert (found.state, found.fence) == (S.SENDING, "w1")


def test_a_step_under_a_fence_that_is_no_longer_held_does_nothing(ledger: SqlLedger) -> None:
    """A worker that was frozen and replaced must not write what it thinks it knows."""
    order = ordered(ledger)
    with ledger.begin() as unit:
        sending = unit.orders.step(order, S.SENDING, NOW, fence="w1")
        assert sending is not None
        assert unit.orders.step(replace(sending, fence="w0"), S.UNKNOWN, NOW) is None
        unknown = unit.orders.step(sending, S.UNKNOWN, NOW, fence="resolver")
        assert unknown is not None
        assert unknown.fence == "resolver"


def test_a_step_that_the_table_does_not_allow_is_an_alarm(ledger: SqlLedger) -> None:
    """Every pair that is not in the table, and nothing changes."""
    order = ordered(ledger)
    with ledger.begin() as unit:
        for before, after in {(a, b) for a in S for b in S} - STEPS:
            with pytest.raises(InvariantBroken):
                unit.orders.step(replace(order, state=before), after, NOW)
        assert unit.orders.get(order.client_order_id) == order
        assert list(unit.orders.steps_of(order.client_order_id)) == []


@pytest.mark.parametrize(("before", "after"), sorted(STEPS))
def test_every_step_of_the_table_can_be_taken(
    ledger: SqlLedger, before: OrderState, after: OrderState
) -> None:
    """No constraint of the tables stands in the way of a lawful life."""
    order = ordered(ledger, state=before)
    with ledger.begin() as unit:
        moved = unit.orders.step(order, after, NOW + SECOND)
    assert moved is not None
    assert moved.state is after
    assert moved.resolved_at == (NOW + SECOND if after.is_final else None)


def test_what_a_report_does_not_say_is_kept(ledger: SqlLedger) -> None:
    """An answer without an average price must not erase the one that is known."""
    order = ordered(ledger, state=S.SENDING)
    with ledger.begin() as unit:
        acked = unit.orders.step(
            order, S.ACKED, NOW, report=a_report(order, S.ACKED, "0.1", "101.3"), detail="first"
        )
        assert acked is not None
        told = replace(a_report(order, S.CANCELED, "0.1"), exchange_order_id="")
        canceled = unit.orders.step(acked, S.CANCELED, NOW, report=told)
    assert canceled is not None
    assert (canceled.avg_price, canceled.exchange_order_id) == (Decimal("101.3"), "8000001")
    assert canceled.detail == "first"


def test_misses_are_counted_with_the_first_and_the_last(ledger: SqlLedger) -> None:
    """Absence is believed only when it was seen several times, spread over time."""
    order = ordered(ledger, state=S.UNKNOWN)
    with ledger.begin() as unit:
        unit.orders.note_miss(order.client_order_id, NOW)
        missed = unit.orders.note_miss(order.client_order_id, NOW + SECOND)
    assert missed == replace(order, misses=2, first_miss_at=NOW, last_miss_at=NOW + SECOND)


def test_a_miss_of_an_order_that_was_never_written_is_an_alarm(ledger: SqlLedger) -> None:
    """Somebody asks about an order that cannot be ours."""
    with pytest.raises(InvariantBroken), ledger.begin() as unit:
        unit.orders.note_miss(ClientOrderId("0" * 32), NOW)


def test_unsettled_orders_are_those_that_may_still_change(ledger: SqlLedger) -> None:
    """They count against the limits and block their symbol."""
    for number, state in enumerate(S):
        ordered(ledger, f"S{number}", NOW + number * SECOND, state)
    with ledger.read() as unit:
        states = [order.state for order in unit.orders.unsettled(ACCOUNT)]
        of_third = [order.state for order in unit.orders.unsettled(ACCOUNT, "S2")]
        assert unit.orders.unsettled("paper:other") == []
    assert states == [state for state in S if not state.is_final]
    assert of_third == [S.ACKED]


def test_orders_that_wait_are_unsettled_and_not_under_way(ledger: SqlLedger) -> None:
    """Two of them stand beside each position for as long as it is held: who looks for trouble must not read them."""
    opener = ordered(ledger, ETH, NOW, S.SENDING).decision_id
    stop, late = [a_guard(ledger, opener, leg) for leg in (Leg.STOP, Leg.TARGET)]
    with ledger.begin() as unit:
        late = unit.orders.step(late, S.PARTIALLY_FILLED, NOW) or late
        assert [each.symbol for each in unit.orders.under_way(ACCOUNT)] == [ETH, BTC]
        assert [each.symbol for each in unit.orders.under_way(ACCOUNT, ETH)] == [ETH]
        briefs = {each.client_order_id: each for each in unit.orders.briefs(ACCOUNT)}
        assert briefs.keys() == {each.client_order_id for each in unit.orders.unsettled(ACCOUNT)}
        assert not unit.orders.under_way("paper:other")
        assert not unit.orders.briefs("paper:other")
    assert briefs[stop.client_order_id] == Brief(
        stop.client_order_id, BTC, Leg.STOP, OrderType.STOP_MARKET, S.ACKED
    )
    assert [briefs[each.client_order_id].waits for each in (stop, late)] == [True, False]


def a_guard(ledger: SqlLedger, opener: DecisionId, leg: Leg) -> Order:
    """The order of a guard, which waits."""
    slot = NOW + (1 + list(Leg).index(leg)) * SECOND
    permit = a_permit(open_one(ledger, BTC, slot, opener=opener), leg)
    order = an_order(permit, state=S.ACKED, sent_at=NOW, type=GUARDS[leg], created_at=slot)
    with ledger.begin() as unit:
        assert unit.permits.add(permit)
        assert unit.orders.add(order)
    return order


def test_recent_orders_of_a_symbol_are_newest_first(ledger: SqlLedger) -> None:
    """The check for duplicates reads them."""
    permit = permitted(ledger)
    orders = [an_order(permit, number, created_at=NOW + number * SECOND) for number in (1, 2, 3)]
    ordered(ledger, ETH, NOW + 3 * SECOND)
    with ledger.begin() as unit:
        for order in orders:
            unit.orders.add(order)
        assert list(unit.orders.recent(ACCOUNT, BTC, NOW + 2 * SECOND)) == [orders[2], orders[1]]


def test_the_latest_orders_are_filtered(ledger: SqlLedger) -> None:
    """What `throughline orders` lists."""
    old = ordered(ledger, BTC, NOW)
    new = ordered(ledger, ETH, NOW + SECOND, S.UNKNOWN)
    with ledger.read() as unit:
        assert list(unit.orders.latest()) == [new, old]
        assert list(unit.orders.latest(limit=1)) == [new]
        assert list(unit.orders.latest(symbol=BTC)) == [old]
        assert list(unit.orders.latest(state="UNKNOWN")) == [new]
        assert list(unit.orders.latest(mode="live")) == []


def test_an_order_without_its_permit_is_refused(ledger: SqlLedger) -> None:
    """No order without the governor's approval, by the table itself."""
    permit = a_permit(open_one(ledger))
    with pytest.raises(InvariantBroken), ledger.begin() as unit:
        unit.orders.add(an_order(permit))
