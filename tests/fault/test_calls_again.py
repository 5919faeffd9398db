"""Bare calls of the fetch task, as Flower and `celery call` make them: pushed again, old, without an age."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
import redis

from pipeline.domain.decisions import Decision, Origin
from pipeline.domain.outcomes import EndReason, Outcome
from pipeline.domain.timeframes import iso
from tasks.signing import sign
from tests.support.chain import ChainProcesses, chain_processes
from tests.support.clients import message_key_of, trusted_client
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def chain() -> Iterator[ChainProcesses]:
    """One chain for this file: each test has a symbol of its own."""
    with chain_processes(STRATEGIES_ENABLED="always_buys") as chain:
        chain.start_workers()
        yield chain


@pytest.fixture(scope="module")
def call(chain: ChainProcesses) -> dict[str, Any]:
    """A bare call as it lies in Redis; nobody takes it, for it is in a queue of no worker."""
    with trusted_client("caller", chain.redis.url, chain.home) as client:
        client.send_task("tasks.fetch", args=["BTCUSDT"], queue="nobody's")
    with redis.Redis.from_url(chain.redis.url) as server:
        (raw,) = server.lrange("nobody's", 0, -1)
    made: dict[str, Any] = json.loads(raw)
    return made


def push(
    chain: ChainProcesses, call: dict[str, Any], symbol: str, times: int = 1, **told: str | None
) -> None:
    """A copy of the call for a symbol, signed as ours sign; then wait until all of them were worked on."""
    made = json.loads(json.dumps(call))
    body, task_id = json.dumps([[symbol], {}, {}]), uuid4().hex
    made["properties"].update(body_encoding="utf-8", correlation_id=task_id)
    made["properties"]["delivery_info"]["routing_key"] = "fetch"
    made.update(body=body, headers={**made["headers"], "id": task_id, **told})
    made["headers"]["headers"] = {**made["headers"]["headers"], **told}
    sign(made, message_key_of(chain.home))
    with redis.Redis.from_url(chain.redis.url) as server:
        server.lpush("fetch", *[json.dumps(made)] * times)
    chain.ended(chain.enqueue("ADAUSDT"), 60)  # behind them, in the same queue


def calls_of(chain: ChainProcesses, symbol: str) -> list[Decision]:
    with chain.pipeline.ledger.read() as unit:
        found = unit.decisions.latest(symbol=chain.pipeline.canonical(symbol))
    return [each for each in found if each.origin is Origin.CALL]


def test_a_call_that_comes_four_times_is_one_decision(chain: ChainProcesses, call: dict[str, Any]) -> None:
    """The signature of a message that is pushed again is good; so is that of one that the broker delivers again."""
    push(chain, call, "ETHUSDT", times=3, id="one-call")
    (decision,) = calls_of(chain, "ETHUSDT")
    assert chain.ended(decision.decision_id, 60).outcome is Outcome.EXECUTED
    push(chain, call, "ETHUSDT", id="one-call")
    assert len(calls_of(chain, "ETHUSDT")) == 1
    assert (
        len([each for each in chain.placed() if each["symbol"] == "ETHUSDT" and not each["reduce_only"]]) == 1
    )


def test_a_call_of_an_hour_ago_starts_nothing_and_says_so(
    chain: ChainProcesses, call: dict[str, Any]
) -> None:
    """Whoever kept it would choose the moment of a pass."""
    then = chain.pipeline.clock.now() - timedelta(hours=1)
    push(chain, call, "SOLUSDT", published_at=iso(then))
    (decision,) = calls_of(chain, "SOLUSDT")
    assert chain.ended(decision.decision_id).reason is EndReason.NOT_STARTED
    assert decision.slot == then.replace(microsecond=0)


@pytest.mark.parametrize("told", [None, "", "yesterday", "2026-03-01T12:00:00"])
def test_a_call_without_an_age_is_dropped_by_name(
    chain: ChainProcesses, call: dict[str, Any], told: str | None
) -> None:
    """It may be any age, and could not be told from itself when it comes again."""
    before = len(refusals(chain))
    push(chain, call, "XRPUSDT", published_at=told)
    eventually(lambda: len(refusals(chain)) > before, what="its refusal")
    assert calls_of(chain, "XRPUSDT") == []


def refusals(chain: ChainProcesses) -> list[str]:
    return [line for line in chain.log_lines() if '"SECURITY"' in line and "does not say when" in line]
