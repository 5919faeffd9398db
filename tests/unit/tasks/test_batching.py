"""Task events and acknowledgements travel in batches, and none is left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import pytest
from celery.events.dispatcher import EventDispatcher

from tasks.app import app
from tasks.batching import EVERY_S, BatchedAcks, BatchedEvents
from tasks.transport import QoS


@dataclass
class Hub:
    """The worker's event loop, as far as events need it: what is to run later waits here."""

    later: list[tuple[float, Callable[..., None], tuple[Any, ...]]] = field(default_factory=list)

    def call_later(self, delay: float, callback: Callable[..., None], *arguments: Any) -> None:
        self.later.append((delay, callback, arguments))

    def pass_time(self) -> None:
        waiting, self.later = self.later, []
        for _, callback, arguments in waiting:
            callback(*arguments)


class World:
    """A consumer with a real dispatcher whose messages are kept instead of sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        dispatcher = EventDispatcher(app=app, enabled=False, buffer_group=["task"])
        dispatcher.enabled = True
        dispatcher.producer = SimpleNamespace(publish=lambda event, **_: self.sent.append(event))
        self.consumer: Any = SimpleNamespace(hub=Hub(), event_dispatcher=dispatcher, steps=[])
        self.step = BatchedEvents(self.consumer)
        self.step.start(self.consumer)

    def happen(self, count: int) -> None:
        for _ in range(count):
            self.consumer.event_dispatcher.send("task-succeeded", uuid="one")


def test_events_of_many_tasks_travel_in_one_message() -> None:
    """One message for each event would cost as much as the tasks' own messages."""
    world = World()
    world.happen(10)
    assert world.sent == []
    world.consumer.hub.pass_time()
    assert [len(batch) for batch in world.sent] == [10]


def test_one_moment_is_waited_for_however_many_events_come() -> None:
    """A timer for each event would cost what the batch saves."""
    world = World()
    world.happen(10)
    assert [delay for delay, *_ in world.consumer.hub.later] == [EVERY_S]


def test_events_after_a_batch_get_a_batch_of_their_own() -> None:
    """Flower goes on seeing tasks after the first batch."""
    world = World()
    for count in (3, 2):
        world.happen(count)
        world.consumer.hub.pass_time()
    assert [len(batch) for batch in world.sent] == [3, 2]


def test_a_stopping_worker_sends_what_waits() -> None:
    """Flower would show the last tasks as running for ever."""
    world = World()
    world.happen(4)
    world.step.stop(world.consumer)
    assert [len(batch) for batch in world.sent] == [4]


def test_a_new_connection_starts_waiting_anew() -> None:
    """The timer of a lost connection may be gone: events must not wait for it."""
    world = World()
    world.happen(1)
    world.consumer.hub.later.clear()
    world.step.start(world.consumer)
    world.happen(1)
    world.consumer.hub.pass_time()
    assert [len(batch) for batch in world.sent] == [2]


def test_the_steps_run_in_every_worker_of_the_app() -> None:
    """Without them, the steps above are written for nothing."""
    assert {BatchedEvents, BatchedAcks} <= app.steps["consumer"]


def test_acknowledgements_wait_from_each_connection_to_the_end_of_its_loop() -> None:
    """After it nobody would send them."""
    told: list[Any] = []
    qos = SimpleNamespace(let_acks_wait=told.append)
    consumer: Any = SimpleNamespace(
        hub=Hub(),
        steps=[],
        task_consumer=SimpleNamespace(channel=SimpleNamespace(qos=qos)),
    )
    step = BatchedAcks(consumer)
    step.start(consumer)
    assert told == [consumer.hub.call_later]
    step.stop(consumer)
    assert told[1:] == [None]


def test_what_one_connection_could_not_tell_the_next_one_does() -> None:
    """Also when the next one is cut before it has."""
    first, second, third = (a_qos() for _ in range(3))
    consumer: Any = SimpleNamespace(hub=Hub(), steps=[])
    step = BatchedAcks(consumer)
    connect(consumer, first)
    step.start(consumer)
    connect(consumer, second)
    second.take_over.side_effect = ConnectionResetError
    with pytest.raises(ConnectionResetError):
        step.start(consumer)
    connect(consumer, third)
    step.start(consumer)
    third.take_over.assert_called_once_with(first)


def a_qos() -> Any:
    return create_autospec(QoS, instance=True)


def connect(consumer: Any, qos: Any) -> None:
    consumer.task_consumer = SimpleNamespace(channel=SimpleNamespace(qos=qos))
