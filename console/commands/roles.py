"""One role each, for several hosts and containers: `sim`, `worker`, `beat`, `flower`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from config.loading import load, require_keys
from config.settings import Settings
from console import roles
from pipeline.domain.errors import ConfigError


def sim(
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same prices.")] = None,
    symbols: Annotated[str | None, typer.Option(help="How many, or a list: BTCUSDT,ETHUSDT.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of recorded candles (CSV) to serve.")] = None,
    speed: Annotated[float | None, typer.Option(help="Simulated seconds a second.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Also write the journal to this file.")] = None,
) -> None:
    """Run the simulated exchange; what is not said here comes from the settings."""
    from simulator import Options, OptionsError, serve  # noqa: PLC0415  only this command needs a web server

    own = load().simulator
    options = Options(
        host=host,
        port=own.port if port is None else port,
        seed=own.seed if seed is None else seed,
        symbols=str(own.symbols) if symbols is None else symbols,
        data=data or (Path(own.data) if own.data else None),
        speed=own.speed if speed is None else speed,
        journal=journal,
        balance=own.balance_usdt,
        **_account(load()),
    )
    try:
        serve(options)
    except OptionsError as error:
        raise ConfigError(str(error), where="throughline sim") from error


def _account(settings: Settings) -> dict[str, str]:
    """The account of the run that this is part of; none said, the simulator's own well-known one."""
    key, secret = (
        settings.exchange.api_key.get_secret_value(),
        settings.exchange.api_secret.get_secret_value(),
    )
    return {"api_key": key, "api_secret": secret} if key and secret else {}


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
    own = settings.workers
    usual = own.orders_processes if roles.worker_name(wanted) == "orders" else own.market_processes
    roles.become(roles.worker(wanted, concurrency=concurrency or usual))


def beat() -> None:
    """Run Celery beat: it enqueues one pass per symbol and cadence. A second one waits for the first to die."""
    load()
    roles.become(roles.beat())


def flower() -> None:
    """Run Flower, the web view of workers, queues and tasks."""
    roles.become(roles.flower(load().flower))
