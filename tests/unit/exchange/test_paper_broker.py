"""The paper broker: fills at public prices, with fees, slippage, latency and partial fills."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.domain.ids import ClientOrderId
from pipeline.domain.instruments import Instruments
from pipeline.domain.intents import OrderType, TimeInForce
from pipeline.domain.orders import Acknowledged, Answer, Order, OrderState, Rejected, Unknown
from pipeline.domain.signals import Side
from pipeline.exchange.paper.broker import PaperBroker
from pipeline.exchange.paper.store import PaperStore
from pipeline.exchange.paper.terms import PaperTerms
from pipeline.testing import FakeMarketData, FixedClock, btc
from tests.unit.exchange.canned import NOON, an_order

D = Decimal
BTC = "BTC/USDT:USDT"
TERMS = PaperTerms(account="main", depth=D(6000), latency_ms=50)
"""A tenth of a bitcoin at each step of one basis point."""
GUARD: dict[str, object] = {"side": Side.SELL, "reduce_only": True, "tif": TimeInForce.GTC}
"""What protects a long position."""


class Paper:
    """A broker, its market and a clock that stands still."""

    def __init__(self, file: Path) -> None:
        self.clock = FixedClock(NOON)
        self.market = FakeMarketData(self.clock)
        self.store = PaperStore(file)
        self.pauses: list[float] = []
        self.broker = PaperBroker("paper", self.market, self.store, TERMS, self.clock, self._pause)
        self._count = 0

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.turn(timedelta(seconds=seconds))

    def order(self, **changes: object) -> Order:
        self._count += 1
        name = ClientOrderId(f"{self._count:032x}")
        wanted = {"client_order_id": name, "qty": D("0.050"), "sent_at": self.clock.now(), **changes}
        return an_order(**wanted)[0]

    def submit(self, **changes: object) -> tuple[Order, Answer]:
        order = self.order(**changes)
        return order, self.broker.submit(order, an_order()[1])

    def placed(self, **changes: object) -> Order:
        """An order that was taken, with the exchange's id."""
        order, answer = self.submit(**changes)
        assert isinstance(answer, Acknowledged), answer
        return replace(order, exchange_order_id=answer.report.exchange_order_id)

    def state(self, order: Order) -> tuple[OrderState, Decimal]:
        found = self.broker.find(order)
        assert found is not None
        return found.state, found.filled_qty

    def prices(self, order: Order) -> list[Decimal]:
        return [trade.price for trade in self.broker.trades(order)]

    def move(self, bid: str, ask: str, seconds: float = 1) -> None:
        self.clock.turn(timedelta(seconds=seconds))
        self.market.bid, self.market.ask = D(bid), D(ask)

    @property
    def held(self) -> Decimal:
        return sum((holding.qty for holding in self.broker.holdings()), D(0))


@pytest.fixture
def paper(tmp_path: Path) -> Iterator[Paper]:
    opened = Paper(tmp_path / "paper.sqlite3")
    yield opened
    opened.store.close()


def test_a_large_order_pays_more_step_by_step(paper: Paper) -> None:
    """Slippage: 0.25 BTC need three steps of 0.1."""
    order = paper.placed(qty=D("0.250"), limit_price=D("60090"))
    assert paper.state(order) == (OrderState.FILLED, D("0.250"))
    assert paper.prices(order) == [D("60000.1"), D("60006.2"), D("60012.2")]


def test_a_bounded_order_fills_in_part_and_the_rest_expires(paper: Paper) -> None:
    """Immediate or cancel: what lies beyond the bound is not bought."""
    order = paper.placed(qty=D("0.250"), limit_price=D("60007"))
    state, filled = paper.state(order)
    assert state is OrderState.EXPIRED
    assert filled == D("0.198")
    assert max(paper.prices(order)) <= D("60007")


def test_latency_passes_before_the_price_is_known(paper: Paper) -> None:
    """Orders do not meet the price that was seen when they left."""
    _, answer = paper.submit()
    assert isinstance(answer, Acknowledged)
    assert paper.pauses == [0.05]


def test_a_late_request_is_refused_as_the_exchange_would(paper: Paper) -> None:
    """The same recipe must hold: a frozen sender's order is not taken."""
    _, answer = paper.submit(sent_at=NOON - timedelta(seconds=6))
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.retryable) == ("-1021", True)


def test_fees_and_profit_are_in_the_balance_to_the_last_digit(paper: Paper) -> None:
    """0.05 bought at 60000.1 and sold at 61000, 5 basis points each."""
    paper.placed(limit_price=D("60090"))
    paper.move("61000", "61000.1")
    paper.placed(side=Side.SELL, limit_price=D("60900"))
    bought, sold = D("0.050") * D("60000.1"), D("0.050") * D("61000")
    fees = (bought + sold) * D("0.0005")
    equity = paper.broker.equity()
    assert equity.equity == equity.available == 10_000 + sold - bought - fees
    assert paper.held == 0


