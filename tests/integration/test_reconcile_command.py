"""`throughline reconcile` on a real ledger and the simulated exchange: repaired, left alone, escalated."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest

from pipeline.domain.intents import Leg
from pipeline.execution.postings import accepted
from tests.integration.simulator_clients import diverted
from tests.support.chain import ChainProcesses, chain_processes


@pytest.fixture
def chain() -> Iterator[ChainProcesses]:
    """An account with one position, opened by a decision."""
    with chain_processes(STRATEGIES_ENABLED="always_buys") as chain:
        chain.start_workers()
        assert chain.ended(chain.enqueue("BTCUSDT")).outcome == "executed"
        yield chain


def reconciled(chain: ChainProcesses, code: int) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(chain.run("reconcile", "--json", code=code).output())
    return told


def forget(chain: ChainProcesses, *tables: str) -> None:
    """As if the ledger had been restored from before."""
    with closing(sqlite3.connect(chain.home / "ledger.sqlite3")) as ledger, ledger:
        for table in tables:
            ledger.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names


def test_what_was_lost_is_adopted_and_what_is_somebody_elses_is_left(chain: ChainProcesses) -> None:
    """E6: each difference by name; ours is put right to the last digit, a stranger's order stays where it is."""
    assert reconciled(chain, code=0) == []
    with chain.pipeline.ledger.read() as unit:
        entries = [order for order in unit.orders.latest() if order.leg is Leg.ENTRY]
        (fill,) = [unit.fills.of(order.decision_id) for order in entries]
        position = unit.positions.open_of(chain.pipeline.account, "BTC/USDT:USDT")
    forget(chain, "fills", "positions", "order_steps", "orders")
    exchange = diverted(chain.simulator.url, apiKey="sim-key", secret="sim-secret")
    price = exchange.fetch_ticker("ETH/USDT:USDT")["last"] * 0.97
    theirs = exchange.create_order("ETH/USDT:USDT", "limit", "buy", 0.1, price)
    found = reconciled(chain, code=0)
    assert sorted(each["remedy"] for each in found) == ["adopted", "adopted", "adopted", "left"]
    with chain.pipeline.ledger.read() as unit:
        legs = [each.leg for each in unit.orders.latest()]
        (order,) = [each for each in unit.orders.latest() if each.leg is Leg.ENTRY]
        assert [each.trade_id for each in unit.fills.of_order(order.client_order_id)] == [
            each.trade_id for each in fill
        ]
        adopted = unit.positions.open_of(chain.pipeline.account, "BTC/USDT:USDT")
    assert adopted is not None
    assert position is not None
    assert (adopted.qty, adopted.entry_price, adopted.fees) == (
        position.qty,
        position.entry_price,
        position.fees,
    )
    assert sorted(legs) == ["entry", "stop", "target"]
    assert exchange.fetch_open_orders("ETH/USDT:USDT")[0]["id"] == theirs["id"]
    exchange.create_order("SOL/USDT:USDT", "market", "buy", 1)
    found = [each for each in reconciled(chain, code=1) if each["symbol"] == "SOL/USDT:USDT"]
    assert [each["remedy"] for each in found] == ["left", "escalated"]
    exchange.session.close()


def test_what_the_wallet_lacks_blocks_until_somebody_accepts_it(chain: ChainProcesses) -> None:
    """E6: balances. The exchange says nothing about it: a person must."""
    pipeline = chain.pipeline
    with pipeline.ledger.begin() as unit:
        told = unit.equity.latest(pipeline.account)
        assert told is not None
        unit.journal.post(accepted(told, "USDT", Decimal("-3.5"), "money that was never there"))
    (found,) = reconciled(chain, code=1)
    assert (found["subject"], found["remedy"]) == ("balance", "escalated")
    assert "3.5 is not explained" in found["what"]
    assert (
        json.loads(chain.run("reconcile", "--accept-balance", "my own withdrawal", "--json").output()) == []
    )
    assert reconciled(chain, code=0) == []
