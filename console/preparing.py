"""What must be true before the first decision: a migrated ledger, an exchange that answers, a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import redis
import requests

from config.home import Home
from config.loading import Loaded
from config.settings import Settings
from config.snapshot import Override, overrides
from console.records import COMPONENT, pipeline_of
from console.supervise.programs import embeds_simulator
from console.supervise.session import has_fresh_keys
from pipeline.domain.decisions import Mode
from pipeline.domain.errors import ConfigError, ExchangeUnavailable
from pipeline.domain.switches import TradingState
from pipeline.trace import logs, runs

if TYPE_CHECKING:
    from pipeline.bootstrap import Pipeline

CANDLES = "tl:candles:*"

_BY = "up"


def prepare(loaded: Loaded) -> str:
    """Ledger, exchange, session, trading state; says in a few words what it found.

    Raises: ConfigError, ExchangeUnavailable, ExchangeRefused, LedgerUnavailable.
    """
    settings = loaded.settings
    if settings.has_simulator and has_fresh_keys(loaded) and not embeds_simulator(settings):
        open_account(settings)
    if embeds_simulator(settings):
        forget_candles(settings.redis_url)
    logs.configure(COMPONENT, settings)
    from pipeline.holding_keys import refuse_withdrawal  # noqa: PLC0415  with it comes the exchange's library

    pipeline = pipeline_of(settings)
    refuse_withdrawal(pipeline)
    pipeline.ledger.migrate()
    report = pipeline.universe_report()
    if report.is_empty:
        raise ConfigError(
            f"no symbol of the universe can be traded: {report.summary}",
            where="universe.symbols",
            remedy="`throughline universe` says why for each; TRADING_SYMBOLS overrides the list",
        )
    state = _record(pipeline, overrides(loaded))
    return f"{report.summary}; trading is {state}"


def forget_candles(redis_url: str) -> None:
    """Each start of the embedded exchange has a past of its own: bars that the last one told would not fit to it."""
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter(match=CANDLES, count=1000):
            client.unlink(key)


def open_account(settings: Settings) -> None:
    """An account on a simulated exchange that somebody else runs. Raises: ExchangeUnavailable."""
    exchange = settings.exchange
    keys = {
        "api_key": exchange.api_key.get_secret_value(),
        "api_secret": exchange.api_secret.get_secret_value(),
    }
    body = {**keys, "balance": str(settings.simulator.balance_usdt)}
    try:
        requests.post(f"{settings.simulator_url}/_sim/accounts", json=body, timeout=5).raise_for_status()
    except requests.RequestException as error:
        raise ExchangeUnavailable(f"the simulated exchange at {settings.simulator_url}: {error}") from error


def _record(pipeline: Pipeline, overridden: Sequence[Override]) -> TradingState:
    """The run in ledger, log and `sessions/`; an account that was never seen gets its trading state."""
    first, now = _is_new(pipeline), pipeline.clock.now()
    pipeline.refresh_equity()
    pipeline.safeguarding.reconcile()
    with pipeline.ledger.begin() as unit:
        run = runs.begin(unit, pipeline.settings, overridden, account=pipeline.account, at=now)
        if first:
            state, why = _first_state(pipeline.settings), f"first start in mode {pipeline.settings.mode}"
            unit.switches.set_trading_state(pipeline.account, state, by=_BY, reason=why, at=now)
        state = unit.switches.trading_state(pipeline.account)
    runs.tell(run, pipeline.events)
    runs.keep(run, Home(pipeline.settings.home))
    return state


def _is_new(pipeline: Pipeline) -> bool:
    """Whether this ledger has never seen the account's equity: every start records it."""
    with pipeline.ledger.read() as unit:
        return unit.equity.latest(pipeline.account) is None


def _first_state(settings: Settings) -> TradingState:
    """Paper money trades at once; real money waits for a person, unless the configuration says otherwise."""
    return (
        TradingState.ACTIVE if settings.mode is Mode.PAPER else TradingState(settings.governor.state_at_start)
    )
