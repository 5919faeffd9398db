"""The real ccxt class underneath, over made-up answers."""

from __future__ import annotations

import json
import logging
import threading
from datetime import timedelta
from decimal import Decimal

import pytest

from pipeline.domain.errors import ExchangeRefused, ExchangeUnavailable, UnknownSymbol
from pipeline.domain.intents import OrderType
from pipeline.domain.orders import Acknowledged, OrderState, Rejected, Unknown
from pipeline.domain.signals import Side
from pipeline.exchange import reading
from pipeline.exchange.connection import NotSent
from pipeline.testing import FixedClock
from tests.unit.exchange.canned import CLIENT_ID, KEY, NOON, SECRET, Answer, an_order, canned, told_order

ORDER = "/fapi/v1/order"
NOON_MS = str(reading.to_milliseconds(NOON))


def test_an_order_travels_as_its_exact_text_under_our_id() -> None:
    """Floats and rounding helpers would change quantity and price on their way."""
    exchange, http = canned()
    http.answer(ORDER, 200, told_order())
    order, permit = an_order(qty=Decimal("0.123000"), limit_price=Decimal("123456789.10"), side=Side.SELL)
    assert isinstance(exchange.submit(order, permit), Acknowledged)
    sent = http.sent()
    assert (sent["quantity"], sent["price"]) == ("0.123", "123456789.1")
    assert (sent["symbol"], sent["side"], sent["type"], sent["timeInForce"]) == (
        "BTCUSDT",
        "SELL",
        "LIMIT",
        "IOC",
    )
    assert sent["newClientOrderId"] == CLIENT_ID


def test_reduce_only_is_sent_when_it_is_meant() -> None:
    """An exit that may open a position is not an exit."""
    exchange, http = canned()
    http.answer(ORDER, 200, told_order())
    exchange.submit(*an_order(reduce_only=True))
    assert http.sent()["reduceOnly"] == "true"
    exchange.submit(*an_order(reduce_only=False))
    assert "reduceOnly" not in http.sent()


def test_the_signed_time_is_the_orders_and_not_the_moment_of_sending() -> None:
    """The receive window then refuses what a frozen worker sends late."""
    clock = FixedClock(NOON + timedelta(seconds=40))
    exchange, http = canned(clock, receive_window_ms=4000)
    http.answer(ORDER, 400, {"code": -1021, "msg": "late"})
    assert isinstance(exchange.submit(*an_order()), Rejected)
    assert (http.sent()["timestamp"], http.sent()["recvWindow"]) == (NOON_MS, "4000")


def test_two_threads_never_take_each_others_time_or_answer() -> None:
    """While one thread waits for the answer to its order, another reads: neither may notice."""
    exchange, http = canned(FixedClock(NOON + timedelta(seconds=1)))
    exchange.instruments()
    inside, read = threading.Event(), threading.Event()
    answers: list[object] = []

    def wait_for_the_reader() -> Exception:
        inside.set()
        assert read.wait(60)
        return TimeoutError("nothing came")

    http.answers[ORDER] = wait_for_the_reader
    http.answer("/fapi/v3/positionRisk", 200, [])
    sender = threading.Thread(target=lambda: answers.append(exchange.submit(*an_order())))
    sender.start()
    assert inside.wait(60)
    exchange.holdings()
    assert http.sent()["timestamp"] == str(int(NOON_MS) + 1000)
    read.set()
    sender.join()
    assert answers == [Unknown("TimeoutError: nothing came")]


def test_the_offset_of_the_exchanges_clock_is_signed_when_it_is_more_than_noise() -> None:
    """A machine whose clock is off can still read; small measuring errors do not move the pinned time."""
    exchange, http = canned()
    http.answer(ORDER, 200, told_order())
    for offset_ms, signed in ((60, NOON_MS), (90_000, str(int(NOON_MS) + 90_000))):
        http.answer("/fapi/v1/time", 200, {"serverTime": int(NOON_MS) + offset_ms})
        assert exchange.clock_offset() == timedelta(milliseconds=offset_ms)
        exchange.submit(*an_order())
        assert http.sent()["timestamp"] == signed


