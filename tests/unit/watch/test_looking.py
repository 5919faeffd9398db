"""Looking: a part that hangs or is away hides nothing but itself."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.domain.decisions import Stage, StageRecord
from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.events import EventName
from pipeline.domain.levels import LevelCode
from pipeline.domain.liveness import Pulse
from pipeline.domain.outcomes import EndReason
from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.sql import SqlLedger
from pipeline.testing import FixedClock
from pipeline.trace.events import RecordedEvents
from pipeline.watch import looking
from pipeline.watch.book import look_at_ledger
from pipeline.watch.doctor import examine
from pipeline.watch.look import Away, BookView, BrokerView
from pipeline.watch.looking import Looker, Places
from pipeline.watch.telling import Teller
from tests.unit.ledger.ledger_worlds import BTC, a_decision, a_stage
from tests.unit.watch.looks import ACCOUNT, LIMITS, NOW, a_broker, a_queue, pulses, seconds


@dataclass
class KnownPulses:
    known: tuple[Pulse, ...] = field(default_factory=pulses)

    def read(self) -> tuple[Pulse, ...]:
        return self.known


@dataclass
class World:
    """A ledger in memory, and everything else as it is told."""

    clock: FixedClock = field(default_factory=FixedClock)
    ledger: SqlLedger = field(default_factory=memory_ledger)
    broker: Any = field(default_factory=a_broker)
    offset: Any = timedelta(0)

    def looker(self) -> Looker:
        places = Places(
            account=ACCOUNT,
            clock=self.clock,
            ledger=self.ledger,
            pulses=KnownPulses(),  # type: ignore[arg-type]  # reads only
            broker=lambda: self.broker() if callable(self.broker) else self.broker,
            ask_clock=self._ask,
        )
        return Looker(places, LIMITS)

    def _ask(self) -> timedelta:
        if isinstance(self.offset, Exception):
            raise self.offset
        assert isinstance(self.offset, timedelta)
        return self.offset

    def fetched(self, age_s: float) -> StageRecord:
        """An open decision whose fetch is done since then, and its record."""
        at = self.clock.now() - seconds(age_s)
        decision = a_decision(BTC, at, account=ACCOUNT)
        record = a_stage(decision.decision_id, started_at=at)
        with self.ledger.begin() as unit:
            unit.decisions.open(decision)
            unit.stages.add(record)
        return record


def test_a_part_that_hangs_is_away_and_the_others_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watchdog must not hang on what hangs."""
    monkeypatch.setattr(looking, "PATIENCE_S", 0.2)
    over = threading.Event()
    world = World(broker=lambda: over.wait(30))
    looker = world.looker()
    look = looker.look()
    again = looker.look()
    over.set()
    assert isinstance(look.broker, Away)
    assert "did not answer" in look.broker.why
    assert isinstance(look.book, BookView)
    assert isinstance(again.broker, Away)
    assert len([each for each in threading.enumerate() if each.name == "look-broker"]) <= 1


def test_a_part_that_raises_is_away_with_its_words() -> None:
    def breaks() -> BrokerView:
        raise ZeroDivisionError("a mistake")

    look = World(broker=breaks).looker().look()
    assert isinstance(look.broker, Away)
    assert "a mistake" in look.broker.why


