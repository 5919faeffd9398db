"""Metrics in Prometheus' form. They are counted in the ledger, not in the processes that did the work.

Counters in worker processes would have to survive prefork children, restarts and other hosts; the ledger has every
decision exactly once already. So one exporter for a ledger is enough, and whichever host runs it tells the same.

Counters begin at zero when the exporter starts, as Prometheus expects of a restarted process. What is older than
`SETTLED_AFTER` and all ended is counted once and kept; each scrape only counts what came after.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.domain.errors import LedgerUnavailable, StoreUnavailable
from pipeline.domain.liveness import Pulse
from pipeline.domain.timeframes import Clock
from pipeline.ledger.sql import SqlLedger
from pipeline.ledger.statistics import By, Span, SqlStatistics
from pipeline.ledger.unit import SqlUnit
from pipeline.watch.door import guarded
from pipeline.watch.latencies import Latencies
from pipeline.watch.look import Away, BrokerView, QueueView
from pipeline.watch.performance import trade_of

SETTLED_AFTER = timedelta(minutes=10)
"""Nothing is added any more to what was enqueued longer ago than this and has ended."""

MOVE_EVERY = timedelta(minutes=1)

Key = tuple[str, ...]
Broker = Callable[[], BrokerView | Away]


@dataclass(slots=True)
class Tally:
    """What a span adds up to: numbers and durations by metric and labels."""

    numbers: dict[str, Counter[Key]] = field(default_factory=dict)
    durations: dict[str, dict[Key, Latencies]] = field(default_factory=dict)

    def add(self, metric: str, labels: Key, amount: float = 1) -> None:
        self.numbers.setdefault(metric, Counter())[labels] += amount  # type: ignore[assignment]  # sums of money too

    def took(self, metric: str, labels: Key, tenths: int, many: int) -> None:
        self.durations.setdefault(metric, {}).setdefault(labels, Latencies()).add(tenths, many)

    def plus(self, other: Tally) -> Tally:
        """Both together, as a new one."""
        both = Tally()
        for each in (self, other):
            for metric, counts in each.numbers.items():
                for labels, amount in counts.items():
                    both.add(metric, labels, amount)
            for metric, kinds in each.durations.items():
                for labels, latencies in kinds.items():
                    both.durations.setdefault(metric, {}).setdefault(labels, Latencies()).merge([latencies])
        return both


COUNTERS: Mapping[str, tuple[str, Key]] = {
    "decisions": ("decisions that have ended", ("mode", "symbol", "outcome")),
    "decision_reasons": ("decisions that have ended, by their reason", ("mode", "reason")),
    "strategy_answers": ("what strategies answered", ("mode", "strategy", "answer")),
    "orders": ("order attempts, by the state they are in", ("mode", "state")),
    "fills": ("fills", ("mode", "strategy", "side")),
    "fill_notional": ("quantity times price of fills, in quote currency", ("mode", "strategy")),
    "fees": ("fees of fills", ("mode", "strategy", "asset")),
    "trades": ("closed positions: won, lost, even", ("mode", "strategy", "result")),
    "gross_profit": ("profit of won trades after fees", ("mode", "strategy")),
    "gross_loss": ("loss of lost trades after fees", ("mode", "strategy")),
}
HISTOGRAMS: Mapping[str, tuple[str, Key]] = {
    "decision_seconds": ("from enqueueing to the end of a decision", ("mode",)),
    "stage_run_seconds": ("how long a stage ran", ("mode", "stage")),
    "stage_wait_seconds": ("how long a stage's message was on its way", ("mode", "stage")),
    "strategy_seconds": ("how long a strategy took", ("mode", "strategy")),
}


def counted(statistics: SqlStatistics, span: Span) -> Tally:
    """What stands in the ledger of a span."""
    tally = Tally()
    _count_chain(statistics, span, tally)
    _count_trading(statistics, span, tally)
    return tally


def _count_chain(statistics: SqlStatistics, span: Span, tally: Tally) -> None:
    for end in statistics.ends(span):
        if end.outcome is not None:
            tally.add("decisions", (end.mode, end.symbol, end.outcome), end.many)
            tally.add("decision_reasons", (end.mode, str(end.reason)), end.many)
    for each in statistics.decision_durations(span):
        tally.took("decision_seconds", (each.mode,), each.tenths, each.many)
    for each in statistics.stage_durations(span, By.STAGE):
        tally.took(f"stage_{each.kind}_seconds", (each.mode, each.key), each.tenths, each.many)
    for answer in statistics.verdicts(span):
        tally.add("strategy_answers", (answer.mode, answer.strategy, answer.kind), answer.many)
    for each in statistics.strategy_durations(span):
        tally.took("strategy_seconds", (each.mode, each.key), each.tenths, each.many)


def _count_trading(statistics: SqlStatistics, span: Span, tally: Tally) -> None:
    for order in statistics.orders(span):
        tally.add("orders", (order.mode, order.state), order.many)
    for fill in statistics.fills(span):
        tally.add("fills", (fill.mode, fill.strategy, fill.side))
        tally.add("fill_notional", (fill.mode, fill.strategy), float(fill.qty * fill.price))
        tally.add("fees", (fill.mode, fill.strategy, fill.fee_asset), max(0.0, float(fill.fee)))
    for row in statistics.closed(span):
        net = trade_of(row).net
        result = "won" if net > 0 else "lost" if net < 0 else "even"
        tally.add("trades", (row.mode, row.strategy, result))
        tally.add("gross_profit", (row.mode, row.strategy), max(0.0, float(net)))
        tally.add("gross_loss", (row.mode, row.strategy), max(0.0, -float(net)))


class LedgerMetrics(Collector):
    """Everything that Prometheus asks for, counted when it asks."""

    def __init__(self, ledger: SqlLedger, clock: Clock, account: str, broker: Broker) -> None:
        self._ledger, self._clock, self._account, self._broker = ledger, clock, account, broker
        self._settled = Tally()
        self._since = clock.now()

    def collect(self) -> Iterator[Metric]:
        """Raises nothing: a ledger that does not answer is a metric as well."""
        try:
            now = self._clock.now()
            with self._ledger.read() as unit:
                tally = self._tally(unit, now)
                gauges = list(self._gauges(unit, now))
        except LedgerUnavailable:
            yield _gauge("ledger_up", "whether the ledger answers", (), {(): 0})
            return
        yield _gauge("ledger_up", "whether the ledger answers", (), {(): 1})
        yield from gauges
        yield from _families(tally)
        yield from self._queue_gauges()

    def _tally(self, unit: SqlUnit, now: datetime) -> Tally:
        self._settle(unit, now)
        return self._settled.plus(counted(unit.statistics, Span(since=self._since, until=now)))

    def _settle(self, unit: SqlUnit, now: datetime) -> None:
        """What has ended long ago is counted for the last time. An open decision keeps its time open."""
        until = now - SETTLED_AFTER
        oldest = next(iter(unit.decisions.still_open(None, now, 1)), None)
        until = until if oldest is None else min(until, oldest.enqueued_at)
        if until - self._since >= MOVE_EVERY:
            span = Span(since=self._since, until=until)
            self._settled = self._settled.plus(counted(unit.statistics, span))
            self._since = until

    def _gauges(self, unit: SqlUnit, now: datetime) -> Iterator[Metric]:
        oldest = next(iter(unit.decisions.still_open(None, now, 1)), None)
        age = 0.0 if oldest is None else (now - oldest.enqueued_at).total_seconds()
        yield _gauge("oldest_open_decision_seconds", "age of the oldest open decision", (), {(): age})
        whose: Key = (self._account,)
        told = {whose: len(unit.positions.all_open(self._account))}
        yield _gauge("open_positions", "positions that are open", ("account",), told)
        told = {whose: len(unit.orders.unsettled(self._account))}
        yield _gauge("unsettled_orders", "orders that are not final", ("account",), told)
        yield _gauge("kill_switches", "kill switches that are on", (), {(): len(unit.switches.on())})
        state = unit.switches.trading_state(self._account)
        yield _gauge("trading_state", "1 for the state it is in", ("account", "state"), {(*whose, state): 1})
        yield self._levels(unit)
        equity = unit.equity.latest(self._account)
        if equity is not None:
            age = (now - equity.occurred_at).total_seconds()
            yield _gauge("equity", "the account's equity", ("account",), {whose: float(equity.equity)})
            yield _gauge("equity_age_seconds", "how old that is", ("account",), {whose: age})

    def _levels(self, unit: SqlUnit) -> Metric:
        """What the watchdog has found, but for consequences of something else that it has found."""
        standing = [each for each in unit.levels.standing(self._account) if each.cause is None]
        told: Counter[Key] = Counter(
            (self._account, each.code.value, each.severity.value) for each in standing
        )
        return _gauge(
            "level", "levels that stand, without consequences", ("account", "code", "severity"), told
        )

    def _queue_gauges(self) -> Iterator[Metric]:
        view, now = self._broker(), self._clock.now()
        away = isinstance(view, Away)
        yield _gauge("broker_up", "whether Redis answers", (), {(): int(not away)})
        queues = {} if isinstance(view, Away) else view.queues
        depths: dict[Key, float] = {(name,): queue.depth for name, queue in queues.items()}
        yield _gauge("queue_depth", "messages that wait", ("queue",), depths)
        ages: dict[Key, float] = {(name,): _age_s(queue, now) for name, queue in queues.items()}
        yield _gauge("queue_oldest_seconds", "how long the oldest of them has waited", ("queue",), ages)


class PulseMetrics(Collector):
    """How long ago each role on each host gave its last sign of life: the watchdog's own silence is seen here."""

    def __init__(self, pulses: Callable[[], Iterable[Pulse]], clock: Clock) -> None:
        self._pulses, self._clock = pulses, clock

    def collect(self) -> Iterator[Metric]:
        """Raises nothing: without Redis nothing is known of anybody, and `broker_up` says why."""
        try:
            told, now = self._pulses(), self._clock.now()
        except StoreUnavailable:
            return
        ages: dict[Key, float] = {}
        for each in told:
            if not each.parent:
                place = (each.role, each.host)
                ages[place] = min(each.age_s(now), ages.get(place, math.inf))
        yield _gauge("pulse_age_seconds", "since the last sign of life", ("role", "host"), ages)


