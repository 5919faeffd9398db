"""Processes killed and frozen at every named point around an order, with decisions flowing all the while."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from pipeline.execution.crashpoints import CrashPoint
from tests.fault.accidents import ROUGH, Storm, Traffic, set_faults, until
from tests.fault.rehearsal import Rehearsal, rehearsal

UNDER_WAY = 16
SEED = int(os.environ.get("TEST_SEED", "20261121"))


@pytest.fixture(scope="module")
def on() -> Iterator[Rehearsal]:
    """One pipeline for this file; each test leaves it quiet and audited."""
    with rehearsal(seed=7, symbols=40) as made:
        made.start()
        with made.beat():
            yield made


def weather(on: Rehearsal, word: str) -> Storm:
    """Every point once, in rough weather; then all is quiet again."""
    storm = Storm(on, word, Counter(dict.fromkeys(CrashPoint, 1)), random.Random(SEED))
    traffic = Traffic(on)
    set_faults(on, *ROUGH)
    steps = (storm.step, lambda: traffic.keep(UNDER_WAY))
    assert until(lambda: storm.is_over, steps, 120), f"seed {SEED}: never hit: {+storm.wanted}"
    storm.call_off()
    on.drain(90)
    return storm


@pytest.mark.parametrize("word", ["KILL", "STOP"])
def test_an_accident_at_any_point_doubles_nothing_and_loses_nothing(on: Rehearsal, word: str) -> None:
    """At most one order for each attempt, every decision ended, every digit equal: whatever happens where."""
    storm = weather(on, word)
    assert set(storm.injected.values()) == {1}
    assert len(storm.injected) == len(CrashPoint)
    assert on.audit() == [], f"seed {SEED}"
    assert len(on.evidence().traded) > 10
