"""What happens when a worker, one of its children or beat starts, and when they end."""

from __future__ import annotations

import gc
import logging
import sys
from typing import Any

from celery.signals import (
    beat_init,
    celeryd_init,
    setup_logging,
    task_failure,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
)

from config.home import Home
from config.loading import read
from config.snapshot import overrides
from pipeline.domain.errors import ConfigError, LedgerUnavailable, ThroughlineError
from pipeline.domain.events import EventName
from pipeline.domain.timeframes import SystemClock
from pipeline.holding_keys import refuse_withdrawal
from pipeline.trace import runs
from pipeline.watch.whereabouts import tell_when_asked
from tasks.policies import ORDER_QUEUES
from tasks.services import component, configure_logging, services
from tasks.settings import holding

log = logging.getLogger(__name__)

COLLECTED_AFTER = (10_000, 10, 10)
"""Python's own measure is 700 more objects than before; a message in work has several thousand."""


@celeryd_init.connect
@beat_init.connect
def say_where_it_hangs(**_: object) -> None:
    """Also before it is ready."""
    tell_when_asked()


@celeryd_init.connect
def close_remote_control(conf: Any = None, options: dict[str, Any] | None = None, **_: object) -> None:
    """No remote control where orders are sent: whoever can write to Redis could stop or misuse such a worker."""
    queues = _names((options or {}).get("queues"))
    if not queues or queues & ORDER_QUEUES:
        conf.worker_enable_remote_control = False


@celeryd_init.connect
def hold_messages_apart(conf: Any = None, options: dict[str, Any] | None = None, **_: object) -> None:
    """What a dead worker held is put back by one of its kind: a market worker needs no right to do it for others."""
    queues = _names((options or {}).get("queues"))
    group = "orders" if not queues or queues & ORDER_QUEUES else "market"
    conf.broker_transport_options = {**conf.broker_transport_options, **holding(group)}


def _names(queues: object) -> set[str]:
    if isinstance(queues, str):
        queues = queues.split(",")
    return {str(name).strip() for name in queues if name} if isinstance(queues, (list, tuple, set)) else set()


@celeryd_init.connect
@beat_init.connect
def refuse_a_wrong_ledger(**_: object) -> None:
    """A ledger of another version is never touched: the process ends with the reason, before it takes a message.

    A ledger that cannot be reached is another matter: it may come back, and until then nothing is lost.
    """
    try:
        services().ledger.check_version()
    except ConfigError as error:
        sys.stderr.write(f"throughline cannot start: {error}\n")
        raise SystemExit(2) from error
    except LedgerUnavailable as error:
        log.warning("the ledger does not answer yet: %s", error)


@celeryd_init.connect
def refuse_a_key_that_withdraws(options: dict[str, Any] | None = None, **_: object) -> None:
    """Where orders are sent in mode live: the process ends with the reason, before it takes a message."""
    queues = _names((options or {}).get("queues"))
    if queues and not queues & ORDER_QUEUES:
        return
    try:
        refuse_withdrawal(services())
    except ConfigError as error:
        sys.stderr.write(f"throughline cannot start: {error}\n")
        raise SystemExit(2) from error


@worker_ready.connect
@beat_init.connect
def say_hello(**_: object) -> None:
    here = services()
    here.events.emit(
        EventName.PROCESS_START, role=component(), config_hash=here.config_hash, account=here.account
    )


@worker_ready.connect
@beat_init.connect
def tell_configuration(**_: object) -> None:
    """A role that was started by itself records its run; under `throughline up` that has been done for all."""
    loaded = read()
    if loaded.session_file is not None:
        return
    here, now = services(), SystemClock().now()
    try:
        with here.ledger.begin() as unit:
            run = runs.begin(
                unit, here.settings, overrides(loaded), account=here.account, at=now, role=component()
            )
    except LedgerUnavailable as error:
        log.warning("the run could not be recorded: %s", error)
        run = runs.described(here.settings, overrides(loaded), None, now, component())
    runs.tell(run, here.events)
    try:
        runs.keep(run, Home(here.settings.home))
    except OSError as error:
        log.warning("the run's folder could not be written: %s", error)


@setup_logging.connect
def _logging(**_: object) -> None:
    configure_logging()


@worker_process_init.connect
def warm_up(**_: object) -> None:
    """Build the objects before the first message. What cannot be built now is tried again by each task."""
    try:
        services().warm_up()
    except ThroughlineError as error:
        log.warning("not ready yet: %s", error)


@worker_process_init.connect
@worker_ready.connect
def collect_rarely(**_: object) -> None:
    """What a message leaves behind is freed when its last user is done with it. To look for circles among what the next
    few need costs one part in thirty of the CPU, and a look through the whole program takes as long as thirty messages.
    """
    gc.freeze()
    gc.set_threshold(*COLLECTED_AFTER)


@worker_process_shutdown.connect
@worker_shutdown.connect
def protect_what_is_owed(**_: object) -> None:
    """A child that ends leaves no position to the next cycle that it can protect itself."""
    services().burst.finish()


@task_failure.connect
def name_unfitting(
    sender: Any = None, exception: BaseException | None = None, task_id: str = "", **_: object
) -> None:
    """A call with arguments that its task does not take was made by hand, or by somebody who means harm."""
    if isinstance(exception, TypeError) and sender is not None:
        what = f"a message for {sender.name} failed on its arguments; nothing was done"
        services().events.emit(EventName.SECURITY, what=what, task_id=task_id, problem=str(exception)[:300])
