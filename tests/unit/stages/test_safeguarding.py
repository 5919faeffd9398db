"""What the governor remembers: latches that people re-arm, the comparison with the exchange, the universe,
the breaker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import pytest

from pipeline.domain.checks import CheckCode
from pipeline.domain.events import EventName
from pipeline.domain.guards import Reconciliation
from pipeline.domain.instruments import Instruments
from pipeline.domain.intents import TimeInForce
from pipeline.domain.switches import KillScope, KillSwitch, TradingState
from pipeline.execution.cancelling import cancel_covered
from pipeline.governor.breaker import BreakerRules
from pipeline.governor.universe import Wanted
from pipeline.governor.view import Limits
from pipeline.stages.remembering import rearm
from pipeline.stages.safeguarding import Safeguarding
from pipeline.stages.universe import UniverseKeeper
from pipeline.testing import FakeMarketData, btc
from tests.unit.execution.order_worlds import ACCOUNT, BTC, NOON, OrderWorld, decision, intent

D = Decimal
ETH, SOL = "ETH/USDT:USDT", "SOL/USDT:USDT"


@dataclass
class Upkeep(OrderWorld):
    """An account with its upkeep."""

    limits: Limits = field(default_factory=lambda: Limits(max_daily_loss_pct=D(5), max_drawdown_pct=D(20)))

    @property
    def safeguarding(self) -> Safeguarding:
        return Safeguarding(
            ledger=self.ledger,
            venue=self.venue,
            clock=self.clock,
            events=self.events,
            account=ACCOUNT,
            limits=self.limits,
            breaker_rules=BreakerRules(share=D("0.9"), min_decisions=3),
            breaker_window=timedelta(minutes=5),
        )

    def equity_of(self, amount: int) -> None:
        self.pass_time(1)
        self.venue.balance = D(amount)
        self.safeguarding.refresh_equity()

    def tripped(self) -> set[CheckCode]:
        with self.ledger.read() as unit:
            return {each.code for each in unit.guards.latches(ACCOUNT) if each.tripped}

    def keeper(
        self, *names: str, top: int = 0, volumes: Mapping[str, Decimal] | None = None
    ) -> UniverseKeeper:
        market = FakeMarketData(self.clock, known=KNOWN)
        wanted = Wanted(symbols=names, top=top, min_volume=D(100))
        return UniverseKeeper(
            self.ledger,
            market,
            lambda: volumes or {},
            self.clock,
            self.events,
            ACCOUNT,
            wanted,
            timedelta(minutes=1),
        )


KNOWN = Instruments.of(
    btc(symbol=symbol, market_id=symbol.split(":", 1)[0].replace("/", "")) for symbol in (BTC, ETH, SOL)
)


def test_a_loss_over_the_limit_latches_until_somebody_rearms_it_with_a_reason() -> None:
    """A recovery alone does not start trading again."""
    world = Upkeep()
    world.equity_of(10_000)
    world.equity_of(9_499)
    assert world.tripped() == {CheckCode.DAILY_LOSS}
    world.equity_of(10_500)
    assert world.tripped() == {CheckCode.DAILY_LOSS}
    with world.ledger.begin() as unit:
        assert rearm(
            unit, ACCOUNT, CheckCode.DAILY_LOSS, by="anna", reason="a bad fill", now=world.clock.now()
        )
        assert not rearm(
            unit, ACCOUNT, CheckCode.DAILY_LOSS, by="anna", reason="again", now=world.clock.now()
        )
    assert world.tripped() == set()
    assert [each["what"] for each in world.events.of(EventName.ALERT)] == ["the latch DAILY_LOSS has tripped"]


def test_what_was_accepted_does_not_trip_it_again() -> None:
    """Else nobody could ever trade again on that day."""
    world = Upkeep()
    world.equity_of(10_000)
    world.equity_of(7_000)
    assert world.tripped() == {CheckCode.DAILY_LOSS, CheckCode.DRAWDOWN}
    for code in (CheckCode.DAILY_LOSS, CheckCode.DRAWDOWN):
        with world.ledger.begin() as unit:
            rearm(unit, ACCOUNT, code, by="anna", reason="accepted", now=world.clock.now())
    world.equity_of(6_900)
    assert world.tripped() == set()
    world.equity_of(6_000)
    assert world.tripped() == {CheckCode.DAILY_LOSS}


def test_a_new_day_starts_at_its_first_equity_and_the_peak_stays() -> None:
    """Yesterday's loss is not today's, but the drawdown goes on."""
    world = Upkeep()
    world.equity_of(10_000)
    world.pass_time(86_400)
    world.equity_of(8_100)
    assert world.tripped() == set()
    world.equity_of(7_999)
    assert world.tripped() == {CheckCode.DRAWDOWN}


def test_only_latches_can_be_rearmed() -> None:
    world = Upkeep()
    with world.ledger.begin() as unit, pytest.raises(ValueError, match="DAILY_LOSS"):
        rearm(unit, ACCOUNT, CheckCode.MAX_VALUE, by="anna", reason="please", now=NOON)


def test_a_position_that_only_the_exchange_knows_is_a_difference_and_alerts_once() -> None:
    """Somebody traded by hand, or we lost a fill."""
    world, other = Upkeep(), Upkeep(decision=decision("of somebody else"))
    world.place()
    assert world.safeguarding.reconcile() == []
    stranger = replace(world.safeguarding, ledger=other.ledger)
    assert [each.blocks for each in stranger.reconcile()] == [False, True]
    stranger.reconcile()
    alerts = [
        each for each in world.events.of(EventName.ALERT) if each["what"] == "ledger and exchange disagree"
    ]
    assert len(alerts) == 1
    with other.ledger.read() as unit:
        assert isinstance(unit.guards.reconciliation(ACCOUNT), Reconciliation)


@pytest.mark.parametrize(
    ("scope", "name", "covered"),
    [
        (KillScope.GLOBAL, "", True),
        (KillScope.SYMBOL, BTC, True),
        (KillScope.SYMBOL, ETH, False),
        (KillScope.STRATEGY, "another", False),
    ],
)
def test_a_kill_switch_cancels_the_open_entry_orders_that_it_covers(
    scope: KillScope, name: str, covered: bool
) -> None:
    """By asking the exchange itself: no broker takes part."""
    world = Upkeep(intent=intent(tif=TimeInForce.GTC, limit_price=D("50000.0")))
    world.place_and_die()
    with world.ledger.begin() as unit:
        unit.switches.set(KillSwitch(scope=scope, name=name, reason="drill", set_by="anna", set_at=NOON))
    cancelled = cancel_covered(world.ledger, world.venue, ACCOUNT, world.events)
    assert (len(cancelled.taken), len(cancelled.left)) == (int(covered), 0)
    world.resolve_until(lambda: world.state.is_final or not covered, every_s=1, at_most_s=10)
    assert world.state.is_final == covered


def test_an_order_whose_cancellation_was_not_taken_is_named_and_asked_for_again() -> None:
    """Whoever pulls the switch must not believe that everything was taken back."""
    world = Upkeep(intent=intent(tif=TimeInForce.GTC, limit_price=D("50000.0")))
    world.place_and_die()
    with world.ledger.begin() as unit:
        unit.switches.set(
            KillSwitch(scope=KillScope.GLOBAL, name="", reason="drill", set_by="anna", set_at=NOON)
        )
    world.venue.down = "away"
    left = cancel_covered(world.ledger, world.venue, ACCOUNT, world.events)
    world.venue.down = ""
    again = cancel_covered(world.ledger, world.venue, ACCOUNT, world.events)
    assert (left.taken, len(left.left)) == ([], 1)
    assert (len(again.taken), []) == (1, again.left)


def test_an_empty_universe_halts_trading_and_alerts() -> None:
    """Fifty names of which none may be traded must not look like a quiet market."""
    world = Upkeep()
    report = world.keeper("DOGEUSDT", "PEPEUSDT").check()
    assert report.is_empty
    with world.ledger.read() as unit:
        assert unit.switches.trading_state(ACCOUNT) is TradingState.HALTED
    assert "0 of 2 names" in str(world.events.of(EventName.ALERT)[0]["detail"])
    breaker = world.safeguarding.watch_breaker()
    assert breaker is not None
    assert "0 of 2 names" in breaker.detail
    world.keeper("BTCUSDT").check()
    assert world.safeguarding.watch_breaker() is None


def test_a_universe_that_was_stored_is_what_everybody_sees() -> None:
    """Two hosts that rank by volume at different moments must not trade different lists."""
    world = Upkeep()
    first = world.keeper(top=2, volumes={BTC: D(900), ETH: D(500), SOL: D(300)})
    assert first.current().symbols == (BTC, ETH)
    later = world.keeper(top=2, volumes={BTC: D(900), ETH: D(50), SOL: D(300)})
    assert later.current().symbols == (BTC, ETH)
    later.check()
    assert first.current().symbols == (BTC, SOL)
    version = first.current().version
    with world.ledger.read() as unit:
        kept = unit.guards.universe_version(version)
    assert kept is not None
    assert kept.symbols == (BTC, SOL)


def test_each_symbol_says_why_volume_left_it_out() -> None:
    """`throughline universe` has to answer why."""
    report = Upkeep().keeper(top=1, volumes={BTC: D(900), ETH: D(500), SOL: D(3)}).report()
    assert {each.symbol: each.standing.value for each in report.listings} == {
        BTC: "in",
        ETH: "not_at_top",
        SOL: "too_little",
    }


def test_another_wish_makes_another_universe_at_once() -> None:
    """A changed configuration does not trade the old list until the next check."""
    world = Upkeep()
    world.keeper("BTCUSDT").current()
    assert world.keeper("ETHUSDT").current().symbols == (ETH,)


def test_processes_with_different_configurations_are_seen_for_a_while() -> None:
    """A host that runs on with an old configuration takes part in decisions."""
    world = Upkeep()
    world.safeguarding.beat("host-a/1", "c0ffee")
    world.pass_time(50)
    world.safeguarding.beat("host-b/1", "decaf0")
    with world.ledger.read() as unit:
        seen = [
            unit.guards.config_hashes(ACCOUNT, world.clock.now() - timedelta(seconds=s)) for s in (60, 40)
        ]
    assert seen == [frozenset({"c0ffee", "decaf0"}), frozenset({"decaf0"})]
