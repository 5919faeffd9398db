"""Running a stage: delivered twice, killed, too often, out of turn, or with a bug inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.domain import timing
from pipeline.domain.decisions import Advance, Decision, End, Stage, StageEnd, StageRecord, Unresolved
from pipeline.domain.errors import LedgerUnavailable, UnknownDecision
from pipeline.domain.events import EventName
from pipeline.domain.ids import DecisionId
from pipeline.domain.orders import OrderState
from pipeline.domain.outcomes import EndReason, Outcome
from pipeline.domain.ports import Unit
from pipeline.stages.running import Conclusion, Handoff, Runner, StageFunction
from pipeline.stages.telling import Thresholds
from tests.unit.stages.worlds import ACCOUNT, NOON, OTHER, StageWorld, a_permit, an_order

DONE = Advance({"ranges": []})
NOTHING = End(EndReason.NO_SIGNAL, "nothing to do")


class Counting:
    """A stage that ends as told, and counts how often it was really run."""

    def __init__(self, finish: StageEnd = DONE, error: Exception | None = None) -> None:
        self.finish, self.error, self.runs = finish, error, 0

    def __call__(self, decision: Decision, before: StageRecord | None) -> Conclusion:
        self.runs += 1
        if self.error is not None:
            raise self.error
        return lambda unit: self.finish


class TooSlow(Exception):
    """What the process raises in a stage that overruns."""


def runner(world: StageWorld, fetch: StageFunction, evaluate: StageFunction | None = None) -> Runner:
    stages = {Stage.FETCH: fetch, Stage.EVALUATE: evaluate or Counting(NOTHING)}
    return Runner(world.ledger, world.clock, world.events, ACCOUNT, stages, 3, (TooSlow,))


def run(
    world: StageWorld, runs: Runner, decision: Decision, stage: Stage = Stage.FETCH, attempt: int = 1
) -> Handoff | None:
    return runs.run(stage, decision.decision_id, world.delivery(decision, stage, attempt), decision.symbol)


def test_a_finished_stage_hands_on_to_the_next() -> None:
    world = StageWorld()
    decision = world.open().decision
    handoff = run(world, runner(world, Counting()), decision)
    assert handoff == Handoff(Stage.EVALUATE, decision)


def test_a_second_delivery_does_no_second_work_but_makes_the_hand_off_again() -> None:
    """The worker may have died between its commit and its publish."""
    world, fetch = StageWorld(), Counting()
    decision = world.open().decision
    runs = runner(world, fetch)
    run(world, runs, decision)
    assert run(world, runs, decision) == Handoff(Stage.EVALUATE, decision, attempt=2)
    assert fetch.runs == 1


def test_a_second_delivery_after_the_next_stage_is_done_hands_nothing_on() -> None:
    """A late duplicate must not set a finished chain going again."""
    world = StageWorld()
    decision = world.open().decision
    runs = runner(world, Counting(), Counting(NOTHING))
    run(world, runs, decision)
    run(world, runs, decision, Stage.EVALUATE)
    assert run(world, runs, decision) is None


def passed(world: StageWorld, runs: Runner, decision: Decision, *stages: Stage) -> None:
    for stage in stages:
        run(world, replace(runs, stages={stage: Counting()}), decision, stage)


BEFORE_EXECUTE = (Stage.FETCH, Stage.EVALUATE, Stage.VALIDATE)


def test_an_order_that_is_handed_on_again_is_no_replay() -> None:
    """Validate's worker was killed right behind its hand-off: both messages are ours, and nobody means harm."""
    world, execute = StageWorld(), Counting(End(EndReason.FILLED, "filled"))
    decision = world.open().decision
    runs = replace(runner(world, Counting()), stages={Stage.EXECUTE: execute})
    passed(world, runs, decision, *BEFORE_EXECUTE)
    again = run(world, runs, decision, Stage.VALIDATE, attempt=2)
    assert again is not None
    run(world, runs, decision, Stage.EXECUTE)
    run(world, runs, decision, Stage.EXECUTE, again.attempt)
    assert execute.runs == 1
    assert EventName.SECURITY not in world.events.names


def test_an_execute_message_that_comes_twice_as_if_it_were_the_first_is_told() -> None:
    """Somebody has read it and pushed it again: none of ours does that."""
    world, execute = StageWorld(), Counting(End(EndReason.FILLED, "filled"))
    decision = world.open().decision
    runs = replace(runner(world, Counting()), stages={Stage.EXECUTE: execute})
    passed(world, runs, decision, *BEFORE_EXECUTE)
    run(world, runs, decision, Stage.EXECUTE)
    run(world, runs, decision, Stage.EXECUTE)
    assert execute.runs == 1
    assert world.events.names.count(EventName.SECURITY) == 1