def test_a_refused_timestamp_makes_the_clock_be_measured_again() -> None:
    """Otherwise a stepped clock would refuse everything until its measurement is old."""
    exchange, http = canned()
    http.answer("/fapi/v1/time", 200, {"serverTime": int(NOON_MS)})
    exchange.now()
    http.answer(ORDER, 400, {"code": -1021, "msg": "ahead"})
    exchange.submit(*an_order())
    http.answer("/fapi/v1/time", 200, {"serverTime": int(NOON_MS) + 5000})
    assert exchange.now() == NOON + timedelta(seconds=5)


def test_a_cancellation_refused_for_its_time_is_sent_again_by_the_right_clock() -> None:
    """The kill switch takes back what rests: one badly measured clock must not leave an order there."""
    exchange, http = canned()
    clocks, stamps = iter([2000, 0]), []

    def tell_the_time() -> Answer:
        return 200, json.dumps({"serverTime": int(NOON_MS) + next(clocks)}), {}

    def refuse_what_is_ahead() -> Answer:
        stamps.append(http.sent()["timestamp"])
        if stamps[-1] != NOON_MS:
            return 400, json.dumps({"code": -1021, "msg": "ahead"}), {}
        return 200, json.dumps(told_order(status="CANCELED")), {}

    http.answers |= {"/fapi/v1/time": tell_the_time, ORDER: refuse_what_is_ahead}
    exchange.cancel(an_order()[0])
    assert stamps == [str(int(NOON_MS) + 2000), NOON_MS]


def test_an_order_refused_for_its_time_is_not_sent_again() -> None:
    """Its time is pinned: whoever sends it later decides on another market."""
    exchange, http = canned()
    http.answer(ORDER, 400, {"code": -1021, "msg": "late"})
    exchange.submit(*an_order())
    assert sum(request.method == "POST" for request in http.asked) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, ""), (200, "<html>maintenance</html>"), (200, '{"orderId":12,"sym'), (502, "<html>"), (504, "")],
)
def test_answers_that_are_no_orders_are_unknown_through_the_real_ccxt(status: int, body: str) -> None:
    """For an empty 200 ccxt's own create_order returns an order without an id, and raises nothing."""
    exchange, http = canned()
    http.answer(ORDER, status, body)
    assert isinstance(exchange.submit(*an_order()), Unknown)
    assert sum(request.method == "POST" for request in http.asked) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimeoutError("timed out"), Unknown),
        (ConnectionResetError(104, "reset by peer"), Unknown),
        (RuntimeError("a bug below"), Unknown),
        (NotSent("refused"), Rejected),
    ],
    ids=["timeout", "reset", "bug", "never connected"],
)
def test_requests_without_an_answer(error: Exception, kind: type) -> None:
    """Only a connection that was never opened proves that nothing was sent. One request each, never a
    second.
    """
    exchange, http = canned()
    http.fail(ORDER, error)
    assert isinstance(exchange.submit(*an_order()), kind)
    assert sum(request.method == "POST" for request in http.asked) == 1


def test_a_redirect_is_not_followed() -> None:
    """A redirected order would be a second request. Where the first one went, nobody knows."""
    exchange, http = canned()
    http.answer(ORDER, 307, "", {"Location": "https://elsewhere.example/fapi/v1/order"})
    assert isinstance(exchange.submit(*an_order()), Unknown)
    assert [request.method for request in http.asked].count("POST") == 1


def test_an_order_is_not_sent_when_the_instruments_are_unknown() -> None:
    """The exchange's own name of the symbol is needed; without it nothing leaves."""
    exchange, http = canned()
    http.answer("/fapi/v1/exchangeInfo", 502, "<html>")
    answer = exchange.submit(*an_order())
    assert isinstance(answer, Rejected)
    assert answer.retryable
    assert not [request for request in http.asked if request.method == "POST"]


@pytest.mark.parametrize("changes", [{"permit_id": "per_2"}, {"sent_at": None}])
def test_an_order_without_its_permit_or_its_time_is_not_sent(changes: dict[str, object]) -> None:
    """D2, once more at the last gate."""
    exchange, http = canned()
    assert isinstance(exchange.submit(*an_order(**changes)), Rejected)
    assert http.asked == []


