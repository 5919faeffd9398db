"""`throughline health ROLE`: for the health checks of containers. Quick: it imports little."""

from __future__ import annotations

import socket
import urllib.request
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated

import typer

from config.loading import load
from config.settings import Settings
from console.commands.options import AsJson
from console.output import print_json
from console.roles import QUEUES, QUEUES_OF
from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.liveness import Pulse
from pipeline.domain.timeframes import SystemClock
from pipeline.watch.broker import impatient_redis, look_at_broker
from pipeline.watch.door import login
from pipeline.watch.health import Patience, problems_of, unmet
from pipeline.watch.look import Away
from pipeline.watch.pulses import PulseStore

FINDING = 1
ANSWER_WITHIN_S = 10.0
BESIDE_WORKERS = ("beat", "feed", "watch", "exporter", "flower", "sim")

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  an address to be asked at, not to listen on


def health(
    role: Annotated[
        str,
        typer.Argument(help="beat, feed, watch, a worker's name (market, orders), exporter, flower or sim."),
    ],
    *,
    host: Annotated[str, typer.Option(help="Of which host; this one when empty.")] = "",
    as_json: AsJson = False,
) -> None:
    """Does this host's ROLE do its work? Exit code 1: it does not, or nobody knows."""
    settings = load()
    page = _page(role, settings)
    opens = login(settings.metrics.password.get_secret_value()) if role == "exporter" else ""
    problems = (
        _of_page(role, *page, opens) if page else _of_pulses(role, host or socket.gethostname(), settings)
    )
    if as_json:
        print_json({"role": role, "healthy": not problems, "problems": problems})
    else:
        typer.echo("\n".join(problems) if problems else f"{role} does its work")
    if problems:
        raise typer.Exit(FINDING)


def _page(role: str, settings: Settings) -> tuple[str, tuple[str, ...]] | None:
    """Where a role without a pulse answers on this host, and the lines that show its work."""
    pages = {
        "exporter": (
            settings.metrics.host,
            f"{settings.metrics.port}/metrics",
            ("throughline_ledger_up 1.0", "throughline_broker_up 1.0"),
        ),
        "flower": (settings.flower.host, f"{settings.flower.port}/healthcheck", ("OK",)),
        "sim": ("127.0.0.1", f"{settings.simulator.port}/_sim/health", ()),
    }
    if role not in pages:
        return None
    listens, path, lines = pages[role]
    return f"http://{EVERYWHERE.get(listens, listens)}:{path}", lines


def _of_page(role: str, url: str, lines: tuple[str, ...], opens: str) -> list[str]:
    asked = urllib.request.Request(url, headers={"Authorization": opens} if opens else {})  # noqa: S310  made of our settings
    try:
        with urllib.request.urlopen(asked, timeout=ANSWER_WITHIN_S) as answer:  # noqa: S310  the same
            return unmet(role, answer.read().decode(), lines)
    except OSError as error:
        return [f"{role} does not answer at {url}: {error}"]


def _refuse_unheard_of(role: str, pulses: Iterable[Pulse]) -> None:
    """A worker may have any name; one that nobody ever had is a typing error. Raises: typer.BadParameter."""
    name = role.removeprefix("worker-")
    usual = name in (*BESIDE_WORKERS, *QUEUES_OF) or set(name.split("-")) <= set(QUEUES)
    if not usual and not any(each.is_of(role) for each in pulses):
        known = ", ".join([*BESIDE_WORKERS, *QUEUES_OF])
        raise typer.BadParameter(
            f"'{role}' is no role; there are: {known}, or the names of a worker's queues"
        )


def _of_pulses(role: str, host: str, settings: Settings) -> list[str]:
    client = impatient_redis(settings.redis_url)
    try:
        pulses = PulseStore(client, settings.account).read()
    except StoreUnavailable as error:
        _refuse_unheard_of(role, ())
        return [str(error)]
    _refuse_unheard_of(role, pulses)
    # Only its own queues: a role's user of Redis need not see those of others.
    own = {name for each in pulses if each.host == host for name in each.queues if each.is_of(role)}
    broker = look_at_broker(client, [name for name in QUEUES if name in own], holders=())
    if isinstance(broker, Away):
        return [broker.why]
    patience = Patience(
        silent_after=timedelta(seconds=settings.watch.silent_after_s),
        queue_oldest=timedelta(seconds=settings.watch.queue_oldest_max_s),
    )
    return problems_of(pulses, broker, role=role, host=host, at=SystemClock().now(), patience=patience)
