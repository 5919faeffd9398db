"""Every position has its stop, whatever happens between its entry's fill and the exchange's answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from pipeline.domain.decisions import Origin
from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.events import EventName
from pipeline.domain.ids import ClientOrderId
from pipeline.domain.instruments import Instruments
from pipeline.domain.intents import Leg, OrderType
from pipeline.domain.orders import Answer, Order, OrderState, Rejected
from pipeline.domain.outcomes import EndReason, Outcome
from pipeline.domain.permits import Permit, PermitState
from pipeline.domain.signals import Side
from pipeline.domain.switches import TradingState
from pipeline.execution.dust import remainder
from pipeline.testing import Accident, FakeMarketData, FakeVenue, btc
from tests.unit.execution.order_worlds import ACCOUNT, BTC, NOON, intent
from tests.unit.stages.protected_worlds import PRICE, QTY, RULES, STOP, TARGET, WHOLE, ProtectedWorld, another


class Stubborn(FakeVenue):
    """An exchange that takes nothing that waits."""

    def submit(self, order: Order, permit: Permit) -> Answer:
        return (
            Rejected("-4045", "Reach max stop order limit.")
            if order.type.waits
            else super().submit(order, permit)
        )


def test_a_filled_entry_gets_a_stop_and_a_target_of_what_was_filled() -> None:
    """E4: reduce-only, on the exchange, at the signal's levels."""
    world = ProtectedWorld()
    world.buy()
    assert world.protect()
    assert world.resting == WHOLE
    assert all(order.reduce_only and order.side is Side.SELL for order in world.exit_orders)


def test_each_exit_is_a_decision_with_a_permit_of_its_own_that_names_the_opener() -> None:
    """E5; the decision has ended, so that the symbol is free for the next one."""
    world = ProtectedWorld()
    world.buy()
    world.protect()
    assert [each.origin for each in world.exits] == [Origin.STOP, Origin.TARGET]
    for each in world.exits:
        assert (each.opener, each.outcome, each.reason) == (
            world.decision.decision_id,
            Outcome.EXECUTED,
            EndReason.PROTECTED,
        )
        with world.ledger.read() as unit:
            permit = unit.permits.of(each.decision_id)
            assert permit is not None
            assert (permit.state, permit.reserved) == (PermitState.USED, Decimal(0))
            assert len(unit.verdicts.checks_of(each.decision_id)) > 20


def test_a_protected_position_is_left_alone() -> None:
    """The second delivery, the next cycle, another host: nobody places a second stop."""
    world = ProtectedWorld()
    world.buy()
    world.protect()
    assert not world.protect()
    assert not world.cycle()
    assert len(world.venue.requests) == 3


def test_exits_do_not_wait_for_the_chain_nor_block_it() -> None:
    """One open decision for each symbol holds for the chain; a stop that rests for hours keeps nobody out."""
    world = ProtectedWorld()
    world.place()  # its decision is still open, as it is inside execute
    world.venue.accidents = [Accident.LATE]
    world.protect()  # the stop's fate is unknown: its decision is open
    with world.ledger.begin() as unit:
        assert not unit.decisions.exits_of(world.decision.decision_id)[0].outcome
        unit.decisions.end(world.decision.decision_id, EndReason.FILLED, "", NOON)
        assert unit.decisions.open(another("the next slot")) is None


# ------------------------------------------------------------------------------------------- when one fills


@pytest.mark.parametrize(
    ("price", "leg", "pnl"), [("58990", Leg.STOP, "-10.1"), ("62010", Leg.TARGET, "20.1")]
)
def test_one_fills_and_the_other_is_taken_back(price: str, leg: Leg, pnl: str) -> None:
    """The exit that filled closed the position; the other must not outlive it."""
    world = ProtectedWorld()
    world.buy()
    world.protect()
    world.venue.move(Decimal(price))
    world.cycle()
    exit_ = next(each for each in world.exits if each.origin.value == leg.value)
    assert (world.position.closed_by, world.position.realised_pnl) == (exit_.decision_id, Decimal(pnl))
    assert world.resting == {}
    assert {order.state for order in world.exit_orders} == {OrderState.FILLED, OrderState.CANCELED}


def test_a_stop_that_filled_names_who_opened_and_who_closed() -> None:
    """E5: `SELL_FILLED` carries both; slippage is against the stop's level."""
    world = ProtectedWorld()
    world.buy()
    world.protect()
    world.venue.move(Decimal("58941"))
    world.cycle()
    sold = world.events.of(EventName.SELL_FILLED)[0]
    stop = world.exits[0].decision_id
    assert (sold["opened_by"], sold["closed_by"], sold["leg"]) == (world.decision.decision_id, stop, "stop")
    assert sold["slippage_bps"] == Decimal("10.0000")
    assert world.events.of(EventName.POSITION_CLOSED)[0]["closed_by"] == stop


