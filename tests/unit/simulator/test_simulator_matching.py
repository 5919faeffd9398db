from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from decimal import Decimal

import pytest

from simulator import errors
from simulator.book import Book, take
from simulator.errors import ApiError
from simulator.orders import AlgoStatus, Status
from simulator.path import Point
from tests.unit.simulator.exchange_worlds import START_MS, SYMBOL, TEST, Desk, request


def refused(code: int) -> AbstractContextManager[object]:
    return pytest.raises(ApiError, match=f"^{code} ")


def test_a_market_order_takes_several_levels_at_their_average_price() -> None:
    """Slippage must cost something, or rehearsals flatter every strategy."""
    desk = Desk()
    levels = list(Book(TEST, 1000, START_MS).against("BUY"))
    qty = levels[0].qty + levels[1].qty
    order = desk.order(qty=str(qty))
    paid = levels[0].qty * levels[0].price + levels[1].qty * levels[1].price
    assert order.status is Status.FILLED
    assert order.avg_price == paid / qty
    assert [trade.price for trade in desk.account.orders.trades] == [levels[0].price, levels[1].price]


def test_the_book_has_a_spread_and_gets_worse_with_depth() -> None:
    """Buying and selling at once must lose the spread."""
    book = Book(TEST, 1000, START_MS)
    asks = [level.price for level in book.levels("SELL")]
    bids = [level.price for level in book.levels("BUY")]
    assert book.bid < book.ask
    assert asks == sorted(asks)
    assert bids == sorted(bids, reverse=True)


def test_taking_never_crosses_the_limit_nor_exceeds_the_quantity() -> None:
    """A limit is a promise."""
    book = Book(TEST, 1000, START_MS)
    limit = list(book.against("BUY"))[2].price
    pieces = take(book.against("BUY"), "BUY", Decimal(10_000), limit)
    assert len(pieces) == 3
    assert all(piece.price <= limit for piece in pieces)
    assert sum(piece.qty for piece in take(book.against("SELL"), "SELL", Decimal("3.5"), None)) == Decimal(
        "3.5"
    )


def test_the_rest_of_an_ioc_order_expires() -> None:
    """The pipeline's entries are IOC: what was not filled must not linger."""
    desk = Desk()
    best = desk.engine.book(SYMBOL, START_MS).ask
    order = desk.order(kind="LIMIT", qty="5000", price=str(best), tif="IOC")
    assert order.status is Status.EXPIRED
    assert 0 < order.executed < 5000
    assert order.order_id not in desk.account.orders.open
    assert desk.kinds()[-1] == "order_expired"


def test_an_ioc_order_away_from_the_market_expires_unfilled() -> None:
    """No fill is an answer too."""
    order = Desk().order(kind="LIMIT", price="99", tif="IOC")
    assert (order.status, order.executed) == (Status.EXPIRED, Decimal(0))


def test_a_fok_order_fills_whole_or_is_refused() -> None:
    """FOK and GTX are refused with codes of their own, and leave nothing behind."""
    desk = Desk()
    best = str(desk.engine.book(SYMBOL, START_MS).ask)
    with refused(errors.FOK_NOT_FILLED.code):
        desk.order(kind="LIMIT", qty="5000", price=best, tif="FOK")
    with refused(errors.POST_ONLY.code):
        desk.order(kind="LIMIT", price=best, tif="GTX")
    assert desk.account.orders.by_id == {}
    assert desk.order(kind="LIMIT", qty="1", price=best, tif="FOK").status is Status.FILLED


def test_a_resting_order_fills_at_its_limit_when_the_price_comes_to_it() -> None:
    """As maker, at the lower fee."""
    desk = Desk([100, 100, 98])
    order = desk.order(kind="LIMIT", price="99", qty="2")
    desk.wait(2)
    assert order.status is Status.NEW
    desk.wait(1)
    trade = desk.account.orders.trades[0]
    assert (order.status, order.avg_price) == (Status.FILLED, Decimal(99))
    assert (trade.maker, trade.fee) == (True, Decimal("0.0396"))


