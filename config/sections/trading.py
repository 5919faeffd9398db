"""Settings of what is traded, how, and within which limits."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from config.sections.base import Fraction, Positive, PositiveDecimal, Section
from pipeline.domain.timeframes import Timeframe


class ExchangeSettings(Section):
    """Which exchange, and how long it may take. In mode `paper` it is the simulated one."""

    id: Literal["binanceusdm"] = "binanceusdm"
    account: str = "main"
    api_key: SecretStr = SecretStr("")
    api_secret: SecretStr = SecretStr("")
    timeout_s: Positive = 8.0
    public_timeout_s: Positive = 3.0
    receive_window_ms: Annotated[int, Field(ge=1000, le=60000)] = 5000
    instruments_max_age_s: Positive = 600.0
    weight_per_minute: Annotated[int, Field(ge=50)] = 2400
    orders_per_10s: Annotated[int, Field(ge=2)] = 300
    orders_per_minute: Annotated[int, Field(ge=2)] = 1200


class UniverseSettings(Section):
    """The symbols that may be traded: those of `symbols`, which `TRADING_SYMBOLS` (comma-separated)
    overrides, or the `top_by_volume` ones whose volume is at least `min_volume_usdt`.
    """

    symbols: tuple[str, ...] = ()
    top_by_volume: Annotated[int, Field(ge=0, le=2000)] = 0
    min_volume_usdt: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)] = Decimal("10000000")
    check_every_s: Annotated[float, Field(ge=1)] = 60.0
    block: tuple[str, ...] = ()


class MarketSettings(Section):
    """Which bars a decision sees. `max_lag_bars`: how many closed bars may be missing at the end."""

    timeframes: tuple[str, ...] = ("30m", "1h", "4h")
    bars: Annotated[int, Field(ge=50, le=1000)] = 200
    max_lag_bars: Annotated[int, Field(ge=0, le=10)] = 0
    wait_for_bars_s: Positive = 0.1
    absurd_jump_bps: PositiveDecimal = Decimal("3000")

    @field_validator("timeframes")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names or len(set(names)) != len(names):
            raise ValueError("at least one timeframe, each once")
        for name in names:
            Timeframe.parse(name)
        return names


class StrategySettings(Section):
    """Which strategies run, with their parameters by name. `folder` holds strategies of your own."""

    enabled: tuple[str, ...] = ("adaptive_ob", "adaptive_str", "trend_follow")
    folder: str = ""
    params: dict[str, dict[str, object]] = Field(default={})
    time_limit_s: Positive = 1.0
    resolution: Literal["highest_score", "priority", "unanimous"] = "highest_score"
    cancel_within_score: Annotated[Decimal, Field(ge=0, le=1)] = Decimal("0.1")


class SizingSettings(Section):
    """How large an intent may be. Fractions of equity; notional in USDT."""

    risk_per_trade: Fraction = Decimal("0.005")
    max_notional_usdt: PositiveDecimal = Decimal("1000")


class GovernorSettings(Section):
    """The limits of the governor. Money in USDT, ages in seconds, prices in basis points."""

    state_at_start: Literal["ACTIVE", "HALTED"] = "HALTED"
    permit_key: SecretStr = SecretStr("")
    permit_ttl_s: Positive = 10.0
    max_order_qty: PositiveDecimal = Decimal("100000000")
    max_order_notional_usdt: PositiveDecimal = Decimal("2000")
    price_collar_bps: PositiveDecimal = Decimal("200")
    quote_max_age_s: Positive = 5.0
    signal_max_age_bars: Annotated[int, Field(ge=1, le=10)] = 2
    equity_max_age_s: Positive = 60.0
    max_leverage: PositiveDecimal = Decimal("3")
    max_positions: Annotated[int, Field(ge=1)] = 8
    max_position_notional_usdt: PositiveDecimal = Decimal("2000")
    max_exposure_usdt: PositiveDecimal = Decimal("10000")
    duplicate_within_s: Positive = 30.0
    max_jump_bps: PositiveDecimal = Decimal("1000")
    max_daily_loss_pct: Annotated[Decimal, Field(gt=0, le=100)] = Decimal("5")
    max_drawdown_pct: Annotated[Decimal, Field(gt=0, le=100)] = Decimal("20")
    max_orders_per_s: Annotated[int, Field(ge=1)] = 10
    max_orders_per_minute: Annotated[int, Field(ge=1)] = 120
    max_orders_per_day: Annotated[int, Field(ge=1)] = 5000
    cooldown_after_loss_s: Annotated[float, Field(ge=0)] = 60.0
    max_rejects: Annotated[int, Field(ge=0)] = 10
    max_repeats: Annotated[int, Field(ge=0)] = 20
    max_kill_score: Annotated[int, Field(ge=0)] = 30
    latch_window_s: Positive = 600.0
    reconciled_max_age_s: Positive = 60.0
    max_unexplained_usdt: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)] = Decimal("1")
    max_clock_skew_s: Positive = 2.0
    config_seen_within_s: Positive = 60.0
    breaker_share: Fraction = Decimal("0.9")
    breaker_window_s: Positive = 300.0
    breaker_min_decisions: Annotated[int, Field(ge=1)] = 20


class ExecutionSettings(Section):
    """How orders are placed. Absence is believed `not_placed_margin_s` after the receive window."""

    order: Literal["limit_ioc", "limit", "market"] = "limit_ioc"
    slippage_bps: PositiveDecimal = Decimal("15")
    rest_s: Positive = 2.0
    dead_man_s: Annotated[float, Field(ge=5)] = 30.0
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    retry_backoff_ms: Annotated[int, Field(ge=1)] = 250
    not_placed_margin_s: Positive = 60.0
    not_placed_misses: Annotated[int, Field(ge=2)] = 3


class ExitSettings(Section):
    """How positions are left. Levels come from the signal; what it did not say comes from here."""

    default_stop_pct: Annotated[Decimal, Field(gt=0, lt=100)] = Decimal("5")
    unprotected_max_s: Positive = 20.0
    max_hold_s: Annotated[float, Field(ge=0)] = 0.0
    trail_pct: Annotated[Decimal, Field(ge=0, lt=100)] = Decimal("0")
    trail_step_pct: Annotated[Decimal, Field(gt=0, lt=100)] = Decimal("0.1")
