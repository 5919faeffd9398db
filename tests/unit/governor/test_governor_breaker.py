"""One alert instead of a stream of equal denials, and none that stays when its cause is gone."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pipeline.domain.checks import CheckCode
from pipeline.domain.guards import Breaker
from pipeline.domain.outcomes import EndReason, Reason
from pipeline.governor.breaker import BreakerRules, Ended, overload
from tests.unit.governor.worlds import ACCOUNT, NOW

RULES = BreakerRules(share=Decimal("0.9"), min_decisions=20)
OPEN = Breaker(account=ACCOUNT, reason="EQUITY_STALE", detail="19 of 20", opened_at=NOW)
Counts = dict[Reason, int]
STALE, RATE = CheckCode.EQUITY_STALE, CheckCode.RATE


def opens(whole: Counts, newest: Counts, standing: Breaker | None = None, empty: str = "") -> str:
    found = overload(Ended(whole=whole, newest=newest), empty, RULES, standing)
    return found.reason if found else ""


def test_one_reason_that_denies_nearly_everything_opens_it() -> None:
    """With how many of how many, for whoever reads the alert."""
    found = overload(Ended(whole={STALE: 19, EndReason.FILLED: 1}, newest={STALE: 4}), "", RULES, None)
    assert found is not None
    assert (found.reason, found.detail) == ("EQUITY_STALE", "19 of 20 decisions ended as EQUITY_STALE")


@pytest.mark.parametrize(
    ("whole", "newest"),
    [
        ({STALE: 18, EndReason.FILLED: 2}, {STALE: 4}),
        ({STALE: 19}, {STALE: 4}),
        ({STALE: 10, RATE: 10}, {STALE: 2, RATE: 2}),
        ({EndReason.NO_SIGNAL: 100}, {EndReason.NO_SIGNAL: 20}),
        ({STALE: 30}, {EndReason.FILLED: 3}),
        ({STALE: 30}, {}),
    ],
    ids=["its share", "too few", "two reasons", "nothing wanted", "over already", "nothing new"],
)
def test_it_stays_closed(whole: Counts, newest: Counts) -> None:
    """An alert for every hiccup is an alert for nobody."""
    assert opens(whole, newest) == ""


def test_passes_without_a_signal_do_not_hide_what_denies_the_rest() -> None:
    """Most passes want nothing: they say nothing about the governor."""
    assert opens({STALE: 20, EndReason.NO_SIGNAL: 900}, {STALE: 1}) == "EQUITY_STALE"


def test_an_empty_universe_opens_it_at_once() -> None:
    """Then nothing is decided that could be counted."""
    assert opens({}, {}, empty="0 of 50 names are in the universe") == "NOT_IN_UNIVERSE"


def test_it_closes_by_itself_when_the_newest_decisions_pass() -> None:
    """Not only once the whole window has gone by."""
    assert opens({STALE: 50, EndReason.FILLED: 3}, {EndReason.FILLED: 3}, OPEN) == ""


def test_it_stays_open_while_there_is_nothing_new_to_judge_by() -> None:
    """Silence is no recovery; once the window is empty there is no complaint left either."""
    assert opens({STALE: 50}, {}, OPEN) == "EQUITY_STALE"
    assert opens({}, {}, OPEN) == ""