def test_instruments_are_exact_and_cached() -> None:
    """Precision comes from the raw filters, and the list is asked for once in a while."""
    exchange, http = canned()
    instrument = exchange.instruments().find("BTCUSDT")
    assert exchange.instruments().find("BTC/USDT") is instrument
    assert (str(instrument.price_tick), str(instrument.qty_step)) == ("0.10", "0.001")
    assert (str(instrument.min_qty), str(instrument.max_qty), str(instrument.min_notional)) == (
        "0.001",
        "1000",
        "100",
    )
    assert len(http.asked) == 1


def test_an_old_list_of_instruments_serves_what_takes_no_new_risk() -> None:
    """A stop must not wait until the exchange can list its instruments again, nor must the look at what we hold."""
    exchange, http = canned(instruments_max_age_s=0.0)
    before = exchange.instruments()
    http.answer("/fapi/v1/exchangeInfo", 502, "<html>")
    http.answer("/fapi/v3/positionRisk", 200, [])
    http.answer(ORDER, 200, told_order())
    with pytest.raises(ExchangeUnavailable, match="instruments"):
        exchange.instruments()
    assert exchange.known_instruments() is before
    assert exchange.holdings() == []
    assert isinstance(exchange.submit(*an_order()), Acknowledged)


def test_without_any_list_of_instruments_nothing_is_known() -> None:
    exchange, http = canned()
    http.answer("/fapi/v1/exchangeInfo", 502, "<html>")
    http.answer("/fapi/v3/positionRisk", 200, [])
    for question in (exchange.known_instruments, exchange.holdings):
        with pytest.raises(ExchangeUnavailable, match="instruments"):
            question()


def test_an_exchange_without_readable_instruments_is_unavailable() -> None:
    """An empty universe must be an error, not a quiet day."""
    exchange, http = canned()
    http.answer("/fapi/v1/exchangeInfo", 200, {"symbols": []})
    with pytest.raises(ExchangeUnavailable, match="instruments"):
        exchange.instruments()


def test_find_tells_absent_from_silent() -> None:
    """Only the exchange's own "does not exist" is a miss."""
    exchange, http = canned()
    order, _ = an_order()
    http.answer(ORDER, 400, {"code": -2013, "msg": "Order does not exist."})
    assert exchange.find(order) is None
    for status, body in (
        (502, "<html>"),
        (200, ""),
        (200, told_order(clientOrderId="another")),
        (404, "nothing"),
    ):
        http.answer(ORDER, status, body)
        with pytest.raises(ExchangeUnavailable):
            exchange.find(order)
    http.answer(ORDER, 200, told_order(status="EXPIRED"))
    found = exchange.find(order)
    assert found is not None
    assert found.state is OrderState.EXPIRED


def test_a_full_page_proves_no_absence() -> None:
    """What was cut off may hold the order."""
    exchange, http = canned()
    order, _ = an_order()
    http.answer("/fapi/v1/openOrders", 200, [])
    http.answer("/fapi/v1/allOrders", 200, [told_order(clientOrderId="x")] * 1000)
    with pytest.raises(ExchangeUnavailable, match="cut off"):
        exchange.listed(order, NOON)


def test_a_history_is_asked_for_in_the_exchanges_time() -> None:
    """A recording's clock is a year behind ours: asked for since our time, its history is empty, and that proves an
    order absent.
    """
    exchange, http = canned()
    a_year = timedelta(days=365)
    http.answer("/fapi/v1/time", 200, {"serverTime": reading.to_milliseconds(NOON - a_year)})
    http.answer("/fapi/v1/userTrades", 200, [])
    exchange.clock_offset()
    exchange.trades_since("BTC/USDT:USDT", NOON - timedelta(minutes=5))
    assert http.sent()["startTime"] == str(reading.to_milliseconds(NOON - a_year - timedelta(minutes=5)))


