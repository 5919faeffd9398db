"""One connection, its other end played by the test: no network, and every byte as it would come."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator

import pytest
from httptools import HttpParserError

from pipeline.exchange import connection
from pipeline.exchange.connection import BrokenAnswer, Connection, NotSent, connect

ASKED = b"GET / HTTP/1.1\r\n\r\n"


@pytest.fixture
def ends() -> Iterator[tuple[Connection, socket.socket]]:
    """Our end, and the exchange's."""
    ours, theirs = socket.socketpair()
    connection = Connection(ours)
    yield connection, theirs
    connection.close()
    theirs.close()


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", *lines, "", "")).encode()


TWO = head("Content-Length: 2") + b"{}"

WHOLE = {
    "a length": (head("Content-Length: 8", "X-Told: 1") + b'{"a": 1}', True),
    "in pieces": (head("Transfer-Encoding: chunked") + b'3\r\n{"a\r\n5\r\n": 1}\r\n0\r\n\r\n', True),
    "announced": (head(status="100 Continue") + head("Content-Length: 8") + b'{"a": 1}', True),
    "the last one": (head("Content-Length: 8", "Connection: close") + b'{"a": 1}', False),
    "no length": (head() + b'{"a": 1}', False),
    "packed": (
        head("Content-Encoding: gzip", "Transfer-Encoding: chunked")
        + b"%x\r\n%s\r\n0\r\n\r\n" % (len(gzip.compress(b'{"a": 1}')), gzip.compress(b'{"a": 1}')),
        True,
    ),
}


@pytest.mark.parametrize("name", WHOLE)
def test_an_answer_is_read_however_it_says_where_it_ends(
    ends: tuple[Connection, socket.socket], name: str
) -> None:
    """A connection that is kept one byte too early gives the rest of this answer to the next order."""
    (ours, theirs), (answer, kept) = ends, WHOLE[name]
    theirs.sendall(answer)
    if not kept:
        theirs.shutdown(socket.SHUT_WR)
    reply = ours.ask(ASKED, 5)
    assert (reply.status, reply.data, ours.reusable) == (200, {"a": 1}, kept)
    assert theirs.recv(1000) == ASKED


