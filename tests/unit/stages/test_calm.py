"""A protected position is not planned again and again; whatever changes about it makes a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pipeline.domain.intents import Leg
from pipeline.stages.calm import Calm, Scene
from pipeline.stages.planning import Planner
from pipeline.stages.protecting import Protector
from tests.unit.execution.order_worlds import BTC
from tests.unit.stages.protected_worlds import QTY, STOP, TARGET, WHOLE, ProtectedWorld

TWICE = {Leg.STOP: [(2 * QTY, STOP)], Leg.TARGET: [(2 * QTY, TARGET)]}


def calm_world() -> tuple[ProtectedWorld, Protector]:
    """A position that is protected, and somebody who has seen that."""
    world = ProtectedWorld()
    world.buy()
    protector = world.protector()
    protector.protect(BTC)
    assert protector.cycle() == []
    return world, protector


def test_what_looks_as_when_nothing_was_to_be_done_is_not_planned_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two hundred protected positions cost a host 4 % of a core, every two seconds for as long as they are held."""
    _, protector = calm_world()
    planned: list[str] = []
    monkeypatch.setattr(Planner, "planned", lambda *_: planned.append(BTC))
    assert protector.cycle() == []
    assert planned == []


def lose(leg: Leg) -> Callable[[ProtectedWorld], None]:
    def it(world: ProtectedWorld) -> None:
        for order in world.exit_orders:
            if order.leg is leg:
                world.venue.cancel(order)

    return it


def grow(world: ProtectedWorld) -> None:
    grown = replace(world.position, qty=2 * QTY)
    with world.ledger.begin() as unit:
        unit.positions.save(grown)


@pytest.mark.parametrize(
    ("happens", "after"), [(lose(Leg.STOP), WHOLE), (lose(Leg.TARGET), WHOLE), (grow, TWICE)]
)
def test_whoever_has_seen_that_all_is_well_sees_what_changes(
    happens: Callable[[ProtectedWorld], None], after: object
) -> None:
    """E4: memory must not hide a position without its stop."""
    world, protector = calm_world()
    happens(world)
    protector.cycle()
    protector.cycle()
    assert world.resting == after


def test_only_a_guarded_position_is_remembered() -> None:
    """Where no stop waits, time alone brings something to do."""
    world, _ = calm_world()
    with world.ledger.read() as unit:
        orders = frozenset(unit.orders.briefs(world.decision.account))
    whole = Scene(world.position, world.market.instruments().find(BTC), orders)
    targets = frozenset(each for each in orders if each.leg is Leg.TARGET)
    for scene, remembered in (
        (whole, True),
        (replace(whole, orders=targets), False),
        (replace(whole, orders=frozenset()), False),
        (replace(whole, instrument=None), False),
        (replace(whole, position=None), False),
        (replace(whole, orders=orders | {next(iter(orders))._replace(state=world.order.state)}), False),
    ):
        assert times_asked(scene) == (1 if remembered else 2), scene


def times_asked(scene: Scene) -> int:
    """How often two looks at it ask whether something is to be done. Nothing is."""
    calm, asked = Calm(), list[str]()

    def needs(symbol: str) -> bool:
        asked.append(symbol)
        return False

    for _ in range(2):
        assert calm.restless({BTC: scene}, needs) == []
    return len(asked)
