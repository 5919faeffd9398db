"""The feed as a process, over a real Redis and the simulated exchange's WebSocket."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pipeline.domain.decisions import Decision, Delivery, Origin, Stage
from pipeline.domain.ids import task_id
from pipeline.domain.liveness import ProcessState
from pipeline.domain.outcomes import EndReason
from pipeline.governor.universe import Universe
from pipeline.oversight import pulse_store
from pipeline.stages.opening import PassRequest
from tests.support.feed import SYMBOLS, FeedProcesses, feed_processes
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def world() -> Iterator[FeedProcesses]:
    """One feed for this file, which each test leaves as it found it."""
    with feed_processes() as running:
        running.start()
        yield running


def test_closed_bars_reach_the_store_over_the_socket_alone(world: FeedProcesses) -> None:
    """After the first load the exchange is asked for no candle, and what is stored is what it would have said."""
    close = eventually(lambda: close_without_a_question(world), 30, "a close that is not late")
    eventually(lambda: world.is_whole(close), what="the bars of the longer timeframes")


def close_without_a_question(world: FeedProcesses) -> int | None:
    """The next close, when every bar of it came by itself; None when one was late, and asked for, on a busy machine."""
    world.complete()
    asked = world.kline_requests()
    close = world.next_close()
    eventually(lambda: len(world.passes(close)) == len(SYMBOLS))
    return close if world.kline_requests() == asked else None


def test_a_pass_of_beat_over_bars_that_the_feed_had_judged_ends_in_its_fetch_stage(
    world: FeedProcesses,
) -> None:
    """Latency is the chain's and not the cadence's; the safety net doubles nothing."""
    end_what_nobody_carries(world)
    world.chain.start_worker("market")
    eventually(
        lambda: judged_at(world, world.next_close()), 30, f"a close to be judged; {world.chain.tail()}"
    )
    eventually(lambda: passed(world) is EndReason.UNCHANGED, 30, "a pass within the minute that was judged")


def end_what_nobody_carries(world: FeedProcesses) -> None:
    """No upkeep runs here: a decision whose message another test flushed stays open, and each later one overlaps it."""
    pipeline = world.chain.pipeline
    with pipeline.ledger.read() as unit:
        left = unit.decisions.still_open(pipeline.account, pipeline.clock.now(), limit=1000)
    for decision in left:
        pipeline.runner.fail(decision.decision_id, EndReason.UNAVAILABLE, "its message may have been flushed")


def passed(world: FeedProcesses) -> EndReason | None:
    """How a pass of beat over the first symbol ends in its fetch stage; None when a newer bar has come meanwhile."""
    pipeline = world.chain.pipeline
    request = PassRequest(symbol=SYMBOLS[0], slot=pipeline.clock.now(), origin=Origin.BEAT)
    decision = pipeline.open(request).decision
    if decision.is_open and pipeline.runner.run(Stage.FETCH, decision.decision_id, delivery(decision)):
        pipeline.runner.fail(decision.decision_id, EndReason.UNAVAILABLE, "a newer bar has come")
    reason = world.chain.decision(decision.decision_id).reason
    return reason if reason is EndReason.UNCHANGED else None


def judged_at(world: FeedProcesses, close_ms: int) -> bool:
    """Whether the pass over the first symbol at that close has ended by what the bars say."""
    (decision,) = eventually(lambda: [each for each in world.passes(close_ms) if each.symbol == SYMBOLS[0]])
    ended = world.chain.ended(decision.decision_id)
    assert ended.reason is EndReason.NO_SIGNAL, f"{ended.reason}: {ended.detail}"
    return True


def delivery(decision: Decision) -> Delivery:
    now = decision.enqueued_at
    return Delivery(
        task_id=task_id(decision.decision_id, Stage.FETCH), host="here", worker="test", pid=1, attempt=1,
        received_at=now, published_at=now,
    )  # fmt: skip


def test_an_emptied_redis_is_filled_again(world: FeedProcesses) -> None:
    """FLUSHALL costs one load, and nobody has to notice."""
    world.complete()
    world.chain.redis.flush()
    eventually(
        lambda: world.is_whole(world.now_ms() - 2000), 30, f"the store to be whole; {world.chain.tail()}"
    )
    world.complete()


def test_the_universe_is_followed_without_a_restart(world: FeedProcesses) -> None:
    """A symbol that comes is loaded and followed, one that goes is left."""
    world.complete()
    smaller = SYMBOLS[:2]
    put_in_force(world, smaller)
    world.complete(symbols=len(smaller))
    put_in_force(world, SYMBOLS)
    world.complete()
    close = world.next_close()
    eventually(lambda: world.is_whole(close), what="the symbol that came back to be followed")


def put_in_force(world: FeedProcesses, symbols: tuple[str, ...]) -> None:
    """Another version of the universe, as every process reads it in the ledger."""
    pipeline = world.chain.pipeline
    kept = pipeline.universe_keeper.kept()
    assert kept is not None
    version = Universe.of(symbols).version
    with pipeline.ledger.begin() as unit:
        unit.guards.save_universe(
            replace(kept, symbols=symbols, version=version, checked_at=pipeline.clock.now())
        )


def test_it_ends_in_an_orderly_way(world: FeedProcesses) -> None:
    """The lease is given back, so that whoever stands by takes over at once; and its last pulse says so."""
    world.complete()
    assert world.chain.processes["feed"].stop(signal.SIGTERM) == 0
    (pulse,) = [each for each in pulse_store(world.chain.pipeline).read() if each.role == "feed"]
    assert pulse.state is ProcessState.STOPPED
    assert [each.name for each in pulse.components] == ["event loop"]
    assert world.chain.pipeline.redis.get("tl:feed:paper-binanceusdm:lease") is None
    world.complete(leader=world.start().pid)  # until then the last heartbeat of the one before says complete
