"""The feed's accidents: its socket cut or mute, its process killed or frozen, bars spoilt on their way."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest

from pipeline.domain.decisions import Decision, Stage
from pipeline.domain.outcomes import EndReason
from pipeline.domain.timeframes import CandleRange, Timeframe
from pipeline.strategies.candles import Candles
from pipeline.strategies.window import Window
from tests.support.feed import SPEED, SYMBOLS, FeedProcesses, feed_processes
from tests.support.processes import Started
from tests.support.waiting import eventually

FAULT_S = 60.0 if os.environ.get("TEST_LONG") else 8.0


@pytest.fixture(scope="module")
def world() -> Iterator[FeedProcesses]:
    """A feed and a worker that judges each close."""
    with feed_processes(FEED_MUTE_AFTER_S="2") as running:
        running.chain.start_worker("market")
        running.start()
        running.complete()
        yield running


@pytest.mark.parametrize(
    "fault",
    [{"kind": "drop_socket"}, {"kind": "mute_socket", "seconds": FAULT_S}],
    ids=["cut", "mute"],
)
def test_no_decision_sees_a_wrong_or_stale_bar_while_the_socket_is_gone(
    world: FeedProcesses, fault: dict[str, object]
) -> None:
    """Over REST the bars come as well; the store is complete again soon after the fault's end."""
    world.complete()
    began = world.now_ms()
    world.chain.fault(**fault)  # type: ignore[arg-type]  # a kind and its fields
    eventually(lambda: world.now_ms() > began + FAULT_S * SPEED * 1000, FAULT_S + 60, "the fault to last")
    world.chain.heal()
    ended = world.now_ms()
    world.complete(timeout=30)
    eventually(lambda: world.is_whole(ended), 30, "the bars of meanwhile to be had")
    judged = [each for each in decisions(world, began) if each.reason not in {None, EndReason.OVERLAP}]
    assert judged
    for each in judged:
        assert sees_the_truth(world, each) or says_what_is_missing(each), each


def decisions(world: FeedProcesses, since_ms: int) -> list[Decision]:
    with world.chain.pipeline.ledger.read() as unit:
        found = unit.decisions.latest(limit=1000)
    return [each for each in found if each.slot.timestamp() * 1000 > since_ms]


def sees_the_truth(world: FeedProcesses, decision: Decision) -> bool:
    """Its bars end with those that close at its slot or later, and every value is the exchange's."""
    close_ms = round(decision.slot.timestamp() * 1000)
    with world.chain.pipeline.ledger.read() as unit:
        (fetched,) = [each for each in unit.stages.of(decision.decision_id) if each.stage is Stage.FETCH]
    ranges = tuple(CandleRange.from_record(each) for each in fetched.output["ranges"])  # type: ignore[attr-defined]
    if not all(each.ok and ends_at(each, close_ms) for each in ranges):
        return False
    candles = {each.timeframe: Candles.from_rows(np.array(rows_of(world, decision, each))) for each in ranges}
    seen = Window(decision.symbol, decision.slot, candles, ranges)
    return bool(fetched.output["bars"] == seen.fingerprint)


def rows_of(world: FeedProcesses, decision: Decision, seen: CandleRange) -> list[list[float]]:
    """What the exchange says of the bars that a decision saw."""
    assert seen.last_open is not None
    closed = seen.last_open + Timeframe.parse(seen.timeframe).length
    return world.truth(decision.symbol, seen.timeframe, round(closed.timestamp() * 1000))


def ends_at(seen: CandleRange, close_ms: int) -> bool:
    step = Timeframe.parse(seen.timeframe).milliseconds
    return seen.last_open is not None and seen.last_open.timestamp() * 1000 >= close_ms // step * step - step


def says_what_is_missing(decision: Decision) -> bool:
    lacks = {EndReason.INSUFFICIENT_DATA, EndReason.STALE_CANDLES}
    return decision.reason in lacks and any(word in decision.detail for word in ("missing", "stale", "short"))


def test_a_spoilt_bar_is_refused_and_asked_for(world: FeedProcesses) -> None:
    """Whatever the socket says about a bar, money is not put on a bar that cannot be."""
    world.complete()
    world.chain.fault("malformed_stream", flavour="high_below_low", count=3)
    eventually(lambda: any('"BAR_REFUSED"' in line for line in world.chain.log_lines()), 20)
    world.chain.heal()
    now = world.now_ms()
    eventually(lambda: world.is_whole(now), 30, "the refused bars to be had")


@pytest.mark.parametrize("accident", ["killed", "frozen", "cut off"])
def test_a_second_feed_takes_over(world: FeedProcesses, accident: str) -> None:
    """The first, when it comes back to itself or to Redis, stands by."""
    first = world.chain.processes["feed"]
    world.complete(leader=first.pid)
    second = world.start("feed-2")
    try:
        eventually(lambda: says(world, "FEED_STANDS_BY", second.pid), 30)
        strike, heal = ACCIDENTS[accident]
        strike(world, first)
        beat = world.complete(timeout=15, leader=second.pid)
        assert beat.fence > 1
        if heal is not None:
            heal(world, first)
            eventually(lambda: says(world, "FEED_STANDS_BY", first.pid), 20)
    finally:
        first.stop(signal.SIGKILL)
        world.chain.processes["feed"] = second
    eventually(lambda: world.is_whole(world.now_ms() - 2000), 20)


Hit = Callable[[FeedProcesses, Started], None]

ACCIDENTS: Mapping[str, tuple[Hit, Hit | None]] = {
    "killed": (lambda _, feed: feed.kill(), None),
    "frozen": (lambda _, feed: feed.send(signal.SIGSTOP), lambda _, feed: feed.send(signal.SIGCONT)),
    "cut off": (
        lambda world, feed: world.ways[feed.pid].close(),
        lambda world, feed: world.ways[feed.pid].open(),
    ),
}
"""What happens to a leader, and how it ends. Cut off from Redis alone it still hears the exchange."""


def says(world: FeedProcesses, event: str, pid: int) -> bool:
    return any(f'"{event}"' in line and f'"pid":{pid}' in line for line in world.chain.log_lines())


def test_all_symbols_were_judged_in_the_end(world: FeedProcesses) -> None:
    """After all of it decisions still come at each close."""
    world.complete()
    since = world.now_ms()
    eventually(lambda: {each.symbol for each in decisions(world, since)} == set(SYMBOLS), 30)