def test_a_stop_that_filled_while_we_were_away_is_found() -> None:
    """Nobody was there to see it; the exchange knows."""
    world = ProtectedWorld()
    world.buy()
    world.protect()
    world.venue.move(Decimal("58000"))
    world.cycle(seconds=3 * 3600)
    assert not world.position.is_open
    assert world.cycle() == []


def test_when_both_are_reached_at_once_only_one_reduces() -> None:
    """A bar can touch both levels."""
    world = ProtectedWorld()
    world.buy()
    world.protect()
    world.venue.move(Decimal("58000"))
    world.venue.move(Decimal("63000"))
    world.cycle()
    assert (world.on_exchange(), world.position.is_open) == (Decimal(0), False)
    filled = {order.leg: order.filled_qty for order in world.exit_orders}
    assert filled == {Leg.STOP: QTY, Leg.TARGET: Decimal(0)}


def test_a_position_closed_by_a_signal_takes_its_guards_along() -> None:
    """What rests for a position that is gone could close the next one."""
    world = ProtectedWorld()
    world.buy()
    world.protect()
    close = intent(leg=Leg.CLOSE, side=Side.SELL, limit_price=Decimal("59900.0"), reduce_only=True)
    closing = another("a signal the other way")
    world.router.place(closing, close, world.permitted(closing, close))
    world.protect()
    assert world.resting == {}
    assert not world.position.is_open


# ---------------------------------------------------------------------------------------- sizes and levels


def test_guards_follow_the_quantity() -> None:
    """A partial fill that grows or shrinks the position is followed; the old guard goes last."""
    world = ProtectedWorld()
    world.buy()
    world.protect()
    half = QTY / 2
    close = intent(leg=Leg.CLOSE, side=Side.SELL, qty=half, limit_price=Decimal("59900.0"), reduce_only=True)
    closing = another("a signal the other way")
    world.router.place(closing, close, world.permitted(closing, close))
    world.protect()
    assert world.resting == {Leg.STOP: [(half, STOP)], Leg.TARGET: [(half, TARGET)]}
    states = [order.state for order in world.exit_orders]
    assert states == [OrderState.CANCELED, OrderState.CANCELED, OrderState.ACKED, OrderState.ACKED]


def test_a_position_without_levels_gets_the_default_stop() -> None:
    """No position without a stop, wherever it came from."""
    world = ProtectedWorld(intent=intent(stop_loss=None, take_profit=None))
    world.buy()
    world.protect()
    assert world.resting == {Leg.STOP: [(QTY, PRICE * Decimal("0.95"))]}


def test_a_short_is_protected_above() -> None:
    world = ProtectedWorld(
        intent=intent(
            side=Side.SELL,
            limit_price=Decimal("59900"),
            stop_loss=Decimal("61000"),
            take_profit=Decimal("58000"),
        )
    )
    world.buy()
    world.protect()
    assert world.resting == {Leg.STOP: [(QTY, Decimal("61000"))], Leg.TARGET: [(QTY, Decimal("58000"))]}
    assert {order.side for order in world.exit_orders} == {Side.BUY}
    world.venue.move(Decimal("61500"))
    world.cycle()
    assert world.position.realised_pnl == Decimal("-15")


# ----------------------------------------------------------------------------------------------- accidents


def test_a_stop_whose_answer_was_lost_is_found_not_repeated() -> None:
    """It rests already; nothing else is placed for that leg."""
    world = ProtectedWorld()
    world.buy()
    world.venue.accidents = [Accident.LOST_ANSWER]
    world.protect()
    assert world.resting == WHOLE
    assert len(world.venue.accepted) == 3


def test_a_stop_whose_request_was_lost_is_replaced_at_once() -> None:
    """Proof that it never arrived takes a minute; a position cannot wait for it, and two stops do no harm."""
    world = ProtectedWorld()
    world.buy()
    world.venue.accidents = [Accident.LOST_REQUEST]
    world.protect()
    world.cycle()
    assert world.resting == WHOLE


def test_a_stop_that_arrives_late_is_taken_back() -> None:
    """Found again by the resolver, it is one too many."""
    world = ProtectedWorld()
    world.buy()
    world.venue.accidents = [Accident.LATE]
    for _ in range(12):
        world.cycle()
    assert world.resting == WHOLE
    assert len(world.venue.accepted) == 4
    assert all(each.ended_at is not None for each in world.exits)


