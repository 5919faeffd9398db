"""Killed anywhere, delivered again, answered badly: at most one order, and in the end the truth."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.intents import OrderType
from pipeline.domain.orders import Answer, Order, OrderReport, OrderState, Trade
from pipeline.domain.permits import Permit
from pipeline.domain.ports import Ledger, Unit
from pipeline.execution import crashpoints
from pipeline.execution.accounts import compare_positions
from pipeline.execution.crashpoints import CrashPoint
from pipeline.testing import Accident, FakeVenue
from tests.unit.execution.order_worlds import ACCOUNT, OrderWorld, intent

MOST_POINTS = 18


class Killed(BaseException):
    """Like `kill -9`: nothing that the program catches."""


class Points:
    """Every call of a port passes here. The one that is counted down to kills the process."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.freeze: tuple[str, float] | None = None
        self.passed: list[str] = []

    def __call__(self, name: str) -> None:
        self.passed.append(name)
        if self.left is None:
            return
        self.left -= 1
        if self.left < 0:
            self.left = None
            raise Killed(name)


@dataclass
class FragileLedger:
    """The real ledger, with a point before, inside and after each writing transaction."""

    inner: Ledger
    point: Points

    def begin(self, *, durable: bool = False) -> AbstractContextManager[Unit]:
        return self._begin(durable)

    @contextmanager
    def _begin(self, durable: bool) -> Iterator[Unit]:
        self.point("begin")
        with self.inner.begin(durable=durable) as unit:
            yield unit
            self.point("before commit")
        self.point("after commit")

    def read(self) -> AbstractContextManager[Unit]:
        self.point("read")
        return self.inner.read()


class FragileVenue(FakeVenue):
    """The fake exchange, with a point around each request, and pauses of the sender before the send."""

    point: Points
    frozen_for: list[float]

    def submit(self, order: Order, permit: Permit) -> Answer:
        self.point("before send")
        if self.frozen_for:
            self.clock.turn(timedelta(seconds=self.frozen_for.pop(0)))  # type: ignore[attr-defined]  # a FixedClock
        answer = super().submit(order, permit)
        self.point("after send")
        return answer

    def find(self, order: Order) -> OrderReport | None:
        self.point("find")
        return super().find(order)

    def trades(self, order: Order) -> list[Trade]:
        self.point("trades")
        return list(super().trades(order))


class CrashWorld(OrderWorld):
    """An order world in which the process can be killed at every call of a port."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.point = Points()
        self.whole = self.ledger
        self.venue = FragileVenue(self.clock, account=ACCOUNT)
        self.venue.point, self.venue.frozen_for = self.point, []
        self.fragile = FragileLedger(self.ledger, self.point)

    def run(self, action: str, killed_at: int | None) -> str | None:
        """One delivery or one pass of the resolver, killed at a point. Returns the point's name if it was."""
        self.point.left = killed_at
        try:
            if action == "place":
                replace(self.router, ledger=self.fragile).place(self.decision, self.intent, self.permit)
            else:
                replace(self.resolver, ledger=self.fragile).resolve(ACCOUNT)
        except Killed as killed:
            return str(killed)
        except ExchangeUnavailable:
            return None
        finally:
            self.point.left = None
        return None

    def finish(self) -> None:
        """No more accidents: the resolver runs as upkeep does until nothing is open."""
        self.venue.accidents, self.venue.down = [], ""
        self.resolve_until(lambda: not self.orders or self.state.is_final)

    def check(self) -> None:
        """What must hold however it went."""
        accepted = self.venue.accepted
        assert len(accepted) <= 1, "two orders reached the exchange"
        assert len({order.client_order_id for order in self.venue.requests}) == len(self.venue.requests)
        assert all(order.state.is_final for order in self.orders)
        assert compare_positions(self.whole, self.venue, ACCOUNT) == []
        if not accepted:
            absent = {OrderState.NOT_PLACED, OrderState.REJECTED, OrderState.ABANDONED}
            assert {order.state for order in self.orders} <= absent
            return
        assert self.state in {OrderState.FILLED, OrderState.EXPIRED}
        assert self.filled == self.order.filled_qty == accepted[0].qty * self.venue.fill_fraction


