"""Several processes want the same thing at the same instant: one gets it, the others learn that."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.domain.decisions import Stage
from pipeline.domain.ids import permit_id
from pipeline.domain.intents import Leg
from pipeline.domain.orders import OrderState
from pipeline.domain.outcomes import EndReason
from pipeline.domain.switches import TradingState
from pipeline.execution.job import Found
from pipeline.execution.options import ExecutionOptions
from pipeline.execution.router import OrderRouter
from pipeline.ledger.sql import SqlLedger
from pipeline.testing import FakeVenue, FixedClock
from pipeline.trace.events import RecordedEvents
from tests.integration.ledger_racers import RACERS, race
from tests.support.waiting import BUSY
from tests.unit.execution.order_worlds import intent
from tests.unit.ledger.ledger_worlds import (
    ACCOUNT,
    BTC,
    NOW,
    SECOND,
    a_decision,
    a_fill,
    a_permit,
    open_one,
    ordered,
    permitted,
)

ROUNDS = 10
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for a ledger that several processes can reach."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def ledger(empty_url: str) -> Iterator[SqlLedger]:
    """An empty ledger at that place."""
    ledger = SqlLedger(empty_url)
    ledger.migrate()
    yield ledger
    ledger.close()


@pytest.fixture
def url(ledger: SqlLedger, empty_url: str) -> str:
    """Where the racers find it."""
    return empty_url


def _open_the_same(ledger: SqlLedger, racer: int, turn: int) -> str:
    with ledger.begin() as unit:
        found = unit.decisions.open(a_decision(f"S{turn}", config_hash=str(racer)))
    return str(racer) if found is None else f"found {found.config_hash}"


def test_one_of_eight_beats_opens_the_decision_of_a_slot(url: str, ledger: SqlLedger) -> None:
    """The others find the winner's, already committed."""
    for turn, answers in enumerate(race(url, _open_the_same, ROUNDS)):
        winners = [answer for answer in answers if answer.isdigit()]
        assert len(winners) == 1
        assert answers.count(f"found {winners[0]}") == RACERS - 1
        with ledger.read() as unit:
            assert len(unit.decisions.latest(symbol=f"S{turn}")) == 1


def _open_and_end_until_done(ledger: SqlLedger, racer: int, turn: int) -> int:
    mine = a_decision(f"S{turn}", NOW + racer * SECOND)
    refusals = 0
    while True:
        with ledger.begin() as unit:
            in_the_way = unit.decisions.open(mine)
        if in_the_way is None:
            break
        assert in_the_way.symbol == mine.symbol
        refusals += 1
    with ledger.begin() as unit:
        assert [d.decision_id for d in unit.decisions.still_open(ACCOUNT, NOW + 60 * SECOND, 9)] == [
            mine.decision_id
        ]
        unit.decisions.end(mine.decision_id, EndReason.NO_SIGNAL, "", NOW)
    return refusals


def test_decisions_that_come_and_go_on_a_symbol_are_never_open_together(url: str, ledger: SqlLedger) -> None:
    """What stood in the way may be gone by the time it is looked at; still everybody gets through."""
    answers = race(url, _open_and_end_until_done, 3)
    assert all(isinstance(refusals, int) for round_ in answers for refusals in round_), answers
    with ledger.read() as unit:
        assert unit.decisions.counts() == {"no_signal": 3 * RACERS}


def _send(ledger: SqlLedger, racer: int, turn: int) -> bool:
    with ledger.begin(durable=True) as unit:
        order = unit.orders.recent(ACCOUNT, f"S{turn}", NOW)[0]
        if order.state is not OrderState.INTENT:
            order = replace(order, state=OrderState.INTENT, fence="")
        return unit.orders.step(order, OrderState.SENDING, NOW, fence=str(racer)) is not None


def test_one_of_eight_workers_sends_an_order(url: str, ledger: SqlLedger) -> None:
    """Redelivery while the first copy runs: two sends would be two positions."""
    orders = [ordered(ledger, f"S{turn}") for turn in range(ROUNDS)]
    for order, answers in zip(orders, race(url, _send, ROUNDS), strict=True):
        assert Counter(answers) == {True: 1, False: RACERS - 1}
        with ledger.read() as unit:
            assert len(unit.orders.steps_of(order.client_order_id)) == 1


def _place(ledger: SqlLedger, racer: int, turn: int) -> int:
    decision = a_decision(f"S{turn}")
    clock = FixedClock(NOW)
    venue = FakeVenue(clock, account=ACCOUNT)
    venue.fill_fraction = Decimal(0)
    router = OrderRouter(ledger, venue, clock, lambda *_: None, ExecutionOptions(), RecordedEvents())
    with ledger.read() as unit:
        permit = unit.permits.of(decision.decision_id)
    assert permit is not None
    router.place(decision, intent(symbol=decision.symbol), permit, Found((), ()))
    return len(venue.requests)


