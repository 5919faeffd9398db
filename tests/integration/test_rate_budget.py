"""The rate budget over a real Redis, alone and in front of the simulated exchange."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import redis

from pipeline.domain.decisions import Mode
from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.events import EventName
from pipeline.domain.orders import Acknowledged, Rejected
from pipeline.domain.timeframes import SystemClock
from pipeline.exchange.budget.costs import Cost, Kind
from pipeline.exchange.budget.line import Line
from pipeline.exchange.budget.ports import Stop, Told, Used
from pipeline.exchange.budget.rules import RateLimits
from pipeline.exchange.ccxt_adapter import CcxtExchange, ExchangeOptions, connect
from pipeline.exchange.wire import WireOptions
from tests.integration.budget_worlds import CANCEL, CANDLES, EXIT, ORDER, PRICE, Host, host
from tests.integration.exchange_worlds import BTC, SIM_KEY, SIM_SECRET, Exchange
from tests.support.servers import RedisServer, Simulator
from tests.support.waiting import eventually


@pytest.fixture
def one(redis_url: str) -> Host:
    return host(redis_url)


@pytest.fixture
def other(redis_url: str) -> Host:
    return host(redis_url)


# ------------------------------------------------------------------------------------------------ one common count


def test_two_hosts_use_one_limit(one: Host, other: Host) -> None:
    """Twice the limit from one address is a ban."""
    assert one.taken(CANDLES, 20) == 20
    assert other.taken(CANDLES) == 17, "75 of 100 are for candles, 40 were used"
    held = one.held(CANDLES)
    assert 30 < held.wait_s <= 61
    assert "75%" in str(held)


def test_the_urgent_find_room_when_candles_have_used_theirs(one: Host) -> None:
    """An order that waits for its price must not wait for a first load."""
    one.taken(CANDLES)
    assert one.taken(PRICE) == 10
    assert one.taken(ORDER, 5) == 5, "orders weigh nothing"


def test_cancels_are_never_held_back(one: Host) -> None:
    """Whatever was used up: an order that must go must be able to go."""
    one.taken(PRICE)
    one.taken(ORDER)
    assert one.taken(CANCEL, 200) == 200


def test_orders_have_their_own_budget_and_the_last_tenth_is_for_exits(one: Host, other: Host) -> None:
    """A burst of entries must leave room for the stops that they need."""
    assert one.taken(ORDER) == 9
    assert "orders in 10 s" in str(other.held(ORDER))
    assert 5 < other.held(ORDER).wait_s <= 11
    assert other.taken(EXIT) == 1


def test_a_request_that_was_held_back_counts_for_nothing(one: Host) -> None:
    """Else those who wait would push the moment away that they wait for."""
    one.taken(CANDLES)
    first = one.held(CANDLES).wait_s
    for _ in range(20):
        assert one.held(CANDLES).wait_s <= first


def test_looking_counts_for_nothing(one: Host) -> None:
    """The first load paces itself by looking."""
    assert [one.budget.room(Kind.LOAD) for _ in range(30)] == [50] * 30
    one.taken(Cost(Kind.LOAD, 10), 4)
    assert (one.budget.room(Kind.LOAD), one.budget.room(Kind.MARKET)) == (10, 35)
    one.taken(PRICE)
    assert one.budget.room(Kind.LOAD) == 0
    assert one.budget.room(Kind.CANCEL) > 10**6


def test_what_is_a_minute_old_counts_no_more(one: Host, redis_url: str) -> None:
    """The count must forget as the exchange does, and not grow for ever."""
    with redis.Redis.from_url(redis_url) as client:
        now = int(client.time()[0])
        client.hset(
            "tl:budget:test:weight", mapping={str(now - 61): 90, str(now - 3600): 90, str(now - 58): 75}
        )
        assert one.held(CANDLES).wait_s <= 3
        client.hdel("tl:budget:test:weight", str(now - 58))
        client.delete("tl:budget:test:weight:sums")
        assert one.budget.take(CANDLES).weight_1m == 2
        assert client.hlen("tl:budget:test:weight") <= 2


def test_the_sums_are_those_of_the_counts(one: Host, other: Host, redis_url: str) -> None:
    """They are added up once a second only: one that is too small lets requests leave that the exchange counts."""
    with redis.Redis.from_url(redis_url) as client:
        seconds = range(int(client.time()[0]) - 75, int(client.time()[0]))
        for key in ("weight", "orders:main"):
            client.hset(f"tl:budget:test:{key}", mapping={str(second): 1 for second in seconds})
        wide = RateLimits(weight_1m=10**6, orders_10s=10**6, orders_1m=10**6)
        one.budget._limits = other.budget._limits = wide
        told, steps = Told(weight_1m=200, orders_10s=40, orders_1m=130), random.Random(7)
        for step in range(150):
            here = steps.choice((one, other))
            used = here.budget.take(steps.choice((CANDLES, ORDER, EXIT, CANCEL)))
            if step % 30 == 29:
                here.budget.correct(told, used)
            if step % 40 == 39:  # an older release knows nothing of sums
                client.hincrby("tl:budget:test:weight", str(client.time()[0]), 3)
            now = int(client.time()[0])
            used, found = here.budget.take(ORDER), counted(client, now)
            assert used == found or int(client.time()[0]) != now, f"step {step}"


def test_sums_hold_for_one_second(one: Host, redis_url: str) -> None:
    """What leaves the window must make room, also while nothing is counted."""
    looking = Cost(Kind.CANCEL, 0)
    with redis.Redis.from_url(redis_url) as client:
        now = int(client.time()[0])
        client.hset("tl:budget:test:weight", mapping={str(second): 1 for second in range(now - 60, now)})
    before = one.budget.take(looking).weight_1m
    eventually(lambda: one.budget.take(looking).weight_1m < before, what="a second to leave the window")


def counted(client: redis.Redis, now: int) -> Used:
    """What the counts of single seconds add up to."""

    def within(key: str, seconds: int) -> int:
        counts = client.hgetall(f"tl:budget:test:{key}")
        return sum(int(count) for second, count in counts.items() if int(second) >= now - seconds)

    return Used(within("weight", 60), within("orders:main", 10), within("orders:main", 60))


def test_limits_that_the_exchange_published_hold(one: Host) -> None:
    """The configured number may be years old."""
    one.budget.learn(RateLimits(weight_1m=20, orders_10s=10**9, orders_1m=10**9))
    assert one.taken(CANDLES) == 7


# -------------------------------------------------------------------------------------------- what the exchange says


def test_the_exchanges_own_count_corrects_ours(one: Host, other: Host) -> None:
    """Another program on the same address uses the limit too, unseen but for the headers."""
    used = one.budget.take(CANDLES)
    one.budget.correct(Told(weight_1m=73), used)
    assert other.taken(CANDLES) == 1
    one.budget.correct(Told(weight_1m=10), used)
    assert other.taken(CANDLES) == 0, "a smaller count is a new minute of theirs, not room for us"


def test_an_order_knows_what_was_used_so_that_its_answer_corrects_nothing(
    one: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer tells the weight too. A correction for nothing stands between an order and its acknowledgement."""
    one.taken(CANDLES, 3)
    used = one.budget.take(ORDER)
    assert (used.weight_1m, used.orders_10s, used.orders_1m) == (3 * CANDLES.weight, 1, 1)
    monkeypatch.setattr(Line, "run", pytest.fail)
    one.budget.correct(Told(weight_1m=used.weight_1m, orders_10s=1, orders_1m=1), used)


