"""The first load of a universe that is larger than a minute's rate budget."""

from __future__ import annotations

import json

from tests.support.chain import ChainProcesses, chain_processes
from tests.support.feed import FeedProcesses
from tests.support.waiting import eventually

LISTED = ("BTCUSDT", "ETHUSDT", *(f"SIM0{number}USDT" for number in range(21, 61)))


def test_a_first_load_leaves_half_of_the_limit_to_decisions() -> None:
    """A large universe is loaded over minutes; the price that an order waits for is told meanwhile."""
    options = ("--seed", "7", "--symbols", "60", "--weight-limit", "400")
    with chain_processes(options, UNIVERSE_SYMBOLS=",".join(LISTED)) as chain:
        world = FeedProcesses(chain)
        world.start()
        told = eventually(lambda: progress(chain, 2), 40, f"two lines of progress; {chain.tail()}")
        assert {event["symbols"] for event in told} == {len(LISTED)}
        assert 0 < int(str(told[-1]["missing"])) < len(LISTED)
        assert world.kline_requests() * 2 <= 200, "each weighs 2, and half of 400 is for loading"
        assert {entry["status"] for entry in chain.simulator.requests()} == {200}
        assert chain.pipeline.exchange.quote("BTC/USDT:USDT").bid > 0


def progress(chain: ChainProcesses, count: int) -> list[dict[str, object]] | None:
    """What the feed said about its first load, once it has said so much."""
    lines = [json.loads(line) for line in chain.log_lines() if '"FEED_LOAD"' in line]
    return lines if len(lines) >= count else None