def test_a_ledger_that_is_not_there_yet_is_named_so_and_not_made(tmp_path: Path) -> None:
    """Whoever asks the doctor first has to start something, not to look for a broken disk."""
    ledger = SqlLedger(f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    seen = look_at_ledger(ledger, ACCOUNT, NOW, LIMITS)
    assert isinstance(seen, Away)
    assert "there is no ledger here yet" in seen.why
    assert list(tmp_path.iterdir()) == []


def test_an_exchange_that_refuses_is_no_exchange_that_is_away() -> None:
    """Its words are the diagnosis."""
    look = World(offset=ExchangeUnavailable("418: banned until 12:10")).looker().look()
    assert look.exchange is not None
    assert not isinstance(look.exchange, Away)
    assert look.exchange.problem == "418: banned until 12:10"


def test_a_message_that_is_nowhere_is_lost() -> None:
    """I3: not in the queue, at no worker, and its stage is not done."""
    world = World()
    record = world.fetched(age_s=11)
    (lost,) = world.looker().look().lost
    assert (lost.decision_id, lost.next_stage) == (record.decision_id, Stage.EVALUATE)


@pytest.mark.parametrize("where", ["queue", "worker", "too young", "further back"])
def test_a_message_that_is_somewhere_is_not_lost(where: str) -> None:
    """A wrong accusation costs hours as well."""
    world = World()
    task = f"{world.fetched(age_s=5 if where == 'too young' else 11).decision_id}.evaluate"
    queues = dict(a_broker().queues)
    held = frozenset({task}) if where == "worker" else frozenset()
    if where == "queue":
        queues["evaluate"] = _queue_with(task)
    if where == "further back":
        queues["evaluate"] = _long_queue()
    world.broker = a_broker(queues=queues, held=held)
    assert list(world.looker().look().lost) == []


def _queue_with(task: str) -> Any:
    from dataclasses import replace

    return replace(a_queue(1, 11), tasks=frozenset({task}))


def _long_queue() -> Any:
    from dataclasses import replace

    return replace(a_queue(5000, 11), whole=False)


def test_the_doctor_looks_twice_before_it_calls_a_server_dead() -> None:
    """One slow answer is no diagnosis."""
    answers = iter([Away("slow"), a_broker()])
    diagnosis = examine(World(broker=lambda: next(answers)).looker(), pause_s=0)
    assert LevelCode.BROKER_DOWN not in {each.code for each in diagnosis.findings}


def test_the_doctor_names_the_cause_and_calls_the_rest_consequences() -> None:
    diagnosis = examine(World(broker=Away("gone")).looker(), pause_s=0)
    assert diagnosis.cause is not None
    assert diagnosis.cause.code is LevelCode.BROKER_DOWN
    assert not diagnosis.is_well
    record = diagnosis.as_record()
    assert isinstance(record["cause"], dict)
    assert record["cause"]["do"]


# ---------------------------------------------------------------------------------- when all is well


def a_teller(world: World, events: RecordedEvents) -> Teller:
    return Teller(
        ledger=world.ledger,
        events=events,
        account=ACCOUNT,
        cadence=seconds(30),
        grace=seconds(60),
        every=seconds(30),
    )


def test_each_round_of_slots_is_told_once_when_all_of_it_has_ended() -> None:
    """F4: one summary line for each slot; silence would be an incident."""
    world, events = World(), RecordedEvents()
    teller, looker = a_teller(world, events), world.looker()
    teller.tell(looker.look())
    start = world.clock.turn(seconds(30))
    decision = a_decision(BTC, start + seconds(1), account=ACCOUNT)
    with world.ledger.begin() as unit:
        unit.decisions.open(decision)
    world.clock.turn(seconds(31))
    teller.tell(looker.look())
    assert len(events.of(EventName.SLOT_SUMMARY)) == 1  # the round before it, which was empty
    with world.ledger.begin() as unit:
        unit.decisions.end(decision.decision_id, EndReason.NO_SIGNAL, "", start + seconds(3))
    teller.tell(looker.look())
    teller.tell(looker.look())
    _, told = events.of(EventName.SLOT_SUMMARY)
    assert (told["received"], told["ended"], told["outcomes"]) == (1, 1, {"no_signal": 1})
    assert (told["slowest_symbol"], told["slowest_ms"]) == (BTC, 2000.0)


def test_a_round_with_a_decision_that_does_not_end_is_told_all_the_same() -> None:
    """After a while, with what is missing in it."""
    world, events = World(), RecordedEvents()
    teller, looker = a_teller(world, events), world.looker()
    teller.tell(looker.look())
    with world.ledger.begin() as unit:
        unit.decisions.open(a_decision(BTC, world.clock.now() + seconds(1), account=ACCOUNT))
    world.clock.turn(seconds(91))
    teller.tell(looker.look())
    told = events.of(EventName.SLOT_SUMMARY)[0]
    assert (told["received"], told["ended"]) == (1, 0)


def test_the_queues_are_told_every_half_minute() -> None:
    """QUEUE_STATE: depths, received and ended, positions, state; also when nothing happens."""
    world, events = World(), RecordedEvents()
    teller, looker = a_teller(world, events), world.looker()
    for _ in range(13):
        teller.tell(looker.look())
        world.clock.turn(seconds(5))
    told = events.of(EventName.QUEUE_STATE)
    assert len(told) == 3
    assert (told[0]["queues"], told[0]["held"], told[0]["state"]) == (
        {"fetch": 0, "evaluate": 0, "validate": 0, "execute": 0, "upkeep": 0},
        0,
        "HALTED",
    )
