"""One connection, its other end played by the test: no network, and every byte as it would come."""

from __future__ import annotations

import gzip
import socket
from collections.abc import Iterator

import pytest
from httptools import HttpParserError

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
