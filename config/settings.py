"""What can be set, with units in the names. An unknown key or an impossible value stops the start.

Every leaf has one environment variable, `THROUGHLINE_<SECTION>_<KEY>`: `chain.cadence_s` is
`THROUGHLINE_CHAIN_CADENCE_S`. `config/loading.py` makes the list from these classes.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from pipeline.domain.decisions import Mode
from pipeline.domain.timeframes import Timeframe

Positive = Annotated[float, Field(gt=0)]
PositiveDecimal = Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[Decimal, Field(gt=0, le=1)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Section(BaseModel):
    """Frozen, and refusing what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class ExchangeSettings(Section):
    """Which exchange, and how long it may take. In mode `paper` it is the simulated one."""

    id: Literal["binanceusdm"] = "binanceusdm"
    account: str = "main"
    api_key: SecretStr = SecretStr("")
    api_secret: SecretStr = SecretStr("")
    timeout_s: Positive = 8.0
    receive_window_ms: Annotated[int, Field(ge=1000, le=60000)] = 5000
    instruments_max_age_s: Positive = 600.0


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

    @field_validator("timeframes")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names or len(set(names)) != len(names):
            raise ValueError("at least one timeframe, each once")
        for name in names:
            Timeframe.parse(name)
        return names


class ChainSettings(Section):
    """The rhythm of the chain. A decision may send no order later than `deadline_s` after it was enqueued."""

    cadence_s: Annotated[float, Field(ge=1, le=86400)] = 30.0
    skip_unchanged: bool = True
    deadline_s: Positive = 60.0
    resume_after_s: Positive = 15.0
    max_deliveries: Annotated[int, Field(ge=1, le=20)] = 3
    sweep_every_s: Annotated[float, Field(ge=0.5)] = 2.0
    equity_every_s: Annotated[float, Field(ge=0.5)] = 10.0
    resolve_every_s: Annotated[float, Field(ge=0.5)] = 2.0
    reconcile_every_s: Annotated[float, Field(ge=0.5)] = 10.0
    guard_every_s: Annotated[float, Field(ge=0.5)] = 1.0
    soft_time_limit_s: Positive = 20.0
    hard_time_limit_s: Positive = 25.0
    visibility_timeout_s: Annotated[int, Field(ge=10, le=60)] = 60

    @model_validator(mode="after")
    def _limits_fit(self) -> ChainSettings:
        if not self.soft_time_limit_s < self.hard_time_limit_s < self.visibility_timeout_s / 2:
            raise ValueError("soft_time_limit_s < hard_time_limit_s < half of visibility_timeout_s")
        return self


class StrategySettings(Section):
    """Which strategies run, with their parameters by name. `folder` holds strategies of your own."""

    enabled: tuple[str, ...] = ("adaptive_ob", "adaptive_str", "trend_follow")
    folder: str = ""
    params: dict[str, dict[str, object]] = {}
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
    max_clock_skew_s: Positive = 2.0
    config_seen_within_s: Positive = 60.0
    breaker_share: Fraction = Decimal("0.9")
    breaker_window_s: Positive = 300.0
    breaker_min_decisions: Annotated[int, Field(ge=1)] = 20


class ExecutionSettings(Section):
    """How orders are placed. Absence is believed `not_placed_margin_s` after the receive window."""

    slippage_bps: PositiveDecimal = Decimal("15")
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    retry_backoff_ms: Annotated[int, Field(ge=1)] = 250
    not_placed_margin_s: Positive = 60.0
    not_placed_misses: Annotated[int, Field(ge=2)] = 3


class RedisSettings(Section):
    """Broker and cache. With no `url` an own server runs on loopback at `port`, its data under the home."""

    url: str = ""
    port: Port = 6390


class LedgerSettings(Section):
    """The record. With no `url` it is SQLite under the home; `postgresql+psycopg://…` for several hosts."""

    url: str = ""
    busy_timeout_s: Positive = 10.0


class SimulatorSettings(Section):
    """The simulated exchange of mode `paper`. With no `url` an own one runs on loopback at `port`."""

    url: str = ""
    port: Port = 8390
    seed: int = 7
    symbols: Annotated[int, Field(ge=1, le=2000)] = 20
    speed: Positive = 1.0
    data: str = ""
    balance_usdt: PositiveDecimal = Decimal("10000")


class FlowerSettings(Section):
    enabled: bool = True
    host: str = "127.0.0.1"
    port: Port = 5590


class WorkerSettings(Section):
    """Pool children on this host: `market` for fetch and evaluate, `orders` for the rest of the chain."""

    market_processes: Annotated[int, Field(ge=1, le=64)] = 2
    orders_processes: Annotated[int, Field(ge=1, le=64)] = 2


class LoggingSettings(Section):
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    max_file_mb: Annotated[int, Field(ge=1, le=10000)] = 50
    keep_files: Annotated[int, Field(ge=1, le=100)] = 5


class SentrySettings(Section):
    dsn: SecretStr = SecretStr("")
    traces_sample_rate: Annotated[float, Field(ge=0, le=1)] = 0.0
    environment: str = ""


class DemoSettings(Section):
    """What `throughline demo` changes for its own run."""

    seconds: Annotated[int, Field(ge=10, le=86400)] = 90
    cadence_s: Positive = 5.0
    timeframes: tuple[str, ...] = ("1m", "5m", "15m")


class Settings(Section):
    """All of it."""

    home: Path = Path("var")
    mode: Mode = Mode.PAPER
    exchange: ExchangeSettings = ExchangeSettings()
    universe: UniverseSettings = UniverseSettings()
    market: MarketSettings = MarketSettings()
    chain: ChainSettings = ChainSettings()
    strategies: StrategySettings = StrategySettings()
    sizing: SizingSettings = SizingSettings()
    governor: GovernorSettings = GovernorSettings()
    execution: ExecutionSettings = ExecutionSettings()
    redis: RedisSettings = RedisSettings()
    ledger: LedgerSettings = LedgerSettings()
    simulator: SimulatorSettings = SimulatorSettings()
    flower: FlowerSettings = FlowerSettings()
    workers: WorkerSettings = WorkerSettings()
    logging: LoggingSettings = LoggingSettings()
    sentry: SentrySettings = SentrySettings()
    demo: DemoSettings = DemoSettings()

    @property
    def redis_url(self) -> str:
        return self.redis.url or f"redis://127.0.0.1:{self.redis.port}/0"

    @property
    def ledger_url(self) -> str:
        return self.ledger.url or f"sqlite:///{self.home.absolute() / 'ledger.sqlite3'}"

    @property
    def simulator_url(self) -> str:
        return self.simulator.url or f"http://127.0.0.1:{self.simulator.port}"
