"""Sizing: never more than any cap allows, always on the instrument's grid."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.domain.decisions import Mode
from pipeline.domain.ids import DecisionId, PositionId
from pipeline.domain.instruments import Instrument
from pipeline.domain.intents import Intent, Leg, OrderType, TimeInForce
from pipeline.domain.positions import Position
from pipeline.domain.signals import Side, Signal
from pipeline.strategies.sizing import AlreadyHeld, SizingRules, TooSmall, Wanted, limit_price, size

AT = datetime(2025, 10, 10, 21, 15, tzinfo=UTC)
INSTRUMENT = Instrument(
    symbol="ETH/USDT:USDT",
    market_id="ETHUSDT",
    base="ETH",
    quote="USDT",
    price_tick=Decimal("0.01"),
    qty_step=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    max_qty=Decimal(1000),
    min_notional=Decimal(20),
)
RULES = SizingRules(
    risk_per_trade=Decimal("0.005"),
    max_notional=Decimal(100_000),
    max_leverage=Decimal(3),
    slippage_bps=Decimal(10),
)
EQUITY = Decimal(10_000)


def wanted(side: Side = Side.BUY, entry: str = "2000", stop: str = "1950", target: str = "2075") -> Wanted:
    signal = Signal(
        side=side,
        score=Decimal("0.7"),
        entry=Decimal(entry),
        stop_loss=Decimal(stop),
        take_profit=Decimal(target),
        reason="because",
    )
    return Wanted(strategy="toy", signal=signal, priced_at=AT)


def held(side: Side, qty: str) -> Position:
    return Position(
        position_id=PositionId("pos_1"),
        account="main",
        mode=Mode.PAPER,
        symbol=INSTRUMENT.symbol,
        side=side,
        qty=Decimal(qty),
        entry_price=Decimal(1900),
        realised_pnl=Decimal(0),
        fees=Decimal(0),
        opened_by=DecisionId("dec_20251010_210000_0123456789ab"),
        opened_at=AT,
    )


def entry(sized: object) -> Intent:
    assert isinstance(sized, Intent), sized
    return sized


def test_an_entry_risks_its_share_of_the_equity_down_to_the_stop() -> None:
    """50 USDT at risk over 52 USDT of distance (stop to worst price) are 0.961 ETH."""
    intent = entry(size(wanted(), INSTRUMENT, EQUITY, None, RULES))
    assert intent.qty == Decimal("0.961")
    assert intent.limit_price == Decimal("2002.00")
    assert (intent.leg, intent.type, intent.tif) == (Leg.ENTRY, OrderType.LIMIT, TimeInForce.IOC)
    assert (intent.stop_loss, intent.take_profit) == (Decimal(1950), Decimal(2075))
    assert (intent.decision_price, intent.priced_at) == (Decimal(2000), AT)
    assert not intent.reduce_only


@pytest.mark.parametrize(
    ("order", "kind"),
    [
        ("limit_ioc", (OrderType.LIMIT, TimeInForce.IOC)),
        ("limit", (OrderType.LIMIT, TimeInForce.GTC)),
        ("market", (OrderType.MARKET, TimeInForce.IOC)),
    ],
)
def test_every_kind_of_order_keeps_the_same_bound(order: str, kind: object) -> None:
    """E2: the slippage bounds all of them, entries and closes."""
    rules = replace(RULES, order=order)
    for position in (None, held(Side.SELL, "0.5")):
        intent = entry(size(wanted(), INSTRUMENT, EQUITY, position, rules))
        assert (intent.type, intent.tif) == kind
        assert intent.limit_price == Decimal("2002.00")


@pytest.mark.parametrize(
    ("rules", "qty"),
    [
        (replace(RULES, max_notional=Decimal(1001)), "0.500"),
        (replace(RULES, max_leverage=Decimal("0.05")), "0.249"),
    ],
)
def test_notional_and_leverage_cap_the_quantity(rules: SizingRules, qty: str) -> None:
    """A near stop would otherwise buy the whole book."""
    assert entry(size(wanted(), INSTRUMENT, EQUITY, None, rules)).qty == Decimal(qty)


def test_the_exchanges_largest_quantity_caps_it_too() -> None:
    """An order above it would be rejected."""
    small = replace(INSTRUMENT, max_qty=Decimal("0.3"))
    assert entry(size(wanted(), small, EQUITY, None, RULES)).qty == Decimal("0.3")


@pytest.mark.parametrize(
    ("instrument", "equity", "says"),
    [
        (replace(INSTRUMENT, min_qty=Decimal(1)), EQUITY, "below the minimum of 1 ETH"),
        (INSTRUMENT, Decimal(100), "below the minimum of 20 USDT"),
        (INSTRUMENT, Decimal(0), "quantity 0"),
        (INSTRUMENT, Decimal(-50), "quantity 0"),
        (replace(INSTRUMENT, price_tick=Decimal(100)), EQUITY, "tick"),
    ],
)
def test_what_is_too_small_for_the_exchange_is_a_value_with_its_numbers(
    instrument: Instrument, equity: Decimal, says: str
) -> None:
    """An outcome that people can act on, not an error."""
    signal = wanted(stop="1990", target="2100") if instrument.price_tick == 100 else wanted()
    sized = size(signal, instrument, equity, None, RULES)
    assert isinstance(sized, TooSmall)
    assert says in sized.detail


@pytest.mark.parametrize("side", list(Side))
def test_an_opposite_signal_closes_the_whole_position_and_no_more(side: Side) -> None:
    """Turning around is two decisions: the second one goes through the governor again."""
    signal = wanted() if side is Side.BUY else wanted(Side.SELL, stop="2050", target="1925")
    intent = entry(size(signal, INSTRUMENT, EQUITY, held(side.opposite, "0.005"), RULES))
    assert (intent.leg, intent.side, intent.qty, intent.reduce_only) == (
        Leg.CLOSE,
        side,
        Decimal("0.005"),
        True,
    )
    assert intent.stop_loss is None
    assert intent.take_profit is None


def test_a_signal_in_the_direction_held_adds_nothing() -> None:
    """The same dip seen twelve times in a minute must not become twelve positions."""
    assert isinstance(size(wanted(), INSTRUMENT, EQUITY, held(Side.BUY, "0.5"), RULES), AlreadyHeld)


def test_dust_that_cannot_be_closed_is_too_small() -> None:
    """The exchange would refuse it."""
    coarse = replace(INSTRUMENT, qty_step=Decimal("0.01"), min_qty=Decimal("0.01"))
    assert isinstance(size(wanted(), coarse, EQUITY, held(Side.SELL, "0.005"), RULES), TooSmall)


PRICES = st.decimals("0.0001", "90000", places=6)
TICKS = st.sampled_from([Decimal(text) for text in ("0.00001", "0.001", "0.05", "0.1", "1")])


@given(side=st.sampled_from(Side), price=PRICES, tick=TICKS, bps=st.decimals(0, 500, places=1))
def test_a_limit_price_is_on_the_tick_and_never_beyond_the_slippage(
    side: Side, price: Decimal, tick: Decimal, bps: Decimal
) -> None:
    """ccxt rounds a buy price up; we must not."""
    limit = limit_price(side, price, bps, replace(INSTRUMENT, price_tick=tick))
    bound = price * (1 + side.sign * bps / 10_000)
    assert limit % tick == 0
    assert (bound - limit) * side.sign >= 0
    assert abs(bound - limit) < tick


@given(
    side=st.sampled_from(Side),
    price=st.decimals("1", "90000", places=2),
    stop=st.decimals("0.001", "0.3", places=3),
    equity=st.decimals(1, 1_000_000, places=2),
    step=st.sampled_from([Decimal(text) for text in ("0.001", "0.1", "1")]),
)
def test_no_entry_breaks_a_cap_or_the_grid(
    side: Side, price: Decimal, stop: Decimal, equity: Decimal, step: Decimal
) -> None:
    """Rounding must never exceed a limit, whatever the numbers."""
    levels = (price * (1 - side.sign * stop), price * (1 + side.sign * stop))
    instrument = replace(INSTRUMENT, qty_step=step, min_qty=step)
    sized = size(wanted(side, str(price), *map(str, levels)), instrument, equity, None, RULES)
    assume(isinstance(sized, Intent))
    intent = entry(sized)
    assert intent.stop_loss is not None
    worst = max(intent.limit_price, intent.decision_price)
    assert intent.qty % step == 0
    assert intent.qty * abs(intent.limit_price - intent.stop_loss) <= equity * RULES.risk_per_trade
    assert intent.qty * worst <= min(RULES.max_notional, equity * RULES.max_leverage)
    assert intent.notional >= instrument.min_notional
    assert intent.qty <= instrument.max_qty
