"""The simulated exchange as a process, driven by the unmodified ccxt class over real HTTP."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import ccxt
import pytest

from tests.integration.simulator_clients import BTC, ETH, Exchange, control, diverted, local, price
from tests.support.servers import Simulator


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    """One exchange for the tests of this file that clean up behind themselves."""
    server = Simulator("--seed", "7", "--symbols", "5", "--inactive", "LUNAUSDT")
    yield server
    server.stop()


@pytest.fixture
def desk(shared: Simulator) -> Iterator[Exchange]:
    """A trader with an account of its own, so that tests do not meet each other's orders."""
    control(shared, "DELETE", "faults")
    control(shared, "DELETE", "limits")
    control(shared, "POST", "accounts", api_key="desk", api_secret="desk-secret", balance="10000")
    exchange = diverted(shared.url, apiKey="desk", secret="desk-secret")
    exchange.load_markets()
    yield exchange
    exchange.session.close()


@pytest.mark.parametrize("reach", [local, diverted])
def test_ccxt_trades_over_either_way_of_reaching_it(
    shared: Simulator, reach: Callable[..., Exchange]
) -> None:
    """With its addresses replaced, and with its real addresses diverted underneath."""
    exchange = reach(shared.url)
    markets = exchange.load_markets()
    assert markets[BTC]["active"]
    assert not markets["LUNA/USDT:USDT"]["active"]
    assert markets[BTC]["precision"] == pytest.approx(
        {"amount": 0.001, "price": 0.1, "base": 1e-8, "quote": 1e-8}
    )
    order = exchange.create_order(BTC, "market", "buy", 0.01)
    assert (order["status"], order["filled"]) == ("closed", 0.01)
    closing = exchange.create_order(BTC, "market", "sell", 0.01, params={"reduceOnly": True})
    assert closing["status"] == "closed"
    exchange.session.close()


