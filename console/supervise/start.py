"""Starting everything on this host, in order: each program when the one before it is ready."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from config.home import OTHERS, ensure_home
from config.loading import Loaded, read, require_keys
from config.settings import Settings
from console.allowance import allowance
from console.choosing import require_strategies
from console.supervise import ports, readiness
from console.supervise.host import Host, supervised
from console.supervise.lock import end_left_behind, owned
from console.supervise.programs import WORKERS, Role, programs_of
from console.supervise.progress import Progress
from console.supervise.session import Overlay, Session, run_account, unset, written
from console.supervise.waiting import Interrupts

LEFT_BEHIND_S = 40.0

Prepare = Callable[[Loaded], str]
"""Makes ledger and exchange ready and records the session; says in a few words what it found."""

Adjust = Callable[[Loaded], Overlay]
"""What the run changes once the simulated exchange answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is different from one kind of run to another.

    `overlay` yields to your own file and variables. With `keeps_journal` all that the simulated exchange was
    asked is written to a file: good for a run that ends, too much for one that stays.
    """

    overlay: Overlay
    prepare: Prepare
    adjust: Adjust = lambda loaded: {}
    keeps_journal: bool = False


@dataclass(frozen=True, slots=True)
class Running:
    """A host with everything started, and the settings that its processes use."""

    host: Host
    settings: Settings


@contextmanager
def running(plan: Plan, interrupts: Interrupts, console: Console) -> Iterator[Running]:
    """Everything up and ready; when the block ends, by whatever, everything is stopped and gone.

    Raises: ConfigError before anything was started, or with a program's last words; Interrupted.
    """
    loaded = read(session=False)
    require_keys(loaded.settings)
    require_strategies(loaded)
    stakes = allowance(loaded.settings)
    if stakes:
        console.print(stakes, markup=False, soft_wrap=True)
    os.umask(OTHERS)  # the ledger and what programs write: all that is made from here on inherits it
    home = ensure_home(loaded.settings.home)
    progress = Progress(console)
    with owned(home.root):
        if end_left_behind(home.root, LEFT_BEHIND_S):
            progress.note("ended what a killed run had left behind")
        with written(home) as session, _started(plan, session, loaded, interrupts, progress) as everything:
            yield everything


@contextmanager
def _started(
    plan: Plan, session: Session, loaded: Loaded, interrupts: Interrupts, progress: Progress
) -> Iterator[Running]:
    settled = ports.settle(loaded.settings)
    now = session.add({**unset(plan.overlay, loaded), **run_account(loaded), **settled})
    settings = now.settings
    journal = fresh_journal(settings.home) if plan.keeps_journal else None
    with supervised(
        programs_of(settings, journal), session.environment(), settings, interrupts, progress
    ) as host:
        yield Running(host, _start(plan, session, host, now))


def _start(plan: Plan, session: Session, host: Host, loaded: Loaded) -> Settings:
    start_servers(host, loaded.settings)
    loaded = session.add(plan.adjust(loaded))
    with host.progress.step("ledger, exchange") as found:
        found.text = plan.prepare(loaded)
    start_pipeline(host, loaded.settings)
    return loaded.settings


def fresh_journal(home: Path) -> Path:
    """The simulated exchange would append to the last run's."""
    journal = home.absolute() / "logs" / "simulator-journal.jsonl"
    journal.unlink(missing_ok=True)
    return journal


def start_servers(host: Host, settings: Settings) -> None:
    """Redis and the simulated exchange, where this host runs its own."""
    if host.has(Role.REDIS):
        with host.progress.step("redis", f"127.0.0.1:{settings.redis.port}"):
            host.start([Role.REDIS], lambda _: readiness.redis_answers(settings.redis_url))
    else:
        with host.progress.step("redis", readiness.without_password(settings.redis_url)):
            readiness.require_redis(settings.redis_url)
    if host.has(Role.SIMULATOR):
        url = settings.simulator_url
        with host.progress.step("simulator", url):
            ready = f"{url}{readiness.SIMULATOR_HEALTH}"
            host.start([Role.SIMULATOR], lambda _: readiness.http_answers(ready))


def start_pipeline(host: Host, settings: Settings) -> None:
    """The feed, the workers, then beat, the watchdog, and Flower."""
    from celery import Celery  # noqa: PLC0415  it takes a while, and every command imports this module

    from tasks import signing, transport  # noqa: PLC0415  the same

    transport.install()
    app = Celery("throughline-console", broker=settings.redis_url, set_as_current=False)
    signing.use(signing.message_key(settings))
    with host.progress.step("feed", f"{', '.join(settings.market.timeframes)} over the WebSocket"):
        host.start([Role.FEED], lambda role: _has_stayed_up(host, role))
    with host.progress.step("workers", _queues(settings)), readiness.workers_heard(app) as hears:
        host.start(WORKERS, lambda role: hears(role.worker))
    with host.progress.step(
        "beat", f"every {settings.chain.cadence_s:g} s for {len(settings.universe.symbols)} symbols"
    ):
        host.start([Role.BEAT], lambda role: _has_stayed_up(host, role))
    if host.has(Role.WATCH):
        with host.progress.step("watch", f"every {settings.watch.look_every_s:g} s"):
            host.start([Role.WATCH], lambda role: _has_stayed_up(host, role))
    if host.has(Role.EXPORTER):
        metrics = f"http://{settings.metrics.host}:{settings.metrics.port}/metrics"
        with host.progress.step("exporter", metrics):
            host.start([Role.EXPORTER], lambda _: readiness.http_answers(metrics))
    if host.has(Role.FLOWER):
        url = flower_url(settings)
        with host.progress.step("flower", url):
            ready = f"{url}{readiness.FLOWER_HEALTH}"
            host.start([Role.FLOWER], lambda _: readiness.http_answers(ready))


def flower_url(settings: Settings) -> str:
    return f"http://{settings.flower.host}:{settings.flower.port}"


def flower_login(settings: Settings) -> str:
    """Who may open it, and where the password is to be found; never the password itself."""
    own = settings.home.absolute() / "secrets" / "flower_password"
    where = "flower.password" if settings.flower.password.get_secret_value() else str(own)
    return f"user {settings.flower.user}, password in {where}"


def _has_stayed_up(host: Host, role: Role) -> bool:
    return host.supervisor.remote.process(role.value).state == "RUNNING"


def _queues(settings: Settings) -> str:
    own = settings.workers
    return f"{own.market_processes} for fetch, evaluate; {own.orders_processes} for validate, execute, upkeep"
