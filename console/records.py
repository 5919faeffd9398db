"""What commands work with: the ledger alone to read, the whole pipeline to change something."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import redis
from rich.markup import escape

from config.home import ensure_home
from config.loading import load
from config.settings import Settings
from console.accounts import settings_of_account
from console.failures import NO_REDIS
from console.output import console
from pipeline.ledger.sql import SqlLedger
from pipeline.trace import logs
from pipeline.watch.broker import impatient_redis

if TYPE_CHECKING:
    from pipeline.bootstrap import Pipeline

COMPONENT = "console"
"""The name under which the command line writes to the logs."""
NO_BUDGET = "[yellow]Redis is not running: the exchange is asked without the rate budget[/]"


@dataclass(frozen=True, slots=True)
class Book:
    """A ledger that exists and fits this program, and the settings that say where it is."""

    settings: Settings
    ledger: SqlLedger


def opened() -> Book:
    """To read. Raises: ConfigError, LedgerUnavailable."""
    settings = load()
    ledger = SqlLedger(settings.ledger_url, busy_timeout_s=settings.ledger.busy_timeout_s)
    ledger.check_version()
    return Book(settings, ledger)


def pipeline_of(settings: Settings) -> Pipeline:
    """This process's pipeline; connects to nothing yet."""
    # Imported when needed: the exchange's library alone takes longer than most commands.
    from pipeline.bootstrap import build  # noqa: PLC0415

    return build(settings)


def asking(settings: Settings) -> Pipeline:
    """To ask the exchange for a little public data.

    Before anything was started there is no Redis to keep the rate budget, nor a process that uses it: then a person's
    question goes without, and stderr says so. A Redis that is there and does not answer still holds everything back.
    """
    from pipeline.exchange.budget.ports import PublicOnly  # noqa: PLC0415 - as above

    pipeline = pipeline_of(settings)
    if not _nothing_listens(pipeline.redis):
        return pipeline
    console(sys.stderr).print(NO_BUDGET, soft_wrap=True)
    return replace(pipeline, budget_alone=PublicOnly())


def _nothing_listens(client: redis.Redis) -> bool:
    try:
        client.ping()
    except redis.RedisError as error:
        return isinstance(error.__context__, ConnectionRefusedError)
    return False


def tell_without_redis(settings: Settings) -> None:
    """A process that waits for Redis says so at once: its patience is longer than that of whoever started it."""
    try:
        with closing(impatient_redis(settings.redis_url)) as client:
            client.ping()
    except (redis.ConnectionError, redis.TimeoutError) as error:
        said = f"[yellow]Redis does not answer, waiting for it[/]: {escape(str(error))} {NO_REDIS}"
        console(sys.stderr).print(said, soft_wrap=True)


def writing() -> Pipeline:
    """To change something; what is done stands in the logs, too. Raises: ConfigError, LedgerUnavailable."""
    pipeline = pipeline_of(settings_of_account())
    pipeline.ledger.check_version()
    ensure_home(pipeline.settings.home)
    logs.configure(COMPONENT, pipeline.settings)
    return pipeline