ROUNDS = st.lists(
    st.tuples(
        st.sampled_from(["place", "place", "resolve"]),
        st.none() | st.integers(0, MOST_POINTS),
        st.sampled_from([0.0, 1.0, 4.0, 9.0, 12.0, 40.0, 70.0]),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=120, deadline=None)
@given(
    rounds=ROUNDS,
    accidents=st.lists(st.sampled_from(list(Accident)), max_size=3),
    frozen_for=st.lists(st.sampled_from([0.0, 3.0, 8.0, 90.0]), max_size=2),
    hidden_s=st.sampled_from([0, 12, 3600]),
    trades_late_s=st.sampled_from([0, 5]),
    fraction=st.sampled_from(["1", "0.4", "0"]),
)
@example(
    rounds=[("place", None, 0.0)], accidents=[], frozen_for=[90.0], hidden_s=0, trades_late_s=0, fraction="1"
)
@example(
    rounds=[("place", None, 0.0)], accidents=[], frozen_for=[], hidden_s=3600, trades_late_s=5, fraction="1"
)
def test_at_most_one_order_whatever_crashes_and_whatever_is_answered(
    rounds: list[tuple[str, int | None, float]],
    accidents: list[Accident],
    frozen_for: list[float],
    hidden_s: int,
    trades_late_s: int,
    fraction: str,
) -> None:
    """E3, over random kills, redeliveries, freezes, lost and late and false answers."""
    world = CrashWorld()
    venue = world.venue
    assert isinstance(venue, FragileVenue)
    venue.accidents, venue.frozen_for = list(accidents), list(frozen_for)
    venue.hidden_for, venue.trades_late_by = timedelta(seconds=hidden_s), timedelta(seconds=trades_late_s)
    venue.fill_fraction = Decimal(fraction)
    for action, killed_at, pause in rounds:
        event(f"killed: {world.run(action, killed_at)}")
        world.pass_time(pause)
    world.finish()
    event(f"ended: {world.state if world.orders else 'never written'}")
    world.check()


def points_of_a_clean_run() -> list[str]:
    world = CrashWorld()
    world.run("place", None)
    return world.point.passed


@pytest.mark.parametrize(
    ("place", "name"),
    list(enumerate(points_of_a_clean_run())),
    ids=lambda value: str(value).replace(" ", "-"),
)
@pytest.mark.parametrize("pause", [0.0, 20.0])
def test_killed_at_each_point_and_delivered_again(place: int, name: str, pause: float) -> None:
    """Every point of the recipe by name: no second order, and the first one's fate is known."""
    world = CrashWorld()
    assert world.run("place", place) == name
    world.pass_time(pause)
    world.run("place", None)
    world.finish()
    world.check()


@pytest.mark.parametrize(
    ("kind", "point", "left", "sent"),
    [
        (OrderType.LIMIT, CrashPoint.INTENT_UNCOMMITTED, None, 1),
        (OrderType.LIMIT, CrashPoint.CLAIM_UNCOMMITTED, None, 1),
        (OrderType.LIMIT, CrashPoint.CLAIM_COMMITTED, OrderState.SENDING, 0),
        (OrderType.LIMIT, CrashPoint.BEFORE_SEND, OrderState.SENDING, 0),
        (OrderType.LIMIT, CrashPoint.ANSWER_RECEIVED, OrderState.SENDING, 1),
        (OrderType.MARKET, CrashPoint.INTENT_UNCOMMITTED, None, 1),
        (OrderType.MARKET, CrashPoint.INTENT_COMMITTED, OrderState.INTENT, 1),
        (OrderType.MARKET, CrashPoint.CLAIM_UNCOMMITTED, OrderState.INTENT, 1),
        (OrderType.MARKET, CrashPoint.CLAIM_COMMITTED, OrderState.SENDING, 0),
    ],
)
def test_killed_at_a_named_point_it_leaves_what_the_next_delivery_can_settle(
    kind: OrderType,
    point: CrashPoint,
    left: OrderState | None,
    sent: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sent by the next delivery while nobody can have sent it; asked about as soon as somebody can."""
    world = CrashWorld(intent=intent(type=kind))
    (tmp_path / point).write_text("KILL 1")
    monkeypatch.setattr(crashpoints, "_armed", [tmp_path])
    monkeypatch.setattr(crashpoints, "_arrivals", Counter())
    monkeypatch.setattr(os, "kill", _dies)
    assert world.run("place", None) == "here"
    assert [order.state for order in world.orders] == ([left] if left else [])
    world.run("place", None)
    world.finish()
    world.check()
    assert len(world.venue.accepted) == sent


def _dies(*_: int) -> None:
    raise Killed("here")


def test_the_clean_run_passes_every_step_of_the_recipe() -> None:
    """The list of points above is only worth something when it is whole."""
    points = points_of_a_clean_run()
    assert points.count("before commit") == 2
    assert points.index("before send") > points.index("after commit")
    assert points[points.index("after send") + 1] == "trades"
