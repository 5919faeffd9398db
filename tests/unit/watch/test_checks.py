"""The ladder: each trouble is found, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import Stage
from pipeline.domain.guards import Breaker, Latch, Reconciliation
from pipeline.domain.ids import DecisionId
from pipeline.domain.levels import LevelCode
from pipeline.domain.liveness import ProcessState, Pulse
from pipeline.domain.meanings import MEANINGS, by_cause
from pipeline.domain.orders import OrderState
from pipeline.domain.outcomes import EndReason
from pipeline.domain.switches import KillScope, KillSwitch, TradingState
from pipeline.watch.checks import LADDER, Status
from pipeline.watch.look import Away, ExchangeView, FeedView, Waiting
from tests.unit.watch.looks import (
    ACCOUNT,
    BTC,
    ETH,
    NOW,
    QUEUES,
    a_book,
    a_broker,
    a_group,
    a_pulse,
    a_queue,
    ago,
    changed,
    codes,
    detail_of,
    hanging,
    ladder,
    pulses,
    without,
)

C = LevelCode


def waits_for(stage: Stage, since_s: float, late_s: float = -30) -> Waiting:
    return Waiting(
        decision_id=DecisionId("dec_1"),
        symbol=BTC,
        next_stage=stage,
        heard_at=ago(since_s),
        deadline_at=ago(late_s),
    )


def test_where_all_is_well_every_check_says_so() -> None:
    """A false alarm costs the trust in every later one."""
    checked = ladder()
    assert codes(checked) == []
    assert {each.answer.status for each in checked} == {Status.OK}


def beta(silent_for_s: float) -> tuple[Pulse, ...]:
    """A second host's processes."""
    here = {"host": "beta", "beat_at": ago(silent_for_s)}
    return (a_pulse("worker-market", 8, **here), a_pulse("beat", 9, **here), a_pulse("watch", 10, **here))


