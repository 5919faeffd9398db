"""What can be set, with units in the names. An unknown key or an impossible value stops the start.

Every leaf has one environment variable, `THROUGHLINE_<SECTION>_<KEY>`: `chain.cadence_s` is
`THROUGHLINE_CHAIN_CADENCE_S`. `config/loading.py` makes the list from these classes.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import model_validator

from config.sections.base import Section
from config.sections.processes import (
    ChainSettings,
    DemoSettings,
    FeedSettings,
    FlowerSettings,
    LedgerSettings,
    LoggingSettings,
    MetricsSettings,
    PaperSettings,
    RedisSettings,
    SentrySettings,
    SimulatorSettings,
    ThresholdSettings,
    WorkerSettings,
)
from config.sections.trading import (
    ExchangeSettings,
    ExecutionSettings,
    ExitSettings,
    GovernorSettings,
    MarketSettings,
    SizingSettings,
    StrategySettings,
    UniverseSettings,
)
from config.sections.watching import AlertSettings, WatchSettings
from pipeline.domain.decisions import Mode


class Settings(Section):
    """All of it."""

    home: Path = Path("var")
    mode: Mode = Mode.PAPER
    exchange: ExchangeSettings = ExchangeSettings()
    universe: UniverseSettings = UniverseSettings()
    market: MarketSettings = MarketSettings()
    feed: FeedSettings = FeedSettings()
    chain: ChainSettings = ChainSettings()
    strategies: StrategySettings = StrategySettings()
    sizing: SizingSettings = SizingSettings()
    governor: GovernorSettings = GovernorSettings()
    execution: ExecutionSettings = ExecutionSettings()
    exits: ExitSettings = ExitSettings()
    redis: RedisSettings = RedisSettings()
    ledger: LedgerSettings = LedgerSettings()
    simulator: SimulatorSettings = SimulatorSettings()
    paper: PaperSettings = PaperSettings()
    flower: FlowerSettings = FlowerSettings()
    workers: WorkerSettings = WorkerSettings()
    watch: WatchSettings = WatchSettings()
    alerts: AlertSettings = AlertSettings()
    logging: LoggingSettings = LoggingSettings()
    thresholds: ThresholdSettings = ThresholdSettings()
    metrics: MetricsSettings = MetricsSettings()
    sentry: SentrySettings = SentrySettings()
    demo: DemoSettings = DemoSettings()

    @model_validator(mode="after")
    def _closes_are_seen(self) -> Settings:
        strange = [each for each in self.feed.decide_at_close if each not in self.market.timeframes]
        if strange:
            raise ValueError(f"feed.decide_at_close: {', '.join(strange)} is not among market.timeframes")
        return self

    @property
    def account(self) -> str:
        """The name under which ledger and Redis keep this account: `paper-main`; the paper broker's is another one."""
        return f"{self.mode}-{self.exchange.account}{'-broker' if self.has_broker else ''}"

    @property
    def redis_url(self) -> str:
        return self.redis.full_url or f"redis://127.0.0.1:{self.redis.port}/0"

    @property
    def ledger_url(self) -> str:
        return self.ledger.url or f"sqlite:///{self.home.absolute() / 'ledger.sqlite3'}"

    @property
    def has_simulator(self) -> bool:
        """Whether the exchange is the simulated one."""
        return self.mode is Mode.PAPER and self.paper.fills == "simulator"

    @property
    def has_broker(self) -> bool:
        """Whether the paper broker fills, at public prices."""
        return self.mode is Mode.PAPER and self.paper.fills == "broker"

    @property
    def simulator_url(self) -> str:
        return self.simulator.url or f"http://127.0.0.1:{self.simulator.port}"
