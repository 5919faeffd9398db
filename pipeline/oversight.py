"""What the pulse of each process, the watchdog and the doctor are made of: a pipeline's settings and stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pipeline.bootstrap import Pipeline
from pipeline.watch.beating import Beating, Rhythm
from pipeline.watch.pulses import PulseStore
from pipeline.watch.vitals import Identity, Vitals

ANSWER_WITHIN_S = 2.0
"""Whoever watches does not wait long: no answer is an answer."""


def impatient_redis(url: str) -> redis.Redis:
    """A client that asks once and does not wait."""
    return redis.Redis.from_url(
        url,
        socket_timeout=ANSWER_WITHIN_S,
        socket_connect_timeout=ANSWER_WITHIN_S,
        retry=Retry(NoBackoff(), 0),
    )


def beating_of(
    pipeline: Pipeline, identity: Identity, children: Callable[[], Iterable[int]] = tuple
) -> Beating:
    """The pulse of a process of this pipeline."""
    told = pipeline.settings.watch
    return Beating(
        vitals=Vitals(identity, pipeline.clock, children),
        store=pulse_store(pipeline),
        events=pipeline.events,
        rhythm=Rhythm(every_s=told.pulse_every_s, told_every=timedelta(seconds=told.heartbeat_every_s)),
    )


def pulse_store(pipeline: Pipeline) -> PulseStore:
    return PulseStore(impatient_redis(pipeline.settings.redis_url), pipeline.account)