def test_an_execute_message_that_comes_first_after_its_decision_has_ended_is_no_replay() -> None:
    """Its workers were away until the deadline, and the sweeper has ended what waited for them."""
    world, execute = StageWorld(), Counting(End(EndReason.FILLED, "filled"))
    decision = world.open().decision
    runs = replace(runner(world, Counting()), stages={Stage.EXECUTE: execute})
    passed(world, runs, decision, *BEFORE_EXECUTE)
    runs.fail(decision.decision_id, EndReason.DEADLINE, "execute was not done in time")
    run(world, runs, decision, Stage.EXECUTE)
    assert execute.runs == 0
    assert EventName.SECURITY not in world.events.names


def test_an_early_end_sets_the_outcome_once_and_publishes_nothing_more() -> None:
    world = StageWorld()
    opened = world.open()
    runs = runner(world, Counting(NOTHING))
    assert run(world, runs, opened.decision) is None
    assert run(world, runs, opened.decision) is None
    row = world.decision(opened)
    assert (row.outcome, row.reason, row.detail) == (Outcome.NO_SIGNAL, EndReason.NO_SIGNAL, "nothing to do")
    assert world.events.names.count(EventName.DECISION_END) == 1


def test_what_a_stage_raises_ends_the_decision_with_its_stack_trace() -> None:
    """A5: failed, with the stack trace; never open for ever."""
    world = StageWorld()
    opened = world.open()
    run(world, runner(world, Counting(error=ValueError("rubbish from somewhere"))), opened.decision)
    row = world.decision(opened)
    assert row.reason is EndReason.STAGE_RAISED
    assert "rubbish from somewhere" in row.detail
    assert "Traceback" in row.detail


def test_a_stage_that_overruns_its_time_ends_the_decision_as_time_limit() -> None:
    world = StageWorld()
    opened = world.open()
    run(world, runner(world, Counting(error=TooSlow())), opened.decision)
    assert world.decision(opened).reason is EndReason.TIME_LIMIT


def test_a_transient_trouble_leaves_the_decision_open_for_another_try() -> None:
    """A locked ledger is no verdict on a decision."""
    world = StageWorld()
    opened = world.open()
    with pytest.raises(LedgerUnavailable):
        run(world, runner(world, Counting(error=LedgerUnavailable("locked"))), opened.decision)
    assert world.decision(opened).is_open


def test_a_message_that_keeps_killing_its_worker_ends_its_decision() -> None:
    """Redelivery has no limit of its own: a poison message would kill workers for ever."""
    world, fetch = StageWorld(), Counting()
    opened = world.open()
    run(world, runner(world, fetch), opened.decision, attempt=4)
    assert fetch.runs == 0
    assert world.decision(opened).reason is EndReason.KEEPS_DYING


def test_a_decision_whose_order_was_filled_is_executed_whatever_befell_its_messages() -> None:
    """The last message of a decision may be lost again and again after the resolver has settled its order."""
    world = StageWorld()
    decision = world.open().decision
    filled = an_order(decision, OrderState.FILLED)
    with world.ledger.begin() as unit:
        unit.permits.add(a_permit(decision))
        unit.orders.add(replace(filled, sent_at=NOON, filled_qty=filled.qty, avg_price=filled.limit_price))
    runner(world, Counting()).fail(decision.decision_id, EndReason.KEEPS_DYING, "delivered 4 times")
    with world.ledger.read() as unit:
        ended = unit.decisions.get(decision.decision_id)
    assert ended is not None
    assert (ended.outcome, ended.reason) == (Outcome.EXECUTED, EndReason.FILLED)
    assert "KEEPS_DYING: delivered 4 times" in ended.detail


def test_retries_that_the_stage_asked_for_are_not_held_against_its_message() -> None:
    """A ledger that is locked for a while is no poison."""
    world, fetch = StageWorld(), Counting()
    opened = world.open()
    delivery = replace(world.delivery(opened.decision, Stage.FETCH, attempt=6), retries=5)
    runner(world, fetch).run(Stage.FETCH, opened.decision.decision_id, delivery, opened.decision.symbol)
    assert fetch.runs == 1


def test_a_stage_whose_turn_has_not_come_is_refused_and_reported() -> None:
    """Only a hand-made message asks for evaluation before the fetch; it must not end the decision either."""
    world, evaluate = StageWorld(), Counting()
    opened = world.open()
    assert run(world, runner(world, Counting(), evaluate), opened.decision, Stage.EVALUATE) is None
    assert evaluate.runs == 0
    assert world.decision(opened).is_open
    assert EventName.SECURITY in world.events.names


@pytest.mark.parametrize("symbol", ["ETH/USDT:USDT", "", "BTCUSDT"])
def test_a_message_about_another_symbol_is_dropped(symbol: str) -> None:
    """Whoever forges a message must not move a decision to another market."""
    world = StageWorld()
    decision = world.open().decision
    with pytest.raises(UnknownDecision):
        runner(world, Counting()).run(
            Stage.FETCH, decision.decision_id, world.delivery(decision, Stage.FETCH), symbol
        )


def test_a_decision_that_the_ledger_never_saw_is_dropped() -> None:
    world = StageWorld()
    decision = world.open().decision
    delivery = world.delivery(decision, Stage.FETCH)
    with pytest.raises(UnknownDecision):
        runner(world, Counting()).run(Stage.FETCH, DecisionId("dec_20260301_120000_ffffffffffff"), delivery)


