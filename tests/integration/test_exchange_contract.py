"""What every exchange behind the ports promises: the fake, and the real adapter against the simulated
exchange.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable, UnknownSymbol
from pipeline.domain.intents import Intent, Leg, OrderType, TimeInForce
from pipeline.domain.orders import Acknowledged, OrderState, Rejected, Unknown
from pipeline.domain.signals import Side
from pipeline.domain.timeframes import SystemClock, Timeframe
from pipeline.exchange.paper.broker import PaperBroker
from pipeline.exchange.paper.store import PaperStore
from pipeline.exchange.paper.terms import PaperTerms
from pipeline.exchange.replies import Reply
from pipeline.testing import FakeMarketData, FakeVenue, FixedClock
from tests.integration.exchange_worlds import BTC, Exchange, Rehearsal, adapter
from tests.support.processes import free_port
from tests.support.servers import Simulator
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    """One simulated exchange; each test has an account of its own on it."""
    server = Simulator("--seed", "7", "--weight-limit", "1000000")
    yield server
    server.stop()


@pytest.fixture
def rehearsal(shared: Simulator) -> Iterator[Rehearsal]:
    opened = Rehearsal(shared)
    yield opened
    opened.calm()


@pytest.fixture(params=["fake", "simulated", "paper"])
def exchange(request: pytest.FixtureRequest, tmp_path: Path) -> Exchange:
    if request.param == "paper":  # our own fills at the simulated exchange's public prices
        public = adapter(request.getfixturevalue("shared").url, key="", secret="")
        store = PaperStore(tmp_path / "paper.sqlite3")
        broker = PaperBroker("paper", public, store, PaperTerms(account="test"), SystemClock())
        return Exchange(broker, public, SystemClock(), public.volumes)
    if request.param == "fake":
        clock = FixedClock(datetime.now(UTC))
        market = FakeMarketData(clock)
        market.rows[BTC, "1h"] = _hours(clock.now())
        market.traded[BTC] = Decimal("1250000.5")
        return Exchange(FakeVenue(clock, account="test", best=market.ask), market, clock, market.volumes)
    real = request.getfixturevalue("rehearsal").adapter()
    return Exchange(real, real, SystemClock(), real.volumes)


def _hours(now: datetime) -> list[list[float]]:
    newest = Timeframe.parse("1h").last_closed_open(now)
    opens = [newest - timedelta(hours=age) for age in range(9, -1, -1)]
    return [[at.timestamp() * 1000, 1.0, 2.0, 0.5, 1.5, 10.0] for at in opens]


# ------------------------------------------------------------------------------------------- public side


def test_instruments_carry_exact_precision(exchange: Exchange) -> None:
    """Sizing and the governor round by them."""
    instrument = exchange.instrument
    assert instrument.symbol == BTC
    assert instrument.active
    steps = (instrument.price_tick, instrument.qty_step, instrument.min_qty, instrument.min_notional)
    assert all(type(step) is Decimal and step > 0 for step in steps)


def test_the_quote_is_a_fresh_bid_below_an_ask(exchange: Exchange) -> None:
    """The price collar compares with it."""
    quote = exchange.market.quote(BTC)
    assert 0 < quote.bid <= quote.ask
    assert abs(exchange.market.now() - quote.occurred_at) < timedelta(seconds=5)


def test_one_answer_has_the_quotes_of_all_symbols(exchange: Exchange) -> None:
    """At the close of a candle it answers for hundreds of decisions."""
    quotes = exchange.market.quotes()
    assert set(quotes) <= set(exchange.market.instruments().by_symbol)
    assert 0 < quotes[BTC].bid <= quotes[BTC].ask
    assert abs(exchange.market.now() - quotes[BTC].occurred_at) < timedelta(seconds=5)


def test_volumes_of_24_hours_are_told_by_symbol(exchange: Exchange) -> None:
    """A universe of the most traded symbols is made of them; a market id would be a name that nobody trades."""
    volumes = exchange.volumes()
    known = exchange.market.instruments().by_symbol
    assert volumes[BTC] > 0
    assert volumes.keys() <= known.keys()
    assert all(type(volume) is Decimal and volume >= 0 for volume in volumes.values())


def test_the_exchanges_clock_is_aware_and_near(exchange: Exchange) -> None:
    """Skew is judged by it."""
    assert exchange.market.now().tzinfo is not None
    assert abs(exchange.market.now() - exchange.clock.now()) < timedelta(seconds=2)


def test_bars_come_oldest_first_from_the_time_asked_for(exchange: Exchange) -> None:
    """The candle store builds on it."""
    since = exchange.clock.now() - timedelta(hours=6)
    rows = exchange.market.bars(BTC, "1h", since, 4)
    opens = [row[0] for row in rows]
    assert len(rows) == 4
    assert opens == sorted(opens)
    assert opens[0] >= since.timestamp() * 1000
    assert all(len(row) == 6 and isinstance(row[4], float) for row in rows)


def test_an_unknown_symbol_is_named(exchange: Exchange) -> None:
    """I5."""
    with pytest.raises(UnknownSymbol):
        exchange.market.quote("NOPE/USDT:USDT")


# ------------------------------------------------------------------------------------------ private side


def test_a_crossing_order_is_acknowledged_filled_and_its_trades_add_up(exchange: Exchange) -> None:
    """The way of nearly every order."""
    order, answer = exchange.submit()
    assert isinstance(answer, Acknowledged)
    report = answer.report
    assert (report.client_order_id, report.state) == (order.client_order_id, OrderState.FILLED)
    trades = exchange.venue.trades(replace(order, exchange_order_id=report.exchange_order_id))
    assert sum(trade.qty for trade in trades) == report.filled_qty == order.qty
    assert {trade.exchange_order_id for trade in trades} == {report.exchange_order_id}
    assert all(trade.side is order.side and trade.price <= order.limit_price for trade in trades)
    assert all(trade.fee > 0 and trade.fee_asset == "USDT" for trade in trades)


def test_find_listed_and_trades_since_all_know_a_placed_order(exchange: Exchange) -> None:
    """The resolver asks all of them."""
    order, answer = exchange.submit()
    assert isinstance(answer, Acknowledged)
    since = order.created_at - timedelta(seconds=5)
    assert exchange.venue.find(order) == exchange.venue.listed(order, since) == answer.report
    ids = {trade.exchange_order_id for trade in exchange.venue.trades_since(BTC, since)}
    assert answer.report.exchange_order_id in ids


def test_the_accounts_lists_tell_every_order_with_what_was_asked_for(exchange: Exchange) -> None:
    """Reconciliation finds there what the ledger does not have, whoever placed it."""
    since = exchange.clock.now() - timedelta(seconds=5)
    filled, _ = exchange.submit()
    resting, _ = exchange.submit(exchange.intent(tif=TimeInForce.GTC, bps=-100))
    listed = {each.client_order_id: each for each in exchange.venue.orders_since(BTC, since)}
    assert listed.keys() == {filled.client_order_id, resting.client_order_id}
    (told,) = exchange.venue.open_orders()
    assert told == listed[resting.client_order_id]
    assert (told.symbol, told.side, told.type) == (BTC, Side.BUY, "LIMIT")
    assert (told.qty, told.limit_price, told.reduce_only) == (resting.qty, resting.limit_price, False)
    assert (told.state, told.filled_qty) == (OrderState.ACKED, Decimal(0))
    assert listed[filled.client_order_id].report == exchange.venue.find(filled)


def test_an_order_that_was_never_sent_is_found_nowhere(exchange: Exchange) -> None:
    """None means that the exchange said so."""
    order, _ = exchange.order()
    assert exchange.venue.find(order) is None
    assert exchange.venue.listed(order, order.created_at - timedelta(seconds=5)) is None


def test_an_order_that_does_not_cross_expires_unfilled(exchange: Exchange) -> None:
    """Immediate or cancel."""
    _, answer = exchange.submit(exchange.intent(bps=-300))
    assert isinstance(answer, Acknowledged)
    assert (answer.report.state, answer.report.filled_qty) == (OrderState.EXPIRED, Decimal(0))
    assert answer.report.avg_price is None


def test_a_resting_order_can_be_cancelled_and_cancelling_again_is_no_error(exchange: Exchange) -> None:
    """It may be gone already."""
    order, answer = exchange.submit(exchange.intent(bps=-300, tif=TimeInForce.GTC))
    assert isinstance(answer, Acknowledged)
    assert answer.report.state is OrderState.ACKED
    assert exchange.venue.cancel(order)
    assert not exchange.venue.cancel(order)
    found = exchange.venue.find(order)
    assert found is not None
    assert found.state is OrderState.CANCELED


def test_a_dead_man_switch_that_is_taken_back_cancels_nothing(exchange: Exchange) -> None:
    """It is set before every order that rests, and taken back after."""
    order, _ = exchange.submit(exchange.intent(bps=-300, tif=TimeInForce.GTC))
    exchange.venue.dead_man(BTC, 5)
    exchange.venue.dead_man(BTC, 0)
    found = exchange.venue.find(order)
    assert found is not None
    assert found.state is OrderState.ACKED


def test_the_id_of_an_open_order_is_not_accepted_again(exchange: Exchange) -> None:
    """It exists: that is no refusal, and must be asked about."""
    wanted = exchange.intent(bps=-300, tif=TimeInForce.GTC)
    order, permit = exchange.order(wanted)
    assert isinstance(exchange.venue.submit(order, permit), Acknowledged)
    assert isinstance(exchange.venue.submit(order, permit), Unknown)


def test_the_id_of_a_filled_order_is_free_again(exchange: Exchange) -> None:
    """The exchange's own uniqueness protects nobody: this is why the ledger is the lock."""
    order, permit = exchange.order()
    first, second = exchange.venue.submit(order, permit), exchange.venue.submit(order, permit)
    assert isinstance(first, Acknowledged)
    assert isinstance(second, Acknowledged)
    assert first.report.exchange_order_id != second.report.exchange_order_id


