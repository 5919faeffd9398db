"""The time limit of one strategy: it is stopped, and everything around it goes on as before."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

import pytest

from pipeline.domain.signals import VerdictKind
from pipeline.strategies.history import walk
from pipeline.strategies.interface import (
    AnyStrategy,
    Candles,
    Floats,
    NearestMiss,
    Params,
    Signal,
    Strategy,
    View,
)
from pipeline.strategies.judge import Patience, judge
from pipeline.strategies.overrun import Overrun, within

LIMIT_S = 0.2
LONG_S = 30.0


class Odd(Strategy[Params]):
    """Does whatever its test wants."""

    name = "odd"
    warm_up = 1
    doing: Callable[[], object]

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        return {}

    def signal(self, view: View) -> Signal | NearestMiss:
        self.doing()
        return NearestMiss("nothing", 0.0, 1.0)


def odd(doing: Callable[[], object]) -> AnyStrategy:
    strategy = Odd(Params())
    strategy.doing = doing
    return strategy


def busy_for_ever() -> None:
    while True:
        pass


def deaf_for_a_while() -> None:
    """Swallows whatever is raised in it, twice, as a loop with `except Exception` around a retry does."""
    for _ in range(2):
        with suppress(BaseException):
            busy_for_ever()
    busy_for_ever()


@pytest.fixture(scope="module")
def window() -> Mapping[str, Candles]:
    return next(walk(minutes=3100).windows())


@pytest.mark.parametrize("hang", [busy_for_ever, lambda: time.sleep(LONG_S), deaf_for_a_while])
def test_a_strategy_that_hangs_fails_with_its_place_and_the_others_go_on(
    window: Mapping[str, Candles], hang: Callable[[], object]
) -> None:
    """One endless loop must not cost the pass, and its author needs the line."""
    failed, fine = judge([odd(hang), odd(lambda: None)], window, Patience(LIMIT_S))
    assert failed.kind is VerdictKind.FAILED
    assert "time limit of 0.2 s" in failed.error
    assert "test_time_limit.py" in failed.error
    assert fine.kind is VerdictKind.NO_SIGNAL


def test_a_strategy_cannot_catch_its_time_limit_with_a_broad_except(window: Mapping[str, Candles]) -> None:
    """`except Exception` is in half of all strategies."""

    def cautious() -> None:
        with suppress(Exception):
            busy_for_ever()

    assert judge([odd(cautious)], window, Patience(LIMIT_S))[0].kind is VerdictKind.FAILED


class StageOverrun(Exception):
    """What Celery's soft limit raises, here."""


@contextmanager
def soft_limit_by(number: signal.Signals) -> Iterator[None]:
    def raise_it(*_: object) -> None:
        raise StageOverrun

    before = signal.signal(number, raise_it)
    try:
        yield
    finally:
        signal.signal(number, before)


def test_the_stages_own_limit_passes_through_a_strategy(window: Mapping[str, Candles]) -> None:
    """Swallowed as one strategy's fault it would be spent, and nothing would stop the stage any more."""
    with soft_limit_by(signal.SIGUSR1):
        hit = odd(lambda: signal.raise_signal(signal.SIGUSR1))
        with pytest.raises(StageOverrun):
            judge([hit], window, Patience(LIMIT_S, (StageOverrun,)))
        assert judge([hit], window, Patience(LIMIT_S))[0].kind is VerdictKind.FAILED


def test_after_a_timed_call_handler_and_timer_are_as_before() -> None:
    """Somebody else may own the alarm: what was set goes on where it would be now."""
    rung = threading.Event()
    before = signal.signal(signal.SIGALRM, lambda *_: rung.set())
    try:
        signal.setitimer(signal.ITIMER_REAL, LONG_S)
        with pytest.raises(Overrun):
            within(LIMIT_S, busy_for_ever)
        left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
        assert LONG_S - 5 < left < LONG_S
        signal.raise_signal(signal.SIGALRM)
        assert rung.is_set()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_no_alarm_is_left_behind() -> None:
    """One that rang later would kill the process: SIGALRM's own meaning is to end it."""
    assert within(LIMIT_S, lambda: 7) == 7
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def test_in_another_thread_nothing_is_timed_and_the_answer_comes_all_the_same() -> None:
    """Python delivers signals to the main thread only; a back test in threads must still work."""
    answers: list[int] = []
    thread = threading.Thread(target=lambda: answers.append(within(LIMIT_S, lambda: 7)))
    thread.start()
    thread.join()
    assert answers == [7]
