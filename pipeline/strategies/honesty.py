"""Honesty checks: does a strategy look ahead, do its answers hang on the start-up, does it repeat itself?

Each check walks through a history close by close and gives the first bar at which two answers differ that
must not.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.domain.signals import NearestMiss, Regime, Signal, StrategyVerdict
from pipeline.strategies.candles import Candles, Floats
from pipeline.strategies.history import History, instant
from pipeline.strategies.interface import AnyStrategy, Frame, View
from pipeline.strategies.judge import Patience, judge
from pipeline.strategies.regime import Climate, climate

LEVEL_TOLERANCE = 0.001
"""How far stop and target may move with the start-up, as a fraction of the entry."""

SCORE_TOLERANCE = 0.01

HANGS_AFTER_S = 10.0
"""An answer that takes longer is a failure here as well."""

Answer = Signal | NearestMiss | str
"""What a strategy answered; text for one that raised."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first bar at which a check fails: in which history, closed when, what differed."""

    history: str
    closed_at: datetime
    what: str

    def __str__(self) -> str:
        return f"{self.history}, bar closed {self.closed_at:%Y-%m-%d %H:%M} UTC: {self.what}"


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of every close of a history: how many there were, the signals by regime, the first
    failure.
    """

    closes: int = 0
    signals: Counter[Regime] = field(default_factory=Counter)
    failed: Difference | None = None

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.closes + other.closes, self.signals + other.signals, self.failed or other.failed)


def looks_ahead(strategy: AnyStrategy, history: History, every: int = 1) -> Difference | None:
    """At each close: indicators made of all bars, later ones included, against those of the bars so far
    alone.

    A causal indicator has the same value either way, and the signal is the same. None when all are.
    """
    foreseen = [strategy.indicators(each.candles) for each in history.series]
    for now_ms in history.closes(strategy.warm_up, every):
        what = _foreseen(strategy, history, foreseen, now_ms)
        if what:
            return Difference(history.name, instant(now_ms), what)
    return None


def _foreseen(
    strategy: AnyStrategy, history: History, foreseen: Sequence[Mapping[str, Floats]], now_ms: int
) -> str:
    knowing, cut = [], []
    for series, columns in zip(history.series, foreseen, strict=True):
        past, name = series.closed_at(now_ms), series.timeframe.name
        known = {indicator: values[: len(past)] for indicator, values in columns.items()}
        own = strategy.indicators(past)
        what = _first_unequal(known, own)
        if what:
            return f"{name} {what}"
        mood = _calm(past)
        knowing.append(Frame(name, past, known, mood))
        cut.append(Frame(name, past, own, mood))
    with_later, without = _asked(strategy, knowing), _asked(strategy, cut)
    if with_later == without:
        return ""
    return f"with later bars {_in_words(with_later)}, without {_in_words(without)}"


def _calm(past: Candles) -> Climate:
    return climate(past.tail(200))


def _first_unequal(known: Mapping[str, Floats], own: Mapping[str, Floats]) -> str:
    """The first indicator whose newest value knew more than its own past."""
    for name, values in own.items():
        later, alone = float(known[name][-1]), float(values[-1])
        if later != alone and not (math.isnan(later) and math.isnan(alone)):
            return f"indicator '{name}' is {later:.10g} with later bars, {alone:.10g} without"
    return ""


def _asked(strategy: AnyStrategy, frames: Sequence[Frame]) -> Answer:
    try:
        return strategy.signal(View(tuple(frames)))
    except Exception as problem:  # noqa: BLE001 - what a strategy raises is an answer to compare
        return f"{type(problem).__name__}: {problem}"


def hangs_on_start_up(
    strategy: AnyStrategy, history: History, counts: Sequence[int], every: int = 1
) -> Difference | None:
    """At each close: the answer to the first of `counts` bars against the answers to the others.

    Signal or none, and its side, must be equal; stop and target within 0.1 % of the entry, the score within
    0.01.
    None when all are.
    """
    first, *others = counts
    for now_ms in history.closes(strategy.warm_up, every):
        reference = _verdict(strategy, history, now_ms, first)
        for count in others:
            what = _shifted(reference, _verdict(strategy, history, now_ms, count))
            if what:
                told = f"{first} bars give {what[0]}, {count} give {what[1]}"
                return Difference(history.name, instant(now_ms), told)
    return None


def _verdict(strategy: AnyStrategy, history: History, now_ms: int, bars: int) -> StrategyVerdict:
    return judge([strategy], history.window(now_ms, bars), Patience(HANGS_AFTER_S))[0]


def _shifted(reference: StrategyVerdict, other: StrategyVerdict) -> tuple[str, str] | None:
    if reference.kind is other.kind and _near(reference.signal, other.signal):
        return None
    return _verdict_in_words(reference), _verdict_in_words(other)


def _near(one: Signal | None, other: Signal | None) -> bool:
    if one is None or other is None:
        return one is other
    levels = ((one.stop_loss, other.stop_loss), (one.take_profit, other.take_profit))
    return (
        one.side is other.side
        and all(abs(float(a - b)) <= LEVEL_TOLERANCE * float(one.entry) for a, b in levels)
        and abs(float(one.score - other.score)) <= SCORE_TOLERANCE
    )


def differs_when_repeated(
    make: Callable[[], AnyStrategy], history: History, bars: int, every: int = 1
) -> Difference | None:
    """At each close: the verdict of one copy of the strategy against that of another, byte for byte."""
    one, other = make(), make()
    for now_ms in history.closes(one.warm_up, every):
        answers = [said(_verdict(each, history, now_ms, bars)) for each in (one, other)]
        if answers[0] != answers[1]:
            what = " the first time, the second time ".join(answer.decode() for answer in answers)
            return Difference(history.name, instant(now_ms), what)
    return None


def tally(strategy: AnyStrategy, history: History, bars: int, every: int = 1) -> Tally:
    """How often it has a signal, by regime, and the first bar at which it failed."""
    signals: Counter[Regime] = Counter()
    failed: Difference | None = None
    closes = list(history.closes(strategy.warm_up, every))
    for now_ms in closes:
        verdict = _verdict(strategy, history, now_ms, bars)
        if verdict.signal is not None:
            signals[verdict.regime] += 1
        elif verdict.error and failed is None:
            failed = Difference(history.name, instant(now_ms), _verdict_in_words(verdict))
    return Tally(len(closes), signals, failed)


def said(verdict: StrategyVerdict) -> bytes:
    """Everything a verdict says, but for how long it took: equal bytes for equal answers."""
    miss = verdict.nearest_miss
    record = {
        "strategy": verdict.strategy,
        "kind": verdict.kind.value,
        "regime": verdict.regime.value,
        "signal": None if verdict.signal is None else verdict.signal.as_record(),
        "nearest_miss": None if miss is None else [miss.condition, miss.value, miss.threshold],
        "error": verdict.error,
    }
    return json.dumps(record).encode()


def _verdict_in_words(verdict: StrategyVerdict) -> str:
    answer = verdict.signal or verdict.nearest_miss
    return _in_words(answer if answer is not None else verdict.error.strip().splitlines()[-1])


def _in_words(answer: Answer) -> str:
    if isinstance(answer, Signal):
        return f"{answer.side} score {answer.score}, stop {answer.stop_loss}, target {answer.take_profit}"
    if isinstance(answer, NearestMiss):
        return f"no signal ({answer.condition} {answer.threshold:.10g}, has {answer.value:.10g})"
    return answer