@pytest.mark.parametrize("timeframe", ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d"])
def test_candles_end_with_the_forming_one(desk: Exchange, timeframe: str) -> None:
    """Every interval that strategies ask for, 200 bars of it up to 4h."""
    candles = desk.fetch_ohlcv(BTC, timeframe, limit=200)
    length = desk.parse_timeframe(timeframe) * 1000
    assert len(candles) == (200 if length <= 4 * 3_600_000 else min(200, len(candles)))
    assert len(candles) >= 60
    assert candles[-1][0] <= desk.fetch_time() < candles[-1][0] + length + 1000
    assert all(right[0] - left[0] == length for left, right in itertools.pairwise(candles))


def test_prices_agree_with_each_other(desk: Exchange) -> None:
    """Ticker, book, mark and candles show one market."""
    last = price(desk)
    book = desk.fetch_bids_asks([BTC])[BTC]
    assert book["bid"] < book["ask"]
    near = pytest.approx(last, rel=0.002)
    assert book["bid"] == near
    assert desk.fetch_order_book(BTC)["asks"][0][0] == near
    assert desk.fetch_funding_rate(BTC)["markPrice"] == near
    assert desk.fetch_last_prices([BTC])[BTC]["price"] == near
    tickers = desk.fetch_tickers()
    assert tickers[BTC]["low"] <= last <= tickers[BTC]["high"]
    assert len(tickers) == 5


def test_an_order_is_found_by_its_client_id_and_shows_in_account_and_trades(desk: Exchange) -> None:
    """The resolver's way: ask by origClientOrderId."""
    order = desk.create_order(BTC, "market", "buy", 0.02, params={"newClientOrderId": "a" * 32})
    found = desk.fetch_order(None, BTC, {"origClientOrderId": "a" * 32})
    assert (found["id"], found["filled"], found["average"]) == (order["id"], 0.02, order["average"])
    (position,) = desk.fetch_positions()
    assert (position["symbol"], position["side"], position["contracts"]) == (BTC, "long", 0.02)
    assert position["leverage"] is None or position["leverage"] == 20
    trades = desk.fetch_my_trades(BTC)
    assert sum(trade["amount"] for trade in trades) == pytest.approx(0.02)
    assert all(trade["order"] == order["id"] for trade in trades)
    fee = sum(trade["fee"]["cost"] for trade in trades)
    assert fee == pytest.approx(0.0004 * order["cost"])
    balance = desk.fetch_balance()["info"]
    assert float(balance["totalWalletBalance"]) == pytest.approx(10_000 - fee)
    margin = float(balance["totalWalletBalance"]) + float(balance["totalUnrealizedProfit"])
    assert float(balance["totalMarginBalance"]) == pytest.approx(margin)
    assert float(balance["availableBalance"]) < margin
    income = desk.fapiPrivateGetIncome({"incomeType": "COMMISSION"})
    assert -sum(float(row["income"]) for row in income) == pytest.approx(fee)


def test_limit_orders_live_through_all_their_states(desk: Exchange) -> None:
    """GTC rests and is cancelled, IOC fills or expires, post-only and FOK are refused."""
    last = price(desk)
    resting = desk.create_order(BTC, "limit", "buy", 0.01, last * 0.97, {"clientOrderId": "rests"})
    assert resting["status"] == "open"
    assert [order["id"] for order in desk.fetch_open_orders(BTC)] == [resting["id"]]
    with pytest.raises(ccxt.InvalidOrder, match="-4116"):
        desk.create_order(BTC, "limit", "buy", 0.01, last * 0.97, {"clientOrderId": "rests"})
    assert desk.cancel_order(resting["id"], BTC)["status"] == "canceled"
    filled = desk.create_order(BTC, "limit", "buy", 0.01, last * 1.01, {"timeInForce": "IOC"})
    assert filled["status"] == "closed"
    expired = desk.create_order(BTC, "limit", "buy", 0.01, last * 0.97, {"timeInForce": "IOC"})
    assert (expired["status"], expired["filled"]) == ("expired", 0)
    with pytest.raises(ccxt.InvalidOrder, match="-5022"):
        desk.create_order(BTC, "limit", "buy", 0.01, last * 1.01, {"postOnly": True})
    desk.create_order(BTC, "limit", "sell", 0.01, last * 1.03)
    desk.cancel_all_orders(BTC)
    assert desk.fetch_open_orders(BTC) == []
    assert [order["status"] for order in desk.fetch_orders(BTC)] == [
        "canceled",
        "closed",
        "expired",
        "canceled",
    ]


def test_conditional_orders_go_through_the_algo_endpoints(desk: Exchange) -> None:
    """That is where ccxt sends them, and where they are asked for and cancelled."""
    last = price(desk)
    desk.create_order(BTC, "market", "buy", 0.02)
    stop = desk.create_order(
        BTC,
        "STOP_MARKET",
        "sell",
        0.02,
        None,
        {"triggerPrice": last * 0.98, "reduceOnly": True, "clientOrderId": "s"},
    )
    target = desk.create_order(
        BTC, "TAKE_PROFIT_MARKET", "sell", None, None, {"triggerPrice": last * 1.02, "closePosition": True}
    )
    assert {order["id"] for order in desk.fetch_open_orders(BTC, params={"trigger": True})} == {
        stop["id"],
        target["id"],
    }
    found = desk.fetch_order(None, BTC, {"clientAlgoId": "s", "trigger": True})
    assert (found["id"], found["status"], found["reduceOnly"]) == (stop["id"], "open", True)
    desk.cancel_order(stop["id"], BTC, {"trigger": True})
    assert desk.fetch_order(stop["id"], BTC, {"trigger": True})["status"] == "canceled"
    desk.cancel_all_orders(BTC, {"trigger": True})
    assert desk.fetch_open_orders(BTC, params={"trigger": True}) == []
    with pytest.raises(ccxt.BaseError, match="-4120"):
        desk.fapiPrivatePostOrder(
            {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "stopPrice": 1}
        )


def test_refusals_arrive_as_the_classes_that_ccxt_has_for_them(desk: Exchange, shared: Simulator) -> None:
    """With the real address kept, each code finds its class."""
    last = price(desk)
    with pytest.raises(ccxt.InsufficientFunds, match="-2019"):
        desk.create_order(BTC, "market", "buy", 5)
    with pytest.raises(ccxt.OrderNotFound, match="-2013"):
        desk.fetch_order("1", BTC)
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        desk.cancel_order("1", BTC)
    with pytest.raises(ccxt.InvalidOrder, match="-2022"):
        desk.create_order(BTC, "market", "sell", 0.01, params={"reduceOnly": True})
    with pytest.raises(ccxt.BaseError, match="-4164"):
        desk.create_order(ETH, "market", "buy", 0.001)
    with pytest.raises(ccxt.BaseError, match="-4016"):
        desk.create_order(BTC, "limit", "buy", 0.01, last * 1.5)
    with pytest.raises(ccxt.BadSymbol, match="-1121"):
        desk.fapiPublicGetKlines({"symbol": "NONEUSDT", "interval": "1m"})
    with pytest.raises(ccxt.AuthenticationError, match="-1022"):
        diverted(shared.url, apiKey="desk", secret="wrong").fapiPrivateV3GetAccount()
    with pytest.raises(ccxt.AuthenticationError, match="-2015"):
        diverted(shared.url, apiKey="nobody").fapiPrivateV3GetAccount()


def test_a_pinned_timestamp_makes_a_late_order_refused(desk: Exchange) -> None:
    """The pipeline pins the time of its decision to send: a frozen worker's order must not get through."""
    then = desk.milliseconds() - 6000
    desk.nonce = lambda: then
    with pytest.raises(ccxt.InvalidNonce, match="-1021"):
        desk.create_order(BTC, "market", "buy", 0.01, params={"recvWindow": 5000})
    desk.nonce = lambda: then + 60_000
    with pytest.raises(ccxt.InvalidNonce, match="-1021"):
        desk.create_order(BTC, "market", "buy", 0.01)


def test_settings_of_an_account_can_be_changed(desk: Exchange) -> None:
    """Leverage, margin type and position mode answer as Binance does."""
    desk.set_leverage(7, BTC)
    assert desk.fapiPrivateGetSymbolConfig({"symbol": "BTCUSDT"})[0]["leverage"] == 7
    with pytest.raises(ccxt.MarginModeAlreadySet):
        desk.set_margin_mode("cross", BTC)
    desk.set_margin_mode("isolated", BTC)
    with pytest.raises(ccxt.BaseError, match="-4059"):
        desk.set_position_mode(hedged=False, symbol=BTC)
    with pytest.raises(ccxt.BaseError, match="-4028"):
        desk.fapiPrivatePostLeverage({"symbol": "BTCUSDT", "leverage": 500})


def test_ack_says_only_that_the_order_was_accepted(desk: Exchange) -> None:
    """newOrderRespType ACK hides the fill: the caller has to ask."""
    ack = desk.fapiPrivatePostOrder(
        {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": 0.01, "newOrderRespType": "ACK"}
    )
    assert (ack["status"], float(ack["executedQty"])) == ("NEW", 0)
    assert desk.fetch_order(ack["orderId"], BTC)["status"] == "closed"


def test_the_journal_and_the_audit_tell_what_happened(desk: Exchange, shared: Simulator) -> None:
    """Orders of the journal, trades of the account and the wallet agree."""
    since = control(shared, "GET", "health")["journal_seq"]
    desk.create_order(BTC, "market", "buy", 0.01, params={"newClientOrderId": "audited"})
    with pytest.raises(ccxt.BaseError):
        desk.create_order(BTC, "market", "buy", 9, params={"newClientOrderId": "refused"})
    entries = control(shared, "GET", f"journal?since={since}")
    rejected = [entry for entry in entries if entry["kind"] == "order_rejected"]
    assert [(entry["client_order_id"], entry["code"], entry["status"]) for entry in rejected] == [
        ("refused", -2019, 400)
    ]
    accepted = [entry for entry in entries if entry["kind"] == "order_accepted"]
    assert [(entry["client_order_id"], entry["status"], entry["path"]) for entry in accepted] == [
        ("audited", 200, "/fapi/v1/order")
    ]
    audit = control(shared, "GET", "accounts/desk")
    assert audit["positions"][0]["qty"] == "0.01"
    assert float(audit["wallet_balance"]) == pytest.approx(10_000 - float(audit["fees"]))
    text = str(entries)
    assert "signature" not in text
    assert "desk-secret" not in text