def test_a_price_that_only_touches_inside_a_minute_is_seen_after_a_jump_of_the_clock() -> None:
    """Advancing by hours must not skip what happened in between."""
    desk = Desk([100, 97, 100, 100])
    order = desk.order(kind="LIMIT", price="98", qty="1")
    desk.wait(600)
    assert order.status is Status.FILLED


def test_a_stop_closes_the_position_when_its_trigger_is_reached() -> None:
    """Protection lives on the exchange: it must work while the pipeline sleeps."""
    desk = Desk([100, 100, 94])
    desk.order(qty="3")
    stop = desk.algo(side="SELL", kind="STOP_MARKET", qty="3", trigger="97", reduce_only=True)
    desk.wait(2)
    assert (desk.held, stop.status) == (Decimal(3), AlgoStatus.NEW)
    desk.wait(1)
    assert (desk.held, stop.status) == (Decimal(0), AlgoStatus.FINISHED)
    assert stop.order_id in desk.account.orders.by_id
    assert Decimal("96.5") < stop.order_avg_price <= 97
    assert "order_triggered" in desk.kinds()


def test_of_stop_and_target_the_one_that_the_price_meets_first_wins() -> None:
    """The other finds no position any more and expires without opening one."""
    desk = Desk([100, 104, 90])
    desk.order(qty="1")
    stop = desk.algo(side="SELL", kind="STOP_MARKET", qty="0", trigger="95", close_position=True)
    target = desk.algo(side="SELL", kind="TAKE_PROFIT_MARKET", qty="0", trigger="103", close_position=True)
    desk.wait(10)
    assert (target.status, stop.status) == (AlgoStatus.FINISHED, AlgoStatus.EXPIRED)
    assert desk.held == 0


def test_a_conditional_order_that_would_trigger_at_once_is_refused() -> None:
    """Binance answers -2021, and the position stays without a stop: the caller must know."""
    desk = Desk()
    desk.order(qty="1")
    with refused(errors.WOULD_TRIGGER.code):
        desk.algo(side="SELL", kind="STOP_MARKET", trigger="101", reduce_only=True)


def test_a_client_id_is_taken_only_while_its_order_is_open() -> None:
    """A filled order frees its id: sent again it opens a second position, as on the real exchange."""
    desk = Desk()
    first = desk.order(client_id="same")
    second = desk.order(client_id="same")
    assert (first.status, second.status) == (Status.FILLED, Status.FILLED)
    assert first.order_id != second.order_id
    assert desk.held == 2
    resting = desk.order(kind="LIMIT", price="97", client_id="rests")
    with refused(errors.DUPLICATE_CLIENT_ID.code):
        desk.order(client_id="rests")
    desk.engine.cancel(desk.account, resting, desk.now_ms)
    assert desk.order(client_id="rests").status is Status.FILLED


def test_a_reducing_order_is_cut_to_the_position_and_refused_without_one() -> None:
    """Closing must never turn a position round."""
    desk = Desk()
    with refused(errors.REDUCE_ONLY.code):
        desk.order(side="SELL", reduce_only=True)
    desk.order(qty="2")
    closing = desk.order(side="SELL", qty="5", reduce_only=True)
    assert (closing.executed, desk.held) == (Decimal(2), Decimal(0))
    with refused(errors.REDUCE_ONLY.code):
        desk.order(side="BUY", reduce_only=True)


def test_margin_limits_what_can_be_opened_but_not_what_can_be_closed() -> None:
    """100 USDT at leverage 20 open 2,000, not more; closing is always possible."""
    desk = Desk(balance="100")
    with refused(errors.MARGIN_INSUFFICIENT.code):
        desk.order(qty="21")
    assert desk.order(qty="19").status is Status.FILLED
    with refused(errors.MARGIN_INSUFFICIENT.code):
        desk.order(qty="2")
    assert desk.order(side="SELL", qty="19").status is Status.FILLED


