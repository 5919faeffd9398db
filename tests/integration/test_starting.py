"""Starting programs: each is waited for as long as it needs, and what is not there is named with its reason."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import gethostname

import pytest
from celery import Celery

from config.home import ensure_home
from config.settings import Settings
from console.output import console
from console.supervise.host import Host, supervised
from console.supervise.programs import Program, Role
from console.supervise.progress import Progress
from console.supervise.readiness import workers_heard
from console.supervise.waiting import Interrupts
from pipeline.domain.errors import ConfigError
from tasks import signing, transport
from tests.support.waiting import eventually

ENDS_ONCE = """
import pathlib, time

ran = pathlib.Path(__file__ + ".ran")
again = ran.exists()
ran.touch()
time.sleep(600 if again else 1.5)  # longer than a program must stay up to count as running
"""

HANGS = """
import threading
from pipeline.watch.whereabouts import tell_when_asked

def waits_for_nobody():
    threading.Event().wait()

tell_when_asked()
print("has begun", flush=True)
waits_for_nobody()
"""


@contextmanager
def host_with(home: Path, **codes: str) -> Iterator[Host]:
    """A host whose programs are these pieces of Python, by the names of roles."""
    ensure_home(home)
    programs = []
    for name, code in codes.items():
        file = home.parent / f"{name}.py"
        file.write_text(code)
        programs.append(Program(role=Role(name), command=(sys.executable, str(file))))
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    with supervised(programs, environment, Settings(home=home), Interrupts(), Progress(console())) as host:
        yield host


def test_a_program_that_ends_at_its_start_is_named_with_its_last_words(home: Path) -> None:
    """The reason stands in its output; nobody should have to look for the file."""
    with host_with(home, beat="print('no broker here'); raise SystemExit(3)") as host:
        with pytest.raises(ConfigError, match="no broker here") as caught:
            host.start([Role.BEAT], lambda _: False)
        assert "beat ended instead of starting" in str(caught.value)


def test_a_program_that_ended_and_was_started_anew_is_not_waited_for(home: Path) -> None:
    """Its supervisor starts it within a moment: who only looks at its state may wait for a crash loop."""
    with host_with(home, beat=ENDS_ONCE) as host:

        def pid() -> int:
            return host.supervisor.remote.process("beat").pid

        def is_back(_: Role) -> bool:
            first.append(pid())
            eventually(lambda: pid() not in {0, first[0]}, 20, "it to be started anew")
            return False

        first: list[int] = []
        with pytest.raises(ConfigError, match="beat ended instead of starting"):
            host.start([Role.BEAT], is_back, timeout_s=5)


def test_the_one_that_hangs_is_named_and_says_where(home: Path) -> None:
    """Not the first of those that were started together; and not only that something is late."""
    with host_with(home, feed="import time; time.sleep(600)", beat=HANGS) as host:
        has_begun = host.output_of("beat")
        host.supervisor.remote.start("beat")
        eventually(lambda: "has begun" in has_begun.read_text(), 20, "it to have begun")
        with pytest.raises(ConfigError) as caught:
            host.start([Role.FEED, Role.BEAT], lambda role: role is Role.FEED, timeout_s=1)
    said = str(caught.value)
    assert "beat was not ready after 1 s" in said
    assert "waits_for_nobody" in said
    assert "s of CPU" in said


@pytest.fixture
def app(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Celery:
    """As `up` has one: it believes what is signed with its key."""
    transport.install()
    monkeypatch.setattr(signing, "_own", {"key": "k" * 32})
    return Celery("listening", broker=redis_url, set_as_current=False)


def test_a_worker_that_says_something_between_two_questions_is_heard(app: Celery) -> None:
    """Two workers that beat in the same rhythm set the rhythm of the questions: one may always speak in the gap."""
    with workers_heard(app) as hears, app.connection_for_write() as connection:
        assert not hears("one")
        app.events.Dispatcher(connection, hostname=f"one@{gethostname()}").send("worker-heartbeat")
        eventually(lambda: hears("one"), 5, "the one that has spoken to be heard")


def test_others_that_talk_all_the_time_hold_nobody_up(app: Celery) -> None:
    """Who waits for silence waits for ever, and meanwhile nobody looks whether the programs have died."""
    enough = threading.Event()
    talking = threading.Thread(target=talk, args=(app, enough))
    talking.start()
    try:
        with workers_heard(app) as hears:
            eventually(lambda: hears("other"), 20, "the one that talks to be heard")
            asking = threading.Thread(target=hears, args=("silent",))
            asking.start()
            eventually(lambda: not asking.is_alive(), 20, "the question for the silent one to be answered")
            assert not hears("silent")
    finally:
        enough.set()
        talking.join()


def talk(app: Celery, enough: threading.Event) -> None:
    """Ten heartbeats a second."""
    with app.connection_for_write() as connection:
        events = app.events.Dispatcher(connection, hostname=f"other@{gethostname()}")
        while not enough.wait(0.1):
            events.send("worker-heartbeat")
