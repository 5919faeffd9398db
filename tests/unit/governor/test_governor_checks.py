"""What each rule lets through, and the first value that it does not."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.decisions import Mode
from pipeline.domain.guards import Latch, Marks, Reconciliation
from pipeline.domain.intents import Intent, Leg, OrderType
from pipeline.domain.orders import OrderState
from pipeline.domain.signals import Side
from pipeline.domain.switches import KillScope, KillSwitch, TradingState
from pipeline.governor.checks import REGISTRY, Check, run
from pipeline.governor.exposure import Effect
from pipeline.governor.view import LIMIT_NAMES, Limits, WorldView
from tests.unit.governor.worlds import (
    ACCOUNT,
    ACTIVITY,
    EQUITY,
    INSTRUMENT,
    LIMITS,
    OTHER,
    QUOTE,
    SYMBOL,
    a_permit,
    a_position,
    a_view,
    ago,
    an_exit,
    an_intent,
    an_order,
    answer,
    denials,
    safeguards,
)

C = CheckCode
D = Decimal


def a_switch(scope: KillScope, name: str = "") -> KillSwitch:
    return KillSwitch(scope=scope, name=name, reason="drill", set_by="anna", set_at=ago(60))


def test_a_sound_intent_in_a_sound_world_is_denied_by_nothing() -> None:
    """The base of every other test here: one change away from this must be the cause of the denial."""
    assert denials(an_intent(), a_view()) == []


DENIED_INTENTS = [
    (C.BAD_INPUT, {"qty": D("NaN")}),
    (C.BAD_INPUT, {"qty": D("sNaN")}),
    (C.BAD_INPUT, {"qty": D("-10")}),
    (C.BAD_INPUT, {"qty": D("Infinity")}),
    (C.BAD_INPUT, {"qty": D("1E+999999")}),
    (C.BAD_INPUT, {"qty": 10.0}),
    (C.BAD_INPUT, {"limit_price": D(0)}),
    (C.BAD_INPUT, {"side": "buy"}),
    (C.BAD_INPUT, {"symbol": ""}),
    (C.BAD_INPUT, {"priced_at": ago(1).replace(tzinfo=None)}),
    (C.BAD_INPUT, {"stop_loss": D(-1)}),
    (C.BAD_INPUT, {"score": D("1.1")}),
    (C.BAD_INPUT, {"leg": Leg.CLOSE}),
    (C.PRECISION, {"qty": D("10.0005")}),
    (C.PRECISION, {"qty": D("10.000000000000000000000000001")}),
    (C.PRECISION, {"limit_price": D("100.15")}),
    (C.MIN_NOTIONAL, {"qty": D("0.049")}),
    (C.MAX_QTY, {"qty": D("50.001")}),
    (C.MAX_VALUE, {"qty": D("19.961")}),
    (C.STALE_DATA, {"priced_at": ago(3600.001)}),
    (C.STALE_DATA, {"priced_at": ago(-2.1)}),
    (C.PRICE_COLLAR, {"limit_price": D("102.1")}),
    (C.PRICE_COLLAR, {"limit_price": D("97.9")}),
    (C.PRICE_COLLAR, {"type": OrderType.STOP_MARKET, "limit_price": D("110")}),
]


@pytest.mark.parametrize(("code", "changes"), DENIED_INTENTS)
def test_an_intent_out_of_bounds_is_denied_by_its_rule(code: CheckCode, changes: dict[str, Any]) -> None:
    """Each limit is only as good as the first value beyond it."""
    assert code in denials(an_intent(**changes), a_view())


ALLOWED_INTENTS = [
    {"type": OrderType.MARKET, "limit_price": D("100.15")},  # the exchange is not told its price
    {"qty": D("0.05")},
    {"qty": D("19.96")},
    {"priced_at": ago(3600)},
    {"limit_price": D("102.0"), "qty": D(1)},
    {"limit_price": D("98.0"), "qty": D(1)},
    {"type": OrderType.MARKET},
    {"side": Side.SELL, "limit_price": D("99.8")},
    {"stop_loss": None, "take_profit": None},
]


@pytest.mark.parametrize("changes", ALLOWED_INTENTS)
def test_an_intent_exactly_at_a_limit_passes(changes: dict[str, Any]) -> None:
    """A limit that is off by one step would deny what people configured as allowed."""
    assert denials(an_intent(**changes), a_view()) == []


def a_latch(code: CheckCode, *, tripped: bool = True) -> Latch:
    told = "twelve rejects" if tripped else "looked at the exchange's status page"
    return Latch(
        account=ACCOUNT, code=code, tripped=tripped, reason=told, changed_by="governor", changed_at=ago(600)
    )


def marks(**changes: Any) -> Marks:
    return replace(Marks(account=ACCOUNT, day=ago(43200), day_start=D(10000), peak=D(10000)), **changes)


def compared(age_s: float, *differences: str) -> Reconciliation:
    return Reconciliation(account=ACCOUNT, compared_at=ago(age_s), differences=differences)


DENIED_WORLDS = [
    (C.DATA_JUMP, {"bar_jump_bps": D("1000.01")}),
    (C.DATA_JUMP, {"bar_jump_bps": None}),
    (C.DATA_JUMP, {"bar_jump_bps": D("NaN")}),
    (C.DATA_JUMP, {"bar_jump_bps": 35.5}),
    (C.RATE, {"activity": replace(ACTIVITY, last_second=5)}),
    (C.RATE, {"activity": replace(ACTIVITY, last_minute=60)}),
    (C.RATE, {"activity": replace(ACTIVITY, last_day=1000)}),
    (C.RATE, {"activity": replace(ACTIVITY, last_second=4), "reserving": (a_permit(age_s=0.5),)}),
    (C.LATCHED, {"activity": replace(ACTIVITY, rejects=6)}),
    (C.LATCHED, {"activity": replace(ACTIVITY, on_symbol=11)}),
    (C.LATCHED, {"safeguards": safeguards(latches=(a_latch(C.LATCHED),))}),
    (C.KILL_SCORE, {"activity": replace(ACTIVITY, rejects=2, losses=2, unknowns=2)}),
    (C.COOLDOWN, {"activity": replace(ACTIVITY, last_loss_at=ago(60))}),
    (C.DAILY_LOSS, {"safeguards": safeguards(marks=marks(day_start=D("10526.33")))}),
    (C.DAILY_LOSS, {"safeguards": safeguards(latches=(a_latch(C.DAILY_LOSS),))}),
    (C.DRAWDOWN, {"safeguards": safeguards(marks=marks(peak=D("12500.01")))}),
    (C.DRAWDOWN, {"safeguards": safeguards(latches=(a_latch(C.DRAWDOWN),))}),
    (C.NOT_RECONCILED, {"safeguards": safeguards(reconciliation=None)}),
    (C.NOT_RECONCILED, {"safeguards": safeguards(reconciliation=compared(60.001))}),
    (C.NOT_RECONCILED, {"safeguards": safeguards(reconciliation=compared(5, "BTC: 1, 2"))}),
    (C.CONFIG_DRIFT, {"safeguards": safeguards(config_hashes=frozenset({"c0ffee", "decaf0"}))}),
    (C.CONFIG_DRIFT, {"safeguards": safeguards(config_hashes=frozenset())}),
    (C.CLOCK_SKEW, {"clock_offset_s": D("-2.001")}),
    (C.CLOCK_SKEW, {"clock_offset_s": None}),
    (C.CLOCK_SKEW, {"clock_offset_s": 0.5}),
    (C.NOT_IN_UNIVERSE, {"in_universe": False}),
    (C.NOT_IN_UNIVERSE, {"instrument": replace(INSTRUMENT, active=False)}),
    (C.NOT_IN_UNIVERSE, {"instrument": replace(INSTRUMENT, symbol=OTHER)}),
    (C.PRECISION, {"instrument": replace(INSTRUMENT, max_qty=D("9.999"))}),
    (C.PRECISION, {"instrument": replace(INSTRUMENT, min_qty=D("10.001"))}),
    (C.PRECISION, {"instrument": replace(INSTRUMENT, price_tick=D(0))}),
    (C.MIN_NOTIONAL, {"instrument": replace(INSTRUMENT, min_notional=D("1002.01"))}),
    (C.MIN_NOTIONAL, {"instrument": replace(INSTRUMENT, min_notional=D("-Infinity"))}),
    (C.NO_REFERENCE, {"quote": replace(QUOTE, occurred_at=ago(5.001))}),
    (C.NO_REFERENCE, {"quote": replace(QUOTE, occurred_at=ago(-2.1))}),
    (C.NO_REFERENCE, {"quote": replace(QUOTE, bid=D(101))}),
    (C.NO_REFERENCE, {"quote": replace(QUOTE, bid=D(0))}),
    (C.NO_REFERENCE, {"quote": replace(QUOTE, ask=D("NaN"))}),
    (C.PRICE_COLLAR, {"quote": replace(QUOTE, bid=D("97"), ask=D("98"))}),
    (C.EQUITY_STALE, {"equity": replace(EQUITY, recorded_at=ago(61))}),
    (C.EQUITY_STALE, {"equity": replace(EQUITY, occurred_at=ago(2185))}),
    (C.EQUITY_STALE, {"equity": replace(EQUITY, mode=Mode.LIVE)}),
    (C.EQUITY_STALE, {"equity": replace(EQUITY, account="another")}),
    (C.EQUITY_STALE, {"equity": replace(EQUITY, equity=D("NaN"))}),
    (C.MARGIN, {"equity": replace(EQUITY, available=D("333.99"))}),
    (C.MARGIN, {"equity": replace(EQUITY, available=D("833.99")), "reserving": (a_permit(reserved=1500),)}),
    (C.LEVERAGE, {"equity": replace(EQUITY, equity=D("333.99"))}),
    (C.LEVERAGE, {"equity": replace(EQUITY, equity=D(0))}),
    (C.LEVERAGE, {"equity": replace(EQUITY, equity=D(-5))}),
    (C.MAX_POSITIONS, {"positions": tuple(a_position(symbol=f"S{n}", qty=D(1)) for n in range(8))}),
    (C.MAX_POSITIONS, {"unsettled": tuple(an_order(n, symbol=f"S{n}", qty=D(1)) for n in range(8))}),
    (C.MAX_POSITIONS, {"reserving": tuple(a_permit(n, symbol=f"S{n}", reserved=1) for n in range(8))}),
    (C.MAX_POSITION, {"positions": (a_position(qty=D("9.98")),)}),
    (C.MAX_POSITION, {"unsettled": (an_order(symbol=SYMBOL, qty=D("9.99")),)}),
    (C.MAX_POSITION, {"reserving": (a_permit(symbol=SYMBOL, reserved=999),)}),
    (C.MAX_EXPOSURE, {"positions": (a_position(symbol=OTHER, qty=D("89.99")),)}),
    (C.MAX_EXPOSURE, {"unsettled": (an_order(qty=D("89.99"), state=OrderState.UNKNOWN),)}),
    (C.MAX_EXPOSURE, {"unsettled": (an_order(qty=D("89.99"), state=OrderState.SENDING),)}),
    (C.MAX_EXPOSURE, {"reserving": (a_permit(reserved=8999),)}),
    (C.DUPLICATE, {"recent": (an_order(symbol=SYMBOL, created_at=ago(30)),)}),
    (C.DUPLICATE, {"recent": (an_order(symbol=SYMBOL, created_at=ago(-5)),)}),
    (C.DUPLICATE, {"reserving": (a_permit(symbol=SYMBOL, reserved=1),)}),
    (C.UNKNOWN_PENDING, {"unsettled": (an_order(symbol=SYMBOL, state=OrderState.UNKNOWN, qty=D(1)),)}),
    (C.UNKNOWN_PENDING, {"unsettled": (an_order(symbol=SYMBOL, state=OrderState.SENDING, qty=D(1)),)}),
    (C.HALTED, {"trading_state": TradingState.HALTED}),
    (C.HALTED, {"trading_state": "ACTIVE"}),
    (C.REDUCING, {"trading_state": TradingState.REDUCING}),
    (C.KILL_SWITCH, {"kill_switches": (a_switch(KillScope.GLOBAL),)}),
    (C.KILL_SWITCH, {"kill_switches": (a_switch(KillScope.SYMBOL, SYMBOL),)}),
    (C.KILL_SWITCH, {"kill_switches": (a_switch(KillScope.STRATEGY, "adaptive_ob"),)}),
]


@pytest.mark.parametrize(("code", "changes"), DENIED_WORLDS)
def test_a_world_out_of_bounds_is_denied_by_its_rule_alone(code: CheckCode, changes: dict[str, Any]) -> None:
    """The code names the cause: another rule that answers for it would send people looking elsewhere."""
    related = {
        C.MIN_NOTIONAL: {C.PRECISION},
        C.NO_REFERENCE: {C.PRICE_COLLAR, C.DATA_JUMP},
        C.MAX_POSITION: {C.DUPLICATE},
    }
    expected = {code} | _follows(code, changes)
    assert code in denials(an_intent(), a_view(**changes))
    assert set(denials(an_intent(), a_view(**changes))) <= expected | related.get(code, set())


def _follows(code: CheckCode, changes: dict[str, Any]) -> set[CheckCode]:
    """An unusable instrument or equity is denied by every rule that needs it."""
    if "instrument" in changes:
        return {C.NOT_IN_UNIVERSE, C.PRECISION, C.MIN_NOTIONAL}
    if code in {C.EQUITY_STALE, C.LEVERAGE}:
        return {C.EQUITY_STALE, C.MARGIN, C.LEVERAGE, C.DAILY_LOSS, C.DRAWDOWN}
    return set()


ALLOWED_WORLDS = [
    {"bar_jump_bps": D(1000)},
    {"activity": replace(ACTIVITY, last_second=4, last_minute=59, last_day=999)},
    {"activity": replace(ACTIVITY, rejects=5)},
    {"activity": replace(ACTIVITY, on_symbol=10)},
    {"activity": replace(ACTIVITY, rejects=2, losses=1, unknowns=2)},
    {"activity": replace(ACTIVITY, last_loss_at=ago(60.001))},
    {"activity": replace(ACTIVITY, last_loss_at=None)},
    {"safeguards": safeguards(marks=marks(day_start=D("10526.31")))},
    {"safeguards": safeguards(marks=marks(peak=D(12500)))},
    {"safeguards": safeguards(latches=(a_latch(C.DRAWDOWN, tripped=False),))},
    {"safeguards": safeguards(reconciliation=compared(60))},
    {"clock_offset_s": D(-2)},
    {"quote": replace(QUOTE, occurred_at=ago(5))},
    {"equity": replace(EQUITY, occurred_at=ago(60), recorded_at=ago(60))},
    {"equity": replace(EQUITY, available=D(334))},
    {
        "equity": replace(EQUITY, equity=D(334)),
        "safeguards": safeguards(marks=marks(day_start=D(334), peak=D(334))),
    },
    {"positions": tuple(a_position(symbol=f"S{n}", qty=D(1)) for n in range(7))},
    {"positions": (a_position(qty=D(9)), *(a_position(symbol=f"S{n}", qty=D(1)) for n in range(7)))},
    {"positions": (a_position(qty=D("9.97")),)},
    {"positions": (a_position(symbol=OTHER, qty=D("89.98")),)},
    {"unsettled": (an_order(qty=D(100), filled_qty=D(50), state=OrderState.PARTIALLY_FILLED),)},
    {"unsettled": (an_order(qty=D(500), reduce_only=True),)},
    {"unsettled": (an_order(state=OrderState.UNKNOWN),)},
    {"recent": (an_order(symbol=SYMBOL, created_at=ago(30.001)),)},
    {"recent": (an_order(symbol=SYMBOL, created_at=ago(1), side=Side.SELL),)},
    {"kill_switches": (a_switch(KillScope.SYMBOL, OTHER), a_switch(KillScope.STRATEGY, "adaptive_str"))},
]


@pytest.mark.parametrize("changes", ALLOWED_WORLDS)
def test_a_world_exactly_at_a_limit_passes(changes: dict[str, Any]) -> None:
    """Up to its limits the account must stay able to trade."""
    assert denials(an_intent(), a_view(**changes)) == []


@pytest.mark.parametrize("name", LIMIT_NAMES)
def test_a_limit_that_is_not_configured_denies(name: str) -> None:
    """Somebody who forgot a limit must find out before an order does."""
    assert denials(an_intent(), a_view(), replace(LIMITS, **{name: None}))


def test_every_rule_answers_even_when_the_first_denies() -> None:
    """People need all causes at once, not one for each restart."""
    verdicts = run(an_intent(qty=D(-1)), a_view(kill_switches=None, equity=None), LIMITS)
    assert [each.code for each in verdicts] == [*(check.code for check in REGISTRY), C.CHECK_FAILED]


def test_a_rule_that_raises_denies_and_is_named() -> None:
    """A bug in a rule must neither stop the stage nor let an order through."""

    def broken(_: Intent, __: WorldView, ___: Limits) -> CheckVerdict:
        raise ZeroDivisionError("a bug")

    verdicts = run(an_intent(), a_view(), LIMITS, (*REGISTRY, Check(C.RATE, broken, frozenset(Effect))))
    failed = verdicts[-1]
    assert (failed.code, failed.ok, failed.value) == (C.CHECK_FAILED, False, "RATE")
    assert "a bug" in failed.detail


def test_values_and_limits_are_said_with_their_units() -> None:
    """The operator of the third incident needed hours to find a number like this one."""
    stale = answer(C.EQUITY_STALE, an_intent(), a_view(equity=replace(EQUITY, recorded_at=ago(2185))))
    assert (stale.value, stale.limit) == ("age 2185 s", "60 s")


OVER_EVERY_LIMIT: dict[str, Any] = {
    "bar_jump_bps": None,
    "clock_offset_s": D(5),
    "safeguards": safeguards(latches=(a_latch(C.DRAWDOWN),), reconciliation=compared(5, "BTC: 1, 2")),
    "activity": replace(ACTIVITY, last_second=99, rejects=99, last_loss_at=ago(1)),
    "in_universe": False,
    "equity": None,
    "positions": (
        a_position(qty=D(90)),
        *(a_position(symbol=f"S{n}", qty=D(100)) for n in range(9)),
    ),
    "recent": (an_order(symbol=SYMBOL, side=Side.SELL, leg=Leg.CLOSE, created_at=ago(1)),),
    "unsettled": (an_order(symbol=SYMBOL, state=OrderState.UNKNOWN),),
}


@pytest.mark.parametrize("state", [TradingState.ACTIVE, TradingState.REDUCING])
def test_an_exit_passes_when_every_limit_is_exceeded(state: TradingState) -> None:
    """Limits that trap us in a position would make things worse."""
    view = a_view(trading_state=state, **OVER_EVERY_LIMIT)
    assert denials(an_exit(qty=D(90)), view) == []


def test_a_stop_passes_without_a_quote_and_far_from_the_price() -> None:
    """A stop waits on the exchange, away from the price: the collar is not about it."""
    stop = an_exit(leg=Leg.STOP, type=OrderType.STOP_MARKET, limit_price=D("80.0"))
    assert denials(stop, a_view(positions=(a_position(),), quote=None)) == []


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        (C.KILL_SWITCH, {"kill_switches": (a_switch(KillScope.GLOBAL),)}),
        (C.KILL_SWITCH, {"kill_switches": None}),
        (C.HALTED, {"trading_state": TradingState.HALTED}),
        (C.NO_REFERENCE, {"quote": None}),
        (C.PRICE_COLLAR, {"quote": replace(QUOTE, bid=D(120), ask=D(121))}),
        (C.PRECISION, {"instrument": None}),
    ],
)
def test_an_exit_is_still_denied_by(code: CheckCode, changes: dict[str, Any]) -> None:
    """The kill switch means everything; an exit at a made-up price is no exit."""
    assert code in denials(an_exit(), a_view(positions=(a_position(),), **changes))


@pytest.mark.parametrize(
    "positions",
    [
        (),
        None,
        (a_position(symbol=OTHER),),
        (a_position(side=Side.SELL),),
        (a_position(qty=D("9.999")),),
        (a_position(closed_at=ago(5)),),
        (a_position(qty=D("NaN")),),
        (a_position(qty=D("Infinity")),),
    ],
)
def test_reduce_only_that_does_not_reduce_is_bad_input(positions: Any) -> None:
    """Otherwise two words in a message would lift every limit."""
    assert not answer(C.BAD_INPUT, an_exit(), a_view(positions=positions)).ok


def test_an_unreadable_switch_counts_as_on() -> None:
    """A switch that fails open is not a switch."""
    assert denials(an_intent(), a_view(kill_switches=None)) == [C.KILL_SWITCH]
    assert denials(an_intent(), a_view(trading_state=None)) == [C.HALTED]


def test_the_equitys_age_is_told_also_when_the_exchanges_clock_is_unknown() -> None:
    """Who looks for the cause of an outage must not be sent to look for an equity that is there."""
    told = answer(
        C.EQUITY_STALE, an_intent(), a_view(exchange_now=None, equity=replace(EQUITY, recorded_at=ago(7)))
    )
    assert (told.ok, told.value) == (False, "age 7 s, by the exchange's clock unknown")
    assert answer(C.EQUITY_STALE, an_intent(), a_view(equity=None)).value == "equity missing"


def test_the_worst_case_is_that_of_the_view_that_is_asked_about() -> None:
    """It is computed once for the five rules that need it; the next view is another one."""
    light, heavy = a_view(positions=()), a_view(positions=(a_position(symbol=OTHER),))
    told = [answer(C.MAX_POSITIONS, an_intent(), view).value for view in (light, heavy, light)]
    assert told == ["1 positions", "2 positions", "1 positions"]