CASES: dict[str, tuple[dict[str, Any], LevelCode]] = {
    "Redis away": ({"broker": Away("no answer"), "pulses": Away("no answer")}, C.BROKER_DOWN),
    "Redis full": ({"broker": a_broker(refuses="OOM command not allowed")}, C.BROKER_REFUSES),
    "Redis forgets": ({"broker": a_broker(persistent=False)}, C.BROKER_FORGETFUL),
    "ledger away": ({"book": Away("the disk is full")}, C.LEDGER_DOWN),
    "exchange away": ({"exchange": ExchangeView(asked_at=NOW, problem="403")}, C.EXCHANGE_DOWN),
    "exchange hangs": ({"exchange": Away("no answer within 6 s")}, C.EXCHANGE_DOWN),
    "clock": ({"exchange": ExchangeView(asked_at=NOW, skew_s=-3.5)}, C.CLOCK_OFF),
    "clock of a host": ({"pulses": changed(2, clock_ahead_s=61.0)}, C.CLOCK_OFF),
    "dead host": ({"pulses": (*pulses(), *beta(silent_for_s=21))}, C.HOST_GONE),
    "two releases": ({"pulses": changed(2, release="0.2.0+abc")}, C.VERSION_DRIFT),
    "dead beat": ({"pulses": changed(1, beat_at=ago(21))}, C.BEAT_GONE),
    "stopped beat": ({"pulses": changed(1, state=ProcessState.STOPPED)}, C.BEAT_GONE),
    "no beat ever": ({"pulses": without("beat")}, C.BEAT_GONE),
    "dead worker": ({"pulses": changed(2, beat_at=ago(21))}, C.WORKER_GONE),
    "worker frozen while it stops": (
        {"pulses": changed(2, beat_at=ago(50), state=ProcessState.STOPPING)},
        C.WORKER_GONE,
    ),
    "mute child": ({"pulses": changed(22, beat_at=ago(21))}, C.PROCESS_MUTE),
    "hung thread": ({"pulses": changed(22, components=(hanging(),))}, C.THREAD_HUNG),
    "no watchdog": ({"pulses": without("watch"), "asked_by_watch": False}, C.WATCH_GONE),
    "a full disk": ({"pulses": changed(3, unlogged="the disk is nearly full")}, C.LOGGING_STOPPED),
    "queue without consumer": ({"pulses": changed(2, queues=("fetch",))}, C.QUEUE_UNCONSUMED),
    "stuck queue": (
        {"broker": a_broker(queues={name: a_queue(40, 25) for name in QUEUES[:1]})},
        C.QUEUE_STUCK,
    ),
    "path cut": ({"lost": [waits_for(Stage.EVALUATE, 12)]}, C.HANDOFF_BROKEN),
    "config drift": ({"pulses": changed(22, config_hash="0ther")}, C.CONFIG_DRIFT),
    "config drift in the ledger": (
        {"book": a_book(config_hashes=frozenset({"c0ffee", "0ther"}))},
        C.CONFIG_DRIFT,
    ),
    "foreign symbols": (
        {"book": a_book(ended=[a_group(EndReason.OUTSIDE_UNIVERSE, 1), a_group(EndReason.NO_SIGNAL, 9)])},
        C.FOREIGN_SYMBOLS,
    ),
    "dead feed": (
        {"feed": FeedView(at=ago(21), holder="alpha/9", symbols=2, connections=1, up=1, behind=0)},
        C.FEED_GONE,
    ),
    "mute feed": (
        {"feed": FeedView(at=ago(1), holder="alpha/9", symbols=2, connections=2, up=1, behind=1)},
        C.FEED_SILENT,
    ),
    "data missing": (
        {"book": a_book(ended=[a_group(EndReason.INSUFFICIENT_DATA, 5), a_group(EndReason.NO_SIGNAL, 4)])},
        C.DATA_MISSING,
    ),
    "silent symbol": ({"book": a_book(last_finished={BTC: ago(10), ETH: ago(61)})}, C.NO_DECISION),
    "forgotten decision": ({"book": a_book(waiting=[waits_for(Stage.VALIDATE, 120, 40)])}, C.DECISION_STUCK),
    "failing": ({"book": a_book(ended=[a_group(EndReason.STAGE_RAISED, 3, "boom")])}, C.DECISIONS_FAIL),
    "failing strategy": (
        {"book": a_book(failing={"mine": (3, "Traceback\nValueError: x")})},
        C.STRATEGY_FAILS,
    ),
    "no signal": ({"book": a_book(ended_long=[a_group(EndReason.NO_SIGNAL, 40)])}, C.NO_SIGNAL),
    "no equity": ({"book": a_book(equity=None)}, C.EQUITY_STALE),
    "never compared": ({"book": a_book(reconciliation=None)}, C.NOT_RECONCILED),
    "differs": (
        {
            "book": a_book(
                reconciliation=Reconciliation(account=ACCOUNT, compared_at=ago(1), differences=("BTC",))
            )
        },
        C.NOT_RECONCILED,
    ),
    "halted": ({"book": a_book(trading=TradingState.HALTED)}, C.TRADING_HALTED),
    "kill switch": (
        {
            "book": a_book(
                switches=[
                    KillSwitch(scope=KillScope.SYMBOL, name=BTC, reason="news", set_by="me", set_at=ago(100))
                ]
            )
        },
        C.KILL_SWITCH_ON,
    ),
    "latch": (
        {
            "book": a_book(
                latches=[
                    Latch(
                        account=ACCOUNT,
                        code=CheckCode.DRAWDOWN,
                        tripped=True,
                        reason="21 %",
                        changed_by="governor",
                        changed_at=ago(9),
                    )
                ]
            )
        },
        C.LATCH_TRIPPED,
    ),
    "breaker": (
        {
            "book": a_book(
                breaker=Breaker(account=ACCOUNT, reason="MAX_VALUE", detail="all", opened_at=ago(9))
            )
        },
        C.BREAKER_OPEN,
    ),
    "refused orders": (
        {"book": a_book(orders={OrderState.REJECTED: 4, OrderState.FILLED: 1}, refusals={"-2019": 4})},
        C.ORDERS_REJECTED,
    ),
    "alerts lost": ({"alerts_lost": 2, "alerts_problem": "webhook: it answered 500"}, C.ALERTS_FAIL),
}


@pytest.mark.parametrize("name", CASES)
def test_each_trouble_is_found_first(name: str) -> None:
    """What has a name in the catalogue must be found where it is, before its consequences."""
    changes, code = CASES[name]
    found = [finding for each in ladder(**changes) for finding in each.answer.findings]
    assert by_cause(found)[0].code is code


