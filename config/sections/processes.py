"""Settings of the processes that do it: their rhythm, stores, servers, logs."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from config.sections.base import Port, Positive, PositiveDecimal, Section


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


class FeedSettings(Section):
    """The process that follows the exchange's candles. Decisions are asked for at the close of these timeframes."""

    decide_at_close: tuple[str, ...] = ()
    late_after_s: Positive = 2.0
    mute_after_s: Annotated[float, Field(ge=1)] = 15.0
    streams_per_connection: Annotated[int, Field(ge=1, le=1024)] = 200
    lease_s: Annotated[float, Field(ge=1, le=60)] = 8.0


class RedisSettings(Section):
    """Broker and cache. With no `url` an own server runs on loopback at `port`, its data under the home."""

    url: str = ""
    port: Port = 6390
    message_key: SecretStr = SecretStr("")


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
    decide_at_close: tuple[str, ...] = ("1m",)
