"""What the governor remembers between decisions, and how an account stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from pipeline.domain.checks import CheckCode
from pipeline.domain.decisions import Mode
from pipeline.domain.guards import Activity, Breaker, Heartbeat, Latch, Marks, Reconciliation, UniverseRecord
from pipeline.domain.ids import DecisionId
from pipeline.domain.intents import Leg
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.positions import Equity, Position
from pipeline.domain.standing import Horizon, Standing
from pipeline.domain.switches import KillScope, KillSwitch, TradingState
from pipeline.ledger.sql import SqlLedger
from tests.unit.ledger.ledger_worlds import (
    ACCOUNT,
    BTC,
    ETH,
    NOW,
    SECOND,
    a_decision,
    a_permit,
    a_position,
    an_order,
    closed,
    open_one,
    ordered,
    permitted,
)

MINUTE = timedelta(minutes=1)
OTHER = "paper:other"


def a_latch(*, tripped: bool = True, at: datetime = NOW, code: CheckCode = CheckCode.LATCHED) -> Latch:
    return Latch(
        account=ACCOUNT,
        code=code,
        tripped=tripped,
        reason="six rejects",
        changed_by="governor",
        changed_at=at,
    )


def changes(ledger: SqlLedger) -> list[tuple[str, str, str, str, str]]:
    """Every change of a switch, latch or breaker, oldest first."""
    with ledger.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT scope, name, became, reason, set_by FROM switch_events ORDER BY event_id"
        )
        return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]


def test_a_latch_trips_once_and_is_re_armed_once(ledger: SqlLedger) -> None:
    """Repeating either changes nothing; who, when and why of each change stay."""
    armed = replace(a_latch(tripped=False), reason="looked into it", changed_by="ann")
    with ledger.begin() as unit:
        assert not unit.guards.set_latch(armed)
        assert unit.guards.set_latch(a_latch())
        assert not unit.guards.set_latch(a_latch(at=NOW + SECOND))
        assert list(unit.guards.latches(ACCOUNT)) == [a_latch()]
        assert unit.guards.set_latch(armed)
        assert not unit.guards.set_latch(armed)
        assert list(unit.guards.latches(ACCOUNT)) == [armed]
        assert list(unit.guards.latches(OTHER)) == []
    name = f"{ACCOUNT} LATCHED"
    assert changes(ledger) == [
        ("latch", name, "tripped", "six rejects", "governor"),
        ("latch", name, "armed", "looked into it", "ann"),
    ]


def test_marks_and_comparisons_are_replaced(ledger: SqlLedger) -> None:
    """One row for each account, exactly as it was written."""
    first = Marks(account=ACCOUNT, day=NOW, day_start=Decimal("100.1"), peak=Decimal("120.000000000000001"))
    second = replace(first, peak=Decimal(130))
    compared = Reconciliation(account=ACCOUNT, compared_at=NOW, differences=("BTC: 1, 2", "ETH: 0, 3"))
    agreed = Reconciliation(account=ACCOUNT, compared_at=NOW + SECOND)
    with ledger.begin() as unit:
        assert unit.guards.marks(ACCOUNT) is None
        assert unit.guards.reconciliation(ACCOUNT) is None
        for marks, comparison in ((first, compared), (second, agreed)):
            unit.guards.save_marks(marks)
            unit.guards.save_reconciliation(comparison)
            assert unit.guards.marks(ACCOUNT) == marks
            assert unit.guards.reconciliation(ACCOUNT) == comparison


def test_only_processes_that_beat_lately_count(ledger: SqlLedger) -> None:
    """A worker that was stopped an hour ago drifts from nobody."""
    beats = [("a", "c0ffee", 0), ("b", "decaf0", 61), ("c", "c0ffee", 5), ("b2", "abcdef", 59)]
    with ledger.begin() as unit:
        for process, hash_, ago in beats:
            at = NOW - ago * SECOND
            unit.guards.beat(Heartbeat(process=process, account=ACCOUNT, config_hash=hash_, beat_at=at))
        assert unit.guards.config_hashes(ACCOUNT, NOW - MINUTE) == {"c0ffee", "abcdef"}
        unit.guards.beat(Heartbeat(process="b2", account=ACCOUNT, config_hash="c0ffee", beat_at=NOW))
        assert unit.guards.config_hashes(ACCOUNT, NOW - MINUTE) == {"c0ffee"}
        assert unit.guards.config_hashes(OTHER, NOW - MINUTE) == frozenset()


def test_a_breaker_opens_once_with_its_first_reason_and_closes_once(ledger: SqlLedger) -> None:
    """A second reason while it is open is no second alert."""
    first = Breaker(account=ACCOUNT, reason="EQUITY_STALE", detail="40 of 40", opened_at=NOW)
    with ledger.begin() as unit:
        assert not unit.guards.close_breaker(ACCOUNT, reason="gone", at=NOW)
        assert unit.guards.open_breaker(first)
        assert not unit.guards.open_breaker(replace(first, reason="RATE"))
        assert unit.guards.breaker(ACCOUNT) == first
        assert unit.guards.close_breaker(ACCOUNT, reason="gone", at=NOW)
        assert unit.guards.breaker(ACCOUNT) is None
    assert [change[2] for change in changes(ledger)] == ["open", "closed"]


def test_every_version_of_the_universe_stays(ledger: SqlLedger) -> None:
    """Each decision names the version it saw."""
    first = UniverseRecord(
        account=ACCOUNT,
        version="u1",
        symbols=(BTC, ETH),
        key="list",
        report={"names": [{"name": "BTC", "standing": "in"}]},
        checked_at=NOW,
    )
    second = replace(first, version="u2", symbols=(BTC,), checked_at=NOW + SECOND)
    with ledger.begin() as unit:
        assert unit.guards.universe(ACCOUNT) is None
        assert unit.guards.save_universe(first)
        assert not unit.guards.save_universe(replace(first, checked_at=NOW + SECOND / 2))
        assert unit.guards.save_universe(second)
        assert unit.guards.universe(ACCOUNT) == second
        old = unit.guards.universe_version("u1")
        assert old is not None
        assert old.symbols == (BTC, ETH)
        assert old.report == first.report
        assert unit.guards.universe_version("u3") is None


# ------------------------------------------------------------------------------------ how an account stands


def horizon(*, orders: timedelta = MINUTE, latch: timedelta = 10 * MINUTE) -> Horizon:
    return Horizon(orders=NOW - orders, latch=NOW - latch, losses=NOW - 30 * MINUTE, beats=NOW - MINUTE)


def standing(ledger: SqlLedger, of: Horizon | None = None, account: str = ACCOUNT) -> Standing:
    with ledger.begin() as unit:
        return unit.standing(account, BTC, NOW, of or horizon())


def test_of_an_account_that_nothing_is_known_of_nothing_stands(ledger: SqlLedger) -> None:
    """And its trading state is HALTED: nobody ever let it trade."""
    ordered(ledger)
    found = standing(ledger, account=OTHER)
    assert found == Standing(
        equity=None,
        positions=[],
        unsettled=[],
        reserving=[],
        recent=[],
        kill_switches=[],
        trading_state=TradingState.HALTED,
        latches=[],
        marks=None,
        reconciliation=None,
        config_hashes=frozenset(),
        activity=Activity(
            last_second=0,
            last_minute=0,
            last_day=0,
            rejects=0,
            unknowns=0,
            on_symbol=0,
            losses=0,
            last_loss_at=None,
        ),
    )


def test_a_standing_is_what_each_repository_says(ledger: SqlLedger) -> None:
    """One question more or less, or one that is asked of another account, and the governor judges a dream."""
    order = ordered(ledger, state=OrderState.ACKED)
    issued = permitted(ledger, ETH)
    switch = KillSwitch(scope=KillScope.SYMBOL, name=ETH, reason="news", set_by="ann", set_at=NOW)
    held = a_position(a_decision())
    with ledger.begin() as unit:
        unit.equity.add(an_equity())
        unit.positions.save(held)
        unit.switches.set(switch)
        unit.switches.set_trading_state(ACCOUNT, TradingState.REDUCING, by="ann", reason="calm", at=NOW)
        unit.guards.set_latch(a_latch())
        unit.guards.save_marks(Marks(account=ACCOUNT, day=NOW, day_start=Decimal(1), peak=Decimal(2)))
        unit.guards.save_reconciliation(Reconciliation(account=ACCOUNT, compared_at=NOW))
        unit.guards.beat(Heartbeat(process="a", account=ACCOUNT, config_hash="c0ffee", beat_at=NOW))
    found = standing(ledger)
    with ledger.read() as unit:
        assert found.equity == unit.equity.latest(ACCOUNT) == an_equity()
        assert found.positions == unit.positions.all_open(ACCOUNT) == [held]
        assert found.unsettled == unit.orders.unsettled(ACCOUNT) == [order]
        assert found.reserving == unit.permits.reserving(ACCOUNT, NOW)
        assert {each.permit_id for each in found.reserving} == {order.permit_id, issued.permit_id}
        assert found.recent == unit.orders.recent(ACCOUNT, BTC, NOW - MINUTE) == [order]
        assert found.kill_switches == unit.switches.on() == [switch]
        assert found.trading_state is unit.switches.trading_state(ACCOUNT) is TradingState.REDUCING
        assert found.latches == unit.guards.latches(ACCOUNT) == [a_latch()]
        assert found.marks == unit.guards.marks(ACCOUNT)
        assert found.reconciliation == unit.guards.reconciliation(ACCOUNT)
        assert found.config_hashes == {"c0ffee"}


def test_a_position_that_has_changed_stands_as_it_is_now(ledger: SqlLedger) -> None:
    """Rows that did not change are not decoded again; one that did must not be taken for what it was."""
    btc, eth = (a_position(open_one(ledger, symbol)) for symbol in (BTC, ETH))
    seen: list[Sequence[Position]] = []
    for held in (btc, eth), (replace(eth, qty=eth.qty * 2),), (replace(btc, fees=btc.fees + 1),):
        with ledger.begin() as unit:
            for position in held:
                unit.positions.save(position)
        seen.append(standing(ledger).positions)
    assert [[each.qty for each in positions] for positions in seen] == [
        [btc.qty, eth.qty],
        [btc.qty, eth.qty * 2],
        [btc.qty, eth.qty * 2],
    ]
    assert seen[-1][0].fees == btc.fees + 1


def test_what_only_reduces_stands_for_its_own_symbol_alone(ledger: SqlLedger) -> None:
    """Hundreds of positions have twice as many guards, which could add nothing to what is held."""
    found: dict[tuple[str, bool], Order] = {}
    for symbol, reduces in ((BTC, True), (ETH, True), (ETH, False)):
        decision = a_decision(symbol, NOW + SECOND * len(found), opener=DecisionId("dec_1"))
        permit = a_permit(decision)
        order = an_order(permit, state=OrderState.ACKED, sent_at=NOW, reduce_only=reduces)
        with ledger.begin() as unit:
            unit.decisions.open(decision)
            unit.permits.add(permit)
            unit.orders.add(order)
        found[symbol, reduces] = order
    assert standing(ledger).unsettled == [found[BTC, True], found[ETH, False]]


def an_equity() -> Equity:
    return Equity(
        account=ACCOUNT,
        mode=Mode.PAPER,
        equity=Decimal("1000.5"),
        available=Decimal("900.25"),
        unrealised_pnl=Decimal("-3.125"),
        occurred_at=NOW,
        recorded_at=NOW + SECOND,
    )


def put(ledger: SqlLedger, ago: timedelta, state: OrderState = OrderState.FILLED, symbol: str = BTC) -> Order:
    """An order of so long ago; its decision has ended."""
    at = NOW - ago
    decision = open_one(ledger, symbol, at)
    permit = a_permit(decision, issued_at=at, expires_at=at + SECOND)
    order = an_order(permit, state=state, sent_at=at, created_at=at)
    with ledger.begin() as unit:
        unit.permits.add(permit)
        unit.orders.add(order)
        unit.decisions.end(decision.decision_id, CheckCode.RATE, "", at)
    return order


def test_orders_are_counted_by_second_minute_and_day(ledger: SqlLedger) -> None:
    """Refused ones too: they cost the exchange as much. What is a moment older than its window is not in it."""
    a_moment = timedelta(microseconds=1)
    day = timedelta(days=1)
    for ago in (SECOND, SECOND + a_moment, MINUTE, MINUTE + a_moment, day):
        put(ledger, ago, OrderState.REJECTED)
    put(ledger, day + a_moment)
    counted = standing(ledger).activity
    assert (counted.last_second, counted.last_minute, counted.last_day) == (1, 3, 5)


def test_rejects_unknowns_and_repeats_count_within_the_latchs_window(ledger: SqlLedger) -> None:
    """The window may be shorter than a minute or longer: the minute's count does not change."""
    for seconds, state, symbol in (
        (20, OrderState.REJECTED, ETH),
        (40, OrderState.UNKNOWN, BTC),
        (90, OrderState.NOT_PLACED, BTC),
        (100, OrderState.REJECTED, BTC),
        (700, OrderState.REJECTED, BTC),
    ):
        put(ledger, seconds * SECOND, state, symbol)
    wide, narrow = (standing(ledger, horizon(latch=each)).activity for each in (10 * MINUTE, 30 * SECOND))
    assert (wide.rejects, wide.unknowns, wide.on_symbol, wide.last_minute) == (2, 2, 3, 2)
    assert (narrow.rejects, narrow.unknowns, narrow.on_symbol, narrow.last_minute) == (1, 0, 0, 2)


