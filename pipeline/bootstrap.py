"""Reads the settings and builds the real objects, once for each process. A test hands in its own."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from config.home import local_key
from config.settings import Settings
from pipeline import options
from pipeline.connections import Connections
from pipeline.domain.decisions import Decision, End, Stage
from pipeline.domain.errors import (
    ExchangeRefused,
    ExchangeUnavailable,
    Transient,
)
from pipeline.domain.events import EventName
from pipeline.domain.ids import DecisionId
from pipeline.domain.outcomes import EndReason
from pipeline.domain.permits import OrderTerms, Permit
from pipeline.domain.positions import Equity
from pipeline.execution.dead_man import DeadMan
from pipeline.execution.options import ExecutionOptions
from pipeline.execution.own_clock import OwnClock
from pipeline.execution.resolver import Resolver
from pipeline.execution.router import OrderRouter
from pipeline.governor.permits import PermitAuthority, Valid
from pipeline.governor.universe import Universe, UniverseReport
from pipeline.governor.view import Limits
from pipeline.lazily import LazyStages, Remembered
from pipeline.market.quotes import SharedQuotes
from pipeline.stages.bursts import Burst
from pipeline.stages.evaluate import Evaluate
from pipeline.stages.execute import Execute
from pipeline.stages.exits import Exits
from pipeline.stages.fetch import Fetch
from pipeline.stages.looking_after import LookingAfter
from pipeline.stages.opening import Opened, Opener, PassRequest
from pipeline.stages.planning import Planner
from pipeline.stages.protecting import Protector
from pipeline.stages.running import Runner
from pipeline.stages.safeguarding import Safeguarding
from pipeline.stages.sweeping import Sweeper
from pipeline.stages.universe import UniverseKeeper
from pipeline.stages.validate import Validate
from pipeline.strategies import registry
from pipeline.strategies.interface import AnyStrategy
from pipeline.strategies.judge import Patience
from pipeline.strategies.resolution import Rule

UNIVERSE_SEEN_EVERY_S = 5.0
"""How long a process goes on with the universe that it read in the ledger."""

HEARTBEAT_EVERY_S = 5.0

EQUITY_AFTER_FILLS_EVERY_S = 1.0
"""How often a process that fills one order after the other asks for the equity."""

QUOTE_SHARED_FOR = 0.1
"""Of the age that a quote may have: so long many decisions are judged by one answer of the exchange."""


@dataclass(frozen=True)
class Pipeline(Connections):
    """One process's pipeline. Its parts are built when first asked for, so that a role needs only what it uses."""

    overrun_errors: tuple[type[Exception], ...] = ()

    # -- the universe -----------------------------------------------------------------------------------------

    @cached_property
    def _universe(self) -> Remembered[Universe]:
        return Remembered(
            self.universe_keeper.current, min(UNIVERSE_SEEN_EVERY_S, self.settings.universe.check_every_s)
        )

    def universe(self) -> Universe:
        """The symbols that may be traded now, as every process sees them in the ledger.

        Raises: ExchangeUnavailable, ExchangeRefused before the first look at the exchange; LedgerUnavailable.
        """
        return self._universe.get()

    def universe_report(self) -> UniverseReport:
        """The universe as it would be made now: for each name, why it is in or out. Raises:
        ExchangeUnavailable.
        """
        return self.universe_keeper.report()

    @cached_property
    def universe_keeper(self) -> UniverseKeeper:
        return UniverseKeeper(
            ledger=self.ledger,
            market=self.exchange,
            volumes=self.exchange.volumes,
            clock=self.clock,
            events=self.events,
            account=self.account,
            wanted=options.wanted_symbols(self.settings),
            check_every=timedelta(seconds=self.settings.universe.check_every_s),
        )

    # -- the chain --------------------------------------------------------------------------------------------

    def open(self, request: PassRequest) -> Opened:
        """Write the decision of a request to the ledger. Raises: LedgerUnavailable."""
        return self._opener.open(request, self._universe_version())

    def open_all(self, requests: Sequence[PassRequest]) -> list[Opened]:
        """The same for many, in one transaction. Raises: LedgerUnavailable."""
        return self._opener.open_all(requests, self._universe_version())

    def _universe_version(self) -> str:
        try:
            return self.universe().version
        except (ExchangeUnavailable, ExchangeRefused):
            return ""

    @cached_property
    def _opener(self) -> Opener:
        terms = options.opening_terms(self.settings, self.config_hash)
        return Opener(terms, self.ledger, self.clock, self.events)

    @cached_property
    def runner(self) -> Runner:
        return Runner(
            ledger=self.ledger,
            clock=self.clock,
            events=self.events,
            account=self.account,
            stages=self._stages,
            max_deliveries=self.settings.chain.max_deliveries,
            overrun_errors=self.overrun_errors,
            thresholds=options.thresholds(self.settings),
        )

    @cached_property
    def _stages(self) -> LazyStages:
        return LazyStages(
            {
                Stage.FETCH: self._fetch,
                Stage.EVALUATE: self._evaluate,
                Stage.VALIDATE: self._validate,
                Stage.EXECUTE: self._execute,
            }
        )

    def _fetch(self) -> Fetch:
        market = self.settings.market
        return Fetch(
            market=self.exchange,
            windows=self.quick_windows,
            universe=self.universe,
            timeframes=market.timeframes,
            bars=market.bars,
            events=self.events,
            unchanged_for=options.unchanged_for(self.settings),
        )

    def _evaluate(self) -> Evaluate:
        wanted = self.settings.strategies
        return Evaluate(
            market=self.exchange,
            windows=self.quick_windows,
            strategies=self.strategies,
            patience=Patience(wanted.time_limit_s, self.overrun_errors),
            rule=Rule(wanted.resolution),
            cancel_within=wanted.cancel_within_score,
            sizing=options.sizing_rules(self.settings),
            trigger=self.timeframes[0].length,
            events=self.events,
        )

    @cached_property
    def strategies(self) -> tuple[AnyStrategy, ...]:
        """The enabled strategies: built in, of installed packages, of the user's folder.

        What is broken is named and left out. Raises: ConfigError.
        """
        wanted = self.settings.strategies
        known, broken = registry.everything(wanted.folder)
        for each in broken:
            self.events.emit(EventName.STRATEGY_BROKEN, file=str(each.file), line=each.line, what=each.what)
        built = registry.build(wanted.enabled, wanted.params, known, broken)
        registry.enough_bars(built, self.settings.market.bars)
        return built

    @cached_property
    def _quoting(self) -> SharedQuotes:
        """What orders are judged by need not be asked for by each decision at a candle's close."""
        longest = timedelta(seconds=self.settings.governor.quote_max_age_s)
        return SharedQuotes(self.exchange, longest * QUOTE_SHARED_FOR)

    def _validate(self) -> Validate:
        return Validate(
            market=self._quoting,
            universe=self.universe,
            limits=self.limits,
            authority=self.authority,
            lookback=options.lookback(self.settings),
            config_hash=self.config_hash,
            trigger=self.timeframes[0],
            clock=self.clock,
            events=self.events,
        )

    @cached_property
    def _equity_after_fills(self) -> Remembered[Equity]:
        """A burst of fills asks once: what the figures do not show yet counts as pending (see `MARGIN`)."""
        return Remembered(self.refresh_equity, EQUITY_AFTER_FILLS_EVERY_S)

    def _execute(self) -> Execute:
        after = self.looking_after
        return Execute(
            self.ledger, self.router, self.burst, after.protect, self._after_fill, after.beside_orders
        )

    @cached_property
    def burst(self) -> Burst:
        return Burst(options.entries_first_s(self.settings))

    @cached_property
    def looking_after(self) -> LookingAfter:
        return LookingAfter(
            protector=self.protector,
            burst=self.burst,
            events=self.events,
            every_s=self.settings.chain.look_after_every_s,
        )

    @cached_property
    def protector(self) -> Protector:
        governor = self._validate()
        exits = Exits(
            ledger=self.ledger,
            clock=self.clock,
            events=self.events,
            terms=options.opening_terms(self.settings, self.config_hash),
            governor=governor,
            router=self.router,
        )
        return Protector(
            ledger=self.ledger,
            venue=self.exchange,
            clock=self.clock,
            events=self.events,
            account=self.account,
            planner=self._planner(),
            left_for=timedelta(seconds=self.settings.chain.entries_first_s),
            governor=governor,
            resolver=self.resolver,
            exits=exits,
        )

    def _planner(self) -> Planner:
        return Planner(
            account=self.account,
            market=self.exchange,
            clock=self.clock,
            events=self.events,
            rules=options.protection_rules(self.settings),
        )

    def _after_fill(self) -> None:
        """What was bought is soon in the equity. Upkeep asks again anyway, also if this fails."""
        try:
            self._equity_after_fills.get()
        except (Transient, ExchangeRefused) as error:
            self.events.emit(EventName.UPKEEP_FAILED, what="equity after a fill", problem=str(error))

    @cached_property
    def limits(self) -> Limits:
        return Limits.of(self.settings.governor)

    @cached_property
    def safeguarding(self) -> Safeguarding:
        return Safeguarding(
            ledger=self.ledger,
            venue=self.exchange,
            clock=self.clock,
            events=self.events,
            account=self.account,
            limits=self.limits,
            breaker_rules=options.breaker_rules(self.settings),
            breaker_window=timedelta(seconds=self.settings.governor.breaker_window_s),
            tolerance=options.balance_tolerance(self.settings),
        )

    @cached_property
    def _beats(self) -> Remembered[None]:
        process = f"{self.role}@{socket.gethostname()}/{self.pid}"
        often = min(HEARTBEAT_EVERY_S, self.settings.governor.config_seen_within_s / 4)
        return Remembered(lambda: self.safeguarding.beat(process, self.config_hash), often)

    def take_part(self) -> None:
        """Before a process works on a decision it says which configuration it has. Raises:
        LedgerUnavailable.
        """
        self._beats.get()

    @cached_property
    def authority(self) -> PermitAuthority:
        """Only validating and executing roles ask for it: it holds the key that permits are signed with."""
        governor = self.settings.governor
        key = governor.permit_key.get_secret_value().encode() or local_key(self.settings.home, "permit_key")
        return PermitAuthority(key, governor.permit_ttl_s, self.clock)

    # -- orders and upkeep ------------------------------------------------------------------------------------

    @cached_property
    def router(self) -> OrderRouter:
        return OrderRouter(
            self.ledger,
            self.exchange,
            self.clock,
            self._permit_problem,
            self._execution,
            self.events,
            quote=self.exchange.quote,
            clock_problem=OwnClock(
                self.clock, self.exchange.now, self.settings.governor.max_clock_skew_s
            ).problem,
        )

    @cached_property
    def dead_man(self) -> DeadMan:
        return DeadMan(self.ledger, self.exchange, self.clock, self.account, self._execution.dead_man_s)

    @cached_property
    def resolver(self) -> Resolver:
        return Resolver(self.ledger, self.exchange, self.clock, self._execution, self.events)

    def _permit_problem(self, permit: Permit, terms: OrderTerms, now: datetime) -> End | None:
        """Why a permit does not allow an order, as the way its decision ends; None when it does."""
        answer = self.authority.verify(permit, terms, now)
        if isinstance(answer, Valid):
            return None
        return End(EndReason.PERMIT_EXPIRED if answer.expired else EndReason.PERMIT_INVALID, answer.reason)

    @cached_property
    def _execution(self) -> ExecutionOptions:
        return options.execution_options(self.settings)

    def sweeper(self, publish: Callable[[Stage, Decision, int], None]) -> Sweeper:
        told = options.sweep_options(self.settings)
        return Sweeper(self.ledger, self.clock, self.events, self.account, told, publish)

    def refresh_equity(self) -> Equity:
        """Ask the exchange, record the answer, and look at the latches of losses. Raises:
        ExchangeUnavailable, ExchangeRefused.
        """
        return self.safeguarding.refresh_equity()

    def open_decisions(self, wanted: Iterable[DecisionId]) -> list[Decision]:
        """Those of the wanted decisions of the chain that have not ended, each once."""
        with self.ledger.read() as unit:
            found = [unit.decisions.get(decision_id) for decision_id in dict.fromkeys(wanted)]
        return [each for each in found if each is not None and each.is_open and not each.origin.is_exit]

    def warm_up(self) -> None:
        """Load what the first message would wait for. Raises: ThroughlineError; nothing is lost by trying later."""
        self.ledger.check_version()
        self.exchange.instruments()


def build(
    settings: Settings, *, role: str = "process", overrun_errors: tuple[type[Exception], ...] = ()
) -> Pipeline:
    """The pipeline of this process. Opens no connection yet."""
    return Pipeline(settings, role=role, overrun_errors=overrun_errors)
