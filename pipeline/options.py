"""What each part is told of the settings: one function for each."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from config.settings import Settings
from pipeline.domain.decisions import Mode, Stage
from pipeline.domain.guards import Lookback
from pipeline.domain.timeframes import Timeframe
from pipeline.exchange.budget.rules import RateLimits
from pipeline.exchange.ccxt_adapter import ExchangeOptions
from pipeline.exchange.paper.terms import PaperTerms
from pipeline.exchange.wire import WireOptions
from pipeline.execution.options import ExecutionOptions
from pipeline.execution.protection import ProtectionRules
from pipeline.governor.breaker import BreakerRules
from pipeline.governor.universe import Wanted
from pipeline.market.feed.connections import Limits
from pipeline.market.feed.parts import FeedOptions
from pipeline.market.source import SourceOptions
from pipeline.stages.opening import OpeningTerms
from pipeline.stages.sweeping import SweepOptions
from pipeline.stages.telling import Thresholds
from pipeline.strategies.sizing import SizingRules

SPARE_BARS = 20
"""How many bars more than a window needs are stored: a later stage finds the same bars when newer ones have come."""

MESSAGES_AHEAD_S = 5.0
"""A stream's message that is further ahead of the exchange's clock names a time that cannot be."""

SENDER_SLACK_S = 2.0
"""How much longer than a request may take its sender is believed to be alive."""


def exchange_options(settings: Settings) -> ExchangeOptions:
    """How to reach the exchange. In mode paper every request is diverted to the simulated one, unless the paper
    broker asks for real public prices.
    """
    exchange = settings.exchange
    diverted = settings.has_simulator or (settings.has_broker and settings.simulator.url)
    return ExchangeOptions(
        account=settings.account,
        mode=settings.mode,
        instruments_max_age_s=exchange.instruments_max_age_s,
        clock_speed=settings.simulator.speed if diverted else 1.0,
        wire=WireOptions(
            exchange_id=exchange.id,
            api_key=exchange.api_key.get_secret_value(),
            api_secret=exchange.api_secret.get_secret_value(),
            base_url=settings.simulator_url if diverted else "",
            timeout_s=exchange.timeout_s,
            public_timeout_s=exchange.public_timeout_s,
            receive_window_ms=exchange.receive_window_ms,
            demo=settings.mode is Mode.TESTNET,
        ),
    )


def entries_first_s(settings: Settings) -> float:
    """How long, on our clock, what a burst of entries has filled may wait for its protection. The bound is meant in the
    market's time: where a recording runs faster than we do, less of ours is left.
    """
    return settings.chain.entries_first_s / exchange_options(settings).clock_speed


def source_options(settings: Settings) -> SourceOptions:
    """How candles are kept, and which of them are marked."""
    return SourceOptions(
        keep=bars_kept(settings),
        max_lag_bars=settings.market.max_lag_bars,
        absurd_bps=float(settings.market.absurd_jump_bps),
    )


def patient(settings: Settings) -> SourceOptions:
    """The same, for stages: a bar that has just closed is the feed's to bring."""
    return replace(source_options(settings), patience_ms=round(settings.feed.late_after_s * 1000))


def rate_limits(settings: Settings) -> RateLimits:
    """What the exchange allows, as configured; what it publishes may lower it."""
    told = settings.exchange
    return RateLimits(
        weight_1m=told.weight_per_minute,
        orders_10s=told.orders_per_10s,
        orders_1m=told.orders_per_minute,
    )


def market_name(settings: Settings) -> str:
    """Whose candles: prices of a simulated exchange and of the real one never mix."""
    return f"{settings.mode}-{settings.exchange.id}{'-broker' if settings.has_broker else ''}"


def bars_kept(settings: Settings) -> int:
    """How many bars of each series are stored."""
    return settings.market.bars + SPARE_BARS


