"""The worker's event loop hears of each socket of the broker's once, and of every one that is new."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

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
