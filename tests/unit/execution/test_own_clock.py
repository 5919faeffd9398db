"""A host whose clock is off sends nothing for a permit that another host has issued."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pipeline.domain.checks import CheckCode
from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.permits import Permit
from pipeline.execution.own_clock import OwnClock
from pipeline.testing import FixedClock
from tests.unit.execution.order_worlds import intent as an_intent
from tests.unit.ledger.ledger_worlds import a_decision, a_permit

SECOND = timedelta(seconds=1)
LIMIT_S = 2.0


def issued(at: datetime) -> Permit:
    return a_permit(a_decision(), issued_at=at, expires_at=at + 15 * SECOND)


def refused(off_s: float, *, reduce_only: bool = False, permit_age_s: float = 0.5) -> str:
    """Why nothing is sent where our clock is so far from everybody else's; empty when it is."""
    right = FixedClock()
    ours = FixedClock(right.now() + off_s * SECOND)
    permit = issued(right.now() - permit_age_s * SECOND)
    intent = replace(an_intent(), reduce_only=reduce_only)
    end = OwnClock(ours, right.now, LIMIT_S).problem(intent, permit)
    assert end is None or end.reason is CheckCode.CLOCK_SKEW
    return "" if end is None else end.detail


def test_a_right_clock_is_trusted() -> None:
    assert refused(0.0) == refused(1.5) == refused(-1.5) == ""


@pytest.mark.parametrize("off_s", [-60.0, 60.0])
def test_a_clock_that_is_off_sends_nothing_new(off_s: float) -> None:
    """Behind, it would use a permit a minute after its end."""
    assert f"{off_s:+.0f}" in refused(off_s) or "-59.5 s" in refused(off_s)


def test_by_a_clock_that_is_behind_a_permit_of_the_future_reduces_nothing_either() -> None:
    """The next pass, on a host that knows the time, does."""
    assert "that of the host that issued the permit" in refused(-60.0, reduce_only=True)


def test_a_host_alone_with_its_wrong_clock_may_still_reduce() -> None:
    """Its permits and its sends go by the same clock, and a position must be closed all the same."""
    assert refused(60.0, reduce_only=True) == ""


def test_an_exchange_that_does_not_tell_its_time_gets_nothing_new() -> None:
    def silent() -> datetime:
        raise ExchangeUnavailable("no answer")

    clock = FixedClock()
    end = OwnClock(clock, silent, LIMIT_S).problem(an_intent(), issued(clock.now()))
    assert end is not None
    assert "does not tell its time" in end.detail