@pytest.mark.parametrize("name", CASES)
def test_a_trouble_alone_is_found_alone(name: str) -> None:
    """One trouble, one name: whatever else is found must be its consequence."""
    changes, code = CASES[name]
    others = set(codes(ladder(**changes))) - {code}
    assert others <= MEANINGS[code].explains


def test_every_code_has_a_check_and_a_meaning() -> None:
    """A code that nothing can find, or that nobody explains, is none."""
    checked = [code for check in LADDER for code in check.codes]
    assert sorted(checked) == sorted(LevelCode)
    assert set(MEANINGS) == set(LevelCode)


def test_the_ladder_goes_down_its_rungs() -> None:
    """The first cause is what stands highest: the order of codes, checks and rungs is one."""
    rungs = [check.rung for check in LADDER]
    assert rungs == sorted(rungs, key=list(type(rungs[0])).index)
    assert [MEANINGS[check.codes[0]].rung for check in LADDER] == rungs


def test_what_cannot_be_seen_is_unknown_and_neither_fine_nor_found() -> None:
    """Nobody may conclude from an absent ledger that no kill switch is on."""
    checked = ladder(book=Away("the disk is full"))
    unknown = {each.check.name for each in checked if each.answer.status is Status.UNKNOWN}
    assert {"decisions", "equity", "kill switches", "universe", "refused orders"} <= unknown
    assert codes(checked) == [C.LEDGER_DOWN]


def test_a_worker_that_was_replaced_is_not_missed() -> None:
    """Restarted by its supervisor within a second: nobody needs to be woken."""
    old = a_pulse("worker-market", 9, queues=("fetch", "evaluate"), beat_at=ago(60))
    assert codes(ladder(pulses=(*pulses(), old))) == []


def test_a_worker_that_stopped_in_an_orderly_way_leaves_an_unconsumed_queue_only() -> None:
    """Somebody wanted it; but its queues have nobody now."""
    found = codes(ladder(pulses=changed(2, state=ProcessState.STOPPED)))
    assert found == [C.QUEUE_UNCONSUMED, C.QUEUE_UNCONSUMED]


def test_a_child_that_its_worker_does_not_name_any_more_is_not_missed() -> None:
    """Killed at its time limit and replaced."""
    gone = a_pulse("worker-market", 77, parent=2, beat_at=ago(300))
    assert codes(ladder(pulses=(*pulses(), gone))) == []


def test_a_mute_child_is_found_though_another_container_has_its_number() -> None:
    """Containers of a host count their processes each for itself; who speaks must not stand for the other."""
    twin = a_pulse("worker-orders", 22, parent=3)
    assert codes(ladder(pulses=(*changed(22, beat_at=ago(21)), twin))) == [C.PROCESS_MUTE]


def test_a_stuck_queue_says_whether_its_workers_complete_anything() -> None:
    """Up, connected and mute is how a worker looks after a broker restart: only completing something is life."""
    mute = {"last_done_at": ago(300)}
    said = detail_of(
        C.QUEUE_STUCK,
        ladder(broker=a_broker(queues={"fetch": a_queue(40, 25)}), pulses=changed(22, **mute)),
    )
    assert "40 messages wait in fetch" in said
    assert "worker-market@alpha completed something 5 min ago" in said


def test_a_hung_thread_is_named_with_process_task_and_place() -> None:
    """I2: hours of search, in one line."""
    said = detail_of(C.THREAD_HUNG, ladder(pulses=changed(22, components=(hanging(),))))
    assert "worker-market@alpha/22: MainThread has been in evaluate dec_1 for 30 s" in said
    assert "hangs.py:12 in signal" in said


def test_a_cut_path_is_named_by_its_two_ends() -> None:
    """I3: signals went into a queue that nobody read."""
    said = detail_of(C.HANDOFF_BROKEN, ladder(lost=[waits_for(Stage.EVALUATE, 12)]))
    assert "fetch → evaluate" in said
    assert "dec_1.evaluate" in said


def test_drifting_processes_are_named_by_their_configuration() -> None:
    """Which host has the old file is the only question then."""
    said = detail_of(C.CONFIG_DRIFT, ladder(pulses=changed(3, config_hash="0ther")))
    assert "0ther: worker-orders@alpha" in said