def test_what_was_refused_before_somebody_re_armed_the_latch_counts_no_more(ledger: SqlLedger) -> None:
    """Or it would trip again at once. A latch that is still on forgives nothing."""
    for seconds in (50, 200):
        put(ledger, seconds * SECOND, OrderState.REJECTED)
    at = NOW - 100 * SECOND
    for latch, rejects in ((a_latch(at=at), 2), (a_latch(tripped=False, at=at), 1)):
        with ledger.begin() as unit:
            unit.guards.set_latch(latch)
        assert standing(ledger).activity.rejects == rejects
    drawdown = [a_latch(tripped=tripped, code=CheckCode.DRAWDOWN) for tripped in (True, False)]
    with ledger.begin() as unit:
        assert all(unit.guards.set_latch(each) for each in drawdown)
    assert standing(ledger).activity.rejects == 1


def test_losses_count_for_the_account_and_the_last_one_for_the_symbol(ledger: SqlLedger) -> None:
    """A loss is what was closed below its cost, fees included."""
    for minutes, symbol, pnl in ((5, ETH, "-1"), (20, BTC, "0.009"), (25, BTC, "-7"), (29, BTC, "0.011")):
        close(ledger, minutes * MINUTE, symbol, Decimal(pnl))
    counted = standing(ledger).activity
    assert (counted.losses, counted.last_loss_at) == (1, NOW - 20 * MINUTE)


def close(ledger: SqlLedger, ago: timedelta, symbol: str, pnl: Decimal) -> DecisionId:
    """A position that was closed so long ago."""
    at = NOW - ago
    decision = open_one(ledger, symbol, at)
    position = a_position(decision, realised_pnl=pnl, fees=Decimal("0.01"), opened_at=at)
    with ledger.begin() as unit:
        unit.positions.save(closed(position, decision, at))
        unit.decisions.end(decision.decision_id, CheckCode.RATE, "", at)
    return decision.decision_id


def test_an_order_is_recent_on_its_own_symbol_only(ledger: SqlLedger) -> None:
    """Another symbol's entry is no duplicate."""
    mine = put(ledger, 30 * SECOND)
    put(ledger, 20 * SECOND, symbol=ETH)
    put(ledger, 61 * SECOND)
    assert standing(ledger).recent == [mine]
    assert mine.leg is Leg.ENTRY
