"""Which of several watchdogs tells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.events import EventName
from pipeline.domain.levels import Alert, LevelCode, Severity
from pipeline.lease import Held
from pipeline.ledger.memory import memory_ledger
from pipeline.trace.events import RecordedEvents
from pipeline.watch.alerting import Rules
from pipeline.watch.keeping import LevelKeeper
from pipeline.watch.leading import Turn
from pipeline.watch.look import Limits, Look
from pipeline.watch.watchdog import Watchdog
from tests.unit.watch.looks import ACCOUNT, LIMITS, a_look, without

LASTS_S = 25.0
OURS, THEIRS = Held(1, "me", anew=True), Held(0, "other/7")


@dataclass
class World:
    """A lease whose answers are told beforehand, and a clock."""

    now: float = 100.0
    answer: Held | None = THEIRS
    events: RecordedEvents = field(default_factory=RecordedEvents)

    def __post_init__(self) -> None:
        self.turn = Turn(self, LASTS_S, self.events, lambda: self.now)  # type: ignore[arg-type]  # answers for it

    def hold(self) -> Held:
        if self.answer is None:
            raise StoreUnavailable("Redis is away")
        return self.answer

    def drop(self) -> None:
        if self.answer is None:
            raise StoreUnavailable("Redis is away")

    def after(self, seconds: float, answer: Held | None) -> bool:
        self.now += seconds
        self.answer = answer
        return self.turn.look()


@pytest.fixture
def world() -> World:
    return World()


def test_the_second_watchdog_stands_by_and_says_so_once(world: World) -> None:
    """Otherwise each alert is told twice."""
    assert [world.after(5, THEIRS) for _ in range(3)] == [False, False, False]
    assert [each["holder"] for each in world.events.of(EventName.WATCH_STANDS_BY)] == ["other/7"]


def test_it_takes_over_when_the_lease_is_free(world: World) -> None:
    world.after(5, THEIRS)
    assert world.after(30, OURS)
    assert len(world.events.of(EventName.WATCH_LEADS)) == 1


def test_the_one_that_leads_goes_on_without_redis(world: World) -> None:
    """That Redis is away is the first thing that it has to tell."""
    world.after(5, OURS)
    assert world.after(60, None)
    assert not world.after(5, THEIRS)


def test_one_that_stands_by_takes_over_when_redis_stays_away(world: World) -> None:
    """The other may have died together with Redis."""
    world.after(5, THEIRS)
    assert not world.after(LASTS_S - 1, None)
    assert world.after(2, None)
    assert "Redis is away" in str(world.events.of(EventName.WATCH_LEADS)[0]["problem"])


def test_without_ever_having_heard_of_another_it_tells_at_once(world: World) -> None:
    """A watchdog that starts while Redis is away must say that it is."""
    assert world.after(0, None)


def test_at_its_end_it_gives_way(world: World) -> None:
    world.after(5, OURS)
    world.answer = None
    world.turn.end()
    assert not world.turn.leads


@dataclass
class Watched:
    """A watchdog where no beat lives, and whose turn goes as told; stands in for all that it uses."""

    turns: Iterator[bool]
    sent: list[Alert] = field(default_factory=list)
    limits: Limits = LIMITS
    lost: int = 0
    problem: str = ""

    def look(self, *, asked_by_watch: bool | None = None) -> Look | bool:
        return next(self.turns) if asked_by_watch is None else a_look(pulses=without("beat"))

    def send(self, alert: Alert) -> None:
        self.sent.append(alert)

    def pause(self) -> None:
        """It says nothing of the chain while another does."""

    def tell(self, look: Look) -> None:
        """Nor what it has to say of it."""

    def forget(self, processes: list[str]) -> None:
        """No pulse is old here."""

    def watchdog(self) -> Watchdog:
        return Watchdog(
            turn=self,  # type: ignore[arg-type]  # looks only
            looker=self,  # type: ignore[arg-type]  # looks only
            keeper=LevelKeeper(ACCOUNT, timedelta(0)),
            desk=self,  # type: ignore[arg-type]  # sends only
            rules=Rules(Severity.WARNING, None),
            teller=self,  # type: ignore[arg-type]  # tells only
            ledger=memory_ledger(),
            pulses=self,  # type: ignore[arg-type]  # forgets only
            events=RecordedEvents(),
        )


def test_the_one_whose_turn_it_is_tells() -> None:
    watched = Watched(iter([True, True]))
    assert watched.watchdog().round() is not None
    assert [alert.code for alert in watched.sent] == [LevelCode.BEAT_GONE]


def test_one_that_lost_its_turn_while_it_looked_tells_nothing() -> None:
    """A host that was cut off would call itself gone when it is back, and nobody would ever take it back."""
    watched = Watched(iter([True, False]))
    assert watched.watchdog().round() is None
    assert watched.sent == []
