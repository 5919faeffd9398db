from __future__ import annotations

import hashlib
import hmac
from decimal import Decimal

import pytest

from simulator.account import Account
from simulator.clock import SimClock, iso, parse_iso
from simulator.errors import ApiError
from simulator.limits import Limits
from simulator.options import Options
from simulator.params import Params
from simulator.signatures import check_signature, check_time, signing_account
from simulator.weights import CANDLES, by_limit, by_symbol

ACCOUNT = Account("key", b"secret", Decimal(1), Decimal(1), 0)


class Wall:
    """Real time that the test moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def sign(text: str) -> str:
    return hmac.new(b"secret", text.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize(("query", "body"), [("a=1&b=2", ""), ("", "a=1&b=2"), ("a=1", "b=2")])
def test_a_signature_over_query_and_body_is_accepted(query: str, body: str) -> None:
    """Clients put parameters in either place."""
    check_signature(ACCOUNT, f"{query}&signature={sign(query + body)}", body)


@pytest.mark.parametrize("signature", ["", "00", "ü", sign("a=2")])
def test_any_other_signature_is_refused(signature: str) -> None:
    """-1022 is what a wrong secret looks like."""
    with pytest.raises(ApiError, match=r"-1022|-1102"):
        check_signature(ACCOUNT, f"a=1&signature={signature}", "")


@pytest.mark.parametrize(("key", "code"), [(None, -2014), ("", -2014), ("ä", -2014), ("nobody", -2015)])
def test_an_unknown_key_is_told_apart_from_a_malformed_one(key: str | None, code: int) -> None:
    """Both are 401, and mean different mistakes."""
    with pytest.raises(ApiError) as caught:
        signing_account({"key": ACCOUNT}, key)
    assert (caught.value.code, caught.value.status) == (code, 401)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"timestamp": "94999"}, -1021),
        ({"timestamp": "95000"}, None),
        ({"timestamp": "100999"}, None),
        ({"timestamp": "101000"}, -1021),
        ({"timestamp": "41000", "recvWindow": "60000"}, None),
        ({"timestamp": "98999", "recvWindow": "1000"}, -1021),
        ({"timestamp": "100000", "recvWindow": "60001"}, -1131),
        ({"timestamp": "soon"}, -1130),
        ({}, -1102),
    ],
)
def test_the_receive_window_decides_which_requests_are_too_late(
    params: dict[str, str], code: int | None
) -> None:
    """A frozen worker's order must be refused: the pipeline's safety rests on it."""
    if code is None:
        check_time(Params(params), 100_000, 1.0)
    else:
        with pytest.raises(ApiError, match=f"^{code} "):
            check_time(Params(params), 100_000, 1.0)


def test_the_receive_window_grows_with_the_speed_of_the_clock() -> None:
    """At speed 60 a request that travels 10 ms is 600 ms old."""
    check_time(Params({"timestamp": "0"}), 60_000, 60.0)
    with pytest.raises(ApiError, match="-1021"):
        check_time(Params({"timestamp": "0"}), 60_000, 2.0)


def test_too_much_weight_is_answered_with_429_and_going_on_with_a_ban() -> None:
    """Peers ignore Retry-After and get banned: ours must be seen not to."""
    wall = Wall()
    limits = Limits(Options(weight_limit=100, ban_after=2, ban_s=30), wall)
    assert limits.charge("a", 60) == 60
    assert limits.charge("a", 40) == 100
    statuses = []
    for _ in range(3):
        with pytest.raises(ApiError) as caught:
            limits.charge("a", 1)
        statuses.append(caught.value.status)
        assert caught.value.retry_after_s
    assert statuses == [429, 429, 418]
    wall.now_s += 29
    with pytest.raises(ApiError, match="banned"):
        limits.charge("a", 1)
    assert limits.charge("b", 1) == 1
    wall.now_s += 40
    assert limits.charge("a", 1) == 1


def test_after_the_minute_the_weight_counts_anew() -> None:
    """Retry-After says the truth."""
    wall = Wall()
    limits = Limits(Options(weight_limit=10), wall)
    limits.charge("a", 10)
    with pytest.raises(ApiError) as caught:
        limits.charge("a", 1)
    wall.now_s += caught.value.retry_after_s or 0
    assert limits.charge("a", 1) == 1


def test_orders_are_counted_for_each_account() -> None:
    """300 orders in ten seconds, and the 301st is refused."""
    limits = Limits(Options(order_limit_10s=3), Wall())
    assert [limits.count_order("a") for _ in range(3)] == [(1, 1), (2, 2), (3, 3)]
    with pytest.raises(ApiError, match="-1015"):
        limits.count_order("a")
    assert limits.count_order("b") == (1, 1)


def test_weights_depend_on_what_is_asked() -> None:
    """As Binance weighs: more candles and 'all symbols' cost more."""
    candles = by_limit(CANDLES, 10)
    asked = ["1", "99", "100", "499", "500", "1000", "1001", "x", "-3"]
    assert [candles(Params({"limit": text})) for text in asked] == [1, 1, 2, 2, 5, 5, 10, 5, 5]
    assert candles(Params({})) == 5
    tickers = by_symbol(1, 40)
    assert (tickers(Params({"symbol": "BTCUSDT"})), tickers(Params({}))) == (1, 40)


@pytest.mark.parametrize("text", ["NaN", "inf", "-inf", "1e400", "abc", "0x10", "9" * 100, "1e30"])
def test_numbers_that_are_none_are_refused(text: str) -> None:
    """Rubbish ends at the door."""
    with pytest.raises(ApiError, match="-1130"):
        Params({"quantity": text}).decimal("quantity")


@pytest.mark.parametrize("text", ["1.5", "abc", "9" * 100, str(2**63)])
def test_whole_numbers_that_are_none_are_refused(text: str) -> None:
    """The same for ids and times."""
    with pytest.raises(ApiError, match="-1130"):
        Params({"orderId": text}).whole("orderId")


def test_the_clock_runs_at_its_speed_and_never_back() -> None:
    """Time that goes back would close candles twice."""
    wall = Wall()
    clock = SimClock(1_000_000, 60.0, wall)
    wall.now_s += 2
    assert clock.now_ms() == 1_120_000
    clock.set_speed(1.0)
    wall.now_s += 1
    assert clock.now_ms() == 1_121_000
    clock.advance(9)
    assert clock.now_ms() == 1_130_000
    clock.set_now(2_000_000)
    assert clock.now_ms() == 2_000_000
    with pytest.raises(ValueError, match="cannot go back"):
        clock.set_now(1_999_999)


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_a_speed_that_makes_no_sense_is_refused(speed: float) -> None:
    """A clock that stands still never closes a candle, and nobody would know why."""
    with pytest.raises(ValueError, match="speed"):
        SimClock(0, speed)


def test_times_are_read_with_and_without_a_zone() -> None:
    """--start takes what the recording's files contain."""
    at = parse_iso("2025-10-10T21:15:00Z")
    assert parse_iso("2025-10-10 21:15:00") == parse_iso("2025-10-10T23:15:00+02:00") == at
    assert iso(at) == "2025-10-10T21:15:00.000Z"