def test_the_exchanges_count_of_orders_corrects_ours(one: Host, other: Host) -> None:
    """Orders of the same account may be sent by hand, or by another bot."""
    used = one.budget.take(ORDER)
    one.budget.correct(Told(orders_10s=8, orders_1m=12), used)
    assert other.taken(ORDER) == 1
    one.budget.correct(Told(orders_1m=36), used)
    assert "orders in" in str(other.held(ORDER))


def test_a_stop_is_for_everybody_and_everything(one: Host, other: Host) -> None:
    """After a 429 each further request brings the ban nearer, a cancellation too: it would be refused as well."""
    one.budget.stop(Stop(30.0, "the exchange answered 429 to GET /fapi/v1/klines"))
    for cost in (CANDLES, PRICE, ORDER, EXIT, CANCEL):
        assert 15 < other.held(cost).wait_s <= 30.2
        assert "429" in str(other.held(cost))
        assert other.budget.room(cost.kind) == 0
    assert [event["stopped"] for event in one.heard(EventName.RATE_LIMITED)] == ["everything"]


def test_a_stop_is_told_once_and_never_shortened(one: Host, other: Host) -> None:
    """Ten workers that run into it at once are one event, and the longest wait counts."""
    one.budget.stop(Stop(30.0, "429"))
    other.budget.stop(Stop(5.0, "429"))
    assert other.held(CANDLES).wait_s > 15
    assert not other.heard(EventName.RATE_LIMITED)


