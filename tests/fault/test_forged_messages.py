"""Whoever can write to Redis can push anything into the execute queue. It places no order and ends no
worker.
"""

from __future__ import annotations

import base64
import json
import os
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import psutil
import pytest
import redis

from pipeline.domain.decisions import Decision, Stage
from pipeline.domain.ids import DecisionId, task_id
from pipeline.domain.intents import Leg
from tasks.signing import sign
from tests.support.chain import ChainProcesses, chain_processes
from tests.support.clients import message_key_of
from tests.support.waiting import eventually

MANY = 10_000 if os.environ.get("TEST_LONG") else 400
LARGE = 300_000


@pytest.fixture(scope="module")
def chain() -> Iterator[ChainProcesses]:
    """A worker that executes, and decisions that it has executed already."""
    with chain_processes(STRATEGIES_ENABLED="always_buys") as chain:
        chain.start_workers()
        for symbol in ("BTCUSDT", "ETHUSDT"):
            chain.ended(chain.enqueue(symbol))
        yield chain


def envelope(name: object, arguments: object, told: dict[str, Any], **changes: Any) -> bytes:
    """A message as Celery writes it into Redis, with whatever is to be wrong about it."""
    body = json.dumps([arguments, {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    headers = {"lang": "py", "task": name, "id": "forged", "retries": 0, **told, "headers": told}
    message = {
        "body": base64.b64encode(body.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": {
            "delivery_tag": f"{random.random()}",
            "delivery_info": {"exchange": "", "routing_key": "execute"},
            "body_encoding": "base64",
            "delivery_mode": 2,
            "priority": 0,
        },
    }
    return json.dumps({**message, **changes}).encode()


def forgery(number: int, known: list[Decision]) -> bytes:
    """One of the kinds in turn: made by hand, tampered with, replayed, oversized, and no message at all."""
    decision = known[number % len(known)]
    theirs = {**decision.headers(), "id": task_id(decision.decision_id, Stage.EXECUTE)}
    stranger = {**theirs, "decision_id": f"dec_20260101_000000_{number:012x}"}
    kinds = [
        envelope("tasks.execute", [decision.symbol], theirs),
        envelope("tasks.execute", ["XRP/USDT:USDT"], theirs),
        envelope("tasks.execute", [decision.symbol], stranger),
        envelope("tasks.execute", [decision.symbol], {"id": f"by-hand-{number}"}),
        envelope("tasks.execute", [decision.symbol, "buy", "100"], theirs),
        envelope("tasks.execute", {"symbol": decision.symbol}, theirs),
        envelope("tasks.execute", ["x" * LARGE], stranger) if number % 15 == 6 else b"[" * 5000,
        envelope("tasks.execute", [decision.symbol], {**theirs, "decision_id": ["a", "list"]}),
        envelope("os.system", ["true"], theirs),
        envelope(None, [decision.symbol], theirs),
        envelope(
            "tasks.execute", [decision.symbol], theirs, **{"content-type": "application/x-python-serialize"}
        ),
        envelope("tasks.execute", [decision.symbol], theirs, headers=None),
        envelope("tasks.execute", [decision.symbol], theirs, body="not base64 !"),
        envelope("tasks.execute", [decision.symbol], theirs, properties={}),
        b"\xff\xfe not even text",
    ]
    return kinds[number % len(kinds)]


def signed(told: bytes, key: str) -> bytes:
    """As if its author had the key of our messages, where a signature can be put: the permit is what counts."""
    try:
        message = json.loads(told)
        sign(message, key)
    except (ValueError, KeyError, TypeError, RecursionError):
        return told
    return json.dumps(message).encode()


def test_forged_messages_place_no_order_and_end_no_worker(chain: ChainProcesses) -> None:
    """D2: execution has no other entrance than a permit in the ledger, and refuses the rest aloud; also what is signed
    as ours (every second one).
    """
    with chain.pipeline.ledger.read() as unit:
        known = list(unit.decisions.latest(limit=10))
    before, workers = passes(chain), processes_of(chain)
    key = message_key_of(chain.home)
    with redis.Redis.from_url(chain.redis.url) as client:
        for number in range(MANY):
            told = forgery(number, known)
            client.lpush("execute", told if number % 2 else signed(told, key))
        eventually(lambda: client.llen("execute") == 0, 300, f"the worker to take all; {chain.tail()}")
    after = chain.ended(chain.enqueue("SOLUSDT"), timeout=60)
    assert after.outcome == "executed", chain.tail()
    assert processes_of(chain) == workers
    assert passes(chain) == {**before, after.decision_id: "executed"}
    assert_each_pass_has_its_orders(chain)
    said = [line for line in chain.log_lines("worker-orders.jsonl") if '"SECURITY"' in line]
    assert len(said) >= MANY


def passes(chain: ChainProcesses) -> dict[DecisionId, str]:
    """What went through the chain, by its outcome; a position's exits do not."""
    with chain.pipeline.ledger.read() as unit:
        found = unit.decisions.latest(limit=1000)
    return {each.decision_id: each.outcome or "open" for each in found if not each.origin.is_exit}


def assert_each_pass_has_its_orders(chain: ChainProcesses) -> None:
    """One entry, one stop and one target for each pass, and not one order more on the exchange."""
    with chain.pipeline.ledger.read() as unit:
        orders = {order.client_order_id: order for order in unit.orders.latest(limit=1000)}
        openers = {each.decision_id: each.opener for each in unit.decisions.latest(limit=1000)}
    accepted = [orders[entry["client_order_id"]] for entry in chain.placed()]
    told = [(openers[order.decision_id] or order.decision_id, order.leg) for order in accepted]
    legs = (Leg.ENTRY, Leg.STOP, Leg.TARGET)
    assert sorted(told) == sorted((each, leg) for each in passes(chain) for leg in legs)


def processes_of(chain: ChainProcesses) -> set[int]:
    """The worker's processes: its children too must not have been replaced."""
    worker = psutil.Process(chain.processes["orders"].pid)
    return {worker.pid, *(child.pid for child in worker.children())}


TAMPERED = {
    "BTCUSDT": """UPDATE permits SET signature = replace(signature, substr(signature, 1, 4), '0000')
        WHERE decision_id = ?""",
    "ETHUSDT": """UPDATE stages SET output = replace(output, '"qty":"', '"qty":"1')
        WHERE decision_id = ? AND stage = 'evaluate'""",
}
"""The signature of one decision, the order of the other."""


def test_what_was_changed_in_the_ledger_places_no_order() -> None:
    """The signature, not the row, is what allows: who can write to the ledger still has no key."""
    with chain_processes(STRATEGIES_ENABLED="always_buys") as chain:
        chain.launch_worker("market")
        chain.launch_worker("judge", "validate")
        chain.await_workers("market", "judge")
        decisions = {symbol: chain.enqueue(symbol) for symbol in TAMPERED}
        for symbol, decision_id in decisions.items():
            eventually(lambda it=decision_id: _permitted(chain, it), 60, "the permit")  # type: ignore[misc]
            with closing(sqlite3.connect(chain.home / "ledger.sqlite3")) as connection, connection:
                assert connection.execute(TAMPERED[symbol], (decision_id,)).rowcount > 0
        chain.start_worker("executor", "execute")
        for decision_id in decisions.values():
            decision = chain.ended(decision_id)
            assert decision.reason == "PERMIT_INVALID", decision
        assert chain.placed() == []


def _permitted(chain: ChainProcesses, decision_id: DecisionId) -> Decimal | None:
    with chain.pipeline.ledger.read() as unit:
        permit = unit.permits.of(decision_id)
    return permit.reserved if permit else None
