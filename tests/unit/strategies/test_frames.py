"""Strategies written on pandas frames."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.domain.signals import VerdictKind
from pipeline.strategies.frames import FrameStrategy, as_frame
from pipeline.strategies.history import walk
from pipeline.strategies.honesty import looks_ahead
from pipeline.strategies.interface import NearestMiss, Params, Signal, View, above, first_miss
from pipeline.strategies.judge import judge


class OnFrames(FrameStrategy[Params]):
    """Wants the close above its mean."""

    name = "on_frames"

    def frame_indicators(self, frame: pd.DataFrame) -> pd.DataFrame:
        frame["mean"] = frame["close"].rolling(20).mean()
        return frame

    def signal(self, view: View) -> Signal | NearestMiss:
        now = view.trigger
        return first_miss([above("close", now.close, now.last("mean"), "its mean")]) or NearestMiss(
            "done", 0, 1
        )


class Shifts(OnFrames):
    """The look-ahead of pandas people."""

    name = "shifts"

    def frame_indicators(self, frame: pd.DataFrame) -> pd.DataFrame:
        frame["mean"] = frame["close"].rolling(20).mean().shift(-1)
        return frame


def returns(answer: Any) -> OnFrames:
    class Odd(OnFrames):
        def frame_indicators(self, frame: pd.DataFrame) -> pd.DataFrame:
            return answer(frame)

    return Odd(Params())


def test_a_frame_has_the_bars_by_their_time_in_utc() -> None:
    """Whoever knows pandas must not have to learn anything else."""
    bars = next(walk(minutes=3100).windows())["5m"]
    frame = as_frame(bars)
    assert list(frame.columns) == ["open", "high", "low", "close", "volume"]
    assert frame.index[0] == pd.Timestamp(bars.opened_at(0))
    assert str(frame.index.tz) == "UTC"
    np.testing.assert_array_equal(frame["close"].to_numpy(), bars.close)


def test_a_strategy_on_frames_answers_like_any_other_and_changes_nobodys_bars() -> None:
    """It may write into its frame; the bars behind it are everybody's."""
    window = next(walk(minutes=3100).windows())
    before = window["1m"].close.copy()
    verdict = judge([OnFrames(Params())], window)[0]
    assert verdict.kind is VerdictKind.NO_SIGNAL, verdict.error
    np.testing.assert_array_equal(window["1m"].close, before)


@pytest.mark.parametrize("nonsense", [lambda frame: None, lambda frame: frame.tail(3)])
def test_a_frame_that_is_not_one_or_lost_rows_fails_the_strategy(nonsense: Any) -> None:
    """A `dropna` would move every indicator against its bars."""
    verdict = judge([returns(nonsense)], next(walk(minutes=3100).windows()))[0]
    assert verdict.kind is VerdictKind.FAILED
    assert "frame_indicators" in verdict.error


def test_a_shifted_column_is_found_as_look_ahead() -> None:
    """`shift(-1)` is how it usually happens."""
    assert looks_ahead(OnFrames(Params()), walk(minutes=3100), every=20) is None
    assert looks_ahead(Shifts(Params()), walk(minutes=3100), every=20) is not None


def test_nobody_loads_pandas_who_does_not_ask_for_frames() -> None:
    """It costs each process half a second and 50 MB."""
    code = "import sys, pipeline.strategies.registry as r; r.everything(); print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
