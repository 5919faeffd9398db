"""Four worker processes that ask for all they can, at half of the exchange's usual limit."""

from __future__ import annotations

from pipeline.domain.decisions import Decision
from pipeline.domain.outcomes import EndReason, Outcome
from tests.support.chain import ChainProcesses, chain_processes

LIMIT = 1200
SYMBOLS = 80
ROUNDS = 3
"""Each symbol weighs 6 in a round without candles: three times what candles may use of the limit."""


def test_four_worker_processes_under_load_cause_no_429() -> None:
    """Each would use the whole limit by itself; what is held back ends by saying so, and nothing is banned."""
    listed = ",".join(
        ["BTCUSDT", "ETHUSDT", *(f"SIM{number:03}USDT" for number in range(21, 21 + SYMBOLS - 2))]
    )
    options = ("--seed", "7", "--symbols", "120", "--weight-limit", str(LIMIT))
    with chain_processes(
        options, UNIVERSE_SYMBOLS=listed, CHAIN_DEADLINE_S="120", CHAIN_CADENCE_S="120"
    ) as chain:
        chain.start_worker("market", concurrency=4)
        ended = [each for _ in range(ROUNDS) for each in loaded_anew(chain)]
        requests = chain.simulator.requests()
        assert {entry["status"] for entry in requests} == {200}
        asked = [entry for entry in requests if entry["path"] == "/fapi/v1/klines"]
        assert LIMIT * 0.6 < 2 * len(asked) <= LIMIT * 0.75, "candles used what they may, and no more"
        held = [each for each in ended if each.outcome is Outcome.SKIPPED]
        assert held
        assert all("held back for" in each.detail for each in held)
        assert {each.reason for each in held} == {EndReason.INSUFFICIENT_DATA}


def loaded_anew(chain: ChainProcesses) -> list[Decision]:
    """A pass over every symbol, of which no candle is in the store."""
    here = chain.pipeline
    here.redis.delete(*here.redis.keys("tl:candles:*"), "tl:none")
    return chain.passes(here.universe().symbols)
