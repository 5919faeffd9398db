"""Stops and targets that wait, in the comparison of ledger and exchange: asked about once they are listed no more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from pipeline.domain.intents import Leg
from pipeline.domain.orders import Order
from pipeline.domain.reconciliation import Finding, Remedy
from pipeline.execution.reconciling import PATIENCE, Reconciler
from tests.unit.execution.order_worlds import ACCOUNT
from tests.unit.stages.protected_worlds import STOP, ProtectedWorld


def protected() -> ProtectedWorld:
    """A position whose stop and target have waited for longer than anybody waits for an order's trades."""
    world = ProtectedWorld()
    world.buy()
    world.protect()
    world.pass_time(PATIENCE.total_seconds() + 1)
    return world


def reconcile(world: ProtectedWorld, *, thorough: bool) -> Sequence[Finding]:
    return Reconciler(world.ledger, world.venue, world.clock, world.events, ACCOUNT).run(thorough=thorough)


@pytest.mark.parametrize("thorough", [True, False])
def test_while_they_rest_nobody_asks_about_them(monkeypatch: pytest.MonkeyPatch, thorough: bool) -> None:
    """It is done every few seconds: two questions for each position would use the rate budget up."""
    world, asked = protected(), list[Order]()
    monkeypatch.setattr(type(world.venue), "find", lambda _, order: asked.append(order))
    assert reconcile(world, thorough=thorough) == []
    assert asked == []


def test_one_that_the_exchange_has_forgotten_is_escalated() -> None:
    """The ledger believes in a stop that protects nothing: somebody must look."""
    world = protected()
    (stop,) = (each for each in world.exit_orders if each.leg is Leg.STOP)
    world.venue._book[:] = [each for each in world.venue._book if each.order.leg is not Leg.STOP]
    (found,) = reconcile(world, thorough=True)
    assert (found.remedy, stop.client_order_id in found.what) == (Remedy.ESCALATED, True)


def test_one_that_has_filled_is_booked_though_its_trades_are_never_listed() -> None:
    """It waits by the ledger for as long as they are missing, and the exchange holds nothing any more."""
    world = protected()
    world.venue.trades_late_by = timedelta(days=1)
    world.venue.move(STOP)
    world.cycle()
    assert world.position.is_open
    assert Remedy.BOOKED in [each.remedy for each in reconcile(world, thorough=True)]
    assert not world.position.is_open
