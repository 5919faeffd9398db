"""Which decision is being worked on."""

from __future__ import annotations

import contextvars
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.trace import context
from pipeline.trace.context import DecisionContext


def test_what_was_bound_before_comes_back() -> None:
    """A worker serves one decision after another; an id must not stick."""
    with context.bound(decision_id="dec_1", stage="fetch"):
        with context.bound(decision_id="dec_2"):
            assert context.fields() == {"decision_id": "dec_2"}
        assert context.fields() == {"decision_id": "dec_1", "stage": "fetch"}

    assert context.current() is None
    assert context.fields() == {}


def test_an_error_inside_unbinds_as_well() -> None:
    """A failed decision must not lend its id to the next one."""
    with pytest.raises(RuntimeError), context.bound(decision_id="dec_1"):
        raise RuntimeError

    assert context.current() is None


def test_threads_do_not_share_a_decision() -> None:
    """Two decisions at once keep their own ids."""
    with context.bound(decision_id="dec_1"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(context.current).result() is None
        inherited = contextvars.copy_context()
        found = pool.submit(inherited.run, context.current).result()

    assert found == DecisionContext(decision_id="dec_1")


def test_a_field_that_no_header_has_is_refused() -> None:
    """A misspelt name would be an id that is nowhere."""
    with pytest.raises(TypeError), context.bound(decision="dec_1"):
        pass
