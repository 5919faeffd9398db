"""Entries that follow each other are placed first; what they have filled is protected behind them, and not late."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import pytest

from config.sections.processes import ChainSettings, SimulatorSettings
from config.settings import Settings
from pipeline.options import entries_first_s
from pipeline.stages.bursts import FOLLOWS_WITHIN_S, OVER_AFTER_S, STUCK_AFTER_S, Burst
from pipeline.trace import context
from tests.support.waiting import eventually

WITHIN_S = 0.6
A_MOMENT_S = FOLLOWS_WITHIN_S / 10


@dataclass
class Story:
    """What happens to a burst, in order, on a clock that a test moves."""

    now: float = 1000.0
    happened: list[str] = field(default_factory=list)
    threads: dict[str, int] = field(default_factory=dict)
    decisions: dict[str, str] = field(default_factory=dict)
    answers: threading.Event = field(default_factory=threading.Event)
    mute: set[str] = field(default_factory=set)
    bursts: list[Burst] = field(default_factory=list)

    def protect(self, symbol: str) -> None:
        if symbol in self.mute:
            self.happened.append(f"{symbol} is asked for")
            self.answers.wait()
        self.threads[symbol] = threading.get_ident()
        self.decisions[symbol] = context.fields().get("decision_id", "")
        self.happened.append(f"{symbol} is protected")

    def place(self, burst: Burst, *symbols: str, during: Callable[[], object] = lambda: None) -> None:
        """One entry after the other, each filled."""
        for symbol in symbols:
            self.now += A_MOMENT_S
            rest = partial(self.protect, symbol)
            with burst.entry() as follows, context.bound(decision_id=f"decision of {symbol}"):
                self.happened.append(f"{symbol} is placed")
                during()
                burst.leave(symbol, rest) if follows else rest()

    def pass_the_bound(self) -> None:
        self.now += WITHIN_S

    def wait_for(self, *symbols: str) -> None:
        eventually(lambda: {f"{each} is protected" for each in symbols} <= set(self.happened))


@pytest.fixture
def story() -> Iterator[Story]:
    """Nothing of it goes on when the test is over."""
    story = Story()
    yield story
    story.answers.set()
    for burst in story.bursts:
        burst.finish()


def a_burst(story: Story, within_s: float = WITHIN_S) -> Burst:
    story.bursts.append(Burst(within_s, lambda: story.now))
    return story.bursts[-1]


def a_burst_at_b(story: Story) -> Burst:
    """Of four entries; somebody works on B, C and D wait for their protection."""
    burst = a_burst(story)
    story.mute = {"B"}
    story.place(burst, *"ABCD")
    story.now += 2 * OVER_AFTER_S
    eventually(lambda: "B is asked for" in story.happened)
    return burst


def a_burst_stuck_on_b(story: Story) -> Burst:
    """The same, for too long."""
    burst = a_burst_at_b(story)
    story.now += 2 * STUCK_AFTER_S
    return burst


def test_an_entry_that_comes_alone_is_protected_before_anything_else(story: Story) -> None:
    """Also one after the other, if nobody waits in line: the market takes what it wants meanwhile."""
    burst = a_burst(story)
    for symbol in "AB":
        story.place(burst, symbol)
        story.now += 2 * FOLLOWS_WITHIN_S
    assert story.happened == ["A is placed", "A is protected", "B is placed", "B is protected"]
    assert set(story.threads.values()) == {threading.get_ident()}


def test_entries_that_follow_each_other_come_before_the_protection_of_them(story: Story) -> None:
    """The last of many is ordered in half the time. Nobody had to wait behind the first."""
    burst = a_burst(story)
    story.place(burst, *"ABCD")
    assert story.happened == ["A is placed", "A is protected", "B is placed", "C is placed", "D is placed"]
    assert burst.owes == ["B", "C", "D"]


def test_when_no_other_entry_follows_all_are_protected_the_longest_one_first(story: Story) -> None:
    """Nobody has to ask for it: no message may come, and Redis may be gone."""
    burst = a_burst(story)
    story.place(burst, *"ABCD")
    story.now += 2 * OVER_AFTER_S
    story.wait_for(*"ABCD")
    assert story.happened[-3:] == ["B is protected", "C is protected", "D is protected"]
    assert threading.get_ident() not in {story.threads[each] for each in "BCD"}


def test_what_has_waited_as_long_as_it_may_comes_before_the_next_entry(story: Story) -> None:
    """However many still follow: the bound is a promise."""
    burst = a_burst(story)
    story.place(burst, "A", "B")
    story.place(burst, "C", during=story.pass_the_bound)
    story.place(burst, "D")
    story.wait_for("B")
    assert burst.owes == ["C", "D"]


def test_an_entry_that_hangs_does_not_keep_others_from_their_protection(story: Story) -> None:
    """Its exchange may not answer for many seconds; the fills before it wait as long as they may, no longer."""
    burst = a_burst(story)
    story.place(burst, *"ABC")

    def hang() -> None:
        story.pass_the_bound()
        story.wait_for("B", "C")

    story.place(burst, "D", during=hang)


def test_a_symbol_that_is_not_answered_keeps_no_other_from_its_protection(story: Story) -> None:
    """One thread waits for its answer, another one helps."""
    a_burst_stuck_on_b(story)
    story.wait_for("C", "D")
    assert "B is protected" not in story.happened


def test_what_another_process_has_left_comes_before_the_next_entry(story: Story) -> None:
    """It has waited as long as it may, and whoever left it may be dead."""
    burst = a_burst(story)
    story.place(burst, *"AB")
    burst.take_over("Z", partial(story.protect, "Z"))
    story.place(burst, "C")
    assert story.happened[-2:] == ["Z is protected", "C is placed"]
    assert burst.owes == ["B", "C"]


def test_what_is_owed_here_is_not_taken_over_from_anybody(story: Story) -> None:
    """Whoever holds the answer needs no question about it."""
    burst = a_burst(story)
    story.place(burst, *"AB")
    burst.take_over("B", partial(story.protect, "B"))
    assert burst.owes == ["B"]


def test_what_is_taken_over_carries_no_decision_of_its_finder(story: Story) -> None:
    burst = a_burst(story)
    story.place(burst, *"AB")
    with context.bound(decision_id="of the finder"):
        burst.take_over("Z", partial(story.protect, "Z"))
    story.place(burst, "C")
    assert story.decisions["Z"] == ""


def test_a_burst_goes_on_while_anything_is_owed(story: Story) -> None:
    burst = a_burst_at_b(story)
    assert burst.owes == ["C", "D"]
    assert burst.goes_on
    story.answers.set()
    story.wait_for(*"BCD")
    eventually(lambda: not burst.goes_on)


def test_a_burst_whose_threads_are_all_stuck_does_not_go_on(story: Story) -> None:
    """Nobody comes to what is owed, until an exchange answers: a look deals with it itself."""
    burst = a_burst_at_b(story)
    story.mute |= {"C"}
    story.now += 2 * STUCK_AFTER_S
    eventually(lambda: "C is asked for" in story.happened)
    assert burst.goes_on
    story.now += 2 * STUCK_AFTER_S
    assert burst.owes == ["D"]
    eventually(lambda: not burst.goes_on)


def test_a_burst_goes_on_while_an_entry_may_follow(story: Story) -> None:
    burst = a_burst(story)
    story.place(burst, "A")
    assert burst.goes_on
    story.now += 2 * OVER_AFTER_S
    eventually(lambda: not burst.goes_on)


def test_an_entry_that_comes_meanwhile_waits_for_one_symbol_and_not_for_all(story: Story) -> None:
    """Whoever works ends one and would begin the next at once: the entry's turn comes in between."""
    burst = a_burst_at_b(story)
    entry = threading.Thread(target=story.place, args=(burst, "E"))
    entry.start()
    eventually(lambda: burst.is_wanted)
    story.answers.set()
    entry.join()
    assert story.happened[story.happened.index("B is protected") + 1] == "E is placed"