def test_open_profit_is_in_the_equity(paper: Paper) -> None:
    """The daily loss is judged by it."""
    paper.placed(limit_price=D("60090"))
    paper.move("59000", "59000")
    equity = paper.broker.equity()
    assert equity.unrealised_pnl == D("0.050") * (D(59000) - D("60000.1"))
    assert equity.equity == 10_000 - D("0.050") * D("60000.1") * D("0.0005") + equity.unrealised_pnl


def test_a_position_that_turns_around_starts_at_its_new_price(paper: Paper) -> None:
    """The mean entry price decides what a profit is."""
    paper.placed(limit_price=D("60090"))
    paper.move("60500", "60500.1")
    paper.placed(side=Side.SELL, qty=D("0.080"), limit_price=D("60400"))
    (holding,) = paper.broker.holdings()
    assert (holding.qty, holding.entry_price) == (D("-0.030"), D(60500))


def test_a_resting_order_fills_as_maker_when_the_market_comes(paper: Paper) -> None:
    """At its own price, for the smaller fee."""
    order = paper.placed(tif=TimeInForce.GTC, limit_price=D("59900"))
    assert paper.state(order) == (OrderState.ACKED, D(0))
    paper.move("59899", "59900")
    assert paper.state(order) == (OrderState.FILLED, D("0.050"))
    (trade,) = paper.broker.trades(order)
    assert (trade.price, trade.fee) == (D(59900), D("0.050") * D(59900) * D("0.0002"))


def test_what_happened_between_two_looks_is_not_missed(paper: Paper) -> None:
    """The market went through the price and came back while nobody asked."""
    order = paper.placed(tif=TimeInForce.GTC, limit_price=D("59900"))
    minute = (NOON + timedelta(minutes=2)).timestamp() * 1000
    paper.market.rows[BTC, "1m"] = [[minute, 60000.0, 60010.0, 59850.0, 60000.0, 5.0]]
    paper.move("60000", "60000.1", seconds=300)
    assert paper.state(order) == (OrderState.FILLED, D("0.050"))


def test_the_minute_before_an_order_came_says_nothing_about_it(paper: Paper) -> None:
    """Its low may have been long before."""
    order = paper.placed(tif=TimeInForce.GTC, limit_price=D("59900"))
    paper.market.rows[BTC, "1m"] = [[NOON.timestamp() * 1000, 60000.0, 60010.0, 59850.0, 60000.0, 5.0]]
    paper.move("60000", "60000.1", seconds=300)
    assert paper.state(order) == (OrderState.ACKED, D(0))


def protection(paper: Paper) -> tuple[Order, Order]:
    paper.placed(limit_price=D("60090"))
    stop = paper.placed(type=OrderType.STOP_MARKET, limit_price=D("59000"), **GUARD)
    target = paper.placed(type=OrderType.TAKE_PROFIT_MARKET, limit_price=D("62000"), **GUARD)
    return stop, target


def test_an_order_is_judged_by_what_came_after_it_whatever_waits_beside_it(paper: Paper) -> None:
    """A stop that trails the market is placed above the low of a minute that the target beside it has lived through."""
    first, target = protection(paper)
    minute = (NOON + timedelta(minutes=1)).timestamp() * 1000
    paper.market.rows[BTC, "1m"] = [[minute, 60000.0, 61500.0, 59500.0, 61500.0, 5.0]]
    paper.move("61500", "61500.1", seconds=100)
    second = paper.placed(type=OrderType.STOP_MARKET, limit_price=D("60900"), **GUARD)
    paper.move("61500", "61500.1", seconds=30)
    assert [paper.state(each)[0] for each in (first, target, second)] == [OrderState.ACKED] * 3
    paper.market.rows[BTC, "1m"] += [[minute + 60_000, 61500.0, 61500.0, 60899.0, 61500.0, 5.0]]
    paper.move("61500", "61500.1", seconds=60)
    assert paper.state(second)[0] is OrderState.FILLED


def test_a_stop_waits_for_its_trigger_and_costs_a_step(paper: Paper) -> None:
    """It is filled at the market, never better than where it was set off."""
    stop, target = protection(paper)
    assert paper.broker.waiting([BTC]) == {stop.client_order_id, target.client_order_id}
    paper.move("58900", "58900.1")
    assert paper.state(stop) == (OrderState.FILLED, D("0.050"))
    assert paper.prices(stop) == [D("58894.1")]
    assert paper.held == 0


