"""One role each, for several hosts and containers: `sim`, `worker`, `beat`, `flower`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from config.loading import load, require_keys
from config.settings import Settings
from console import roles
from console.allowance import allowance
from pipeline.domain.decisions import Stage
from pipeline.domain.errors import ConfigError

if TYPE_CHECKING:
    from simulator import Options


def sim(
    *,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same prices.")] = None,
    symbols: Annotated[str | None, typer.Option(help="How many, or a list: BTCUSDT,ETHUSDT.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of recorded candles (CSV) to serve.")] = None,
    speed: Annotated[float | None, typer.Option(help="Simulated seconds a second.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Also write the journal to this file.")] = None,
) -> None:
    """Run the simulated exchange; what is not said here comes from the settings."""
    from simulator import OptionsError, serve  # noqa: PLC0415  only this command needs a web server

    own = configured(load())
    options = replace(
        own,
        host=host,
        port=own.port if port is None else port,
        seed=own.seed if seed is None else seed,
        symbols=own.symbols if symbols is None else symbols,
        data=own.data if data is None else data,
        speed=own.speed if speed is None else speed,
        journal=journal,
    )
    try:
        serve(options)
    except OptionsError as error:
        raise ConfigError(str(error), where="throughline sim") from error


def configured(settings: Settings) -> Options:
    """The simulator as the settings want it, with the account of the run that it is part of.

    Without keys in the settings it has its own well-known account.
    """
    from simulator import Options  # noqa: PLC0415  only this command needs a web server

    own, exchange = settings.simulator, settings.exchange
    options = Options(
        port=own.port,
        seed=own.seed,
        symbols=str(own.symbols),
        data=Path(own.data) if own.data else None,
        speed=own.speed,
        balance=own.balance_usdt,
    )
    key, secret = exchange.api_key.get_secret_value(), exchange.api_secret.get_secret_value()
    return replace(options, api_key=key, api_secret=secret) if key and secret else options


def worker(
    queues: Annotated[str, typer.Option(help=f"Comma-separated, of: {', '.join(roles.QUEUES)}.")],
    concurrency: Annotated[int | None, typer.Option(min=1, max=64, help="Pool children.")] = None,
) -> None:
    """Run a Celery worker for these queues."""
    wanted = [name.strip() for name in queues.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in roles.QUEUES]
    if unknown or not wanted:
        raise typer.BadParameter(f"'{','.join(unknown)}' is no queue; there are: {', '.join(roles.QUEUES)}")
    settings = load()
    require_keys(settings)
    stakes = allowance(settings)
    if stakes and Stage.EXECUTE in wanted:
        sys.stderr.write(f"{stakes}\n")
    own = settings.workers
    usual = own.orders_processes if roles.worker_name(wanted) == "orders" else own.market_processes
    roles.become(roles.worker(wanted, concurrency=concurrency or usual))


def beat() -> None:
    """Run Celery beat: it enqueues one pass per symbol and cadence. A second one waits for its end."""
    load()
    roles.become(roles.beat())


def flower() -> None:
    """Run Flower, the web view of workers, queues and tasks."""
    roles.become(roles.flower(load().flower))