def test_a_process_that_ends_protects_first_what_it_owes(story: Story) -> None:
    """Also what one of its threads is about; and what fills afterwards at once."""
    burst = a_burst_stuck_on_b(story)
    ending = threading.Thread(target=burst.finish)
    ending.start()
    story.wait_for("C", "D")
    assert ending.is_alive()
    story.answers.set()
    ending.join()
    assert "B is protected" in story.happened
    story.place(burst, "E", "F")
    assert story.happened[-4:] == ["E is placed", "E is protected", "F is placed", "F is protected"]


def test_with_no_time_to_wait_each_is_protected_at_once(story: Story) -> None:
    """Who wants every stop first says so in the settings."""
    story.place(a_burst(story, within_s=0), "A", "B")
    assert story.happened == ["A is placed", "A is protected", "B is placed", "B is protected"]


def test_with_no_time_to_wait_what_is_taken_over_comes_before_the_next_entry(story: Story) -> None:
    """A process that ends waits no longer either, and somebody may find what is urgent just then."""
    burst = a_burst(story, within_s=0)
    story.mute = {"Y"}
    burst.take_over("Y", partial(story.protect, "Y"))
    eventually(lambda: "Y is asked for" in story.happened)
    burst.take_over("Z", partial(story.protect, "Z"))
    entry = threading.Thread(target=story.place, args=(burst, "A"))
    entry.start()
    eventually(lambda: burst.is_wanted or not entry.is_alive())
    story.answers.set()
    entry.join()
    assert story.happened[1:] == ["Y is protected", "Z is protected", "A is placed", "A is protected"]


def test_the_log_lines_of_protection_carry_their_own_decision(story: Story) -> None:
    """Whoever does it, and whatever is done there meanwhile."""
    burst = a_burst(story)
    story.place(burst, *"ABC")
    story.now += WITHIN_S
    story.place(burst, "D")
    story.now += 2 * OVER_AFTER_S
    story.wait_for(*"ABCD")
    assert story.decisions == {each: f"decision of {each}" for each in "ABCD"}


def test_each_of_a_thousand_is_protected_once(story: Story) -> None:
    """By three threads that take from one line, on a clock that nobody moves for them."""
    burst = Burst(within_s=0.001)
    symbols = [f"S{number}" for number in range(1000)]
    story.place(burst, *symbols)
    story.wait_for(*symbols)
    burst.finish()
    assert len(story.happened) == 2 * len(symbols)


def test_the_bound_is_the_markets_time() -> None:
    """A recording that is replayed sixty times as fast leaves a sixtieth of it on our clock."""
    settings = Settings(simulator=SimulatorSettings(speed=60))
    assert entries_first_s(settings) == settings.chain.protect_within_s / 60


def test_at_most_half_a_cycle_of_the_bound_counts() -> None:
    """A position whose filler was killed has its stop within `protect_every_s`, whatever the bound says."""
    chain = ChainSettings(protect_every_s=1, protect_within_s=5)
    assert chain.entries_first_s + chain.look_after_every_s == chain.protect_every_s
    assert chain.entries_first_s == 0.5
