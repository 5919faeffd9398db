"""What the pulse of each process, the watchdog and the doctor are made of: a pipeline's settings and stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

import redis

from config.settings import Settings
from pipeline.bootstrap import Pipeline
from pipeline.domain.decisions import Stage
from pipeline.domain.errors import StoreUnavailable
from pipeline.domain.levels import Severity
from pipeline.feeding import feed_name
from pipeline.lease import Lease, holder
from pipeline.market.feed.heartbeat import Heartbeats
from pipeline.trace import logs
from pipeline.watch.alerting import Desk, Notifier, Rules
from pipeline.watch.beating import Beating, Rhythm
from pipeline.watch.broker import impatient_redis, look_at_broker
from pipeline.watch.counterwatch import Counterwatch
from pipeline.watch.keeping import LevelKeeper
from pipeline.watch.leading import Turn
from pipeline.watch.look import Away, FeedView, Limits
from pipeline.watch.looking import Looker, Places
from pipeline.watch.notifiers import AppriseNotifier, LogNotifier, WebhookNotifier
from pipeline.watch.pulses import PulseStore
from pipeline.watch.telling import Teller
from pipeline.watch.vitals import Identity, Vitals
from pipeline.watch.watchdog import Watchdog

QUEUES = (*(stage.value for stage in Stage), "upkeep")
SHORTEST_SILENCE = timedelta(seconds=20)
"""However fast the cadence: a busy machine may take so long."""
SHORTEST_RECENT = timedelta(seconds=30)
PROTECTION_CYCLES = 4
"""One may just have passed, and one may fail."""
UNKNOWN_GRACE_S = 20.0
"""The resolver needs so long to learn the fate of an order that went well."""


def beating_of(
    pipeline: Pipeline,
    identity: Identity,
    children: Callable[[], Iterable[int]] = tuple,
    *,
    minds_the_watchdog: bool = False,
) -> Beating:
    """The pulse of a process of this pipeline. `minds_the_watchdog`: it tells when that one falls silent."""
    told = pipeline.settings.watch
    return Beating(
        vitals=Vitals(identity, pipeline.clock, children, lambda: logs.writer().problem),
        store=pulse_store(pipeline),
        events=pipeline.events,
        rhythm=Rhythm(every_s=told.pulse_every_s, told_every=timedelta(seconds=told.heartbeat_every_s)),
        counterwatch=counterwatch_of(pipeline) if minds_the_watchdog else None,
    )


def counterwatch_of(pipeline: Pipeline) -> Counterwatch:
    told = pipeline.settings.watch
    return Counterwatch(
        client=impatient_redis(pipeline.settings.redis_url),
        pulses=pulse_store(pipeline),
        notifiers=notifiers_of(pipeline),
        account=pipeline.account,
        silent_after=timedelta(seconds=told.silent_after_s + told.look_every_s),
        every=timedelta(seconds=told.silent_after_s / 2),
    )


def pulse_store(pipeline: Pipeline) -> PulseStore:
    client = impatient_redis(pipeline.settings.redis_url)
    return PulseStore(client, pipeline.account, pipeline.clock)


def limits_of(settings: Settings) -> Limits:
    """When silence is a finding, from all the settings that say how often something should happen."""
    watch, chain, governor = settings.watch, settings.chain, settings.governor
    cadence = timedelta(seconds=chain.cadence_s)
    return Limits(
        silent_after=timedelta(seconds=watch.silent_after_s),
        stopping_for=timedelta(seconds=chain.hard_time_limit_s + watch.silent_after_s),
        queue_oldest=timedelta(seconds=watch.queue_oldest_max_s),
        handoff_after=timedelta(seconds=watch.handoff_after_s),
        silent_for=max(watch.silent_cadences * cadence, SHORTEST_SILENCE),
        recent=max(2 * cadence, SHORTEST_RECENT),
        signal_within=timedelta(seconds=watch.signal_within_s),
        deadline_grace=timedelta(seconds=chain.soft_time_limit_s + chain.resume_after_s),
        equity_every=timedelta(seconds=chain.equity_every_s),
        equity_max_age=timedelta(seconds=governor.equity_max_age_s),
        reconcile_every=timedelta(seconds=chain.reconcile_every_s),
        reconciled_max_age=timedelta(seconds=governor.reconciled_max_age_s),
        universe_every=timedelta(seconds=settings.universe.check_every_s),
        unprotected_for=PROTECTION_CYCLES * timedelta(seconds=chain.protect_every_s),
        unknown_for=timedelta(seconds=settings.exchange.timeout_s + UNKNOWN_GRACE_S),
        skew=timedelta(seconds=governor.max_clock_skew_s),
        queues=QUEUES,
    )


def looker_of(pipeline: Pipeline, *, with_account: bool) -> Looker:
    """Looks at everything that this pipeline uses. `with_account`: also asks the exchange for the account."""
    limits = limits_of(pipeline.settings)
    client = impatient_redis(pipeline.settings.redis_url)
    return Looker(
        Places(
            account=pipeline.account,
            clock=pipeline.clock,
            ledger=pipeline.ledger,
            pulses=PulseStore(client, pipeline.account, pipeline.clock),
            broker=lambda: look_at_broker(client, limits.queues),
            feed=lambda: feed_view(pipeline, client),
            ask_clock=pipeline.exchange.clock_offset,
            ask_account=pipeline.exchange.equity if with_account else None,
        ),
        limits,
    )


def feed_view(pipeline: Pipeline, client: redis.Redis) -> FeedView | Away | None:
    """What the feed last told of itself."""
    try:
        beat = Heartbeats(client, feed_name(pipeline)).read()
    except StoreUnavailable as error:
        return Away(str(error))
    if beat is None:
        return None
    return FeedView(
        at=beat.at,
        holder=beat.holder,
        symbols=beat.symbols,
        connections=beat.connections,
        up=beat.up,
        behind=beat.behind,
    )


def watchdog_of(pipeline: Pipeline) -> Watchdog:
    """The watchdog of this pipeline's account."""
    watch, alerts = pipeline.settings.watch, pipeline.settings.alerts
    remind_s = alerts.remind_every_s
    return Watchdog(
        turn=turn_of(pipeline),
        looker=looker_of(pipeline, with_account=False),
        keeper=LevelKeeper(pipeline.account, timedelta(seconds=watch.clear_after_s)),
        desk=Desk(notifiers_of(pipeline)),
        rules=Rules(Severity(alerts.least), timedelta(seconds=remind_s) if remind_s else None),
        teller=teller_of(pipeline),
        ledger=pipeline.ledger,
        pulses=pulse_store(pipeline),
        events=pipeline.events,
    )


