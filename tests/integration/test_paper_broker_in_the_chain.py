"""Mode paper with the broker: the same chain, real public prices (here the simulated exchange's), our own fills."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.domain.outcomes import EndReason
from tests.support.chain import ChainProcesses, chain_processes


@pytest.fixture(scope="module")
def chain() -> Iterator[ChainProcesses]:
    with chain_processes(PAPER_FILLS="broker", STRATEGIES_ENABLED="always_buys") as chain:
        chain.start_workers()
        yield chain


def test_a_decision_is_filled_by_the_broker_over_the_same_path(chain: ChainProcesses) -> None:
    """Permit, order, fills with fees, position; and the exchange itself never hears of it."""
    decision = chain.ended(chain.enqueue("BTCUSDT"))
    assert decision.reason is EndReason.FILLED
    trace = chain.trace(decision.decision_id)
    assert trace["mode"] == "paper"
    assert trace["permit"]["state"] == "used"
    assert all(float(fill["fee"]) > 0 for fill in trace["fills"])
    assert chain.placed() == []
    assert decision.account == "paper-main-broker"


def test_its_books_agree_with_the_ledger(chain: ChainProcesses) -> None:
    """Workers and this process share one paper account; reconciliation compares with it."""
    chain.ended(chain.enqueue("ETHUSDT"))
    assert chain.pipeline.safeguarding.reconcile() == []
    held = {holding.symbol for holding in chain.pipeline.exchange.holdings()}
    assert "ETH/USDT:USDT" in held
    assert chain.pipeline.refresh_equity().equity != 10_000