def _age_s(queue: QueueView, now: datetime) -> float:
    return 0.0 if queue.oldest_at is None else max(0.0, (now - queue.oldest_at).total_seconds())


def _families(tally: Tally) -> Iterator[Metric]:
    for name, (says, labels) in COUNTERS.items():
        family = CounterMetricFamily(f"throughline_{name}", says, labels=labels)
        for values, amount in sorted(tally.numbers.get(name, {}).items()):
            family.add_metric([str(value) for value in values], amount)
        yield family
    for name, (says, labels) in HISTOGRAMS.items():
        histogram = HistogramMetricFamily(f"throughline_{name}", says, labels=labels)
        for values, took in sorted(tally.durations.get(name, {}).items()):
            histogram.add_metric([str(value) for value in values], _buckets(took), took.sum_ms / 1000)
        yield histogram


def _buckets(took: Latencies) -> list[tuple[str, float]]:
    return [*((str(bound / 1000), float(many)) for bound, many in took.cumulative()), ("+Inf", took.count)]


def _gauge(name: str, says: str, labels: Key, values: Mapping[Key, float]) -> Metric:
    family = GaugeMetricFamily(f"throughline_{name}", says, labels=labels)
    for key, value in values.items():
        family.add_metric([str(each) for each in key], value)
    return family


def serve(
    collectors: Iterable[Collector], host: str, port: int, password: str = ""
) -> tuple[Callable[[], None], int]:
    """Answer `GET /metrics` from a thread; how to stop it, and the port (0 takes any free one). Raises: OSError.

    With a `password`, only to who says it, as user `throughline`.
    """
    registry = CollectorRegistry(auto_describe=False)
    for collector in collectors:
        registry.register(collector)
    server, thread = start_http_server(port, host, registry)
    if password:
        server.set_app(guarded(server.get_app(), password))  # type: ignore[arg-type]  # it has one by now

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop, server.server_port
