"""Which of several beats leads."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.events import EventName
from pipeline.lease import Held
from pipeline.trace.events import RecordedEvents
from tasks.leading import Leadership

LASTS_S = 8.0


@dataclass
class Stage:
    """A lease whose answers are told beforehand, and a clock."""

    answer: Held | None = field(default_factory=lambda: Held(1, "me", "", anew=True))
    now: float = 100.0
    asked: int = 0
    dropped: int = 0
    off_s: float = 0.0
    events: RecordedEvents = field(default_factory=RecordedEvents)

    def __post_init__(self) -> None:
        self.leadership = Leadership(
            self,  # type: ignore[arg-type]  # answers for it
            LASTS_S,
            self.events,
            lambda: self.now,
            clock_ahead_s=self.ahead,
            clock_limit_s=2.0,
        )

    def hold(self) -> Held:
        self.asked += 1
        if self.answer is None:
            raise StoreUnavailable("Redis is away")
        return self.answer

    def drop(self) -> None:
        self.dropped += 1

    def ahead(self) -> float:
        return self.off_s

    def after(self, seconds: float, answer: Held | None) -> bool:
        self.now += seconds
        self.answer = answer
        return self.leadership.look()


OURS, THEIRS = Held(1, "me"), Held(0, "the other")


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_it_leads_while_the_lease_is_its_own(stage: Stage) -> None:
    assert stage.leadership.look()
    assert stage.after(2, OURS)
    assert [event["fence"] for event in stage.events.of(EventName.BEAT_LEADS)] == [1]


def test_it_asks_redis_a_few_times_in_a_lease_and_not_with_each_tick(stage: Stage) -> None:
    for _ in range(100):
        stage.after(0.08, OURS)
    assert 4 <= stage.asked <= 6


def test_it_stands_by_as_soon_as_another_holds_the_lease(stage: Stage) -> None:
    """A beat that was frozen while it led must not go on where it was."""
    stage.leadership.look()
    assert not stage.after(60, THEIRS)
    assert [event["holder"] for event in stage.events.of(EventName.BEAT_STANDS_BY)] == ["the other"]


def test_a_leader_without_redis_steps_back_when_its_lease_must_have_run_out(stage: Stage) -> None:
    """Before that nobody else can lead; after that somebody else may."""
    stage.leadership.look()
    assert stage.after(4, None)
    assert not stage.after(4, None)
    assert len(stage.events.of(EventName.BEAT_STEPS_BACK)) == 1
    assert stage.after(4, Held(2, "me", "me", anew=True))


def test_it_gives_way_at_its_orderly_end(stage: Stage) -> None:
    """The other one need not wait for the lease to run out."""
    stage.leadership.look()
    stage.leadership.end()
    assert (stage.dropped, stage.leadership.leads) == (1, False)


@pytest.mark.parametrize("off_s", [-61.0, 61.0])
def test_a_beat_whose_clock_is_off_does_not_lead_until_it_is_right(stage: Stage, off_s: float) -> None:
    """It would open slots that are long over, or that have not come yet."""
    stage.leadership.look()
    stage.off_s = off_s
    assert not stage.after(2, OURS)
    assert stage.dropped == 1
    assert f"{off_s:+.0f} s from Redis'" in str(stage.events.of(EventName.BEAT_STEPS_BACK)[0]["problem"])
    stage.off_s = 0.0
    assert stage.after(2, OURS)
