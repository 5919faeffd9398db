"""The guard's work, whatever the exchange says to a part of it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pipeline.domain.errors import UnknownSymbol
from pipeline.domain.events import EventName
from pipeline.execution.cancelling import Cancelled
from pipeline.trace.events import RecordedEvents
from tasks import upkeep


def test_a_dead_man_switch_that_cannot_be_renewed_keeps_nothing_from_being_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A kill switch must work on the worst of days; the trouble is told as well."""
    done: list[str] = []

    def tend() -> None:
        raise UnknownSymbol("ADA/USDT:USDT")

    def cancel_covered() -> Cancelled:
        done.append("cancelled")
        return Cancelled((), ())

    events = RecordedEvents()
    here = SimpleNamespace(
        account="main",
        events=events,
        dead_man=SimpleNamespace(tend=tend),
        safeguarding=SimpleNamespace(
            cancel_covered=cancel_covered, watch_breaker=lambda: done.append("breaker")
        ),
    )
    monkeypatch.setattr(upkeep, "services", lambda: here)
    assert upkeep.guard().startswith("unknown: ADA/USDT:USDT")
    assert done == ["cancelled", "breaker"]
    assert [each["what"] for each in events.of(EventName.UPKEEP_FAILED)] == ["guard"]