def test_a_ban_calls_somebody_once(one: Host, other: Host) -> None:
    """A person must hear of it: nothing can be closed while it lasts. Mostly a 429 has stopped us already."""
    one.budget.stop(Stop(150.0, "the exchange answered 429 to GET /fapi/v1/klines"))
    one.budget.stop(Stop(120.0, "the exchange answered 418 to GET /fapi/v1/klines", banned=True))
    other.budget.stop(Stop(120.0, "the exchange answered 418 to GET /fapi/v1/time", banned=True))
    (alert,) = one.heard(EventName.ALERT)
    assert "banned" in str(alert["what"])
    assert not other.events.all


def test_too_many_orders_stop_orders_alone(one: Host, other: Host) -> None:
    """The exchange counts them by account: looking and cancelling stay possible."""
    one.budget.stop(Stop(30.0, "the exchange answered 429 to POST /fapi/v1/order", orders_only=True))
    assert 15 < other.held(ORDER).wait_s <= 30.2
    other.budget.take(CANDLES)
    other.budget.take(CANCEL)


# ------------------------------------------------------------------------------------------------- Redis is away


def test_without_redis_only_what_takes_risk_away_leaves(start_redis: Callable[[], RedisServer]) -> None:
    """Nobody knows what was used: better no order than a ban; but a cancellation must not wait for a cache."""
    server = start_redis()
    here = host(server.url)
    here.budget.take(CANDLES)
    server.kill()
    for cost in (CANDLES, PRICE, Cost(Kind.ACCOUNT, 5), ORDER):
        assert "cannot be asked" in str(here.held(cost))
    for cost in (EXIT, CANCEL, Cost(Kind.FATE, 5)):
        here.budget.take(cost)
    assert here.budget.room(Kind.MARKET) == 0
    assert [event["answers"] for event in here.heard(EventName.RATE_BUDGET)] == [False], "said once"
    server.start()
    here.budget.take(CANDLES)
    assert [event["answers"] for event in here.heard(EventName.RATE_BUDGET)] == [False, True]


def test_what_the_exchange_told_this_process_holds_without_redis(
    start_redis: Callable[[], RedisServer],
) -> None:
    """A flushed or lost Redis is no permission to run into a ban."""
    server = start_redis()
    here = host(server.url)
    here.budget.stop(Stop(30.0, "429"))
    server.flush()
    assert here.held(CANCEL).wait_s > 15
    server.kill()
    assert here.held(CANCEL).wait_s > 15


def test_a_connection_that_redis_closed_meanwhile_holds_nothing_back(one: Host, redis_url: str) -> None:
    """Redis ends idle connections where it is told to, and may have forgotten the scripts."""
    one.budget.take(PRICE)
    with redis.Redis.from_url(redis_url) as client:
        client.client_kill_filter(_type="normal", skipme=True)
        client.script_flush()
    one.budget.take(PRICE)
    assert not one.events.all


