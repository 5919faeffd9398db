"""What leaves, over which connection, and what is asked before."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Iterator

import pytest
from httptools import HttpParserError

from pipeline.exchange import transport
from pipeline.exchange.budget.costs import Cost
from pipeline.exchange.budget.gate import Gate
from pipeline.exchange.budget.ports import Held, Stop, Told, Unlimited, Used
from pipeline.exchange.connection import BrokenAnswer, Connection, NotSent
from pipeline.exchange.replies import Reply
from pipeline.exchange.transport import Transport

TIME = "https://fapi.binance.com/fapi/v1/time?x=1"
ORDER = "https://fapi.binance.com/fapi/v1/order"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Answered(Connection):
    """Its other end is played by the test, and says `answer` to every request."""

    def __init__(self, answer: bytes) -> None:
        ours, self.theirs = socket.socketpair()
        self._answer = answer
        self.waited_s: list[float] = []
        super().__init__(ours)

    def ask(self, request: bytes, timeout_s: float) -> Reply:
        self.waited_s.append(timeout_s)
        self.theirs.sendall(self._answer)
        return super().ask(request, timeout_s)

    def heard(self) -> str:
        """All that came over it."""
        self.theirs.settimeout(5)
        return self.theirs.recv(10_000).decode()


class Exchange:
    """Every connection that is opened is to it. Each has its answer; the last answer serves all others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: bytes) -> None:
        self.dialled: list[tuple[str, float]] = []
        self.connections: list[Answered] = []
        self._answers = answers or (ANSWER,)
        monkeypatch.setattr(transport, "connect", self._connect)

    def _connect(self, origin: str, timeout_s: float) -> Connection:
        self.dialled.append((origin, timeout_s))
        answer = self._answers[min(len(self.connections), len(self._answers) - 1)]
        self.connections.append(Answered(answer))
        return self.connections[-1]

    def heard(self, number: int = 0) -> str:
        return self.connections[number].heard()

    def close(self) -> None:
        for each in self.connections:
            each.theirs.close()


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exchange]:
    here = Exchange(monkeypatch)
    yield here
    here.close()


def test_an_order_leaves_in_one_piece_with_what_was_signed(exchange: Exchange) -> None:
    """Signed bytes that change on their way are refused."""
    Transport().send("POST", ORDER, {"X-MBX-APIKEY": "k"}, "symbol=BTCUSDT&signature=s")
    first, *headers = exchange.heard().splitlines()
    assert first == "POST /fapi/v1/order HTTP/1.1"
    assert headers[:3] == ["Host: fapi.binance.com", "X-MBX-APIKEY: k", "Content-Length: 26"]
    assert headers[-2:] == ["", "symbol=BTCUSDT&signature=s"]
    assert exchange.dialled == [("https://fapi.binance.com", 8.0)]


def test_what_was_signed_for_the_real_host_may_be_dialled_elsewhere(exchange: Exchange) -> None:
    """In mode paper not one request may reach the real exchange."""
    Transport("http://127.0.0.1:9999/").send("GET", TIME, {})
    assert exchange.dialled == [("http://127.0.0.1:9999", 8.0)]
    assert exchange.heard().startswith("GET /fapi/v1/time?x=1 HTTP/1.1\r\nHost: 127.0.0.1:9999\r\n")


def test_a_connection_is_kept_for_the_next_request(exchange: Exchange) -> None:
    """A TLS handshake for each order would cost more than the order."""
    sender = Transport()
    sender.send("GET", TIME, {})
    sender.send("POST", ORDER, {}, "a=b")
    assert len(exchange.dialled) == 1
    assert "POST" in exchange.heard()


def test_a_connection_that_the_exchange_has_closed_is_left_before_anything_is_sent(
    exchange: Exchange,
) -> None:
    """Found out afterwards, nobody could know whether the order was taken."""
    sender = Transport()
    sender.send("GET", TIME, {})
    exchange.close()
    sender.send("POST", ORDER, {}, "a=b")
    assert len(exchange.dialled) == 2
    assert "POST" in exchange.heard(1)


def test_an_order_that_no_answer_came_to_is_not_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second request would be a second position."""
    exchange = Exchange(
        monkeypatch, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n", ANSWER
    )
    sender = Transport(timeout_s=0.01)
    with pytest.raises(TimeoutError):
        sender.send("POST", ORDER, {}, "a=b")
    assert exchange.heard().count("POST") == len(exchange.dialled) == 1
    sender.send("GET", TIME, {})
    assert len(exchange.dialled) == 2, "and its connection carries no other request"
    exchange.close()


def test_a_forked_child_leaves_its_parents_connections(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes on one connection would read the answers to each other's orders."""
    sender = Transport()
    sender.send("GET", TIME, {})
    monkeypatch.setattr("pipeline.exchange.transport.os.getpid", lambda: -1)
    sender.send("GET", TIME, {})
    assert len(exchange.dialled) == 2


