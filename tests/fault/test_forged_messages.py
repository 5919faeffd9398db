"""Whoever can write to Redis can push anything into the execute queue. It places no order and ends no
worker.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
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
        eventually(lambda: client.llen("execute") == 0, 60, f"the worker to take all; {chain.tail()}")
    after = chain.ended(chain.enqueue("SOLUSDT"), timeout=60)
    assert after.outcome == "executed", (after, chain.tail())
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
    """The workers' processes: their children too must not have been replaced."""
    workers = [psutil.Process(chain.processes[name].pid) for name in ("market", "orders")]
    return {each.pid for worker in workers for each in (worker, *worker.children())}


class Trap:
    """Whoever unpickles it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


CALLS: dict[str, tuple[str, list[object]]] = {
    "fetch": ("tasks.fetch", ["BTC/USDT:USDT"]),
    "evaluate": ("tasks.evaluate", ["BTC/USDT:USDT"]),
    "validate": ("tasks.validate", ["BTC/USDT:USDT"]),
    "upkeep": ("tasks.reconcile", []),
}
"""A call in each queue that would do something if it came from one of ours."""


def stranger(kind: int, queue: str, trap: Path, key: str) -> bytes:
    """One of five kinds: unsigned, forged, oversized, pickled, unknown; the last two also signed with our own key."""
    task, arguments = CALLS[queue]
    told = {"id": f"stranger-{random.random()}"}
    place = {"delivery_info": {"exchange": "", "routing_key": queue}, "delivery_tag": f"{random.random()}"}
    properties = {"properties": {**place, "body_encoding": "base64", "delivery_mode": 2, "priority": 0}}
    pickled = base64.b64encode(pickle.dumps(((Trap(trap),), {}, {}))).decode()
    binary = {"content-type": "application/x-python-serialize", "content-encoding": "binary", "body": pickled}
    makers: list[Callable[[], bytes]] = [
        lambda: envelope(task, arguments, told, **properties),
        lambda: signed(envelope(task, arguments, told, **properties), "a" * 64),
        lambda: envelope(task, ["x" * LARGE], told, **properties),
        lambda: signed(envelope(task, [], told, **properties, **binary), key),
        lambda: signed(envelope("os.system", ["true"], told, **properties), key),
    ]
    return makers[kind]()


def test_strangers_run_nothing_in_any_queue(chain: ChainProcesses, tmp_path: Path) -> None:
    """Fetch and upkeep are queues as well: whoever asks for passes, or for a reconciliation, must be one of ours."""
    before, workers, reconciled = passes(chain), processes_of(chain), reconciled_at(chain)
    key, trap = message_key_of(chain.home), tmp_path / "trap"
    told = len(dropped(chain))
    sent = MANY
    with redis.Redis.from_url(chain.redis.url) as client:
        for number in range(sent):
            queue, kind = list(CALLS)[number % len(CALLS)], number // len(CALLS) % 5
            if kind == 2 and number // 20 % 10:  # a tenth of the large ones: 300 kB each
                kind = 0
            client.lpush(queue, stranger(kind, queue, trap, key))
        eventually(lambda: not any(map(client.llen, CALLS)), 60, f"the workers to take all; {chain.tail()}")
        after = chain.ended(chain.enqueue("XRPUSDT"), timeout=60)
    assert passes(chain) == {**before, after.decision_id: after.outcome}
    assert reconciled_at(chain) == reconciled
    assert not trap.exists()
    assert processes_of(chain) == workers
    assert len(dropped(chain)) - told >= sent


def dropped(chain: ChainProcesses) -> list[str]:
    """What the workers have told of strangers."""
    names = ("worker-market.jsonl", "worker-orders.jsonl")
    return [line for name in names for line in chain.log_lines(name) if '"SECURITY"' in line]


def reconciled_at(chain: ChainProcesses) -> object:
    """When ledger and exchange were compared last: nobody asks for it here."""
    with closing(sqlite3.connect(chain.home / "ledger.sqlite3")) as connection:
        return connection.execute("SELECT * FROM reconciliations").fetchall()


TAMPERED = {
    "BTCUSDT": """UPDATE permits SET signature = replace(signature, substr(signature, 1, 4), '0000')
        WHERE decision_id = ?""",
    "ETHUSDT": """UPDATE stages SET output = replace(output, '"qty":"', '"qty":"1')
        WHERE decision_id = ? AND stage = 'evaluate'""",
}
"""The signature of one decision, the order of the other."""

AGELESS = {"GOVERNOR_PERMIT_TTL_S": "600", "CHAIN_DEADLINE_S": "600", "CHAIN_CADENCE_S": "600"}
"""Nothing is too old to be sent, however long the executor takes to start: what stops an order here is a signature."""


def test_what_was_changed_in_the_ledger_places_no_order() -> None:
    """The signature, not the row, is what allows: who can write to the ledger still has no key."""
    with chain_processes(STRATEGIES_ENABLED="always_buys", **AGELESS) as chain:
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