def test_an_order_signed_too_long_ago_is_refused(exchange: Exchange) -> None:
    """What a frozen worker sends late."""
    order, permit = exchange.order()
    answer = exchange.venue.submit(replace(order, sent_at=order.created_at - timedelta(seconds=20)), permit)
    assert isinstance(answer, Rejected)
    assert answer.code == "-1021"
    assert exchange.venue.find(order) is None


def test_an_order_beyond_the_margin_is_refused_with_its_code(exchange: Exchange) -> None:
    """A definite refusal, not worth repeating."""
    _, answer = exchange.submit(exchange.intent(qty="30"))
    assert isinstance(answer, Rejected)
    assert (answer.code, answer.retryable) == ("-2019", False)


def test_holdings_follow_the_fills_and_vanish_when_flat(exchange: Exchange) -> None:
    """Reconciliation compares with them."""
    order, _ = exchange.submit()
    [held] = exchange.venue.holdings()
    assert (held.symbol, held.qty) == (BTC, order.qty)
    exchange.submit(exchange.intent(Side.SELL, str(order.qty)))
    assert list(exchange.venue.holdings()) == []


def test_equity_is_told_with_its_time(exchange: Exchange) -> None:
    """EQUITY_STALE needs the age."""
    equity = exchange.venue.equity()
    assert (equity.equity, equity.available) == (Decimal(10_000), Decimal(10_000))
    assert abs(exchange.clock.now() - equity.occurred_at) < timedelta(seconds=5)


