"""Which queue Redis is to look into first."""

from __future__ import annotations

from collections import Counter

from kombu.utils.scheduling import cycle_by_name

from config.settings import Settings
from tasks.settings import celery_settings
from tasks.turns import IN_A_ROW_S, LONGEST_S, MANY, NEXT_WITHIN_S, Turns, first_for_s

ORDERS = ["validate", "execute", "upkeep"]


class Worker:
    """Takes messages as kombu does, a tenth of a second each, or in another pace."""

    def __init__(self, *queues: str, pace_s: float = 0.1, **waiting: int) -> None:
        self.now = 0.0
        self.pace_s = pace_s
        self.waiting = Counter(waiting)
        self.turns = Turns(monotonic=lambda: self.now)
        self.turns.update(list(queues) or ORDERS)  # type: ignore[no-untyped-call]  # no types

    def take(self) -> str:
        """The queue of the next message; an empty word when there is none."""
        queues = self.turns.consume(len(self.turns.items))
        found = next((queue for queue in queues if self.waiting[queue]), "")
        if found:
            self.waiting[found] -= 1
            self.turns.rotate(found)
        self.now += self.pace_s
        return found

    def take_all(self) -> list[str]:
        return list(iter(self.take, ""))


def test_what_is_to_be_judged_comes_before_what_was_judged() -> None:
    """Then the orders of a close follow each other closely."""
    worker = Worker(validate=3, execute=3)
    assert worker.take_all() == ["validate"] * 3 + ["execute"] * 3


def test_a_judgement_that_comes_between_orders_is_made_next() -> None:
    """It may belong to the same close, late."""
    worker = Worker(execute=2)
    assert worker.take() == "execute"
    worker.waiting["validate"] += 1
    assert worker.take_all() == ["validate", "execute"]


def test_upkeep_has_its_turn_beside_both() -> None:
    """A kill switch must not wait for two hundred judgements, nor decisions for an upkeep that hangs."""
    taken = Worker(validate=4, execute=4, upkeep=8).take_all()
    for at in range(0, len(taken), 2):
        assert "upkeep" in taken[at : at + 2]
        assert taken[at : at + 2] != ["upkeep", "upkeep"]


def test_judgements_that_never_end_take_turns_with_orders_after_a_while() -> None:
    """A permit lives for seconds."""
    worker = Worker(validate=1000, execute=1000)
    seconds = int(10 * LONGEST_S)
    taken = [worker.take() for _ in range(3 * seconds)]
    assert set(taken[:seconds]) == {"validate"}
    assert abs(Counter(taken[seconds + 2 :])["execute"] - seconds) <= 2


def test_once_all_are_judged_judgements_come_first_again() -> None:
    """One bad minute must not change the order for ever."""
    worker = Worker(validate=60, execute=60)
    worker.take_all()
    worker.waiting.update(validate=3, execute=3)
    assert worker.take_all() == ["validate"] * 3 + ["execute"] * 3


def test_behind_many_judgements_in_a_row_an_order_waits_for_the_next_one() -> None:
    """It is about to come; an order that slips in has its stop placed before the last of many is judged."""
    worker = Worker(pace_s=NEXT_WITHIN_S / 3, validate=MANY, execute=1)
    assert [worker.take() for _ in range(MANY)] == ["validate"] * MANY
    assert worker.take() == ""
    assert worker.turns.patience_s == NEXT_WITHIN_S, "and Redis is asked again when the moment is over"
    worker.waiting["validate"] += 1
    assert [worker.take() for _ in range(4)] == ["validate", "", "", "execute"]
    assert worker.turns.patience_s is None


def test_behind_a_few_judgements_an_order_waits_for_nothing() -> None:
    """A few symbols that close together are no burst."""
    worker = Worker(pace_s=0.001, validate=MANY - 1, execute=1)
    assert worker.take_all()[-1] == "execute"
    assert worker.turns.patience_s is None


def test_judgements_with_a_pause_between_them_are_no_row() -> None:
    """Beat spreads its passes: each order goes as it comes."""
    worker = Worker(pace_s=IN_A_ROW_S * 1.1, validate=2 * MANY, execute=1)
    assert len(worker.take_all()) == 2 * MANY + 1


def test_a_row_that_never_ends_holds_no_order_for_longer_than_any_other() -> None:
    """A permit lives for seconds."""
    worker = Worker(pace_s=NEXT_WITHIN_S / 3, validate=MANY, execute=1)
    taken = worker.take()
    while taken != "execute":
        worker.waiting["validate"] += not worker.waiting["validate"] and taken == ""
        taken = worker.take()
        assert worker.now <= LONGEST_S + IN_A_ROW_S
    assert worker.now >= LONGEST_S


def test_an_order_waits_for_less_than_half_of_a_short_permits_life() -> None:
    """What is held for longer than its permit lives is never sent."""
    assert first_for_s(10.0) == LONGEST_S
    assert first_for_s(2.0) == 0.8
    worker = Worker(validate=1000, execute=1000)
    worker.turns.first_for_s = first_for_s(2.0)
    assert "execute" in [worker.take() for _ in range(10)]


def test_what_is_to_be_fetched_comes_before_what_is_to_be_evaluated() -> None:
    """The same work in a row costs less than two kinds in turn."""
    worker = Worker("evaluate", "fetch", fetch=2, evaluate=2)
    assert worker.take_all() == ["fetch", "fetch", "evaluate", "evaluate"]


def test_a_worker_of_all_queues_goes_on_with_every_decision() -> None:
    """Neither the market's stages nor the orders' wait for all of the others."""
    worker = Worker("execute", "validate", "evaluate", "fetch", fetch=9, evaluate=9, validate=9, execute=9)
    taken = worker.take_all()
    assert {"fetch", "validate"} == set(taken[:4])
    assert {"evaluate", "execute"} == set(taken[-4:])


def test_other_queues_have_equal_turns() -> None:
    """As with kombu's own round."""
    worker = Worker("one", "two", one=2, two=2)
    assert worker.take_all() == ["one", "two", "one", "two"]


def test_the_worker_is_told_to_use_it() -> None:
    """By a name that kombu looks up."""
    told = celery_settings(Settings())["broker_transport_options"]
    assert cycle_by_name(told["queue_order_strategy"]) is Turns  # type: ignore[no-untyped-call]  # no types
    assert told["first_for_s"] == first_for_s(Settings().governor.permit_ttl_s)