@pytest.mark.parametrize("stage", list(Stage))
def test_a_message_of_another_account_is_dropped_by_name_and_its_decision_stays_open(stage: Stage) -> None:
    """Its order would go to our exchange account and stand in their books. Their own sweeper finds the decision."""
    world = replace(StageWorld(), account=OTHER)
    opened, ours = world.open(), Counting()
    runs = replace(runner(world, Counting()), account=ACCOUNT, stages={stage: ours})
    passed(world, replace(runs, account=OTHER), opened.decision, *list(Stage)[: list(Stage).index(stage)])
    with pytest.raises(UnknownDecision, match=f"{OTHER}.*{ACCOUNT}"):
        run(world, runs, opened.decision, stage)
    assert ours.runs == 0
    assert world.decision(opened).is_open


def test_what_befalls_another_accounts_message_here_ends_nothing() -> None:
    """It expired in our queue, or its stage gave up here: how the decision stands only its own account can tell."""
    world = replace(StageWorld(), account=OTHER)
    opened = world.open()
    runner(world, Counting()).fail(opened.decision.decision_id, EndReason.NOT_STARTED, "no worker was free")
    assert world.decision(opened).is_open
    (told,) = world.events.of(EventName.SECURITY)
    assert OTHER in str(told["what"])


def test_an_unresolved_order_leaves_the_decision_open_and_the_stage_unfinished() -> None:
    """Nobody may say how it ended before the exchange has."""
    world = StageWorld()
    opened = world.open()
    run(world, runner(world, Counting(Unresolved("order is out"))), opened.decision)
    assert world.decision(opened).is_open
    with world.ledger.read() as unit:
        assert unit.stages.of(opened.decision.decision_id) == []


def test_what_a_stage_writes_is_rolled_back_when_its_conclusion_raises() -> None:
    """Stage result, outcome and trace rows commit together or not at all."""
    world = StageWorld()
    opened = world.open()

    def half_done(decision: Decision, before: StageRecord | None) -> Conclusion:
        def conclude(unit: Unit) -> StageEnd:
            unit.switches.set_trading_state(
                decision.account,
                unit.switches.trading_state(decision.account),
                by="x",
                reason="x",
                at=world.clock.now(),
            )
            raise RuntimeError("after the first write")

        return conclude

    stage: Callable[[Decision, StageRecord | None], Conclusion] = half_done
    run(world, runner(world, stage), opened.decision)
    with world.ledger.read() as unit:
        assert unit.stages.of(opened.decision.decision_id) == []
    assert world.decision(opened).reason is EndReason.STAGE_RAISED


def test_two_deliveries_at_once_conclude_once() -> None:
    """The parent of a killed worker's child lives on: two may work on one message at the same time."""
    world = StageWorld()
    opened = world.open()
    inner = Counting()
    runs = runner(world, inner)

    def overtaken(decision: Decision, before: StageRecord | None) -> Conclusion:
        run(world, runs, decision)  # the other delivery is faster
        return lambda unit: NOTHING

    handoff = run(world, runner(world, overtaken), opened.decision)
    assert handoff == Handoff(Stage.EVALUATE, opened.decision, attempt=2)
    assert world.decision(opened).is_open


def test_a_slow_stage_is_told_with_the_part_that_took_most_of_it() -> None:
    """`fetch took 3 s` sends people looking; `the exchange took 2.9 s of it` does not."""
    world = StageWorld()
    decision = world.open().decision

    def fetch(decision: Decision, before: StageRecord | None) -> Conclusion:
        timing.add("exchange", 1e9)
        return lambda unit: DONE

    slow = replace(runner(world, fetch), thresholds=Thresholds(1e9, {Stage.FETCH: 1e-6}))
    run(world, slow, decision)

    (said,) = world.events.of(EventName.SLOW)
    assert (said["what"], said["part"]) == ("the stage fetch", "exchange")
    (end,) = world.events.of(EventName.STAGE_END)
    assert end["parts"] == said["parts"]


def test_a_message_that_waited_too_long_is_told() -> None:
    """The stage is fast, and the decision is late all the same."""
    world = StageWorld()
    decision = world.open().decision
    runs = replace(runner(world, Counting()), thresholds=Thresholds(queue_wait_ms=100.0))
    late = replace(world.delivery(decision, Stage.FETCH), published_at=NOON - timedelta(seconds=9))

    runs.run(Stage.FETCH, decision.decision_id, late, decision.symbol)

    (said,) = world.events.of(EventName.SLOW)
    assert (said["what"], said["part"], said["limit_ms"]) == ("a message for fetch", "queue", 100.0)


def test_a_stage_that_raises_has_its_line_too() -> None:
    """One line for each stage, also when it went wrong."""
    world = StageWorld()
    decision = world.open().decision

    run(world, runner(world, Counting(error=ValueError("boom"))), decision)

    (line,) = world.events.of(EventName.STAGE_END)
    assert (line["result"], line["reason"], line["summary"]) == (
        "ended",
        "STAGE_RAISED",
        "ValueError('boom')",
    )
