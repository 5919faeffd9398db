"""A command's requests where there is no rate budget to ask."""

from __future__ import annotations

import pytest

from pipeline.exchange.budget.costs import PUBLIC, Cost, Kind
from pipeline.exchange.budget.ports import Held, PublicOnly, Used


@pytest.mark.parametrize("kind", sorted(PUBLIC))
def test_what_everybody_may_read_leaves(kind: Kind) -> None:
    """A person wants to know before anything runs."""
    assert PublicOnly().take(Cost(kind, 40)) == Used()


@pytest.mark.parametrize("kind", sorted(set(Kind) - PUBLIC))
def test_nothing_that_concerns_an_account_leaves(kind: Kind) -> None:
    """Whoever trades by mistake with such a pipeline sends no order."""
    with pytest.raises(Held, match=str(kind)):
        PublicOnly().take(Cost(kind, 1))