def test_a_stop_taken_away_by_somebody_is_placed_again() -> None:
    """A position found without its stop is mended within one cycle."""
    world = ProtectedWorld()
    world.buy()
    world.protect()
    world.venue.cancel(world.exit_orders[0])
    assert world.cycle() == [BTC]
    assert world.resting == WHOLE


def test_a_market_beyond_the_stop_closes_the_position_at_once() -> None:
    """-2021: the symbol gapped through the stop before it was placed."""
    world = ProtectedWorld()
    world.buy()
    world.venue.move(Decimal("58000"))
    world.protect()
    assert (world.on_exchange(), world.position.is_open) == (Decimal(0), False)
    last = world.exit_orders[-1]
    assert (last.leg, last.type, last.state) == (Leg.STOP, OrderType.MARKET, OrderState.FILLED)
    assert world.events.of(EventName.UNPROTECTED)[0]["opened_by"] == world.decision.decision_id


def test_a_market_beyond_the_target_takes_the_profit_at_once() -> None:
    world = ProtectedWorld()
    world.buy()
    world.venue.move(Decimal("63000"))
    world.protect()
    assert not world.position.is_open
    assert world.position.realised_pnl == Decimal("30")
    assert world.resting == {}


def test_a_stop_that_nobody_takes_closes_the_position_after_its_patience() -> None:
    """Mended within one cycle, or closed."""
    world = ProtectedWorld()
    world.venue = Stubborn(world.clock, account=ACCOUNT)
    world.buy()
    for _ in range(12):
        if world.position.is_open:
            world.cycle()
    assert not world.position.is_open
    assert NOON + timedelta(seconds=30) > world.clock.now() > NOON + timedelta(seconds=20)


@pytest.mark.parametrize("stopped", ["kill switch", "HALTED"])
def test_protection_is_placed_whatever_is_switched_off(stopped: str) -> None:
    """Whoever stops trading does not mean to bare what is held; closing at once counts as protection, too."""
    world = ProtectedWorld()
    world.buy()
    if stopped == "HALTED":
        with world.ledger.begin() as unit:
            unit.switches.set_trading_state(ACCOUNT, TradingState.HALTED, by="me", reason="", at=NOON)
    else:
        world.kill()
    world.protect()
    assert world.resting == WHOLE
    world.venue.cancel(world.exit_orders[0])
    world.venue.move(Decimal("58000"))
    world.cycle()
    assert not world.position.is_open


def test_one_symbol_in_trouble_keeps_no_other_from_its_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trouble is told after everybody was looked at, those without a stop first."""
    world = ProtectedWorld()
    world.buy()
    protector = world.protector()
    looked: list[str] = []

    def protect(_self: object, symbol: str) -> bool:
        looked.append(symbol)
        raise ExchangeUnavailable("away")

    monkeypatch.setattr(type(protector), "protect", protect)
    monkeypatch.setattr(type(protector), "_restless", lambda _: ["A", "B"])
    monkeypatch.setattr(type(protector), "_bare", lambda _: ["B"])
    monkeypatch.setattr(type(protector), "_is_bare", lambda *_: True)
    with pytest.raises(ExchangeUnavailable):
        protector.cycle()
    assert looked == ["B", "A"]


# ---------------------------------------------------------------------------------- time, trailing stop, dust


def test_a_missing_stop_does_not_wait_for_a_new_list_of_instruments() -> None:
    """The list grows old while the exchange cannot tell a new one; its ticks and steps hardly ever change."""
    world = ProtectedWorld()
    world.buy()
    world.market.unavailable = "the public side has a bad day"
    world.cycle()
    assert world.resting == WHOLE


def test_a_close_does_not_wait_for_a_new_list_of_instruments(monkeypatch: pytest.MonkeyPatch) -> None:
    world = ProtectedWorld()
    world.venue = Stubborn(world.clock, account=ACCOUNT)
    world.buy()

    def unavailable(_self: object) -> Instruments:
        raise ExchangeUnavailable("the exchange lists nothing today")

    monkeypatch.setattr(FakeMarketData, "instruments", unavailable)
    for _ in range(12):
        if world.position.is_open:
            world.cycle()
    assert not world.position.is_open


def test_a_missing_stop_does_not_wait_for_the_exchanges_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be refused for as long as the exchange has a bad day; a stop needs none of them."""
    world = ProtectedWorld()
    world.buy()
    world.protect()
    (stop,) = [each for each in world.exit_orders if each.leg is Leg.STOP]
    world.venue.cancel(stop)
    world.resolver.ask(stop)

    def refused(_self: object, symbols: object) -> frozenset[ClientOrderId]:
        raise ExchangeUnavailable("the exchange lists nothing today")

    with monkeypatch.context() as patch:
        patch.setattr(FakeVenue, "waiting", refused)
        with pytest.raises(ExchangeUnavailable):
            world.cycle()
    assert world.resting == WHOLE


