from __future__ import annotations

import itertools

import pytest

from tests.support.waiting import eventually


def test_eventually_returns_the_first_true_value() -> None:
    """A test goes on with what it waited for, without asking a second time."""
    values = iter([None, 0, "ready", "too late"])
    assert eventually(lambda: next(values)) == "ready"


def test_waiting_in_vain_names_what_was_awaited_and_what_was_seen_last() -> None:
    """A timeout that says only "timeout" costs its reader an hour."""
    with pytest.raises(pytest.fail.Exception, match=r"in vain for the moon to rise; last seen: \[\]"):
        eventually(list, timeout=0.01, what="the moon to rise")


def test_an_assertion_in_the_condition_means_not_yet_and_is_quoted() -> None:
    """Conditions may be written as assertions, whose text then explains the failure."""
    counter = itertools.count()

    def third_time() -> bool:
        assert next(counter) == 2, "not the third time"
        return True

    assert eventually(third_time)
    with pytest.raises(pytest.fail.Exception, match="not the third time"):
        eventually(third_time, timeout=0.01)


def test_any_other_error_ends_the_wait_at_once() -> None:
    """A typo in a condition must not look like slowness."""
    with pytest.raises(ZeroDivisionError):
        eventually(lambda: 1 / 0)