def test_resting_orders_hold_margin_back() -> None:
    """Otherwise ten resting orders could each count on the same money."""
    desk = Desk(balance="100")
    desk.order(kind="LIMIT", qty="18", price="98")
    with refused(errors.MARGIN_INSUFFICIENT.code):
        desk.order(kind="LIMIT", qty="18", price="98")


def test_an_account_that_cannot_cover_its_maintenance_margin_is_liquidated() -> None:
    """A crash must end in a closed position, not in a negative balance that keeps on trading."""
    desk = Desk([100, 94], balance="100")
    desk.order(qty="19")
    desk.wait(2)
    assert desk.held == 0
    assert any(
        str(entry.get("client_order_id")).startswith("autoclose-") for entry in desk.journal.read(0, 99)
    )


def test_a_countdown_cancels_unless_it_is_renewed() -> None:
    """The dead man's switch really cancels."""
    desk = Desk()
    order = desk.order(kind="LIMIT", price="97")
    desk.sweeper.set_countdown(desk.account, SYMBOL, desk.now_ms + 60_000)
    desk.wait(0.5)
    desk.sweeper.set_countdown(desk.account, SYMBOL, desk.now_ms + 60_000)
    desk.wait(0.9)
    assert order.status is Status.NEW
    desk.wait(0.2)
    assert (order.status, order.updated_ms) == (Status.CANCELED, START_MS + 90_000)


def test_a_jump_beyond_a_countdown_first_fills_what_the_price_had_reached() -> None:
    """Time moved by hand must give the same story as time that passed."""
    desk = Desk([100, 97, 100])
    order = desk.order(kind="LIMIT", price="98")
    desk.sweeper.set_countdown(desk.account, SYMBOL, desk.now_ms + 150_000)
    desk.wait(10)
    assert order.status is Status.FILLED


def test_of_two_orders_on_the_way_the_nearer_one_fills_first() -> None:
    """The second finds nothing left to reduce."""
    desk = Desk([100, 104])
    desk.order(qty="1")
    far = desk.order(side="SELL", kind="LIMIT", price="103", reduce_only=True)
    near = desk.order(side="SELL", kind="LIMIT", price="102", reduce_only=True)
    desk.wait(10)
    assert (near.status, far.status) == (Status.FILLED, Status.EXPIRED)


def test_a_stop_goes_off_in_the_first_millisecond_of_its_price_and_costs_nothing_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every request moves the exchange on: with hundreds of stops it would do little else."""
    desk = Desk([100, 97])
    desk.order()
    stop = desk.algo(side="SELL", kind="STOP_MARKET", trigger=98, reduce_only=True)
    path, walks = desk.market.path, []

    def counted(symbol: str, after_ms: int, until_ms: int) -> Iterator[Point]:
        walks.append(symbol)
        return path(symbol, after_ms, until_ms)

    monkeypatch.setattr(desk.market, "path", counted)
    while stop.is_open:
        desk.now_ms += 1
        desk.sweeper.advance(desk.now_ms)
    prices = [desk.market.last(SYMBOL, each) for each in range(START_MS, desk.now_ms + 1)]
    assert [number for number, price in enumerate(prices) if price <= 98] == [len(prices) - 1]
    assert stop.triggered_ms == desk.now_ms > START_MS + 60_000
    assert len(walks) < 100  # of a hundred thousand times that it was asked


def test_canceling_what_is_not_open_is_refused() -> None:
    """-2011 tells a caller that the order was faster."""
    desk = Desk()
    order = desk.order()
    with refused(errors.UNKNOWN_CANCEL.code):
        desk.engine.cancel(desk.account, order, desk.now_ms)


def test_a_fraction_lets_an_ioc_order_get_only_a_part() -> None:
    """The fault 'partial_fill' relies on it."""
    desk = Desk()
    order = desk.engine.place(
        desk.account, request(kind="LIMIT", qty="10", price="101", tif="IOC"), desk.now_ms, Decimal("0.4")
    )
    assert (order.executed, order.status) == (Decimal(4), Status.EXPIRED)
