"""Incidents on purpose: the watchdog notices, the doctor names the cause, and it heals.

`throughline rehearse all` rehearses every one with the limits as they come; here some of each kind, with short ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from console.rehearsing.incidents import INCIDENTS
from console.rehearsing.rehearsal import keep_quiet, rehearse, running_system
from console.rehearsing.system import System

QUICK = {
    "watch": {
        "look_every_s": 1,
        "pulse_every_s": 1,
        "silent_after_s": 8,
        "hung_after_s": 6,
        "handoff_after_s": 4,
        "clear_after_s": 3,
    },
    "exchange": {"timeout_s": 4},
}


@pytest.fixture(scope="module")
def system() -> Iterator[System]:
    with running_system(QUICK) as running:
        yield running


@pytest.mark.parametrize("name", ["dead-worker", "cut-path", "config-drift", "refusing-exchange"])
def test_an_incident_is_noticed_named_and_healed(system: System, name: str) -> None:
    """I3 and I5: a dead producer, a broken hand-off, the wrong configuration, within a minute and by name."""
    result = rehearse(INCIDENTS[name], system)
    assert result.passed, json.dumps(result.as_record(), default=str, indent=2)


def test_where_nothing_happens_nothing_is_told(system: System) -> None:
    """A false alarm costs the trust in every later one."""
    system.wait(lambda: not system.levels(), 60, "all to be well")
    quiet = keep_quiet(system, 5)
    assert quiet.passed, quiet
