"""Looks at a system where all is well, with what a test wants different."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from pipeline.domain.decisions import Mode
from pipeline.domain.guards import Reconciliation, UniverseRecord
from pipeline.domain.ids import DecisionId
from pipeline.domain.levels import LevelCode
from pipeline.domain.liveness import Component, Pulse
from pipeline.domain.outcomes import EndReason, Reason
from pipeline.domain.positions import Equity
from pipeline.domain.rounds import EndedGroup
from pipeline.domain.switches import TradingState
from pipeline.watch.checks import Checked, climb
from pipeline.watch.look import BookView, BrokerView, ExchangeView, FeedView, Limits, Look, QueueView

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACCOUNT = "paper-main"
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
QUEUES = ("fetch", "evaluate", "validate", "execute", "upkeep")


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def ago(number: float) -> datetime:
    return NOW - seconds(number)


LIMITS = Limits(
    silent_after=seconds(20),
    stopping_for=seconds(45),
    queue_oldest=seconds(20),
    handoff_after=seconds(10),
    silent_for=seconds(60),
    recent=seconds(60),
    signal_within=seconds(600),
    deadline_grace=seconds(35),
    equity_every=seconds(10),
    equity_max_age=seconds(60),
    reconcile_every=seconds(10),
    reconciled_max_age=seconds(60),
    universe_every=seconds(60),
    unknown_for=seconds(28),
    unprotected_for=seconds(8),
    skew=seconds(2),
    queues=QUEUES,
)


def a_pulse(role: str, pid: int = 7, **changes: Any) -> Pulse:
    pulse = Pulse(
        role=role,
        host="alpha",
        pid=pid,
        account=ACCOUNT,
        config_hash="c0ffee",
        started_at=ago(3600),
        beat_at=ago(2),
    )
    return replace(pulse, **changes)


def pulses() -> tuple[Pulse, ...]:
    """Beat, two workers with a child each, and the watchdog."""
    return (
        a_pulse("beat", 1),
        a_pulse("worker-market", 2, queues=("fetch", "evaluate"), children=(22,)),
        a_pulse("worker-market", 22, parent=2, done=99, last_done_at=ago(1)),
        a_pulse("worker-orders", 3, queues=("validate", "execute", "upkeep"), children=(33,)),
        a_pulse("worker-orders", 33, parent=3, done=99, last_done_at=ago(1)),
        a_pulse("watch", 4),
    )


def without(role: str) -> tuple[Pulse, ...]:
    return tuple(pulse for pulse in pulses() if not pulse.role.startswith(role))


def changed(pid: int, **changes: Any) -> tuple[Pulse, ...]:
    """The usual pulses, one of them different."""
    return tuple(replace(pulse, **changes) if pulse.pid == pid else pulse for pulse in pulses())


def hanging(name: str = "task", doing: str = "evaluate dec_1") -> Component:
    return Component(
        name=name,
        thread="MainThread",
        since=ago(30),
        limit_s=15,
        doing=doing,
        where="hangs.py:12 in signal",
    )


def a_queue(depth: int = 0, oldest_s: float | None = None) -> QueueView:
    return QueueView(
        depth=depth,
        oldest_at=None if oldest_s is None else ago(oldest_s),
        oldest_task="tasks.fetch" if depth else "",
        tasks=frozenset(),
        whole=True,
    )


def a_broker(**changes: Any) -> BrokerView:
    view = BrokerView(queues={name: a_queue() for name in QUEUES}, held=frozenset(), persistent=True)
    return replace(view, **changes)


def a_group(reason: Reason, many: int, detail: str = "") -> EndedGroup:
    return EndedGroup(reason=reason, many=many, newest=DecisionId(f"dec_{reason}"), detail=detail)


def a_book(**changes: Any) -> BookView:
    view = BookView(
        running_since=ago(3600),
        universe=UniverseRecord(
            account=ACCOUNT, version="v1", symbols=(BTC, ETH), key="k", report={}, checked_at=ago(30)
        ),
        joined_at={},
        last_finished={BTC: ago(10), ETH: ago(12)},
        ended=[a_group(EndReason.NO_SIGNAL, 4)],
        ended_long=[a_group(EndReason.NO_SIGNAL, 38), a_group(EndReason.FILLED, 2)],
        waiting=(),
        failing={},
        config_hashes=frozenset({"c0ffee"}),
        equity=Equity(
            account=ACCOUNT,
            mode=Mode.PAPER,
            equity=Decimal(10000),
            available=Decimal(10000),
            unrealised_pnl=Decimal(0),
            occurred_at=ago(5),
            recorded_at=ago(5),
        ),
        reconciliation=Reconciliation(account=ACCOUNT, compared_at=ago(5)),
        trading=TradingState.ACTIVE,
        trading_why="first start (by up)",
        switches=(),
        latches=(),
        breaker=None,
        unsettled=(),
        orders={},
        refusals={},
        positions=(),
    )
    return replace(view, **changes)


def a_look(**changes: Any) -> Look:
    look = Look(
        at=NOW,
        account=ACCOUNT,
        broker=a_broker(),
        pulses=pulses(),
        book=a_book(),
        exchange=ExchangeView(asked_at=NOW, skew_s=0.01),
        feed=FeedView(at=ago(1), holder="alpha/9", symbols=2, connections=1, up=1, behind=0),
        asked_by_watch=True,
    )
    return replace(look, **changes)


def ladder(**changes: Any) -> list[Checked]:
    return list(climb(a_look(**changes), LIMITS))


def codes(checked: list[Checked]) -> list[LevelCode]:
    """Every code that was found, down the ladder."""
    return [finding.code for each in checked for finding in each.answer.findings]


def detail_of(code: LevelCode, checked: list[Checked]) -> str:
    """What was said of it, with its evidence."""
    (finding,) = [f for each in checked for f in each.answer.findings if f.code is code]
    return "; ".join([finding.detail, *finding.evidence])