# --------------------------------------------------------------------- only with a real server behind it


def test_a_wrong_key_is_refused_by_name(shared: Simulator) -> None:
    """D3: fail closed, and tell the person which setting."""
    with pytest.raises(ExchangeRefused, match="api_key"):
        adapter(shared.url, key="nobody").equity()
    with pytest.raises(ExchangeRefused, match="api_secret"):
        adapter(shared.url, secret="wrong").equity()


def test_an_exchange_that_is_not_there_is_unavailable_and_gets_no_order() -> None:
    """A connection that cannot be opened carries nothing."""
    gone = adapter(f"http://127.0.0.1:{free_port()}", timeout_s=1)
    with pytest.raises(ExchangeUnavailable, match="refused"):
        gone.instruments()


def test_the_dead_man_switch_cancels_entries_and_leaves_conditional_orders(rehearsal: Rehearsal) -> None:
    """What protects a position must outlive us."""
    real = rehearsal.adapter()
    exchange = Exchange(real, real, SystemClock())
    held, _ = exchange.submit()
    stop = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "algoType": "CONDITIONAL",
        "type": "STOP_MARKET",
        "quantity": str(held.qty),
        "triggerPrice": str(exchange.instrument.round_price_down(held.limit_price / 2)),
        "reduceOnly": "true",
    }
    real._wire.request("fapiPrivatePostAlgoOrder", stop)
    order, _ = exchange.submit(exchange.intent(bps=-300, tif=TimeInForce.GTC))
    real.dead_man(BTC, 0.2)

    def state() -> OrderState | None:
        found = real.find(order)
        return found.state if found else None

    eventually(lambda: state() is OrderState.CANCELED)
    waiting = real._wire.request("fapiPrivateGetOpenAlgoOrders", {"symbol": "BTCUSDT"})
    assert isinstance(waiting, Reply)
    assert isinstance(waiting.data, list)
    assert [told["algoStatus"] for told in waiting.data] == ["NEW"]


def test_a_rate_limit_carries_its_wait(rehearsal: Rehearsal) -> None:
    """B5."""
    real = rehearsal.adapter()
    real.instruments()
    rehearsal.fault("http_429", endpoint="/fapi/v1/ticker/bookTicker", retry_after_s=7, count=1)
    with pytest.raises(ExchangeUnavailable) as caught:
        real.quote(BTC)
    assert caught.value.retry_after_s == 7


