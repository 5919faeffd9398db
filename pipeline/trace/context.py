"""Which decision this thread or coroutine is working on. Every record that is written takes it from here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field

Bound = Token["DecisionContext | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionContext:
    """What the headers of a message say, and which stage and task work on it. What is not known is empty."""

    decision_id: str = ""
    symbol: str = ""
    slot: str = ""
    mode: str = ""
    config_hash: str = ""
    enqueued_at: str = ""
    stage: str = ""
    task_id: str = ""
    fields: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Log lines are frequent and contexts are not: what a line carries is put together once."""
        present = {name: value for name in LOGGED if (value := getattr(self, name))}
        object.__setattr__(self, "fields", present)


LOGGED = ("decision_id", "symbol", "stage", "mode", "task_id")
"""What each line carries. Slot, config hash and enqueuing time stand in DECISION_START."""

NO_FIELDS: Mapping[str, str] = {}

_current: ContextVar[DecisionContext | None] = ContextVar("decision", default=None)


def bind(context: DecisionContext) -> Bound:
    """From here on records carry it, until `unbind` is called with what this returns."""
    return _current.set(context)


def unbind(bound: Bound) -> None:
    """Back to what was bound before."""
    _current.reset(bound)


def current() -> DecisionContext | None:
    """What is bound here, if anything."""
    return _current.get()


def fields() -> Mapping[str, str]:
    """What a record written here has to carry."""
    context = _current.get()
    return NO_FIELDS if context is None else context.fields


@contextmanager
def bound(**told: str) -> Iterator[DecisionContext]:
    """Everything inside the block belongs to this decision. Takes the fields of `DecisionContext`."""
    context = DecisionContext(**told)
    before = bind(context)
    try:
        yield context
    finally:
        unbind(before)