def turn_of(pipeline: Pipeline) -> Turn:
    """The claim of this process's watchdog to be the one that tells. It is lost when a look takes so long that others
    would call it silent.
    """
    told = pipeline.settings.watch
    lasts_s = told.silent_after_s + told.look_every_s
    client = impatient_redis(pipeline.settings.redis_url)
    lease = Lease(client, f"tl:watch:{pipeline.account}", holder(pipeline.pid), lasts_s=lasts_s)
    return Turn(lease, lasts_s, pipeline.events)


def teller_of(pipeline: Pipeline) -> Teller:
    chain, watch = pipeline.settings.chain, pipeline.settings.watch
    return Teller(
        ledger=pipeline.ledger,
        events=pipeline.events,
        account=pipeline.account,
        cadence=timedelta(seconds=chain.cadence_s),
        grace=timedelta(seconds=max(chain.cadence_s, chain.deadline_s)),
        every=timedelta(seconds=watch.heartbeat_every_s),
    )


def notifiers_of(pipeline: Pipeline) -> tuple[Notifier, ...]:
    """The log always, and what the settings name."""
    told = pipeline.settings.alerts
    urls, webhook = told.urls.get_secret_value(), told.webhook_url.get_secret_value()
    logs.hide(*urls.split())
    return (
        LogNotifier(pipeline.events),
        *((WebhookNotifier(webhook),) if webhook else ()),
        *((AppriseNotifier(urls),) if urls else ()),
    )
