"""When beat fires: every slot of every symbol once, or named as missed; whatever the clock and the universe do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from celery import Celery
from hypothesis import given
from hypothesis import strategies as st
from kombu.exceptions import OperationalError

import beat_schedule
from beat_schedule import DueSlot, SlotPlan, SlotScheduler, Upkeep, phase, slot_at_or_before
from config.sections.processes import ChainSettings
from config.settings import Settings
from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.events import EventName
from pipeline.domain.ids import decision_id
from pipeline.domain.outcomes import EndReason
from pipeline.governor.universe import Universe
from pipeline.lease import Held
from pipeline.ledger.memory import memory_ledger
from pipeline.ledger.sql import SqlLedger
from pipeline.stages.opening import PassRequest
from pipeline.testing import FixedClock
from pipeline.trace import sentry
from pipeline.trace.events import RecordedEvents
from tests.unit.ledger.ledger_worlds import a_decision

START = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
CADENCE = timedelta(seconds=30)
MANY = tuple(f"COIN{number}/USDT:USDT" for number in range(1000))

symbols = st.lists(st.sampled_from(MANY[:40]), min_size=1, max_size=12, unique=True).map(tuple)
cadences = st.integers(1_000, 3_600_000).map(lambda ms: timedelta(milliseconds=ms))
moments = st.integers(0, 10**15).map(lambda us: START + timedelta(microseconds=us))
steps = st.lists(st.floats(0, 5, exclude_min=True), min_size=1, max_size=30)
"""How far apart beat's ticks are, in cadences: mostly more than one, so that slots are missed."""


def ticks(start: datetime, cadence: timedelta, after: Iterable[float]) -> list[datetime]:
    found = [start]
    for step in after:
        found.append(found[-1] + cadence * step)
    return found[1:]


def fired(plan: SlotPlan, at: Iterable[datetime]) -> list[tuple[datetime, DueSlot]]:
    """What a plan gives at each of these instants, with the instant."""
    found = []
    for now in at:
        while (due := plan.next_due(now)) is not None:
            found.append((now, due))
    return found


def planned(names: tuple[str, ...], cadence: timedelta, start: datetime) -> SlotPlan:
    plan = SlotPlan(cadence)
    plan.follow(names, start)
    return plan


def slots_between(symbol: str, cadence: timedelta, after: datetime, until: datetime) -> int:
    newest = slot_at_or_before(symbol, cadence, until)
    return (newest - slot_at_or_before(symbol, cadence, after)) // cadence


# --------------------------------------------------------------------------------------------- slots


@given(st.sampled_from(MANY), cadences, moments)
def test_a_slot_is_the_newest_of_its_symbol_at_any_instant_of_its_cadence(
    symbol: str, cadence: timedelta, at: datetime
) -> None:
    slot = slot_at_or_before(symbol, cadence, at)
    assert slot <= at < slot + cadence
    assert slot_at_or_before(symbol, cadence, slot + cadence) == slot + cadence


@given(st.sampled_from(MANY), cadences, moments, st.integers(-14 * 60, 14 * 60))
def test_the_zone_of_the_clock_changes_no_slot(
    symbol: str, cadence: timedelta, at: datetime, minutes: int
) -> None:
    """Summer time begins somewhere every year; a decision's id must not notice."""
    elsewhere = at.astimezone(timezone(timedelta(minutes=minutes)))
    slot = slot_at_or_before(symbol, cadence, elsewhere)
    assert (slot, slot.tzinfo) == (slot_at_or_before(symbol, cadence, at), UTC)


def test_a_symbols_place_in_the_cadence_is_the_same_in_every_process() -> None:
    """Beats on two hosts agree without talking to each other, and after an upgrade."""
    assert phase("BTC/USDT:USDT", CADENCE) == timedelta(milliseconds=5169)


