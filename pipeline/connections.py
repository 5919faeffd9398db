"""What one process is connected to: ledger, exchange, Redis. Each is opened when it is first asked for."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property

import redis

from config.settings import Settings
from config.snapshot import config_hash
from pipeline import keepalive, options
from pipeline.clocks import ahead_of_redis_s
from pipeline.domain.errors import ExchangeUnavailable
from pipeline.domain.events import Events
from pipeline.domain.instruments import plain
from pipeline.domain.timeframes import Clock, SystemClock, Timeframe
from pipeline.exchange.budget.ports import Budget
from pipeline.exchange.budget.shared import SharedBudget
from pipeline.exchange.ccxt_adapter import CcxtExchange, connect
from pipeline.exchange.paper.exchange import PaperExchange
from pipeline.exchange.paper.store import PaperStore
from pipeline.lease import Lease, holder
from pipeline.ledger.sql import SqlLedger
from pipeline.market.errands import Errands
from pipeline.market.notes import Notes
from pipeline.market.source import CandleSource
from pipeline.market.store import CandleStore
from pipeline.trace.events import LoggedEvents

BUDGET_WAITS_S = 1.0
"""How long a request waits for the word of the rate budget."""


@dataclass(frozen=True)
class Connections:
    """One process's ways to everything outside it, as the settings name them."""

    settings: Settings
    clock: Clock = field(default_factory=SystemClock)
    events: Events = field(default_factory=LoggedEvents)
    pid: int = field(default_factory=os.getpid)
    role: str = "process"
    """What it calls itself beside host and pid: in containers of one host two processes may have the same pid."""
    budget_alone: Budget | None = None
    """What this process's requests pass instead of the budget that all share."""

    @property
    def account(self) -> str:
        return self.settings.account

    @cached_property
    def config_hash(self) -> str:
        return config_hash(self.settings)

    @cached_property
    def ledger(self) -> SqlLedger:
        return SqlLedger(self.settings.ledger_url, busy_timeout_s=self.settings.ledger.busy_timeout_s)

    @cached_property
    def exchange(self) -> CcxtExchange | PaperExchange:
        """Both sides of one exchange; with the paper broker, its own private one beside a real public one."""
        told = options.exchange_options(self.settings)
        real = connect(told, self.clock, self.budget_alone or self.budget)
        if not self.settings.has_broker:
            return real
        store = PaperStore(self.settings.home / "paper.sqlite3")
        return PaperExchange(
            told.wire.exchange_id, real, store, options.paper_terms(self.settings), self.clock
        )

    @cached_property
    def budget(self) -> SharedBudget:
        """What the exchange allows, shared with every other process. Its Redis must answer at once, or is away."""
        client = redis.Redis.from_url(
            self.settings.redis_url, socket_timeout=BUDGET_WAITS_S, socket_connect_timeout=BUDGET_WAITS_S
        )
        return SharedBudget(
            client,
            options.rate_limits(self.settings),
            self.events,
            exchange=options.market_name(self.settings),
            account=self.account,
        )

    @cached_property
    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(
            self.settings.redis_url, socket_timeout=5, socket_connect_timeout=5, **keepalive.REDIS
        )

    @cached_property
    def timeframes(self) -> tuple[Timeframe, ...]:
        return tuple(Timeframe.parse(name) for name in self.settings.market.timeframes)

    @cached_property
    def candles(self) -> CandleStore:
        return CandleStore(self.redis, prefix=f"tl:candles:{options.market_name(self.settings)}")

    @cached_property
    def windows(self) -> CandleSource:
        """For those with time: asks the exchange until it answers."""
        return CandleSource(self.candles, self.exchange, options.source_options(self.settings))

    @cached_property
    def quick_windows(self) -> CandleSource:
        """For the stages: waits a moment for the exchange, and leaves the rest to the next try."""
        told = self.settings
        lasts_s = told.exchange.public_timeout_s + options.SENDER_SLACK_S
        notes = Notes(self.redis, f"tl:asking:{options.market_name(told)}", lasts_s=lasts_s)
        asker = Errands(notes, told.market.wait_for_bars_s)
        return CandleSource(self.candles, self.exchange, options.patient(told), asker)

    def beat_lease(self) -> Lease:
        """The claim of this process's beat to be the one that fires."""
        lasts_s = self.settings.chain.beat_lease_s
        return Lease(self.redis, f"tl:beat:{self.account}", holder(self.pid), lasts_s=lasts_s)

    def clock_ahead_s(self) -> float:
        """By how much this host's clock is ahead of Redis'. Raises: StoreUnavailable."""
        return ahead_of_redis_s(self.redis, self.clock)

    def canonical(self, name: str) -> str:
        """The symbol that `name` means, in any usual spelling.

        Raises: UnknownSymbol, with the nearest known spelling; ExchangeUnavailable when the exchange cannot be
        asked and the configured universe does not have it either.
        """
        try:
            return self.exchange.instruments().find(name).symbol
        except ExchangeUnavailable:
            configured = {plain(symbol): symbol for symbol in self.settings.universe.symbols}
            if plain(name) not in configured:
                raise
            return configured[plain(name)]
