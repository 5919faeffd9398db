"""TLS to Redis and PostgreSQL, with certificates on both sides: what comes without them stays outside."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from config.loading import load
from pipeline.domain.errors import ConfigError
from pipeline.domain.ids import DecisionId
from pipeline.ledger.sql import SqlLedger
from tests.support.chain import ChainProcesses, chain_processes
from tests.support.processes import Started, free_port
from tests.support.servers import PostgresServer
from tests.support.tls import Certificates, TlsDoor, certificates
from tests.support.waiting import eventually

pytestmark = pytest.mark.xdist_group("tls")


@dataclass(frozen=True, slots=True)
class Behind:
    """A chain whose processes know Redis by its TLS address only."""

    chain: ChainProcesses
    papers: Certificates
    port: int

    def env(self, **more: str) -> dict[str, str]:
        cert, key = self.papers.of("client")
        told = {
            "URL": f"rediss://127.0.0.1:{self.port}/0",
            "TLS_CA": self.papers.ca,
            "TLS_CERT": cert,
            "TLS_KEY": key,
        }
        return {f"THROUGHLINE_REDIS_{name}": value for name, value in {**told, **more}.items()}


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def behind(papers: Certificates) -> Iterator[Behind]:
    with chain_processes(STRATEGIES_ENABLED="always_buys", FLOWER_PORT=str(free_port())) as chain:
        door = TlsDoor(chain.redis.port, papers.of("server"), papers.ca)
        here = Behind(chain, papers, door.port)
        chain.env.update(here.env())
        try:
            yield here
        finally:
            chain.stop()
            door.close()


def test_the_chain_runs_over_tls(behind: Behind) -> None:
    """Broker, candles, budget, pulses, the feed, the watchdog and Flower: none may know no TLS."""
    chain = behind.chain
    chain.start_workers()
    for name in ("feed", "watch", "flower"):
        command = [sys.executable, "-m", "console", name]
        chain.processes[name] = Started(name, command, chain.home / f"{name}.out", env=chain.env)
    assert chain.ended(asked_for(chain), timeout=60).outcome == "executed", chain.tail()
    with redis.Redis.from_url(chain.redis.url) as inside:
        eventually(lambda: inside.hlen("tl:pulses:paper-main") >= 4, 30, f"signs of life; {chain.tail()}")
        eventually(lambda: inside.exists("tl:feed:paper-binanceusdm:beat"), 30, f"the feed; {chain.tail()}")
        eventually(
            lambda: inside.pubsub_numpat() >= 2, 30, f"Flower to listen beside the worker; {chain.tail()}"
        )
    told = chain.run("doctor", code=None).output()
    assert "Redis does not answer" not in told


@pytest.mark.parametrize(
    "without", [{"TLS_CERT": "", "TLS_KEY": ""}, {"TLS_CA": ""}], ids=["no certificate", "unknown authority"]
)
def test_who_has_not_the_right_papers_stays_outside(behind: Behind, without: dict[str, str]) -> None:
    """Neither side talks to a stranger."""
    url = load(env={**behind.chain.env, **behind.env(**without)}).redis_url
    with redis.Redis.from_url(url) as client, pytest.raises(redis.ConnectionError):
        client.ping()


@pytest.mark.postgres
def test_the_ledger_is_reached_over_tls_and_only_where_the_name_fits(
    papers: Certificates, tmp_path: Path
) -> None:
    """`sslmode=verify-full` in ledger.url: encrypted, and the right server at the other end."""
    server = PostgresServer(tls=papers.of("server"))
    try:
        url = server.url(server.create_database())
        asked = f"sslmode=verify-full&sslrootcert={papers.ca}"
        ledger = SqlLedger(f"{url}?{asked}")
        ledger.migrate()
        with ledger.engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            assert raw.pgconn.ssl_in_use
        ledger.close()
        stranger = SqlLedger(f"{url}?{asked}".replace(papers.ca, papers.of("client")[0]))
        with pytest.raises(ConfigError, match="certificate verify failed"):
            stranger.migrate()
        stranger.close()
    finally:
        server.stop()


def asked_for(chain: ChainProcesses) -> DecisionId:
    """As a person asks for a pass, by the command and its own way to Redis."""
    return DecisionId(json.loads(chain.run("enqueue", "BTCUSDT", "--json").output())["decision_id"])
