"""Settings of the processes that do it: their rhythm, stores, servers, logs."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import urlencode

from pydantic import Field, SecretStr, field_validator, model_validator

from config.sections.base import NotNegative, Port, Positive, PositiveDecimal, Section, is_loopback
from pipeline.domain.decisions import Mode


class ChainSettings(Section):
    """The rhythm of the chain. A decision may send no order later than `deadline_s` after it was enqueued."""

    cadence_s: Annotated[float, Field(ge=1, le=86400)] = 30.0
    skip_unchanged: bool = True
    deadline_s: Positive = 60.0
    resume_after_s: Positive = 15.0
    max_deliveries: Annotated[int, Field(ge=1, le=20)] = 3
    beat_lease_s: Annotated[float, Field(ge=3, le=60)] = 8.0
    sweep_every_s: Annotated[float, Field(ge=0.5)] = 2.0
    equity_every_s: Annotated[float, Field(ge=0.5)] = 10.0
    resolve_every_s: Annotated[float, Field(ge=0.5)] = 2.0
    protect_every_s: Annotated[float, Field(ge=0.5)] = 2.0
    protect_within_s: NotNegative = 1.0
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

    @property
    def entries_first_s(self) -> float:
        """How long what a burst of entries has filled may wait for its protection."""
        return min(self.protect_within_s, self.protect_every_s / 2)

    @property
    def look_after_every_s(self) -> float:
        """How often somebody looks for positions without a stop. One that was too young for a look is seen to by the
        next, and still within `protect_every_s`.
        """
        return self.protect_every_s - self.entries_first_s


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
    tls_ca: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    port: Port = 6390
    message_key: SecretStr = SecretStr("")

    @field_validator("url")
    @classmethod
    def _names_redis(cls, url: str) -> str:
        if url and not url.startswith(("redis://", "rediss://")):
            raise ValueError("redis://[[user]:password@]host:port/db, or rediss:// for TLS")
        return url

    @model_validator(mode="after")
    def _tls_fits(self) -> RedisSettings:
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ValueError("tls_cert and tls_key together, or neither")
        if (self.tls_ca or self.tls_cert) and not self.has_tls:
            raise ValueError("an url that begins with rediss:// beside tls_ca or tls_cert")
        return self

    @property
    def has_tls(self) -> bool:
        return self.url.startswith("rediss://")

    @property
    def tls(self) -> dict[str, str]:
        """What a client is told: whom to believe, and as whom to come. Empty without TLS."""
        files = {"ssl_ca_certs": self.tls_ca, "ssl_certfile": self.tls_cert, "ssl_keyfile": self.tls_key}
        told = {"ssl_cert_reqs": "required", **{name: path for name, path in files.items() if path}}
        return told if self.has_tls else {}

    @property
    def full_url(self) -> str:
        """The address with what TLS needs; what the address says itself stays."""
        url, said = self.url, self.url.partition("?")[2]
        more = urlencode({name: value for name, value in self.tls.items() if f"{name}=" not in said})
        return f"{url}{'&' if said else '?'}{more}" if more else url


class LedgerSettings(Section):
    """The record. With no `url` it is SQLite under the home; `postgresql+psycopg://…` for several hosts."""

    url: str = ""
    busy_timeout_s: Positive = 10.0
    keep_without_signal_days: NotNegative = 0.0


class SimulatorSettings(Section):
    """The simulated exchange of mode `paper`. With no `url` an own one runs on loopback at `port`."""

    url: str = ""
    port: Port = 8390
    seed: int = 7
    symbols: Annotated[int, Field(ge=1, le=2000)] = 20
    speed: Positive = 1.0
    data: str = ""
    balance_usdt: PositiveDecimal = Decimal("10000")


class PaperSettings(Section):
    """Mode `paper`: who fills. `broker` fills at the exchange's real public prices. Basis points; depth in USDT."""

    fills: Literal["simulator", "broker"] = "simulator"
    balance_usdt: PositiveDecimal = Decimal("10000")
    taker_fee_bps: Annotated[Decimal, Field(ge=0, le=1000)] = Decimal("5")
    maker_fee_bps: Annotated[Decimal, Field(ge=0, le=1000)] = Decimal("2")
    depth_usdt: PositiveDecimal = Decimal("50000")
    step_bps: PositiveDecimal = Decimal("1")
    latency_ms: Annotated[int, Field(ge=0, le=5000)] = 50


class FlowerSettings(Section):
    enabled: bool = True
    host: str = "127.0.0.1"
    port: Port = 5590
    user: Annotated[str, Field(pattern=r"^[^:\s]+$")] = "throughline"
    password: SecretStr = SecretStr("")


class MetricsSettings(Section):
    """The endpoint for Prometheus. One for each ledger is enough: it counts what all hosts did."""

    enabled: bool = False
    host: str = "127.0.0.1"
    port: Port = 9391
    password: SecretStr = SecretStr("")
    anyone: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it would answer strangers from other hosts."""
        return not (is_loopback(self.host) or self.password.get_secret_value())


class WorkerSettings(Section):
    """Pool children on this host: `market` for fetch and evaluate, `orders` for the rest of the chain."""

    market_processes: Annotated[int, Field(ge=1, le=64)] = 2
    orders_processes: Annotated[int, Field(ge=1, le=64)] = 2


LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class LoggingSettings(Section):
    """Log files under <home>/logs. A mode's own level goes before `level`."""

    level: LogLevel = "INFO"
    paper_level: LogLevel | Literal[""] = ""
    testnet_level: LogLevel | Literal[""] = ""
    live_level: LogLevel | Literal[""] = ""
    max_file_mb: Annotated[int, Field(ge=1, le=10000)] = 50
    keep_files: Annotated[int, Field(ge=1, le=100)] = 5
    keep_free_mb: Annotated[int, Field(ge=0, le=1_000_000)] = 200
    callbacks: tuple[str, ...] = ()

    def level_in(self, mode: Mode) -> LogLevel:
        """The level that holds in a mode."""
        own = {Mode.PAPER: self.paper_level, Mode.TESTNET: self.testnet_level, Mode.LIVE: self.live_level}
        return own[mode] or self.level


class ThresholdSettings(Section):
    """When something is told to be slow, in milliseconds. 0 never."""

    queue_wait_ms: NotNegative = 5000.0
    fetch_ms: NotNegative = 3000.0
    evaluate_ms: NotNegative = 2000.0
    validate_ms: NotNegative = 2000.0
    execute_ms: NotNegative = 6000.0


class SentrySettings(Section):
    dsn: SecretStr = SecretStr("")
    traces_sample_rate: Annotated[float, Field(ge=0, le=1)] = 0.0
    environment: str = ""
    beat_monitor: str = "throughline-beat"


class DemoSettings(Section):
    """What `throughline demo` changes for its own run."""

    seconds: Annotated[int, Field(ge=10, le=86400)] = 90
    cadence_s: Positive = 5.0
    timeframes: tuple[str, ...] = ("1m", "5m", "15m")
    decide_at_close: tuple[str, ...] = ("1m",)
