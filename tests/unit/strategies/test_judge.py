"""The judge: every strategy answers, whatever the others do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import numpy as np
import pytest
from pydantic import Field

from pipeline.domain.signals import VerdictKind
from pipeline.strategies.interface import (
    AnyStrategy,
    Candles,
    Floats,
    NearestMiss,
    Params,
    Regime,
    Side,
    Signal,
    Strategy,
    View,
    above,
    below,
    first_miss,
)
from pipeline.strategies.judge import judge
from tests.unit.strategies.markets import random_minutes, windows


class ToyParams(Params):
    """How far the stop lies, as a fraction."""

    stop: Annotated[float, Field(gt=0, lt=0.5)] = 0.01


class Toy(Strategy[ToyParams]):
    """Answers whatever its test wants."""

    name = "toy"
    params_type = ToyParams
    warm_up = 1
    answer: Callable[[View], object]

    def indicators(self, candles: Candles) -> Mapping[str, Floats]:
        return {"twice": candles.close * 2}

    def signal(self, view: View) -> Signal | NearestMiss:
        return self.answer(view)  # type: ignore[return-value]  # nonsense on purpose


def toy(answer: Callable[[View], object]) -> AnyStrategy:
    strategy = Toy(ToyParams())
    strategy.answer = answer
    return strategy


def miss(_view: View) -> NearestMiss:
    return NearestMiss("nothing", 1.0, 2.0)


@pytest.fixture(scope="module")
def window() -> Mapping[str, Candles]:
    return next(iter(windows(random_minutes(3100))))


def test_a_strategy_that_raises_fails_alone_and_leaves_its_trace(window: Mapping[str, Candles]) -> None:
    """One broken idea must not silence the others, and its author needs the line."""

    def broken(view: View) -> object:
        return view.trigger.last("no such indicator")

    failed, fine = judge([toy(broken), toy(miss)], window)
    assert failed.kind is VerdictKind.FAILED
    assert "no such indicator" in failed.error
    assert "test_judge.py" in failed.error
    assert fine.kind is VerdictKind.NO_SIGNAL


@pytest.mark.parametrize("nonsense", [None, 0, "buy", Side.BUY, {}])
def test_a_strategy_that_returns_nonsense_has_failed(window: Mapping[str, Candles], nonsense: object) -> None:
    """Taking None for "no signal" hides a forgotten return for ever."""
    verdict = judge([toy(lambda _: nonsense)], window)[0]
    assert verdict.kind is VerdictKind.FAILED
    assert "must return" in verdict.error


def test_a_signal_with_contradictory_levels_has_failed(window: Mapping[str, Candles]) -> None:
    """A purchase with its stop above the price is a bug, not an opinion."""

    def upside_down(view: View) -> Signal:
        price = view.trigger.close
        return Signal.from_floats(
            Side.BUY, score=0.5, entry=price, stop_loss=price * 1.1, take_profit=price * 0.9, reason=""
        )

    assert judge([toy(upside_down)], window)[0].kind is VerdictKind.FAILED


def test_a_strategy_sees_its_roles_and_its_own_indicators(window: Mapping[str, Candles]) -> None:
    """The same strategy must run on minutes in the demo and on hours in earnest."""
    seen: list[View] = []

    def watcher(view: View) -> NearestMiss:
        seen.append(view)
        return miss(view)

    judge([toy(watcher)], window)
    view = seen[0]
    assert (view.trigger.timeframe, view.middle.timeframe, view.trend.timeframe) == ("1m", "5m", "15m")
    assert view.trend.last("twice") == 2 * view.trend.close
    assert view.trigger.last("twice", back=3) == 2 * window["1m"].close[-4]
    assert list(view.trigger.tail("twice", 2)) == list(2 * window["1m"].close[-2:])


def test_one_timeframe_plays_every_role(window: Mapping[str, Candles]) -> None:
    """A configuration with a single timeframe is allowed."""
    verdicts = judge([toy(lambda view: NearestMiss(view.trend.timeframe, 0, 0))], {"1m": window["1m"]})
    assert verdicts[0].nearest_miss == NearestMiss("1m", 0, 0)


def test_a_strategy_cannot_change_what_the_next_one_reads(window: Mapping[str, Candles]) -> None:
    """Shared bars that one strategy could edit would make the order of strategies matter."""

    def vandal(view: View) -> object:
        view.trigger.candles.close[-1] = 0.0
        return miss(view)

    before = window["1m"].close.copy()
    verdict = judge([toy(vandal)], window)[0]
    assert verdict.kind is VerdictKind.FAILED
    np.testing.assert_array_equal(window["1m"].close, before)


def test_every_verdict_carries_the_regime_and_its_time(window: Mapping[str, Candles]) -> None:
    """Results are sliced by regime, and a slow strategy must be found by name."""

    def buys(view: View) -> Signal:
        price = view.trigger.close
        return Signal.from_floats(
            Side.BUY, score=0.5, entry=price, stop_loss=price * 0.9, take_profit=price * 1.1, reason="toy"
        )

    verdict = judge([toy(buys)], window)[0]
    assert verdict.signal is not None
    assert verdict.regime is verdict.signal.regime is not Regime.UNKNOWN
    assert verdict.run_ms > 0


def test_no_timeframe_at_all_is_the_callers_fault() -> None:
    """It would otherwise look like a quiet market."""
    with pytest.raises(ValueError, match="no timeframe"):
        judge([toy(miss)], {})


def test_the_first_condition_that_fails_is_the_nearest_miss() -> None:
    """Conditions tell a story in order; the miss says how far it went."""
    held, failed, later = above("a", 2, 1), below("b", 5, 3, "the line"), above("c", 0, 1)
    assert first_miss([held, failed, later]) == NearestMiss("b below the line", 5.0, 3.0)
    assert first_miss([held]) is None


def test_a_condition_without_a_value_fails_and_says_so() -> None:
    """NaN compares false with everything, and cannot be stored as JSON."""
    missed = first_miss([above("rsi", float("nan"), 30)])
    assert missed is not None
    assert "no value yet" in missed.condition
    assert missed.value == 0.0
