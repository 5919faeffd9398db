"""Outcomes: the lists are closed, and each reason belongs to one outcome."""

from __future__ import annotations

import pytest

from pipeline.domain.checks import CheckCode
from pipeline.domain.outcomes import OUTCOMES, EndReason, Outcome, outcome_of, parse_reason


def test_every_reason_has_an_outcome_and_every_outcome_a_reason() -> None:
    """A reason without an outcome would be a decision that cannot end."""
    assert set(OUTCOMES) == set(EndReason)
    assert {outcome_of(reason) for reason in [*EndReason, *CheckCode]} == set(Outcome)


def test_no_reason_stands_in_both_lists() -> None:
    """Text from the ledger must lead back to one reason."""
    assert not {each.value for each in EndReason} & {each.value for each in CheckCode}


@pytest.mark.parametrize("reason", [*EndReason, *CheckCode])
def test_a_reason_read_from_the_ledger_is_the_one_that_was_written(reason: EndReason | CheckCode) -> None:
    assert parse_reason(reason.value) is reason


def test_a_word_outside_the_lists_is_refused() -> None:
    with pytest.raises(ValueError, match="BECAUSE"):
        parse_reason("BECAUSE")