def test_a_question_given_up_leaves_no_answer_to_the_next(one: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task ended at its time limit while it waits: the next request would be let go by another's answer."""
    one.budget.take(PRICE)

    def give_up(_connection: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("redis.Connection.read_response", give_up)
        with pytest.raises(KeyboardInterrupt):
            one.budget.take(CANDLES)
    assert one.budget.take(PRICE).weight_1m == 2 * PRICE.weight + CANDLES.weight


def test_neither_questions_at_one_time_nor_children_share_a_connection(
    one: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two on one connection would read the answers to each other's questions."""
    line = one.budget._line
    first, second = line._taken(), line._taken()
    line._idle.append(first)
    again = line._taken()
    line._idle.append(first)
    monkeypatch.setattr("pipeline.exchange.budget.line.os.getpid", lambda: -1)
    childs = line._taken()
    assert first is again
    assert len({first, second, childs}) == 3


def test_a_thread_that_has_ended_leaves_its_connection_to_the_next(one: Host, redis_url: str) -> None:
    """Candles are asked for in threads that come and go: one connection for each would be too many at last."""
    with redis.Redis.from_url(redis_url) as client:
        before = client.info("clients")["connected_clients"]
        for _ in range(20):
            thread = threading.Thread(target=one.budget.take, args=(PRICE,))
            thread.start()
            thread.join()
        assert client.info("clients")["connected_clients"] <= before + 1
    assert one.budget.take(PRICE).weight_1m == 21 * PRICE.weight


# ------------------------------------------------------------------------------- in front of the simulated exchange


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    simulator = Simulator("--seed", "7", "--weight-limit", "400", "--order-limit-10s", "40")
    yield simulator
    simulator.stop()


@pytest.fixture
def exchange(server: Simulator, redis_url: str) -> CcxtExchange:
    server.calm()
    return guarded(server.url, redis_url)


def guarded(url: str, redis_url: str) -> CcxtExchange:
    """The real adapter behind the real budget."""
    wire = WireOptions(api_key=SIM_KEY, api_secret=SIM_SECRET, base_url=url)
    budget = host(redis_url, RateLimits()).budget
    return connect(ExchangeOptions(account="test", mode=Mode.PAPER, wire=wire), SystemClock(), budget)


def test_the_exchange_is_never_asked_beyond_its_limit(
    server: Simulator, exchange: CcxtExchange, redis_url: str
) -> None:
    """Two processes that ask as fast as they can see no 429: they are held back here, with the time to wait."""
    other = guarded(server.url, redis_url)
    other.instruments()
    before = len(server.requests())
    held: list[ExchangeUnavailable] = []
    for _ in range(150):
        for process in (exchange, other):
            try:
                process.bars(BTC, "1m", process.now(), 2)
            except ExchangeUnavailable as problem:
                held.append(problem)
    statuses = {entry["status"] for entry in server.requests()[before:]}
    assert statuses == {200}
    assert held
    assert all(problem.retry_after_s and "held back" in str(problem) for problem in held)


def test_after_a_429_not_one_request_leaves_before_the_time_it_named(
    server: Simulator, exchange: CcxtExchange, redis_url: str
) -> None:
    """Not of this process, not of another, of no kind."""
    other = guarded(server.url, redis_url)
    exchange.instruments()
    other.instruments()
    server.fault("http_429", endpoint="/fapi/v1/klines", count=1, retry_after_s=1.5)
    before = len(server.requests())
    began = time.monotonic()
    with pytest.raises(ExchangeUnavailable, match="429"):
        exchange.bars(BTC, "1m", exchange.now(), 2)
    asked_again = quote_when_allowed(other)
    assert time.monotonic() - began > 1.5
    assert asked_again > 1, "it tried meanwhile, and was held back"
    assert len(server.requests()) - before <= 3, "the refused one, the quote, and perhaps the time"


def test_an_order_that_is_held_back_was_never_sent_and_says_when_to_try_again(
    server: Simulator, exchange: CcxtExchange
) -> None:
    """The router may try once more with the same permit: nothing reached the exchange."""
    face = Exchange(exchange, exchange, SystemClock())
    order, permit = face.order(face.intent())
    server.fault("http_429", endpoint="/fapi/v1/order", method="POST", count=1, retry_after_s=20)
    first = exchange.submit(order, permit)
    assert isinstance(first, Rejected)
    assert first.retry_after_s == 20
    sent = len(server.requests("/fapi/v1/order"))
    second = exchange.submit(replace(order, attempt=2), permit)
    assert isinstance(second, Rejected)
    assert second.retryable
    assert second.code == "NOT_SENT"
    assert 15 < (second.retry_after_s or 0) <= 20.2
    assert len(server.requests("/fapi/v1/order")) == sent


def test_an_exit_passes_where_an_entry_is_held_back(server: Simulator, exchange: CcxtExchange) -> None:
    """The order counts of the exchange are known from its headers, so the last ones are kept for exits."""
    face = Exchange(exchange, exchange, SystemClock())
    order, permit = face.order(face.intent())
    answers = [exchange.submit(replace(order, client_order_id=f"{n:032x}"), permit) for n in range(40)]  # type: ignore[arg-type]
    sent = [answer for answer in answers if isinstance(answer, Acknowledged)]
    assert len(sent) == 36
    assert isinstance(answers[-1], Rejected)
    assert answers[-1].code == "NOT_SENT"
    reducing = replace(order, client_order_id="f" * 32, reduce_only=True, side=order.side.opposite)  # type: ignore[arg-type]
    assert not (
        isinstance(answer := exchange.submit(reducing, permit), Rejected) and answer.code == "NOT_SENT"
    )


def quote_when_allowed(exchange: CcxtExchange) -> int:
    """How many times one had to ask for a price until it was told."""
    for count in range(1, 1000):
        try:
            exchange.quote(BTC)
        except ExchangeUnavailable as held:
            time.sleep(min(held.retry_after_s or 1, 0.2))
        else:
            return count
    raise AssertionError("it was never allowed")
