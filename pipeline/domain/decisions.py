"""Decisions: one pass of the chain over one symbol in one slot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum, unique

from pipeline.domain.ids import DecisionId
from pipeline.domain.outcomes import Outcome, Reason
from pipeline.domain.timeframes import iso


@unique
class Stage(StrEnum):
    """The four steps of the chain; each has a task, a queue and a stage function of its name."""

    FETCH = "fetch"
    EVALUATE = "evaluate"
    VALIDATE = "validate"
    EXECUTE = "execute"

    @property
    def next(self) -> Stage | None:
        order = list(Stage)
        after = order.index(self) + 1
        return order[after] if after < len(order) else None


@unique
class Mode(StrEnum):
    """What is at stake. Every record carries it; they never mix."""

    PAPER = "paper"
    TESTNET = "testnet"
    LIVE = "live"


@unique
class Origin(StrEnum):
    """Who asked for the pass."""

    BEAT = "beat"
    FEED = "feed"
    CLI = "cli"
    PYTHON = "python"
    CALL = "call"
    STOP = "stop"
    TARGET = "target"
    TIME = "time"
    DUST = "dust"

    @property
    def is_manual(self) -> bool:
        """Whether a person asked, who wants an answer whatever was said before."""
        return self in {Origin.CLI, Origin.PYTHON, Origin.CALL}

    @property
    def is_exit(self) -> bool:
        """Whether a position asked for its own end: such a decision goes through no chain."""
        return self in {Origin.STOP, Origin.TARGET, Origin.TIME, Origin.DUST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A decision's row. It is open until `outcome` is set, and set once.

    `expires_at`: a fetch not started by then never starts. `deadline_at`: no order may be sent after it.
    `opener`: of an exit, the decision that opened the position.
    """

    decision_id: DecisionId
    symbol: str
    slot: datetime
    origin: Origin
    account: str
    mode: Mode
    config_hash: str
    enqueued_at: datetime
    expires_at: datetime
    deadline_at: datetime
    universe_version: str = ""
    dry_run: bool = False
    opener: DecisionId | None = None
    outcome: Outcome | None = None
    reason: Reason | None = None
    detail: str = ""
    ended_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.ended_at is None

    def headers(self) -> dict[str, str]:
        """What every message of the chain carries."""
        return {
            "decision_id": self.decision_id,
            "symbol": self.symbol,
            "slot": iso(self.slot) or "",
            "mode": self.mode.value,
            "config_hash": self.config_hash,
            "enqueued_at": iso(self.enqueued_at) or "",
        }


@dataclass(frozen=True, slots=True)
class Judgement:
    """Which decision judged which bars; `bars` is their fingerprint, as `Window.fingerprint` gives it."""

    decision_id: DecisionId
    bars: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One delivery of a stage's message to a worker. `attempt` counts from 1; `retries` of them the stage itself asked
    for, because something it needs was out of reach.
    """

    task_id: str
    host: str
    worker: str
    pid: int
    attempt: int
    received_at: datetime
    published_at: datetime | None
    retries: int = 0

    @property
    def queue_wait_ms(self) -> float | None:
        if self.published_at is None:
            return None
        return max(0.0, (self.received_at - self.published_at).total_seconds() * 1000)


@unique
class StageResult(StrEnum):
    """`passed` went on to the next stage; `ended` ended the decision."""

    PASSED = "passed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRecord:
    """A finished stage: stored before the next one is published. `output` is what the next stage reads."""

    decision_id: DecisionId
    stage: Stage
    task_id: str
    host: str
    worker: str
    pid: int
    attempt: int
    queue_wait_ms: float | None
    started_at: datetime
    run_ms: float
    result: StageResult
    output: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Advance:
    """The stage is done; the decision goes on. `output` is stored for the next stage and the trace."""

    output: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class End:
    """The decision ends here, for `reason`. `detail` says it with its numbers, for people."""

    reason: Reason
    detail: str
    output: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unresolved:
    """An order is out and its fate unknown: the decision stays open until the resolver knows."""

    detail: str


StageEnd = Advance | End | Unresolved
