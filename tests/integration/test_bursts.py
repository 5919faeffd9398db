"""Entries go first in a burst; whatever happens then, what they have filled gets its stop and target."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.chain import ChainProcesses, chain_processes
from tests.support.clients import trusted_client
from tests.support.waiting import eventually

SYMBOLS = (
    "BTCUSDT,ETHUSDT,SOLUSDT,XRPUSDT,ADAUSDT,DOGEUSDT,BNBUSDT,LINKUSDT,AVAXUSDT,DOTUSDT,LTCUSDT,NEARUSDT"
)
SETTINGS = {
    "UNIVERSE_SYMBOLS": SYMBOLS,
    "STRATEGIES_ENABLED": "always_buys",
    # Nobody else protects anything within these tests, and no entry brings its own stop because of the time.
    "CHAIN_PROTECT_EVERY_S": "600",
    "CHAIN_PROTECT_WITHIN_S": "300",
}


@pytest.fixture
def chain() -> Iterator[ChainProcesses]:
    with slow_chain(**SETTINGS) as chain:
        yield chain


@contextmanager
def slow_chain(**settings: str) -> Iterator[ChainProcesses]:
    """The exchange takes its time for each order, so that entries wait in line."""
    with chain_processes(**settings) as chain:
        chain.start_workers()
        chain.fault("latency", endpoint="/fapi/v1/order", method="POST", seconds=0.08)
        yield chain


def bare(chain: ChainProcesses) -> set[str]:
    """The symbols whose entry the exchange has accepted, and no stop."""
    placed = chain.placed()
    stopped = {each["symbol"] for each in placed if each["type"] == "STOP_MARKET"}
    return {each["symbol"] for each in placed if not each["reduce_only"]} - stopped


def await_burst(chain: ChainProcesses, at_least: int) -> set[str]:
    """The symbols that wait for their protection behind other entries."""
    for symbol in SYMBOLS.split(","):
        chain.enqueue(symbol)

    def several() -> set[str]:
        found = bare(chain)
        return found if len(found) >= at_least else set()

    return eventually(several, 20, "entries that come before the protection of others")


def test_what_a_burst_has_filled_is_protected_although_redis_has_died(chain: ChainProcesses) -> None:
    """No message, and no cycle that somebody asks for: only who has filled it can protect it now."""
    waiting = await_burst(chain, 3)
    chain.redis.kill()
    eventually(lambda: not waiting & bare(chain), 20, "every position to have its stop")


def test_a_worker_that_is_told_to_end_in_a_burst_protects_first_what_it_has_filled(
    chain: ChainProcesses,
) -> None:
    """An update of the program must not leave positions to luck for as long as it takes."""
    await_burst(chain, 8)
    chain.processes["orders"].stop()
    assert bare(chain) == set()


def test_what_a_killed_worker_has_filled_in_a_burst_is_protected_by_the_next_look() -> None:
    """Nobody else holds the answers of those orders: the exchange tells what it has filled."""
    with slow_chain(**SETTINGS | {"CHAIN_PROTECT_WITHIN_S": "0.6"}) as chain:
        await_burst(chain, 3)
        chain.processes["orders"].stop(signal.SIGKILL)
        left = bare(chain)
        assert left
        chain.start_worker("upkeep", "upkeep")
        with trusted_client("beat", chain.redis.url, chain.home) as celery:

            def looked() -> bool:
                celery.send_task("tasks.look_after", queue="upkeep", expires=1)
                return not left & bare(chain)

            eventually(looked, 20, "every position to have its stop")
