"""One good intent in one good world; tests change a single thing and see what the governor says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.decisions import Mode
from pipeline.domain.guards import Activity, Marks, Reconciliation
from pipeline.domain.ids import DecisionId, client_order_id, decision_id, permit_id, position_id
from pipeline.domain.instruments import Instrument
from pipeline.domain.intents import Intent, Leg, OrderType, TimeInForce
from pipeline.domain.orders import Order, OrderState
from pipeline.domain.permits import Denied, OrderTerms, Permit
from pipeline.domain.positions import Equity, Position
from pipeline.domain.signals import Side
from pipeline.domain.switches import TradingState
from pipeline.governor.assess import assess
from pipeline.governor.checks import run
from pipeline.governor.permits import PermitAuthority
from pipeline.governor.view import Limits, Safeguards, WorldView

NOW = datetime(2025, 3, 1, 12, 0, 2, 500_000, tzinfo=UTC)
SYMBOL = "BTC/USDT:USDT"
OTHER = "ETH/USDT:USDT"
ACCOUNT = "main"
KEY = b"a key of the tests, of 16 bytes or more"
D = Decimal


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


@dataclass(frozen=True)
class FixedClock:
    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@dataclass(frozen=True)
class BookTop:
    bid: Decimal
    ask: Decimal
    occurred_at: datetime


QUOTE = BookTop(D("99.9"), D("100.1"), ago(1))

INSTRUMENT = Instrument(
    symbol=SYMBOL,
    market_id="BTCUSDT",
    base="BTC",
    quote="USDT",
    price_tick=D("0.1"),
    qty_step=D("0.001"),
    min_qty=D("0.001"),
    max_qty=D(1000),
    min_notional=D(5),
)

EQUITY = Equity(
    account=ACCOUNT,
    mode=Mode.PAPER,
    equity=D(10000),
    available=D(9000),
    unrealised_pnl=D(0),
    occurred_at=ago(20),
    recorded_at=ago(20),
)

LIMITS = Limits(
    max_order_qty=D(50),
    max_order_notional_usdt=D(2000),
    price_collar_bps=D(200),
    quote_max_age_s=D(5),
    signal_max_age_bars=D(2),
    equity_max_age_s=D(60),
    max_leverage=D(3),
    max_positions=D(8),
    max_position_notional_usdt=D(2000),
    max_exposure_usdt=D(10000),
    duplicate_within_s=D(30),
    max_jump_bps=D(1000),
    max_daily_loss_pct=D(5),
    max_drawdown_pct=D(20),
    max_orders_per_s=D(5),
    max_orders_per_minute=D(60),
    max_orders_per_day=D(1000),
    cooldown_after_loss_s=D(60),
    max_rejects=D(5),
    max_repeats=D(10),
    max_kill_score=D(9),
    reconciled_max_age_s=D(60),
    max_clock_skew_s=D(2),
)

ACTIVITY = Activity(
    last_second=0,
    last_minute=2,
    last_day=20,
    rejects=1,
    unknowns=0,
    on_symbol=1,
    losses=1,
    last_loss_at=ago(300),
)
SAFEGUARDS = Safeguards(
    marks=Marks(account=ACCOUNT, day=ago(43200), day_start=D(10100), peak=D(11000)),
    reconciliation=Reconciliation(account=ACCOUNT, compared_at=ago(5)),
    config_hashes=frozenset({"c0ffee"}),
)


def safeguards(**changes: Any) -> Safeguards:
    return replace(SAFEGUARDS, **changes)


AUTHORITY = PermitAuthority(KEY, 10, FixedClock())


def an_intent(**changes: Any) -> Intent:
    """Buy 10 at 100.2 at most: 1002 USDT."""
    intent = Intent(
        symbol=SYMBOL,
        leg=Leg.ENTRY,
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=TimeInForce.IOC,
        qty=D(10),
        limit_price=D("100.2"),
        reduce_only=False,
        decision_price=D("100.0"),
        priced_at=ago(2.5),
        stop_loss=D(98),
        take_profit=D(104),
        strategy="adaptive_ob",
        score=D("0.7"),
        reason="oversold",
    )
    return replace(intent, **changes)


def an_exit(**changes: Any) -> Intent:
    """Sell 10, reduce-only: fits `a_position()`."""
    told = {"leg": Leg.CLOSE, "side": Side.SELL, "limit_price": D("99.8"), "reduce_only": True, **changes}
    return an_intent(stop_loss=None, take_profit=None, **told)


def a_view(**changes: Any) -> WorldView:
    view = WorldView(
        account=ACCOUNT,
        mode=Mode.PAPER,
        now=NOW,
        exchange_now=NOW,
        in_universe=True,
        instrument=INSTRUMENT,
        quote=QUOTE,
        timeframe_s=1800,
        equity=EQUITY,
        positions=(),
        unsettled=(),
        reserving=(),
        recent=(),
        kill_switches=(),
        trading_state=TradingState.ACTIVE,
        bar_jump_bps=D("35.5"),
        activity=ACTIVITY,
        safeguards=SAFEGUARDS,
        clock_offset_s=D("0.02"),
    )
    return replace(view, **changes)


def decision(number: int, symbol: str = SYMBOL) -> DecisionId:
    return decision_id(symbol, ago(3600), str(number))


def a_position(**changes: Any) -> Position:
    """Long 10 at 100."""
    position = Position(
        position_id=position_id(ACCOUNT, SYMBOL, decision(1)),
        account=ACCOUNT,
        mode=Mode.PAPER,
        symbol=SYMBOL,
        side=Side.BUY,
        qty=D(10),
        entry_price=D(100),
        realised_pnl=D(0),
        fees=D(0),
        opened_by=decision(1),
        opened_at=ago(3600),
    )
    return replace(position, **changes)


def an_order(number: int = 2, **changes: Any) -> Order:
    """A working buy of 5 at 100 on the other symbol, nothing filled: 500 USDT."""
    made_by = decision(number)
    order = Order(
        client_order_id=client_order_id(ACCOUNT, made_by, Leg.ENTRY, 1),
        decision_id=made_by,
        leg=Leg.ENTRY,
        attempt=1,
        account=ACCOUNT,
        mode=Mode.PAPER,
        permit_id=permit_id(made_by, Leg.ENTRY),
        symbol=OTHER,
        side=Side.BUY,
        type=OrderType.LIMIT,
        tif=TimeInForce.IOC,
        qty=D(5),
        limit_price=D(100),
        reduce_only=False,
        decision_price=D(100),
        state=OrderState.ACKED,
        created_at=ago(300),
    )
    return replace(order, **changes)


def a_permit(number: int = 3, *, symbol: str = OTHER, reserved: int = 500, age_s: float = 4) -> Permit:
    """Issued and not used yet, as the ledger would show it."""
    terms = terms_of(an_intent(symbol=symbol), decision(number, symbol))
    passed = (CheckVerdict(CheckCode.BAD_INPUT, ok=True, value="", limit=""),)
    return AUTHORITY.issue(terms, D(reserved), LIMITS, passed, ago(age_s))


def terms_of(intent: Intent, made_by: DecisionId | None = None) -> OrderTerms:
    return OrderTerms.of(intent, made_by or decision(9), ACCOUNT, Mode.PAPER)


def judged(intent: Intent, view: WorldView, limits: Limits = LIMITS) -> Permit | Denied:
    return assess(intent, terms_of(intent), view, limits, AUTHORITY)


def denials(intent: Intent, view: WorldView, limits: Limits = LIMITS) -> list[CheckCode]:
    return [verdict.code for verdict in run(intent, view, limits) if not verdict.ok]


def answer(code: CheckCode, intent: Intent, view: WorldView, limits: Limits = LIMITS) -> CheckVerdict:
    return next(verdict for verdict in run(intent, view, limits) if verdict.code is code)
