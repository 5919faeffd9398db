"""Waiting for something to become true, never for time to pass."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")

BUSY = 4.0
"""A busy machine takes that many times what a quiet one may take. Only a test that fails waits so long."""
FIRST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 0.1


def eventually(condition: Callable[[], T | None], timeout: float = 10.0, what: str = "") -> T:
    """The first true value that `condition` returns; fails the test when none came in `timeout` seconds of a quiet
    machine, which is `BUSY` times as long on the clock: patience is no promise about the product's speed.

    An AssertionError inside the condition counts as "not yet" and is quoted in the failure; any other
    exception is a bug of the test or of the program and ends the wait at once.
    """
    timeout *= BUSY
    deadline = time.monotonic() + timeout
    pause = FIRST_PAUSE_S
    while True:
        value, last = _attempt(condition)
        if value:
            return value
        if time.monotonic() >= deadline:
            pytest.fail(f"waited {timeout:g} s in vain for {what or _name(condition)}; last seen: {last}")
        time.sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_S)


def _attempt(condition: Callable[[], T | None]) -> tuple[T | None, str]:
    try:
        value = condition()
    except AssertionError as error:
        return None, str(error) or "an assertion without text"
    return value, repr(value)


def _name(condition: Callable[[], object]) -> str:
    return getattr(condition, "__qualname__", repr(condition))
