"""`throughline health ROLE`: for the health checks of containers. Quick: it imports little."""

from __future__ import annotations

import socket
from datetime import timedelta
from typing import Annotated

import typer

from config.loading import load
from console.commands.options import AsJson
from console.output import print_json
from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.timeframes import SystemClock
from pipeline.watch.broker import impatient_redis, look_at_broker
from pipeline.watch.health import Patience, problems_of
from pipeline.watch.look import Away
from pipeline.watch.pulses import PulseStore
from tasks.policies import QUEUES

FINDING = 1


def health(
    role: Annotated[str, typer.Argument(help="beat, feed, watch, or a worker's name: market, orders.")],
    *,
    host: Annotated[str, typer.Option(help="Of which host; this one when empty.")] = "",
    as_json: AsJson = False,
) -> None:
    """Does this host's ROLE do its work? Exit code 1: it does not, or nobody knows."""
    problems = _problems(role, host or socket.gethostname())
    if as_json:
        print_json({"role": role, "healthy": not problems, "problems": problems})
    else:
        typer.echo("\n".join(problems) if problems else f"{role} does its work")
    if problems:
        raise typer.Exit(FINDING)


def _problems(role: str, host: str) -> list[str]:
    settings = load()
    client = impatient_redis(settings.redis_url)
    try:
        pulses = PulseStore(client, settings.account).read()
    except StoreUnavailable as error:
        return [str(error)]
    broker = look_at_broker(client, QUEUES)
    if isinstance(broker, Away):
        return [broker.why]
    patience = Patience(
        silent_after=timedelta(seconds=settings.watch.silent_after_s),
        queue_oldest=timedelta(seconds=settings.watch.queue_oldest_max_s),
    )
    return problems_of(pulses, broker, role=role, host=host, at=SystemClock().now(), patience=patience)
