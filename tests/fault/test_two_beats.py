"""Two beats: one leads; killed, frozen or stopped, the other takes over, and no slot is doubled."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from pipeline.domain.decisions import Decision
from pipeline.domain.timeframes import SystemClock
from tests.support.chain import ChainProcesses, chain_processes
from tests.support.processes import Started
from tests.support.waiting import eventually

pytestmark = pytest.mark.fault

CADENCE_S = 2
LEASE_S = 3
PATIENCE_S = CADENCE_S + 10
"""What is promised: within a cadence and ten seconds."""


@pytest.fixture(scope="module")
def chain() -> Iterator[ChainProcesses]:
    """Without workers: what counts here is what beat opens."""
    settings = {"CHAIN_CADENCE_S": str(CADENCE_S), "CHAIN_BEAT_LEASE_S": str(LEASE_S)}
    with chain_processes(UNIVERSE_SYMBOLS="BTCUSDT,ETHUSDT,SOLUSDT", **settings) as chain:
        yield chain


def told(chain: ChainProcesses, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in chain.log_lines("beat.jsonl")]
    return [line for line in lines if line["event"] == event]


def said(chain: ChainProcesses, event: str, beat: Started) -> list[dict[str, Any]]:
    return [line for line in told(chain, event) if line["pid"] == beat.pid]


def decisions(chain: ChainProcesses) -> list[Decision]:
    with chain.pipeline.ledger.read() as unit:
        return list(unit.decisions.latest(limit=1000))


def opened_after(chain: ChainProcesses, since: datetime) -> datetime | None:
    """When the first decision after `since` was opened."""
    return min((each.enqueued_at for each in decisions(chain) if each.enqueued_at > since), default=None)


@pytest.fixture
def pair(chain: ChainProcesses) -> Iterator[tuple[Started, Started]]:
    """The leading one, and the one that stands by; neither of them outlives the test, frozen or not."""
    one, two = chain.start_beat("beat-one"), chain.start_beat("beat-two")
    try:
        eventually(lambda: any(said(chain, "BEAT_LEADS", each) for each in (one, two)), 40, "one to lead")
        leading, waiting = (one, two) if said(chain, "BEAT_LEADS", one) else (two, one)
        eventually(lambda: stands_by_for(chain, waiting, leading), 40, "the other to stand by")
        yield leading, waiting
    finally:
        for beat in (one, two):
            beat.stop(signal.SIGKILL)


def stands_by_for(chain: ChainProcesses, waiting: Started, leading: Started) -> bool:
    """Whether it has seen that one lead, not only the dead one of the test before."""
    return any(line["holder"].endswith(f"/{leading.pid}") for line in said(chain, "BEAT_STANDS_BY", waiting))


def fired_late(chain: ChainProcesses, cadence: timedelta = timedelta(seconds=CADENCE_S)) -> list[Decision]:
    """Slots that were over when a beat took the lead, and that it opened all the same."""
    taken = [datetime.fromisoformat(line["time"]) for line in told(chain, "BEAT_LEADS")]
    return [
        each
        for each in decisions(chain)
        if any(each.slot <= at - cadence < at < each.enqueued_at for at in taken)
    ]


ENDS = {"killed": signal.SIGKILL, "frozen": signal.SIGSTOP, "stopped": signal.SIGTERM}


@pytest.mark.parametrize("how", ENDS)
def test_when_the_leading_beat_is_gone_the_other_fires_within_a_cadence_and_ten_seconds(
    chain: ChainProcesses, pair: tuple[Started, Started], how: str
) -> None:
    """A1: and both together open no slot twice, also when the frozen one thaws."""
    leading, waiting = pair
    eventually(lambda: opened_after(chain, SystemClock().now() - timedelta(seconds=3)), 20, "slots")
    at = SystemClock().now()
    leading.send(ENDS[how])
    eventually(lambda: said(chain, "BEAT_LEADS", waiting), 30, f"the other to lead; {chain.tail()}")
    took_over_at = SystemClock().now()
    fired_at = eventually(lambda: opened_after(chain, took_over_at), 30, "the other to fire")
    assert (fired_at - at).total_seconds() < PATIENCE_S
    if how == "frozen":
        stood_by = len(said(chain, "BEAT_STANDS_BY", leading))
        leading.send(signal.SIGCONT)
        eventually(
            lambda: len(said(chain, "BEAT_STANDS_BY", leading)) > stood_by, 20, "the thawed one to stand by"
        )
    slots = Counter((each.symbol, each.slot) for each in decisions(chain))
    assert max(slots.values()) == 1
    assert fired_late(chain) == []