BROKEN = {
    "nothing": b"",
    "half a head": head()[:-2],
    "announced only": head(status="100 Continue"),
    "less than promised": head("Content-Length: 9") + b'{"a": 1}',
    "a missing piece": head("Transfer-Encoding: chunked") + b"3\r\n{}",
    "two answers": TWO + TWO,
    "no answer at all": b"SSH-2.0-OpenSSH\r\n\r\n",
    "a packed body that is cut": head("Content-Encoding: gzip", "Content-Length: 20")
    + gzip.compress(ASKED)[:20],
    "two lengths": head("Content-Length: 2", "Content-Length: 3") + b"{}",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_whole_answer_is_none(ends: tuple[Connection, socket.socket], name: str) -> None:
    """Half an answer to an order proves nothing, and its connection carries no other."""
    ours, theirs = ends
    theirs.sendall(BROKEN[name])
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises((BrokenAnswer, HttpParserError)):
        ours.ask(ASKED, 5)
    assert not ours.reusable


def test_a_connection_whose_answer_is_still_to_come_is_not_used_again(
    ends: tuple[Connection, socket.socket],
) -> None:
    """The late answer to this order would be read as the answer to the next."""
    ours, _ = ends
    with pytest.raises(TimeoutError):
        ours.ask(ASKED, 0.01)
    assert not ours.reusable


def test_an_answer_that_trickles_is_given_up_when_its_time_is_over(
    ends: tuple[Connection, socket.socket],
) -> None:
    """A byte now and then would hold a worker for as long as the other end likes."""
    (ours, theirs), over = ends, threading.Event()

    def trickle() -> None:
        for byte in head("Content-Length: 300") + b" " * 300:
            if over.wait(0.03):
                return
            theirs.sendall(bytes((byte,)))

    exchange = threading.Thread(target=trickle)
    exchange.start()
    with pytest.raises(TimeoutError):
        ours.ask(ASKED, 0.3)
    over.set()
    exchange.join()
    assert not ours.reusable


def test_what_has_no_time_left_does_not_leave(ends: tuple[Connection, socket.socket]) -> None:
    """An order whose answer nobody will wait for is better not sent: that is a definite no."""
    ours, theirs = ends
    with pytest.raises(NotSent):
        ours.ask(ASKED, 0)
    theirs.setblocking(False)  # noqa: FBT003 -- socket's own signature
    with pytest.raises(BlockingIOError):
        theirs.recv(1)
    assert ours.reusable


LITTLE = 5000
PACK = gzip.compress(b" " * 5 * LITTLE)
ENDLESS = {
    "a long body": head(f"Content-Length: {5 * LITTLE}") + b" " * 5 * LITTLE,
    "pieces without end": head("Transfer-Encoding: chunked") + b"1\r\n \r\n" * LITTLE,
    "headers without end": head()[:-2] + b"X-Told: 1\r\n" * LITTLE,
    "much in a small pack": head("Content-Encoding: gzip", f"Content-Length: {len(PACK)}") + PACK,
}


@pytest.mark.parametrize("name", ENDLESS)
def test_an_answer_that_is_too_large_is_refused(
    ends: tuple[Connection, socket.socket], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """One answer must not take the memory of all that the worker does beside it."""
    monkeypatch.setattr(connection, "MOST_BYTES", LITTLE)
    ours, theirs = ends
    theirs.sendall(ENDLESS[name])
    with pytest.raises(BrokenAnswer, match="larger than"):
        ours.ask(ASKED, 5)


def test_each_answer_may_be_as_large_as_the_one_before(
    ends: tuple[Connection, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection is kept for days: all its answers together are no answer."""
    monkeypatch.setattr(connection, "MOST_BYTES", len(TWO))
    ours, theirs = ends
    for _ in range(3):
        theirs.sendall(TWO)
        assert ours.ask(ASKED, 5).data == {}


def test_the_largest_answers_that_are_true_are_read(ends: tuple[Connection, socket.socket]) -> None:
    """Without the list of instruments nothing is traded."""
    ours, theirs = ends
    listed = gzip.compress(b" " * 16 * 2**20)
    theirs.sendall(head("Content-Encoding: gzip", f"Content-Length: {len(listed)}") + listed)
    assert len(ours.ask(ASKED, 20).body) == 16 * 2**20


@pytest.mark.parametrize("said", [b"", TWO], ids=["closed", "an answer nobody asked for"])
def test_a_kept_connection_on_which_something_came_is_not_quiet(
    ends: tuple[Connection, socket.socket], said: bytes
) -> None:
    """The exchange ends connections when it likes; an order sent into one is lost."""
    ours, theirs = ends
    assert ours.is_quiet
    theirs.sendall(said) if said else theirs.close()
    assert not ours.is_quiet


def test_one_connection_carries_one_request_after_another(ends: tuple[Connection, socket.socket]) -> None:
    """What the first answer said is nothing of the second's."""
    ours, theirs = ends
    theirs.sendall(head("Content-Length: 2", "X-Told: 1") + b"{}")
    assert ours.ask(ASKED, 5).headers == {"content-length": "2", "x-told": "1"}
    assert ours.is_quiet
    theirs.sendall(head("Content-Length: 2", status="503 Service Unavailable") + b"[]")
    second = ours.ask(ASKED, 5)
    assert (second.status, second.data, second.headers) == (503, [], {"content-length": "2"})


def test_what_nobody_listens_on_was_never_sent() -> None:
    """The only failure of the network that is a definite no."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(NotSent, match="cannot be reached"):
            connect(f"http://127.0.0.1:{taken.getsockname()[1]}", 5)


def test_all_addresses_of_a_host_are_tried_in_the_time_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exchange has many: when it is away, each would take the whole time; when one of them is, another may work."""
    silent = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{n}", 443)) for n in range(1, 5)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: silent)
    tried: list[tuple[str, float]] = []

    def no_answer(address: tuple[str, int], timeout_s: float) -> socket.socket:
        tried.append((address[0], timeout_s))
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", no_answer)
    with pytest.raises(NotSent, match="timed out"):
        connect("https://fapi.binance.com", 8)
    assert [host for host, _ in tried] == ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]
    assert 1.9 < tried[0][1] <= 2
    assert tried[-1][1] > 7, "the others have left it theirs"


def test_tls_has_what_opening_the_connection_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who lets us in and then says nothing holds us no longer than who lets nobody in."""

    class Slow:
        def wrap_socket(self, opened: socket.socket, server_hostname: str) -> socket.socket:
            raise TimeoutError(f"{server_hostname} said nothing for {opened.gettimeout()} s")

    monkeypatch.setattr(connection, "_trust", Slow)
    monkeypatch.setattr(connection, "_left_s", lambda _: 3.0)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        opened = socket.create_connection(mute.getsockname(), 8)
        monkeypatch.setattr(connection, "_opened", lambda *_: opened)
        with pytest.raises(NotSent, match=r"nothing for 3.0 s"):
            connect("https://127.0.0.1", 8)
    assert opened.fileno() == -1, "the connection is closed"