def test_prices_wait_less_long_than_orders(exchange: Exchange) -> None:
    """A late price is worth less than a free worker."""
    sender = Transport(timeout_s=8, public_timeout_s=3)
    sender.send("GET", TIME, {})
    exchange.close()
    sender.send("POST", ORDER, {}, "a=b")
    assert [timeout_s for _, timeout_s in exchange.dialled] == [3, 8]


def test_opening_a_connection_takes_from_the_time_of_its_request(exchange: Exchange) -> None:
    """Else a request takes twice as long as its sender is believed to be alive."""
    sender = Transport(timeout_s=8)
    sender.send("GET", TIME, {})
    (waited_s,) = exchange.connections[0].waited_s
    assert 7 < waited_s < 8


class Full(Unlimited):
    """A budget with nothing left."""

    def take(self, cost: Cost) -> Used:
        raise Held("used up", 7)


def test_what_the_budget_holds_back_reaches_no_connection(exchange: Exchange) -> None:
    """One request beyond the limit is one towards the ban."""
    with pytest.raises(Held):
        Transport(gate=Gate(Full())).send("GET", TIME, {})
    assert exchange.dialled == []


class Noted(Unlimited):
    """A budget that keeps what the exchange said."""

    def __init__(self) -> None:
        self.stops: list[Stop] = []
        self.told: list[Told] = []

    def stop(self, stop: Stop) -> None:
        self.stops.append(stop)

    def correct(self, told: Told, used: Used) -> None:
        self.told.append(told)


REFUSED = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nX-MBX-USED-WEIGHT-1M: 2500\r\n"
UNREADABLE = {
    "cut": b"Content-Length: 500\r\n\r\n{",
    "wrongly packed": b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    "followed by another": b"Content-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "no chunk": b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n",
}


@pytest.mark.parametrize("rest", UNREADABLE.values(), ids=list(UNREADABLE))
def test_an_answer_that_cannot_be_read_stops_us_as_a_whole_one_would(
    monkeypatch: pytest.MonkeyPatch, rest: bytes
) -> None:
    """Its head is the exchange's word: who goes on asking after a 429 is banned."""
    exchange = Exchange(monkeypatch, REFUSED + b"Content-Length: 0\r\n\r\n", REFUSED + rest)
    whole, broken = Noted(), Noted()
    Transport(gate=Gate(whole)).send("GET", TIME, {})
    with pytest.raises((TimeoutError, BrokenAnswer, HttpParserError, zlib.error)):
        Transport(gate=Gate(broken), timeout_s=0.1).send("GET", TIME, {})
    assert len(whole.stops) == 1
    assert broken.stops == whole.stops
    assert broken.told == whole.told == [Told(weight_1m=2500)]
    exchange.close()


def test_an_answer_that_never_began_says_nothing_of_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the answer before it said was heard already, and may be long over."""
    exchange = Exchange(monkeypatch, REFUSED + b"Content-Length: 0\r\n\r\n")
    budget = Noted()
    sender = Transport(gate=Gate(budget), timeout_s=0.01)
    sender.send("GET", TIME, {})
    exchange.connections[0]._answer = b""
    with pytest.raises(TimeoutError):
        sender.send("GET", TIME, {})
    assert len(exchange.connections) == len(budget.stops) == 1
    exchange.close()


@pytest.mark.parametrize(
    ("url", "headers"),
    [(TIME + "&a=b c", {}), (TIME + "\r\nX: y", {}), (TIME, {"X-MBX-APIKEY": "k\nHost: elsewhere"})],
)
def test_a_request_is_never_two(exchange: Exchange, url: str, headers: dict[str, str]) -> None:
    """A key pasted with its line end would begin another header, or another request."""
    with pytest.raises(NotSent):
        Transport().send("GET", url, headers)
    assert exchange.dialled == []


@pytest.mark.parametrize("address", ["127.0.0.1:8390", "ftp://x", "localhost"])
def test_an_address_without_a_scheme_is_refused_by_name(address: str) -> None:
    """Diverting to nowhere would be noticed much later."""
    with pytest.raises(ValueError, match="http://"):
        Transport(address)