def test_one_of_eight_deliveries_writes_claims_and_sends_an_entry(url: str, ledger: SqlLedger) -> None:
    """All of them have looked and found no order: written and claimed in one unit, it is still sent once."""
    with ledger.begin() as unit:
        unit.switches.set_trading_state(ACCOUNT, TradingState.ACTIVE, by="test", reason="", at=NOW)
    permits = [permitted(ledger, f"S{turn}") for turn in range(ROUNDS)]
    for permit, answers in zip(permits, race(url, _place, ROUNDS), strict=True):
        assert Counter(answers) == {1: 1, 0: RACERS - 1}
        with ledger.read() as unit:
            [order] = unit.orders.of(permit.terms.decision_id)
            steps = [(step["from"], step["to"]) for step in unit.orders.steps_of(order.client_order_id)]
        assert steps[0] == (OrderState.INTENT, OrderState.SENDING)
        assert order.state is OrderState.EXPIRED


def _use(ledger: SqlLedger, racer: int, turn: int) -> bool:
    permit = permit_id(a_decision(f"S{turn}").decision_id, Leg.ENTRY)
    with ledger.begin(durable=True) as unit:
        return unit.permits.use(permit, NOW + SECOND)


def test_one_of_eight_workers_uses_a_permit(url: str, ledger: SqlLedger) -> None:
    """Single use holds against a duplicated message, too."""
    for turn in range(ROUNDS):
        permitted(ledger, f"S{turn}")
    for answers in race(url, _use, ROUNDS):
        assert Counter(answers) == {True: 1, False: RACERS - 1}


LIMIT = 3


def _reserve(ledger: SqlLedger, racer: int, turn: int) -> bool:
    account = f"paper:{turn}"
    permit = a_permit(a_decision(f"S{turn}/{racer}", account=account))
    with ledger.begin(durable=True) as unit:
        unit.permits.lock_budget(account)
        if len(unit.permits.reserving(account, NOW)) >= LIMIT:
            return False
        return unit.permits.add(permit)


def test_a_limit_holds_when_eight_validate_at_once(url: str, ledger: SqlLedger) -> None:
    """Each looks at what is reserved, then reserves: only the budget's lock keeps the sum within."""
    for turn in range(ROUNDS):
        for racer in range(RACERS):
            open_one(ledger, f"S{turn}/{racer}", account=f"paper:{turn}")
    for answers in race(url, _reserve, ROUNDS):
        assert Counter(answers) == {True: LIMIT, False: RACERS - LIMIT}


def _count(ledger: SqlLedger, racer: int, turn: int) -> int:
    with ledger.begin() as unit:
        return unit.stages.count_delivery(a_decision().decision_id, Stage.FETCH, NOW)


def test_deliveries_that_arrive_together_are_all_counted(url: str, ledger: SqlLedger) -> None:
    """A poison message is known by its count."""
    open_one(ledger)
    counts = [count for round_ in race(url, _count, ROUNDS) for count in round_]
    assert sorted(counts) == list(range(2, 2 + RACERS * ROUNDS))


def _tell_fill(ledger: SqlLedger, racer: int, turn: int) -> bool:
    with ledger.begin(durable=True) as unit:
        order = unit.orders.recent(ACCOUNT, BTC, NOW)[0]
        return unit.fills.add(a_fill(order, f"t{turn}", fee=Decimal("0.1")))


def test_a_trade_told_by_eight_counts_once(url: str, ledger: SqlLedger) -> None:
    """And its fee is added to the order once."""
    order = ordered(ledger, state=OrderState.SENDING)
    for answers in race(url, _tell_fill, ROUNDS):
        assert Counter(answers) == {True: 1, False: RACERS - 1}
    with ledger.read() as unit:
        found = unit.orders.get(order.client_order_id)
    assert found is not None
    assert found.fee == ROUNDS * Decimal("0.1")


def _migrate(ledger: SqlLedger, racer: int, turn: int) -> str:
    ledger.migrate()
    ledger.check_version()
    return "done"


def test_eight_processes_that_start_at_once_create_one_ledger(empty_url: str) -> None:
    """Every role of every host migrates when it starts."""
    assert race(empty_url, _migrate, 2) == [["done"] * RACERS] * 2


AROUND_A_FORK = """
import os, sys
from tests.unit.ledger.ledger_worlds import open_one
from pipeline.ledger.sql import SqlLedger
ledger = SqlLedger(sys.argv[1])
open_one(ledger, "before the fork")
children = []
for child in range(4):
    pid = os.fork()
    if pid == 0:
        for turn in range(20):
            open_one(ledger, f"child {child} {turn}")
        os._exit(0)
    children.append(pid)
for turn in range(20):
    open_one(ledger, f"parent {turn}")
print([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children])
"""


def test_a_ledger_used_before_a_fork_serves_parent_and_children(url: str, ledger: SqlLedger) -> None:
    """Celery forks its pool after the start; a connection used by two processes would mix their answers."""
    done = subprocess.run(
        [sys.executable, "-c", AROUND_A_FORK, url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60 * BUSY,
        check=False,
    )
    assert done.stdout.strip() == "[0, 0, 0, 0]", done.stderr
    with ledger.read() as unit:
        assert unit.decisions.counts() == {"open": 1 + 4 * 20 + 20}
