"""A stop or a target is judged by the position that it protects, and by nothing that grows with the account."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import cast

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.ids import DecisionId
from pipeline.domain.intents import Intent, Leg, OrderType
from pipeline.domain.permits import Denied, Permit
from pipeline.domain.ports import Unit
from pipeline.execution.protection import Place
from pipeline.governor.checks import REGISTRY
from pipeline.stages.exits import as_intent
from pipeline.stages.validate import Asked, Outside
from tests.unit.execution.order_worlds import BTC, NOON
from tests.unit.stages.protected_worlds import QTY, STOP, ProtectedWorld


@dataclass
class Notes:
    """A unit in which verdicts can be written down, and nothing read."""

    kept: list[CheckVerdict] = field(default_factory=list)

    @property
    def verdicts(self) -> Notes:
        return self

    def add_checks(self, decision_id: DecisionId, leg: Leg, verdicts: Iterable[CheckVerdict]) -> None:
        self.kept = list(verdicts)


def stop_of(world: ProtectedWorld, qty: Decimal) -> Asked:
    with world.ledger.read() as unit:
        position = unit.positions.open_of(world.decision.account, BTC)
    assert position is not None
    step = Place(Leg.STOP, OrderType.STOP_MARKET, qty, STOP, "the signal's stop")
    intent: Intent = as_intent(position, step, "scripted", NOON)
    outside = Outside(instrument=world.market.instruments().find(BTC))
    return Asked(
        decision=world.decision,
        intent=intent,
        outside=outside,
        in_universe=True,
        bar_jump_bps=None,
        guarded=position,
    )


def test_a_stop_is_judged_without_a_look_at_the_account() -> None:
    """Two hundred positions would be read for each of an entry's exits; every rule has its verdict nevertheless."""
    world, notes = ProtectedWorld(), Notes()
    world.buy()
    answer = world.protector().governor.judge(cast("Unit", notes), stop_of(world, QTY))
    assert isinstance(answer, Permit)
    assert answer.reserved == 0
    assert [each.code for each in notes.kept] == [*(each.code for each in REGISTRY), CheckCode.CHECK_FAILED]


def test_what_would_sell_more_than_the_position_is_judged_by_the_whole_account() -> None:
    """It is no stop of it: every rule is asked, and what is wrong with it is named."""
    world = ProtectedWorld()
    world.buy()
    asked = stop_of(world, QTY * 2)
    with world.ledger.begin() as unit:
        answer = world.protector().governor.judge(unit, asked)
    assert isinstance(answer, Denied)
    denied = {each.code for each in answer.verdicts if not each.ok}
    assert CheckCode.BAD_INPUT in denied
    assert not any(each.value == "guards" for each in answer.verdicts)