def test_no_list_is_asked_for_more_than_a_week_back() -> None:
    """Binance refuses that, and an old stop that has vanished could never be settled."""
    later = NOON + timedelta(days=20)
    exchange, http = canned(FixedClock(later))
    week_ago = later - timedelta(days=7)
    for path in ("openAlgoOrders", "allAlgoOrders", "allOrders", "userTrades"):
        http.answer(f"/fapi/v1/{path}", 200, [])
    exchange.listed(an_order(type=OrderType.STOP_MARKET)[0], NOON)
    exchange.trades_since("BTC/USDT:USDT", NOON)
    exchange.orders_since("BTC/USDT:USDT", NOON)
    starts = [int(each.params["startTime"]) for each in http.asked if "startTime" in each.params]
    assert len(starts) == 4
    assert min(starts) > reading.to_milliseconds(week_ago)
    yesterday = later - timedelta(days=1)
    exchange.trades_since("BTC/USDT:USDT", yesterday)
    assert http.sent()["startTime"] == str(reading.to_milliseconds(yesterday))


@pytest.mark.parametrize(
    ("answer", "is_cancelled"),
    [
        ({"clientAlgoId": CLIENT_ID, "algoId": 1, "code": "200", "msg": "success"}, True),
        ({"clientAlgoId": CLIENT_ID, "algoId": 1}, False),
        ({"clientAlgoId": "another", "algoId": 1, "code": "200", "msg": "success"}, False),
    ],
)
def test_a_stop_is_cancelled_when_the_exchange_says_so_of_it(
    answer: dict[str, object], is_cancelled: bool
) -> None:
    """Of an old one that may be all that is ever told."""
    exchange, http = canned()
    http.answer("/fapi/v1/algoOrder", 200, answer)
    assert exchange.cancel(an_order(type=OrderType.STOP_MARKET)[0]) is is_cancelled


def test_cancelling_what_is_gone_is_no_error() -> None:
    """It may have been filled meanwhile."""
    exchange, http = canned()
    http.answer(ORDER, 400, {"code": -2011, "msg": "Unknown order sent."})
    assert not exchange.cancel(an_order()[0])
    assert http.last.method == "DELETE"


def test_a_wrong_key_is_refused_and_stays_so() -> None:
    """ccxt turns a second -2015 into a rate limit once it has been let in; ours does not."""
    exchange, http = canned()
    http.answer(
        "/fapi/v3/account", 401, {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
    )
    for _ in range(2):
        with pytest.raises(ExchangeRefused, match="api_key"):
            exchange.equity()


def test_an_unknown_symbol_names_the_nearest() -> None:
    """I5: wrong symbols are named."""
    exchange, _ = canned()
    with pytest.raises(UnknownSymbol, match="BTC/USDT:USDT"):
        exchange.quote("BTCUSD/T2")


def test_what_waits_is_told_of_the_symbols_that_are_listed() -> None:
    """One that the exchange has taken from its list would hide the stops of all others."""
    exchange, http = canned()
    http.answer("/fapi/v1/openAlgoOrders", 200, [{"clientAlgoId": CLIENT_ID}])
    assert exchange.waiting(["ADA/USDT:USDT", "BTC/USDT:USDT"]) == {CLIENT_ID}
    assert http.sent()["symbol"] == "BTCUSDT"


def test_debug_logs_hold_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    """The request's headers have the API key in them, and its address a signature."""
    exchange, http = canned()
    http.answer(ORDER, 200, told_order())
    with caplog.at_level(logging.DEBUG):
        exchange.submit(*an_order())
    text = "\n".join(record.getMessage() for record in caplog.records)
    assert http.last.headers["X-MBX-APIKEY"] == KEY
    assert KEY not in text
    assert SECRET not in text


def test_errors_hold_no_signature() -> None:
    """They go to logs, to the ledger and to Sentry."""
    exchange, http = canned()
    http.fail(
        "/fapi/v3/account",
        ConnectionError("failed at /fapi/v3/account?timestamp=1&signature=abcdef"),
    )
    with pytest.raises(ExchangeUnavailable) as caught:
        exchange.equity()
    assert "abcdef" not in str(caught.value)
    assert KEY not in repr(exchange._options)


def test_the_fake_http_is_asked_for_everything() -> None:
    """The tests above would prove nothing if a request could pass it by."""
    exchange, http = canned()
    http.answer("/fapi/v1/ping", 200, {})
    assert exchange._wire.ccxt.fapiPublicGetPing() == {}, "ccxt's own methods, too"
    assert http.last.url == "https://fapi.binance.com/fapi/v1/ping"