@pytest.mark.parametrize(("age_s", "is_found"), [(34, False), (36, True), (61, True)])
def test_equity_is_missed_before_it_is_too_old(age_s: float, is_found: bool) -> None:
    """I5: at 2,185 s it was found by hand; three missed refreshes are enough, long before anything is denied."""
    known = a_book().equity
    assert known is not None
    book = a_book(equity=replace(known, occurred_at=ago(age_s)))
    assert (C.EQUITY_STALE in codes(ladder(book=book))) is is_found


def test_a_symbol_that_has_just_come_in_is_not_missed() -> None:
    """The universe changes while it runs; a new symbol has its first slot within a cadence."""
    book = a_book(last_finished={BTC: ago(10)}, joined_at={ETH: ago(30)})
    assert codes(ladder(book=book)) == []


def test_nobody_is_missed_while_beat_has_just_begun() -> None:
    """A start is no silence."""
    book = a_book(last_finished={}, running_since=ago(90))
    assert codes(ladder(book=book, pulses=changed(1, started_at=ago(30)))) == []


def test_an_empty_universe_is_told_instead_of_silence() -> None:
    """I5: fifty symbols, none allowed. Its consequences are not five troubles more."""
    kept = a_book().universe
    assert kept is not None
    empty = replace(kept, symbols=(), report={"summary": "0 of 50 names are in the universe: 50 unknown"})
    checked = ladder(book=a_book(universe=empty, trading=TradingState.HALTED))
    found = [finding for each in checked for finding in each.answer.findings]
    assert by_cause(found)[0].code is C.UNIVERSE_EMPTY
    assert "50 unknown" in detail_of(C.UNIVERSE_EMPTY, checked)


def test_a_check_that_raises_blinds_no_other() -> None:
    """The watchdog must not die of a row that it cannot read."""
    checked = ladder(book=a_book(orders=None))  # no mapping: a mistake of ours
    (broken,) = [each for each in checked if each.check.name == "refused orders"]
    assert broken.answer.status is Status.UNKNOWN
    assert "the check itself failed" in broken.answer.detail


def test_a_dead_host_is_named_and_its_workers_are_consequences() -> None:
    """One call, one host to look at; not one alert for each process that was on it."""
    checked = ladder(pulses=(*pulses(), *beta(silent_for_s=30)))
    first, *others = by_cause([finding for each in checked for finding in each.answer.findings])
    assert (first.code, first.subject) == (C.HOST_GONE, "beta")
    assert "beat, watch, worker-market" in first.detail
    assert "alpha live" in first.detail
    assert {each.code for each in others} == {C.WORKER_GONE}
    assert C.WORKER_GONE in MEANINGS[C.HOST_GONE].explains


def test_a_host_that_was_stopped_in_an_orderly_way_is_not_missed() -> None:
    gone = tuple(replace(pulse, state=ProcessState.STOPPED) for pulse in beta(silent_for_s=30))
    assert codes(ladder(pulses=(*pulses(), *gone))) == []


def test_where_every_host_finds_redis_clock_wrong_it_is_that_one() -> None:
    """Nobody shall go from host to host and set clocks that are right."""
    off = tuple(replace(pulse, clock_ahead_s=40.0) for pulse in (*pulses(), *beta(silent_for_s=1)))
    assert "Redis' clock is -40.0 s from that of every host" in detail_of(C.CLOCK_OFF, ladder(pulses=off))


def test_the_host_whose_clock_is_off_is_named() -> None:
    off = tuple(replace(pulse, clock_ahead_s=-61.5) for pulse in beta(silent_for_s=1))
    assert "the clock of beta is -61.5 s" in detail_of(C.CLOCK_OFF, ladder(pulses=(*pulses(), *off)))


def test_releases_are_named_with_their_places() -> None:
    """A pulse of a release that did not know how to say it counts as another one."""
    mixed = tuple(replace(pulse, release="0.2.0+a") for pulse in pulses())
    said = detail_of(C.VERSION_DRIFT, ladder(pulses=(*mixed, *beta(silent_for_s=1))))
    assert "0.2.0+a: beat@alpha" in said
    assert "one that does not say: beat@beta" in said