def test_a_position_held_long_enough_is_closed_and_names_its_exit() -> None:
    """E5: exit by time, at a price within the slippage of the quote."""
    world = ProtectedWorld(rules=replace(RULES, max_hold=timedelta(minutes=10)))
    world.buy()
    world.protect()
    world.cycle(seconds=500)
    assert world.position.is_open
    world.cycle(seconds=200)
    assert world.cycle() is not None
    closer = next(each for each in world.exits if each.origin is Origin.TIME)
    assert (world.position.closed_by, world.resting) == (closer.decision_id, {})


def test_the_stop_trails_the_market_and_never_goes_back() -> None:
    """E5: it follows a rise, by steps, and stays where it is when the market falls."""
    world = ProtectedWorld(rules=replace(RULES, trail=Decimal("0.01")))
    world.buy()
    world.protect()
    for bid, expected in (("60000", "59400"), ("61000", "60390"), ("60500", "60390"), ("61010", "60390")):
        world.market.bid, world.venue.best = Decimal(bid), Decimal(bid)
        world.cycle()
        assert world.resting[Leg.STOP] == [(QTY, Decimal(expected))]


def test_what_is_too_small_to_be_ordered_is_named_once_and_kept() -> None:
    """E7: dust. No order is tried for it; when the exchange takes it again, it is protected again."""
    world = ProtectedWorld()
    world.buy()
    fine, coarse = world.market.known, Instruments.of([btc(min_qty=Decimal("0.02"))])
    world.market.known = coarse
    protector = world.protector()
    assert not protector.protect(BTC)
    assert not protector.protect(BTC)
    (told,) = world.events.of(EventName.DUST)
    assert (told["qty"], told["least"]) == (QTY, Decimal("0.02"))
    assert world.position.is_open
    world.market.known = fine
    world.cycle()
    assert world.resting == WHOLE


def remainder_of(world: ProtectedWorld) -> None:
    """The entry found a tenth of what it wanted: 0.001 BTC, worth 60 of at least 100."""
    world.venue.fill_fraction = Decimal("0.1")
    world.buy()
    world.venue.fill_fraction = Decimal(1)
    assert world.position.qty == Decimal("0.001")


def test_a_remainder_below_the_minimum_is_named_and_closed_by_an_exit_of_its_own() -> None:
    """E7: dust is swept. It would take a place among the positions, and no order of its own could have opened it."""
    world = ProtectedWorld()
    remainder_of(world)
    world.protect()
    (sweep,) = [each for each in world.exits if each.origin is Origin.DUST]
    assert (world.position.closed_by, world.position.is_open) == (sweep.decision_id, False)
    (told,) = world.events.of(EventName.DUST)
    assert told["why"] == "worth 60, below the exchange's minimum of 100: closed"
    world.cycle()
    assert (world.resting, world.on_exchange()) == ({}, Decimal(0))


def test_a_remainder_that_the_exchange_refuses_to_close_is_tried_once_and_stays_protected() -> None:
    """Nothing else can be done, and trying every two seconds would use up the orders of a day."""
    world = ProtectedWorld()
    remainder_of(world)
    world.venue.accidents = [Accident.NONE, Accident.NONE, Accident.REFUSED]
    world.protect()
    world.cycle()
    world.cycle()
    assert [each.origin for each in world.exits].count(Origin.DUST) == 1
    assert world.position.is_open
    assert world.resting[Leg.STOP] == [(Decimal("0.001"), Decimal("59000.0"))]
    assert "the exchange refuses to close it" in str(world.events.of(EventName.DUST)[-1]["why"])


def test_a_small_position_that_was_ordered_whole_is_no_remainder() -> None:
    """Somebody wanted exactly that, and may hold it."""
    world = ProtectedWorld()
    world.market.known = Instruments.of([btc(min_notional=Decimal("601"))])
    world.buy()
    world.protect()
    assert world.resting == WHOLE


def test_nothing_is_swept_while_an_order_works_on_it() -> None:
    """A resting entry may still fill."""
    world = ProtectedWorld()
    remainder_of(world)
    instrument = world.market.known.find(BTC)
    working = [replace(world.order, state=OrderState.PARTIALLY_FILLED)]
    assert remainder(world.position, world.intent, instrument, [])
    assert not remainder(world.position, world.intent, instrument, working)
