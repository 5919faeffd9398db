"""One role each, for several hosts and containers: `sim`, `worker`, `beat`, `flower`."""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from config.home import ensure_home, local_key
from config.loading import load, read, require_keys
from config.sections.base import is_loopback
from config.settings import Settings
from console import roles
from console.allowance import allowance
from console.choosing import require_strategies
from console.output import console
from console.records import pipeline_of, tell_without_redis
from pipeline.domain.decisions import Stage
from pipeline.domain.errors import ConfigError
from pipeline.domain.events import EventName
from pipeline.trace import logs
from pipeline.trace.events import LoggedEvents

if TYPE_CHECKING:
    from simulator import Options


def sim(  # noqa: PLR0913 -- one for each option
    *,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same prices.")] = None,
    symbols: Annotated[str | None, typer.Option(help="How many, or a list: BTCUSDT,ETHUSDT.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of recorded candles (CSV) to serve.")] = None,
    speed: Annotated[float | None, typer.Option(help="Simulated seconds a second.")] = None,
    journal: Annotated[Path | None, typer.Option(help="Also write the journal to this file.")] = None,
    state: Annotated[
        Path | None, typer.Option(help="Keep accounts in this file, and go on from it when it is there.")
    ] = None,
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
        state=state,
    )
    if not is_loopback(host):
        sys.stderr.write(f"whoever reaches {host} can change its prices and accounts: for paper money only\n")
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
    if Stage.EVALUATE in wanted:
        require_strategies(read())
    has_orders = not set(wanted).isdisjoint(roles.QUEUES_OF["orders"])
    if has_orders:  # the others have no use for the account's keys
        require_keys(settings)
    stakes = allowance(settings)
    if stakes and Stage.EXECUTE in wanted:
        sys.stderr.write(f"{stakes}\n")
    own = settings.workers
    usual = own.orders_processes if has_orders else own.market_processes
    tell_without_redis(settings)
    roles.become(roles.worker(wanted, concurrency=concurrency or usual))


def beat() -> None:
    """Run Celery beat: it enqueues one pass per symbol and cadence. A second one waits for its end."""
    tell_without_redis(load())
    roles.become(roles.beat())


def flower() -> None:
    """Run Flower, the web view of workers, queues and tasks. Whoever opens it has to log in."""
    settings = load()
    ensure_home(settings.home)
    logs.configure("flower", settings)
    own = settings.flower
    LoggedEvents().emit(EventName.DASH_EVENT, page="flower", url=f"http://{own.host}:{own.port}", login=True)
    os.environ["FLOWER_BASIC_AUTH"] = f"{settings.flower.user}:{flower_password(settings)}"
    roles.become(roles.flower_itself(settings.flower))


def flower_password(settings: Settings) -> str:
    """The one of the settings, else one that was made for this home. Raises: ConfigError."""
    return settings.flower.password.get_secret_value() or local_key(settings.home, "flower_password").decode()


def refuse_strangers(settings: Settings) -> None:
    """Positions and profit are nobody else's business. Raises: ConfigError when whoever passes by could read them."""
    if settings.metrics.is_open and not settings.metrics.anyone:
        raise ConfigError(
            f"it would tell the account's figures to whoever reaches {settings.metrics.host}.",
            where="metrics.host",
            remedy="Set metrics.password, keep 127.0.0.1, or say metrics.anyone where the network itself is closed.",
        )


def exporter() -> None:
    """Answer Prometheus at `metrics.host` and `metrics.port`, path /metrics, until SIGTERM or Ctrl-C."""
    from pipeline.oversight import pulse_store  # noqa: PLC0415  with it comes the exchange's library, which takes a while
    from pipeline.watch import exporter as answering  # noqa: PLC0415  only this command needs it
    from pipeline.watch.broker import look_at_broker  # noqa: PLC0415  the same

    pipeline = pipeline_of(load())
    settings = pipeline.settings
    refuse_strangers(settings)
    ensure_home(settings.home)
    logs.configure("exporter", settings)
    metrics = answering.LedgerMetrics(
        pipeline.ledger,
        pipeline.clock,
        pipeline.account,
        lambda: look_at_broker(pipeline.redis, roles.QUEUES),
    )
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    try:
        pulses = answering.PulseMetrics(pulse_store(pipeline).read, pipeline.clock)
        stop, port = answering.serve(
            [metrics, pulses],
            settings.metrics.host,
            settings.metrics.port,
            settings.metrics.password.get_secret_value(),
        )
    except OSError as error:
        raise ConfigError(
            f"nothing can listen at {settings.metrics.host}:{settings.metrics.port}: {error.strerror}.",
            where="metrics.port",
            remedy="Stop what uses it, or set THROUGHLINE_METRICS_PORT to another port.",
        ) from error
    console().print(f"metrics at http://{settings.metrics.host}:{port}/metrics", soft_wrap=True)
    over.wait()
    stop()