def feed_options(settings: Settings) -> FeedOptions:
    """How the feed follows the market."""
    told, names = settings.feed, settings.market.timeframes
    return FeedOptions(
        timeframes=tuple(Timeframe.parse(name) for name in names),
        bars=settings.market.bars,
        keep=bars_kept(settings),
        limits=Limits(
            symbols=max(1, told.streams_per_connection // len(names)), mute_after_s=told.mute_after_s
        ),
        late_after=timedelta(seconds=told.late_after_s),
        decide=told.decide_at_close,
        decide_within=timedelta(seconds=settings.chain.cadence_s),
        # Between two looks at a clock that runs faster than ours its messages may be ahead of it by as much more.
        ahead=timedelta(seconds=MESSAGES_AHEAD_S * exchange_options(settings).clock_speed),
    )


def paper_terms(settings: Settings) -> PaperTerms:
    """How the paper broker fills."""
    paper = settings.paper
    return PaperTerms(
        account=settings.account,
        balance=paper.balance_usdt,
        taker_bps=paper.taker_fee_bps,
        maker_bps=paper.maker_fee_bps,
        step_bps=paper.step_bps,
        depth=paper.depth_usdt,
        latency_ms=paper.latency_ms,
        receive_window_ms=settings.exchange.receive_window_ms,
    )


def wanted_symbols(settings: Settings) -> Wanted:
    """The universe that is wished for."""
    told = settings.universe
    return Wanted(
        symbols=told.symbols,
        block=told.block,
        top=told.top_by_volume,
        min_volume=told.min_volume_usdt,
    )


def opening_terms(settings: Settings, config_hash: str) -> OpeningTerms:
    """What every decision of this configuration has in common."""
    return OpeningTerms(
        account=settings.account,
        mode=settings.mode,
        config_hash=config_hash,
        cadence=timedelta(seconds=settings.chain.cadence_s),
        deadline=timedelta(seconds=settings.chain.deadline_s),
    )


def unchanged_for(settings: Settings) -> timedelta | None:
    """How long a judgement over the same bars stands: a window changes when its newest bar does, and a message may wait
    for a cadence besides. None when every pass shall judge.
    """
    if not settings.chain.skip_unchanged:
        return None
    lengths = 1 + settings.market.max_lag_bars
    trigger = Timeframe.parse(settings.market.timeframes[0])
    return trigger.length * lengths + timedelta(seconds=settings.chain.cadence_s)


def sizing_rules(settings: Settings) -> SizingRules:
    """How large an intent may be."""
    return SizingRules(
        risk_per_trade=settings.sizing.risk_per_trade,
        max_notional=settings.sizing.max_notional_usdt,
        max_leverage=settings.governor.max_leverage,
        slippage_bps=settings.execution.slippage_bps,
        order=settings.execution.order,
    )


def lookback(settings: Settings) -> Lookback:
    """How far back the governor looks."""
    return Lookback(
        latch_window=timedelta(seconds=settings.governor.latch_window_s),
        config_seen_within=timedelta(seconds=settings.governor.config_seen_within_s),
    )


def breaker_rules(settings: Settings) -> BreakerRules:
    """When the circuit breaker opens."""
    governor = settings.governor
    return BreakerRules(share=governor.breaker_share, min_decisions=governor.breaker_min_decisions)


def balance_tolerance(settings: Settings) -> Decimal:
    """What of the wallet may stay unexplained. A paper exchange tells everything: nothing may."""
    return Decimal(0) if settings.mode is Mode.PAPER else settings.governor.max_unexplained_usdt


def thresholds(settings: Settings) -> Thresholds:
    """When a stage is told to be slow."""
    told = settings.thresholds
    return Thresholds(
        told.queue_wait_ms,
        {
            Stage.FETCH: told.fetch_ms,
            Stage.EVALUATE: told.evaluate_ms,
            Stage.VALIDATE: told.validate_ms,
            Stage.EXECUTE: told.execute_ms,
        },
    )


def execution_options(settings: Settings) -> ExecutionOptions:
    """How orders are placed and resolved."""
    told, exchange = settings.execution, settings.exchange
    return ExecutionOptions(
        slippage_bps=told.slippage_bps,
        max_attempts=told.max_attempts,
        retry_backoff_ms=told.retry_backoff_ms,
        receive_window_ms=exchange.receive_window_ms,
        not_placed_margin_s=told.not_placed_margin_s,
        not_placed_misses=told.not_placed_misses,
        sending_stale_s=exchange.timeout_s + SENDER_SLACK_S,
        rest_s=told.rest_s,
        dead_man_s=told.dead_man_s,
    )


def sweep_options(settings: Settings) -> SweepOptions:
    """When a decision stands still, and what is done about it."""
    chain = settings.chain
    return SweepOptions(
        resume_after=timedelta(seconds=chain.resume_after_s),
        start_grace=timedelta(seconds=chain.soft_time_limit_s),
        max_deliveries=chain.max_deliveries,
    )


def protection_rules(settings: Settings) -> ProtectionRules:
    """How positions are protected."""
    told = settings.exits
    return ProtectionRules(
        default_stop=told.default_stop_pct / 100,
        patience=timedelta(seconds=told.unprotected_max_s),
        max_hold=timedelta(seconds=told.max_hold_s),
        trail=told.trail_pct / 100,
        trail_step=told.trail_step_pct / 100,
        slippage=settings.execution.slippage_bps / 10_000,
    )