def test_a_thousand_symbols_are_spread_over_the_cadence() -> None:
    """A1: they must not fire at once; no second gets more than twice its share."""
    newest = (slot_at_or_before(symbol, CADENCE, START) for symbol in MANY)
    seconds = Counter((START - slot) // timedelta(seconds=1) for slot in newest)
    assert set(seconds) == set(range(30))
    assert max(seconds.values()) <= 2 * len(MANY) / 30


# ---------------------------------------------------------------------------------------------- plan


@given(symbols, cadences, moments, steps)
def test_every_slot_is_fired_once_or_counted_as_missed(
    names: tuple[str, ...], cadence: timedelta, start: datetime, after: list[float]
) -> None:
    """Whenever beat gets to look, and however long it was held up."""
    times = ticks(start, cadence, after)
    found = fired(planned(names, cadence, start), times)
    for symbol in names:
        own = [due for _, due in found if due.symbol == symbol]
        assert len({due.slot for due in own}) == len(own)
        accounted = len(own) + sum(due.missed for due in own)
        assert accounted == slots_between(symbol, cadence, start, times[-1])


@given(symbols, cadences, moments, steps)
def test_a_slot_is_never_fired_early_nor_after_the_next_one_is_due(
    names: tuple[str, ...], cadence: timedelta, start: datetime, after: list[float]
) -> None:
    """A pass for an instant long gone would trade on yesterday's market."""
    for now, due in fired(planned(names, cadence, start), ticks(start, cadence, after)):
        assert due.slot <= now < due.slot + cadence
        assert due.slot > start


@given(symbols, cadences, moments, st.lists(st.floats(0, 1, exclude_min=True), min_size=1, max_size=30))
def test_a_beat_that_looks_once_in_a_cadence_misses_nothing(
    names: tuple[str, ...], cadence: timedelta, start: datetime, after: list[float]
) -> None:
    found = fired(planned(names, cadence, start), ticks(start, cadence, after))
    assert all(due.missed == 0 for _, due in found)


@given(symbols, cadences, moments, st.floats(0, 3))
def test_two_beats_that_started_at_different_times_name_the_same_slots(
    names: tuple[str, ...], cadence: timedelta, one: datetime, later: float
) -> None:
    """A1: the second host's beat must find the first one's decisions, not make new ones."""
    other = one + cadence * later
    until = other + 3 * cadence

    def slots(start: datetime) -> set[tuple[str, datetime]]:
        looks = ticks(start, cadence, [0.5] * (2 * (until - start) // cadence))
        found = fired(planned(names, cadence, start), [*looks, until])
        return {(due.symbol, due.slot) for _, due in found if due.slot > other}

    assert slots(one) == slots(other)


@given(symbols, symbols, cadences, moments, st.floats(0, 1))
def test_a_new_universe_leaves_the_slots_of_those_that_stay(
    before: tuple[str, ...], after: tuple[str, ...], cadence: timedelta, start: datetime, when: float
) -> None:
    """A slot that is due at the very moment of the change is not lost; those that left fire no more."""
    changed_at, later = start + cadence * when, ticks(start, cadence, [1, 1, 1])
    changed, unchanged = planned(before, cadence, start), planned(before, cadence, start)
    changed.follow(after, changed_at)
    found = {(due.symbol, due.slot) for _, due in fired(changed, later)}
    stayed = {(due.symbol, due.slot) for _, due in fired(unchanged, later) if due.symbol in after}
    assert stayed == {each for each in found if each[0] in before}
    assert {symbol for symbol, _ in found} == set(after)


@given(symbols, cadences, moments, st.floats(0, 1000))
def test_a_clock_that_was_wrong_silences_no_symbol(
    names: tuple[str, ...], cadence: timedelta, start: datetime, ahead: float
) -> None:
    """A clock that ran ahead for a moment must not cost the hours by which it was wrong."""
    plan = planned(names, cadence, start)
    fired(plan, [start + cadence * ahead])
    found = fired(plan, ticks(start, cadence, [0.5, 0.5, 0.5]))
    assert {due.symbol for _, due in found} == set(names)


@given(symbols, cadences, moments, st.floats(0, 2))
def test_the_wait_ends_when_the_next_slot_is_due(
    names: tuple[str, ...], cadence: timedelta, start: datetime, when: float
) -> None:
    plan, now = planned(names, cadence, start), start + cadence * when
    fired(plan, [now])
    wait = timedelta(seconds=plan.wait_s(now))
    assert timedelta(0) < wait <= cadence
    assert plan.next_due(now + wait - timedelta(milliseconds=1)) is None
    assert plan.next_due(now + wait) is not None


def test_an_empty_plan_waits_for_ever_and_an_overdue_one_not_at_all() -> None:
    assert SlotPlan(CADENCE).wait_s(START) == float("inf")
    assert planned(MANY[:3], CADENCE, START).wait_s(START + 5 * CADENCE) == 0


# -------------------------------------------------------------------------------------------- upkeep


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=40))
def test_upkeep_is_never_further_away_than_its_interval(jumps: list[float]) -> None:
    """Whatever the clock does: a sweep that waits for a wrong clock leaves decisions open."""
    upkeep, now = Upkeep("tasks.sweep", timedelta(seconds=2)), START
    for jump in jumps:
        now += timedelta(seconds=jump)
        if upkeep.is_due(now):
            upkeep.sent(now)
        assert not upkeep.is_due(now)
        assert upkeep.is_due(now + upkeep.every)


# ------------------------------------------------------------------------------------------ scheduler

TEN = timedelta(seconds=10)


@dataclass
class World:
    """What the scheduler sees of a pipeline, and what it asked for. `leading`: whether its lease is its own."""

    universe: Callable[[], Universe]
    clock: FixedClock = field(default_factory=lambda: FixedClock(START))
    events: RecordedEvents = field(default_factory=RecordedEvents)
    settings: Settings = field(default_factory=lambda: Settings(chain=ChainSettings(cadence_s=10)))
    passes: list[PassRequest] = field(default_factory=list)
    upkeep: list[str] = field(default_factory=list)
    trouble: dict[str, Exception] = field(default_factory=dict)
    pass_takes: timedelta = timedelta(0)
    leading: bool = True
    ledger: SqlLedger = field(default_factory=memory_ledger)

    def beat_lease(self) -> World:
        return self

    def clock_ahead_s(self) -> float:
        return 0.0

    def hold(self) -> Held:
        return Held(1 if self.leading else 0, "somebody")

    def enqueue(self, request: PassRequest, **_options: Any) -> None:
        self.clock.turn(self.pass_takes)
        if len(self.passes) > 5000:
            pytest.fail("this tick does not end")
        if request.symbol in self.trouble:
            raise self.trouble[request.symbol]
        self.passes.append(request)

    def send(self, task: str, **_options: Any) -> None:
        self.upkeep.append(task)

    @property
    def symbols(self) -> list[str]:
        return sorted(request.symbol for request in self.passes)


def trading(names: Sequence[str]) -> World:
    return World(lambda: Universe.of(names))


def scheduler(world: World, patch: pytest.MonkeyPatch) -> SlotScheduler:
    """A scheduler that has looked at its universe once."""
    app = Celery("beat-test", set_as_current=False)
    patch.setattr(app, "send_task", world.send)
    patch.setattr(beat_schedule, "services", lambda: world)
    patch.setattr(beat_schedule, "enqueue_pass", world.enqueue)
    made = SlotScheduler(app)
    made.tick()
    return made


def test_a_cadence_enqueues_each_symbol_once_from_beat(monkeypatch: pytest.MonkeyPatch) -> None:
    world = trading(MANY[:20])
    beat = scheduler(world, monkeypatch)
    for _ in range(100):
        world.clock.turn(timedelta(seconds=0.1))
        beat.tick()
    assert world.symbols == sorted(MANY[:20])
    assert {request.origin.value for request in world.passes} == {"beat"}


def test_the_universe_is_followed_without_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    """A1."""
    traded = list(MANY[:3])
    world = trading(traded)
    beat = scheduler(world, monkeypatch)
    traded[:] = MANY[2:5]
    beat.tick()
    world.clock.turn(timedelta(seconds=10))
    beat.tick()
    assert world.symbols == sorted(MANY[2:5])


@pytest.mark.parametrize("trouble", [OperationalError("Redis is away"), KeyError("a bug")], ids=repr)
def test_one_symbols_trouble_stops_no_other(monkeypatch: pytest.MonkeyPatch, trouble: Exception) -> None:
    """I5: a dead generator. It is named, and beat lives."""
    world = trading(MANY[:5])
    world.trouble[MANY[2]] = trouble
    beat = scheduler(world, monkeypatch)
    world.clock.turn(timedelta(seconds=10))
    beat.tick()
    assert world.symbols == sorted({*MANY[:5]} - {MANY[2]})
    assert [event["symbol"] for event in world.events.of(EventName.PUBLISH_FAILED)] == [MANY[2]]


def test_beat_checks_in_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """F8: a beat that hangs is missed by somebody who does not run on this host."""
    told: list[tuple[str, bool]] = []
    monkeypatch.setattr(sentry, "check_in", lambda monitor, *, well: told.append((monitor, well)))
    world = trading(MANY[:1])
    beat = scheduler(world, monkeypatch)
    for _ in range(150):
        world.clock.turn(timedelta(seconds=1))
        beat.tick()

    assert told == [("throughline-beat", True)] * 3


def test_a_missed_slot_is_named_with_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    world = trading(MANY[:1])
    beat = scheduler(world, monkeypatch)
    world.clock.turn(timedelta(seconds=40))
    beat.tick()
    (event,) = world.events.of(EventName.SLOT_MISSED)
    assert (event["symbol"], event["missed"]) == (MANY[0], 3)
    assert len(world.passes) == 1


def test_a_beat_that_stands_by_fires_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work is not done twice, and a beat that is cut off poisons no slot."""
    world = trading(MANY[:5])
    world.leading = False
    beat = scheduler(world, monkeypatch)
    world.clock.turn(timedelta(seconds=25))
    beat.tick()
    assert world.passes == []
    assert world.upkeep == []
    assert world.events.of(EventName.SLOT_MISSED) == []


def test_who_takes_over_fires_what_the_other_may_have_left_and_nothing_older(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The ledger finds the slots that were fired already; the minutes before are no missed slots of its own."""
    world = trading(MANY[:5])
    world.leading = False
    beat = scheduler(world, monkeypatch)
    for _ in range(60):
        world.clock.turn(timedelta(seconds=10))
        beat.tick()
    world.leading = True
    beat._leadership.lasts_s = 0
    beat.tick()
    assert world.symbols == sorted(MANY[:5])
    assert {request.slot > world.clock.now() - TEN for request in world.passes} == {True}
    assert {event["missed"] for event in world.events.of(EventName.SLOT_MISSED)} <= {1}


def test_a_slot_that_another_beat_has_opened_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = trading(MANY[:1])
    beat = scheduler(world, monkeypatch)
    world.clock.turn(timedelta(seconds=40))
    newest = beat_schedule.slot_at_or_before(MANY[0], TEN, world.clock.now())
    with world.ledger.begin() as unit:
        for back in (1, 3):
            unit.decisions.open(a_decision(MANY[0], newest - back * TEN))
            unit.decisions.end(decision_id(MANY[0], newest - back * TEN), EndReason.NO_SIGNAL, "", START)
    beat.tick()
    assert [event["missed"] for event in world.events.of(EventName.SLOT_MISSED)] == [1]


def test_while_the_exchange_cannot_be_asked_the_planned_symbols_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their passes say what is wrong; beat itself says it once, not at every tick."""
    world = trading(MANY[:3])
    beat = scheduler(world, monkeypatch)

    def unreachable() -> Universe:
        raise ExchangeUnavailable("nobody there")

    world.universe = unreachable
    for _ in range(10):
        world.clock.turn(timedelta(seconds=1))
        beat.tick()
    assert world.symbols == sorted(MANY[:3])
    assert [event.get("problem") for event in world.events.of(EventName.UNIVERSE)] == [None, "nobody there"]


def test_a_slow_ledger_holds_up_no_upkeep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand passes of half a second each would keep the sweeper away for minutes."""
    world = trading(MANY)
    beat = scheduler(world, monkeypatch)
    world.clock.turn(timedelta(seconds=10))
    world.pass_takes = timedelta(seconds=0.5)
    before, sent = world.clock.now(), len(world.upkeep)
    assert beat.tick() == 0
    assert world.clock.now() - before <= timedelta(seconds=1.5)
    beat.tick()
    assert len(world.upkeep) > sent


def test_upkeep_is_sent_in_its_rhythm(monkeypatch: pytest.MonkeyPatch) -> None:
    world = trading(())
    beat = scheduler(world, monkeypatch)
    for _ in range(20):
        world.clock.turn(timedelta(seconds=1))
        beat.tick()
    assert Counter(world.upkeep) == {
        "tasks.sweep": 11,
        "tasks.resolve": 11,
        "tasks.protect": 11,
        "tasks.look_after": 21,
        "tasks.refresh_equity": 3,
        "tasks.reconcile": 3,
        "tasks.guard": 21,
        "tasks.check_universe": 1,
    }
