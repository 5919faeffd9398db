"""The worker's event loop hears of each socket of the broker's once, and of every one that is new; of a child that is
given nothing it hears nothing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from kombu.asynchronous import Hub

from tasks.app import app
from tasks.looping import ForgetsOnce
from tasks.transport import TellsOnce


class Loop:
    """As much of kombu's hub as sockets need."""

    def __init__(self) -> None:
        self.readers: dict[int, Any] = {}
        self.heard: list[int] = []

    def add_reader(self, number: int, *what: Any) -> None:
        self.readers[number] = what
        self.heard.append(number)


class World:
    def __init__(self) -> None:
        self.loop = Loop()
        self.cycle = SimpleNamespace(_chan_to_sock={})
        self.telling = TellsOnce(self.loop, self.cycle)

    def turn(self) -> None:
        """What kombu does at each turn of the loop."""
        for each in self.cycle._chan_to_sock.values():
            self.telling.add_reader(each.fileno(), print, each.fileno())


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def opened() -> Iterator[socket.socket]:
    with socket.socket() as made:
        yield made


def test_a_socket_is_told_once(world: World, opened: socket.socket) -> None:
    """Being refused at every turn cost as much as two steps of a message."""
    world.cycle._chan_to_sock["BRPOP"] = opened
    world.turn()
    world.turn()
    assert world.loop.heard == [opened.fileno()]


def test_another_socket_of_the_same_number_is_told(world: World, opened: socket.socket) -> None:
    """After a lost connection the new one often gets the old one's number: a worker that is not told is mute."""
    number = opened.fileno()
    world.cycle._chan_to_sock["BRPOP"] = opened
    world.turn()
    opened.close()
    with socket.socket() as another:
        assert another.fileno() == number
        world.cycle._chan_to_sock["BRPOP"] = another
        world.turn()
    assert world.loop.heard == [number, number]


def test_a_socket_that_the_loop_has_dropped_is_told_again(world: World, opened: socket.socket) -> None:
    """As while a worker holds as many messages as it may."""
    world.cycle._chan_to_sock["BRPOP"] = opened
    world.turn()
    world.loop.readers.clear()
    world.turn()
    assert len(world.loop.heard) == 2


def test_what_is_no_socket_of_the_brokers_is_always_told(world: World, opened: socket.socket) -> None:
    world.telling.add_reader(opened.fileno(), print)
    world.telling.add_reader(opened.fileno(), print)
    assert len(world.loop.heard) == 2


def test_all_else_is_the_loops_own(world: World) -> None:
    assert world.telling.readers is world.loop.readers


# ------------------------------------------------------------------------------------------- the pool's children


class CountingPoller:
    """Kombu's own, and how often it was asked to forget."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self.forgotten: list[object] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def unregister(self, what: Any) -> None:
        self.forgotten.append(what)
        self._real.unregister(what)


@pytest.fixture
def hub() -> Iterator[Any]:
    """A worker's, as its pool finds it."""
    made = Hub()  # type: ignore[no-untyped-call]  # no types
    made.poller = CountingPoller(made.poller)
    ForgetsOnce(SimpleNamespace(hub=made)).create(SimpleNamespace(hub=made))
    yield made
    made.close()  # type: ignore[no-untyped-call]  # no types


@pytest.fixture
def pipe() -> Iterator[int]:
    """The end into which a child's work is written."""
    reading, writing = os.pipe()
    yield writing
    os.close(reading)
    os.close(writing)


def writable(hub: Any) -> list[int]:
    return [number for number, _ in hub.poller.poll(0) or ()]


def test_a_child_that_takes_no_work_is_forgotten_once(hub: Any, pipe: int) -> None:
    """Its pipe can always be written to: a loop that goes on looking at it never rests."""
    hub.add_writer(pipe, print)
    assert pipe in writable(hub)
    for _ in range(3):
        hub.remove_writer(pipe)
    assert (pipe not in writable(hub), hub.poller.forgotten) == (True, [pipe])


def test_a_child_is_looked_at_again_when_there_is_work_for_it(hub: Any, pipe: int) -> None:
    """A worker that is not told so gives nobody anything any more."""
    hub.remove_writer(pipe)
    hub.add(pipe, None, hub.WRITE | hub.ERR, consolidate=True)
    assert pipe in writable(hub)
    hub.remove_writer(pipe)
    assert pipe not in writable(hub)


def test_what_comes_without_a_number_is_kombus_to_find_out(hub: Any) -> None:
    """As the pipes of a child that has died."""
    with socket.socket() as opened:
        hub.add_writer(opened, print)
        hub.remove_writer(opened)
        assert (hub.writers, hub.poller.forgotten) == ({}, [opened])


def test_a_worker_without_an_event_loop_has_nothing_to_be_spared() -> None:
    """As with a solo pool."""
    parent = SimpleNamespace(hub=None)
    ForgetsOnce(parent).create(parent)
    assert parent.hub is None


def test_our_workers_forget_once() -> None:
    assert ForgetsOnce in app.steps["worker"]
