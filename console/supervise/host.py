"""The story of `up`: own the home, check, start in order, watch, stop in order."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from config.settings import Settings
from console.supervise import readiness
from console.supervise.control import Supervisor
from console.supervise.last_words import LINES, at_work, last_lines, lines_from, size_of
from console.supervise.programs import WORKERS, Program, Role
from console.supervise.progress import Progress
from console.supervise.remote import ProcessState, SupervisorGone
from console.supervise.waiting import Interrupts
from console.supervise.watcher import Watcher
from pipeline.domain.errors import ConfigError
from pipeline.watch.whereabouts import ASKED

STOP_ORDER: Sequence[Sequence[Role]] = (
    (Role.WATCH,),  # first: an orderly end is no alarm
    (Role.BEAT, Role.FEED),
    (Role.FLOWER, Role.EXPORTER),
    WORKERS,
    (Role.SIMULATOR,),
    (Role.REDIS,),
)
_HURRY_S = 3.0
_ANSWER_S = 3.0


@dataclass(frozen=True, slots=True)
class Host:
    """The programs of this host while they run."""

    programs: Sequence[Program]
    home: Path
    supervisor: Supervisor
    interrupts: Interrupts
    progress: Progress

    def has(self, role: Role) -> bool:
        return any(program.role is role for program in self.programs)

    def start(
        self, roles: Sequence[Role], ready: Callable[[Role], bool], timeout_s: float = readiness.PATIENCE_S
    ) -> None:
        """Start programs and wait until each of them is ready.

        Raises: Interrupted; ConfigError with the last lines of a program that died or was not ready in time.
        """
        for role in roles:
            self.supervisor.remote.start(role.value)
        watcher, waited_for = Watcher(), list(roles)

        def all_ready() -> bool:
            self._refuse_dead(roles, watcher)
            waited_for[:] = [role for role in waited_for if not ready(role)]
            return not waited_for

        if not self.interrupts.wait(all_ready, timeout_s):
            late = waited_for[0]
            words = self._what_it_does(late)
            raise self._not_ready(late, f"was not ready after {timeout_s:.0f} s", words)

    def _refuse_dead(self, roles: Sequence[Role], watcher: Watcher) -> None:
        """Also one that is up again by now: it would die again and again until our patience is over."""
        ours = [process for process in self.processes() if process.name in roles]
        died = [process.name for process in ours if process.state in {"FATAL", "BACKOFF", "EXITED"}]
        died += [notice.name for notice in watcher.look(ours, time.monotonic())]
        if died:
            words = last_lines(self.output_of(died[0]))
            raise self._not_ready(Role(died[0]), "ended instead of starting", words)

    def _what_it_does(self, role: Role) -> Sequence[str]:
        """How busy it is, and where it is just now, as it tells itself when it is asked; else its last words."""
        output = self.output_of(role.value)
        told = size_of(output)
        doing = at_work(self.supervisor.remote.process(role.value).pid)
        self.supervisor.remote.signal(role.value, ASKED)
        self.interrupts.wait(lambda: len(lines_from(output, told)) >= LINES, _ANSWER_S)
        return (*doing, *(lines_from(output, told)[:LINES] or last_lines(output)))

    def _not_ready(self, role: Role, what: str, words: Sequence[str]) -> ConfigError:
        told = "".join(f"\n    {line}" for line in words)
        return ConfigError(
            f"{role.value} {what}{':' if told else ''}{told}", where=str(self.output_of(role.value))
        )

    def output_of(self, name: str) -> Path:
        return self.home / "logs" / f"{name}.out"

    def watch(self, seconds: float, every_s: float = 0.5) -> Iterator[float]:
        """The seconds gone by, while the programs are watched; ends when we are asked to stop.

        Raises: SupervisorGone when the supervisor itself was killed.
        """
        watcher = Watcher()
        for gone in self.interrupts.ticks(seconds, every_s):
            self._tell(watcher)
            yield gone

    def _tell(self, watcher: Watcher) -> None:
        now = time.monotonic()
        for notice in watcher.look(self.supervisor.remote.processes(), now):
            self.progress.note(notice.text, "bold red" if notice.keeps_dying else "yellow")
            for line in last_lines(self.output_of(notice.name)) if notice.keeps_dying else ():
                self.progress.note(f"    {line}", "dim")
        for name in watcher.to_start_again(now):
            self.supervisor.remote.start(name)

    def stop(self, roles: Sequence[Role]) -> None:
        """Stop those of the roles that run here, together. A second Ctrl-C ends the patience."""
        here = [role for role in roles if self.has(role)]
        if not here or not self._any_up(here):
            return
        with self.progress.step("stopping", ", ".join(role.value for role in here)):
            for role in here:
                self.supervisor.remote.stop(role.value)
            while self._any_up(here):
                self._hurry_if_asked(here)
                time.sleep(0.1)

    def _any_up(self, roles: Sequence[Role]) -> bool:
        names = {role.value for role in roles}
        return any(process.name in names and not process.is_gone for process in self.processes())

    def _hurry_if_asked(self, roles: Sequence[Role]) -> None:
        if self.interrupts.hurry:
            for role in roles:
                self.supervisor.remote.signal(role.value, signal.SIGKILL)

    def processes(self) -> Sequence[ProcessState]:
        return self.supervisor.remote.processes()

    def stop_all(self) -> None:
        """Everything in order, Redis last, then the supervisor. Nothing is left when this returns."""
        try:
            for roles in STOP_ORDER:
                self.stop(roles)
        except SupervisorGone:
            self.progress.note("the supervisor is gone; ending what is left")
        finally:
            self.supervisor.end(_HURRY_S)


@contextmanager
def supervised(
    programs: Sequence[Program],
    environment: Mapping[str, str],
    settings: Settings,
    interrupts: Interrupts,
    progress: Progress,
) -> Iterator[Host]:
    """A supervisor that answers, with nothing started yet; everything is stopped when the block ends."""
    home = settings.home.absolute()
    supervisor = Supervisor(programs, home, environment)
    host = Host(programs, home, supervisor, interrupts, progress)
    try:
        if not interrupts.wait(supervisor.answers, readiness.PATIENCE_S):
            raise ConfigError("supervisord does not answer", where=str(home / "logs" / "supervisord.out"))
        yield host
    finally:
        host.stop_all()
