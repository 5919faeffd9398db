"""A soft time limit stops the task that runs, and nothing else; and a worker that ends has ended some time later.

Celery tells a child with a signal that its task runs for too long, and the child raises wherever it is. A main process
that was held up itself, by a Redis that did not answer say, tells it late. A child that waits for its next task would
die of that. One that hands back a result would hand back half of it, and go on with something else: the main process
cannot read what follows, and ends.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import suppress

from billiard.exceptions import SoftTimeLimitExceeded
from billiard.pool import SIG_SOFT_TIMEOUT, soft_timeout_sighandler
from celery import bootsteps
from celery.signals import task_postrun, task_prerun
from celery.worker import WorkController

from pipeline.watch.vitals import where_is
from tasks.services import is_pool_child

log = logging.getLogger(__name__)

END_TAKES_S = 30.0
"""What a worker may need for its end beyond the hard time limit, after which no task of its runs any more."""


@task_prerun.connect
def heed(**_: object) -> None:
    """From here on the task can be stopped."""
    if is_pool_child():
        signal.signal(SIG_SOFT_TIMEOUT, soft_timeout_sighandler)


@task_postrun.connect
def ignore(**_: object) -> None:
    """It has run: what comes now comes too late."""
    if is_pool_child():
        with suppress(SoftTimeLimitExceeded):  # in this very moment
            signal.signal(SIG_SOFT_TIMEOUT, signal.SIG_IGN)
            return
        signal.signal(SIG_SOFT_TIMEOUT, signal.SIG_IGN)


class EndsInTime(bootsteps.StartStopStep):
    """A worker that ends does not wait for ever for a child that died in the middle of a word.

    Celery reads what its children still have to say, and does not find out that the rest of it will never come. Nobody
    starts such a worker anew: to those who watch over processes it runs.
    """

    def close(self, parent: WorkController) -> None:
        """Called when the end begins."""
        limit_s = parent.app.conf.task_time_limit + END_TAKES_S
        late = threading.Timer(limit_s, _end_hard, (threading.get_ident(), limit_s))
        late.daemon = True
        late.start()


def _end_hard(main: int, limit_s: float) -> None:
    """Its children go with it: Celery has asked the system for that."""
    log.critical(
        "the worker's end hangs for %g s now, at %s: it is over. What the worker held comes again after "
        "chain.visibility_timeout_s",
        limit_s,
        where_is(main),
    )
    os._exit(os.EX_SOFTWARE)
