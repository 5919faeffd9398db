"""Callbacks: users' own code that is told of events."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pipeline.domain.errors import ConfigError
from pipeline.domain.events import EventName, Level
from pipeline.trace import context, listening, logs
from pipeline.trace.events import LoggedEvents
from pipeline.trace.listening import RAISES, Listeners, Said, load
from tests.unit.trace.conftest import Configure

PATIENCE_S = 60.0


def tell(listeners: Listeners, name: EventName = EventName.NO_SIGNAL, **fields: object) -> None:
    listeners.tell(name, Level.INFO, fields)


def test_a_callback_gets_the_event_with_its_decision_and_without_secrets() -> None:
    """It decides by them what it wants to look at."""
    heard: list[Said] = []
    listeners = Listeners({"mine": heard.append})

    with context.bound(decision_id="dec_1"):
        tell(listeners, why="quiet", api_key="hush-hush")
    listeners.drain(PATIENCE_S)

    (said,) = heard
    assert (said.name, said.level) == (EventName.NO_SIGNAL, Level.INFO)
    assert said.fields == {"decision_id": "dec_1", "why": "quiet", "api_key": "***"}


def test_a_callback_that_raises_is_left_out_and_the_others_go_on() -> None:
    """A mistake in somebody's debugging code must not cost the trace."""
    called: list[Said] = []
    heard: list[Said] = []

    def broken(said: Said) -> None:
        called.append(said)
        raise RuntimeError("mine")

    listeners = Listeners({"broken": broken, "mine": heard.append})
    for _ in range(RAISES + 5):
        tell(listeners)
    listeners.drain(PATIENCE_S)

    assert (len(called), len(heard)) == (RAISES, RAISES + 5)


def test_a_slow_callback_slows_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it cannot take is counted; the emitter never waits."""
    monkeypatch.setattr(listening, "WAITING", 5)
    go_on, began = threading.Event(), threading.Event()

    def slow(said: Said) -> None:
        began.set()
        go_on.wait(PATIENCE_S)

    listeners = Listeners({"slow": slow})
    tell(listeners)
    assert began.wait(PATIENCE_S)
    for _ in range(8):
        tell(listeners)

    assert listeners.lost == 3
    go_on.set()
    listeners.drain(PATIENCE_S)


def test_a_forked_child_has_a_thread_of_its_own() -> None:
    """Pool children are forked after the worker has emitted."""
    heard: list[Said] = []
    listeners = Listeners({"mine": heard.append})
    tell(listeners)
    listeners.drain(PATIENCE_S)

    child = os.fork()
    if child == 0:
        tell(listeners)
        listeners.drain(PATIENCE_S)
        os._exit(len(heard))

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2


def test_functions_are_named_by_file_or_module(log: Configure, tmp_path: Path) -> None:
    """A file of one's own beside the configuration is enough."""
    (tmp_path / "mine.py").write_text("heard = []\n\n\ndef note(said):\n    heard.append(said.name)\n")
    place = f"{tmp_path / 'mine.py'}:note"
    log(LOGGING_CALLBACKS=place)

    LoggedEvents().emit(EventName.NO_SIGNAL, why="quiet")
    logs.listeners().drain(PATIENCE_S)

    (callback,) = [logs.listeners()._callbacks[place]]
    assert callback.__globals__["heard"] == [EventName.NO_SIGNAL]
    assert list(load(["os.path:join"])) == ["os.path:join"]


@pytest.mark.parametrize(
    "name", ["nowhere.at.all:function", "os.path:gone", "os.path:sep", "plain", "gone.py:f"]
)
def test_one_that_cannot_be_loaded_is_told_and_stops_nothing(name: str, log: Configure) -> None:
    """Trading with a broken debugging aid is better than not trading."""
    with pytest.raises(ConfigError):
        load([name])

    lines = log(LOGGING_CALLBACKS=name)

    (record,) = lines("all.jsonl")
    assert record["event"] == "CALLBACK_BROKEN"
    LoggedEvents().emit(EventName.NO_SIGNAL, why="quiet")