def test_repeated_trades_are_told_once(rehearsal: Rehearsal) -> None:
    """The exchange may list a trade twice."""
    real = rehearsal.adapter()
    order, answer = Exchange(real, real, SystemClock()).submit()
    assert isinstance(answer, Acknowledged)
    rehearsal.fault("repeated_fills", count=1)
    trades = real.trades(replace(order, exchange_order_id=answer.report.exchange_order_id))
    assert sum(trade.qty for trade in trades) == order.qty


# ----------------------------------------------------------------------------------- what waits for its price


def a_stop(exchange: Exchange, held: Intent, away: str, kind: OrderType = OrderType.STOP_MARKET) -> Intent:
    """A sale of what `held` bought, `away` from the price as a factor."""
    level = exchange.instrument.round_price_nearest(held.decision_price * Decimal(away))
    leg = Leg.STOP if kind is OrderType.STOP_MARKET else Leg.TARGET
    return replace(
        held,
        leg=leg,
        side=Side.SELL,
        type=kind,
        tif=TimeInForce.GTC,
        limit_price=level,
        decision_price=level,
        reduce_only=True,
    )


def bought(exchange: Exchange) -> Intent:
    intent = exchange.intent()
    _, answer = exchange.submit(intent)
    assert isinstance(answer, Acknowledged)
    return intent


@pytest.mark.parametrize(
    ("kind", "away"), [(OrderType.STOP_MARKET, "0.9"), (OrderType.TAKE_PROFIT_MARKET, "1.1")]
)
def test_what_waits_is_acknowledged_found_listed_and_cancelled(
    exchange: Exchange, kind: OrderType, away: str
) -> None:
    """Stops and targets go the way of all orders, whatever endpoint they need."""
    order, answer = exchange.submit(a_stop(exchange, bought(exchange), away, kind))
    assert isinstance(answer, Acknowledged)
    assert answer.report.state is OrderState.ACKED
    assert exchange.venue.find(order) == answer.report
    assert exchange.venue.listed(order, order.created_at - timedelta(minutes=1)) == answer.report
    assert exchange.venue.waiting([BTC]) == {order.client_order_id}
    assert exchange.venue.cancel(order)
    assert not exchange.venue.cancel(order)  # gone already is no error
    found = exchange.venue.find(order)
    assert found is not None
    assert found.state is OrderState.CANCELED
    assert exchange.venue.waiting([BTC]) == frozenset()


def test_the_accounts_lists_tell_what_waits_beside_what_rests(exchange: Exchange) -> None:
    """After the ledger was lost this is how a position's stop is found again."""
    since = exchange.clock.now() - timedelta(seconds=5)
    wanted = a_stop(exchange, bought(exchange), "0.9")
    order, _ = exchange.submit(wanted)
    (told,) = exchange.venue.open_orders()
    assert (told.symbol, told.client_order_id, told.side) == (BTC, order.client_order_id, Side.SELL)
    assert (told.type, told.qty, told.limit_price) == ("STOP_MARKET", order.qty, order.limit_price)
    assert (told.reduce_only, told.state, told.filled_qty) == (True, OrderState.ACKED, Decimal(0))
    assert told.report == exchange.venue.find(order)
    assert told in exchange.venue.orders_since(BTC, since)
    exchange.venue.cancel(order)
    assert list(exchange.venue.open_orders()) == []
    (gone,) = [each for each in exchange.venue.orders_since(BTC, since) if each.reduce_only]
    assert (gone.client_order_id, gone.state) == (order.client_order_id, OrderState.CANCELED)


def test_a_stop_beyond_the_market_is_refused_by_its_code(exchange: Exchange) -> None:
    """The position is closed at once instead."""
    _, answer = exchange.submit(a_stop(exchange, bought(exchange), "1.1"))
    assert isinstance(answer, Rejected)
    assert answer.code == "-2021"


def test_a_stop_for_nothing_is_refused(exchange: Exchange) -> None:
    """Reduce-only."""
    _, answer = exchange.submit(a_stop(exchange, exchange.intent(), "0.9"))
    assert isinstance(answer, Rejected)
    assert answer.code == "-2022"


def test_a_stop_that_was_never_sent_is_not_found(exchange: Exchange) -> None:
    order, _ = exchange.order(a_stop(exchange, exchange.intent(), "0.9"))
    assert exchange.venue.find(order) is None
    assert exchange.venue.listed(order, order.created_at) is None
