"""HTTPS to the exchange: only a certificate that is believed, and fits the name, hears of an order."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.exchange import connection
from pipeline.exchange.connection import NotSent
from pipeline.exchange.transport import Transport
from tests.support.raw_http import Raw, RawServer
from tests.support.tls import Certificates, TlsDoor, certificates

PATH = "https://fapi.binance.com/fapi/v1/order"


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def server() -> Iterator[RawServer]:
    server = RawServer()
    server.answer = Raw(200, "{}")
    yield server
    server.stop()


@pytest.fixture
def door(server: RawServer, papers: Certificates) -> Iterator[TlsDoor]:
    door = TlsDoor(int(server.url.rpartition(":")[2]), papers.of("server"))
    yield door
    door.close()


@pytest.fixture
def believed(papers: Certificates, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Our authority in place of the world's."""
    monkeypatch.setattr("pipeline.exchange.connection.certifi.where", lambda: papers.ca)
    connection._trust.cache_clear()
    yield
    connection._trust.cache_clear()


@pytest.mark.usefixtures("believed")
def test_a_believed_exchange_is_asked(server: RawServer, door: TlsDoor) -> None:
    """Else nothing could be traded at all."""
    assert Transport(f"https://127.0.0.1:{door.port}").send("POST", PATH, {}, "a=b").data == {}
    assert len(server.requests) == 1


def test_a_strangers_certificate_hears_of_nothing(server: RawServer, door: TlsDoor) -> None:
    """Whoever stands between us and the exchange could take the order, and the key's name."""
    with pytest.raises(NotSent, match="cannot be trusted"):
        Transport(f"https://127.0.0.1:{door.port}").send("POST", PATH, {}, "a=b")
    assert server.requests == []


@pytest.mark.usefixtures("believed")
def test_another_names_certificate_hears_of_nothing(server: RawServer, door: TlsDoor) -> None:
    """A certificate that somebody got for a name of his own proves nothing."""
    with pytest.raises(NotSent, match="cannot be trusted"):
        Transport(f"https://127.1:{door.port}").send("POST", PATH, {}, "a=b")
    assert server.requests == []