def test_a_symbol_that_is_listed_no_more_keeps_no_other_stop_from_its_trigger(paper: Paper) -> None:
    """It has no market: what waits there goes on waiting, and what is held elsewhere is still told."""
    other = "ADA/USDT:USDT"
    paper.market.known = Instruments.of([btc(), btc(symbol=other, market_id="ADAUSDT")])
    paper.placed(symbol=other, limit_price=D("60090"))
    stranded = paper.placed(symbol=other, type=OrderType.STOP_MARKET, limit_price=D("59000"), **GUARD)
    _, target = protection(paper)
    paper.market.known = Instruments.of([btc()])
    paper.move("58900", "58900.1")
    assert paper.broker.waiting([other, BTC]) == {stranded.client_order_id, target.client_order_id}
    assert [each.symbol for each in paper.broker.holdings()] == [other]


def test_a_target_that_finds_nothing_to_reduce_expires(paper: Paper) -> None:
    """The stop was faster."""
    stop, target = protection(paper)
    paper.move("58900", "58900.1")
    assert paper.state(stop)[0] is OrderState.FILLED
    paper.move("62500", "62500.1")
    assert paper.state(target) == (OrderState.EXPIRED, D(0))
    assert paper.held == 0


def test_when_both_were_reached_the_stop_counts(paper: Paper) -> None:
    """Nobody knows which came first: the worse one."""
    stop, target = protection(paper)
    minute = (NOON + timedelta(minutes=1)).timestamp() * 1000
    paper.market.rows[BTC, "1m"] = [[minute, 60000.0, 62100.0, 58900.0, 60000.0, 5.0]]
    paper.move("60000", "60000.1", seconds=300)
    assert [paper.state(each)[0] for each in (stop, target)] == [OrderState.FILLED, OrderState.EXPIRED]
    assert paper.prices(stop) == [D("58994.1")]


def test_the_dead_man_switch_cancels_what_rests_and_leaves_what_waits(paper: Paper) -> None:
    """As the real one."""
    stop, target = protection(paper)
    entry = paper.placed(tif=TimeInForce.GTC, limit_price=D("59900"))
    paper.broker.dead_man(BTC, 30)
    paper.move("60000", "60000.1", seconds=30)
    assert paper.state(entry)[0] is OrderState.CANCELED
    assert paper.broker.waiting([BTC]) == {stop.client_order_id, target.client_order_id}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"qty": D("0.001")}, "-4164"),
        ({"qty": D("0.0505")}, "-1111"),
        ({"qty": D("5")}, "-2019"),
        ({"side": Side.SELL, "reduce_only": True, "limit_price": D("59000")}, "-2022"),
    ],
)
def test_what_an_exchange_would_refuse_is_refused(
    paper: Paper, changes: dict[str, object], code: str
) -> None:
    """A rehearsal that takes everything rehearses nothing."""
    _, answer = paper.submit(**changes)
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.retryable) == (code, False)


@pytest.mark.parametrize(
    ("kind", "beyond"), [(OrderType.STOP_MARKET, "60000"), (OrderType.TAKE_PROFIT_MARKET, "60000.1")]
)
def test_what_the_market_has_reached_already_does_not_wait(
    paper: Paper, kind: OrderType, beyond: str
) -> None:
    """The position is closed at once instead; a stop that is taken and fills would hide that it came too late."""
    paper.placed(limit_price=D("60090"))
    order, answer = paper.submit(type=kind, limit_price=D(beyond), **GUARD)
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.retryable) == ("-2021", False)
    assert paper.broker.find(order) is None
    assert paper.held == D("0.050")


@pytest.mark.parametrize("kind", [OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET])
def test_nothing_waits_for_a_position_that_is_not_there(paper: Paper, kind: OrderType) -> None:
    """It would wait for ever, or reduce the next position, which has guards of its own."""
    _, answer = paper.submit(type=kind, limit_price=D("59000"), **GUARD)
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.retryable) == ("-2022", False)


def test_without_a_price_nothing_is_placed(paper: Paper) -> None:
    """Definitely not, so that it may be tried again."""
    paper.market.unavailable = "no market data"
    order, answer = paper.submit()
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.retryable) == ("NOT_SENT", True)
    paper.market.unavailable = ""
    assert paper.broker.find(order) is None


def test_the_id_of_an_open_order_is_taken(paper: Paper) -> None:
    """It exists: ask for it."""
    order = paper.placed(tif=TimeInForce.GTC, limit_price=D("59900"))
    again = paper.broker.submit(replace(order, sent_at=paper.clock.now()), an_order()[1])
    assert isinstance(again, Unknown)


def test_the_books_outlive_the_process(paper: Paper, tmp_path: Path) -> None:
    """Another process, or the same one tomorrow, finds the account as it was."""
    order = paper.placed(limit_price=D("60090"))
    before = paper.broker.equity()
    paper.store.close()
    later = PaperBroker("paper", paper.market, PaperStore(tmp_path / "paper.sqlite3"), TERMS, paper.clock)
    assert later.equity() == before
    assert len(later.trades(order)) == 1
    later._store.close()
