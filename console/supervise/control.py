"""supervisord as a child of ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from console.supervise import tether
from console.supervise.conf import supervisord_conf, tethered
from console.supervise.programs import Program
from console.supervise.remote import Remote, SupervisorGone, own_folder_of, socket_path
from pipeline.domain.errors import ConfigError


class Supervisor:
    """The child process. Made by the main thread only: it dies with the thread that forked it."""

    def __init__(self, programs: Sequence[Program], home: Path, environment: Mapping[str, str]) -> None:
        self._run = home / "run"
        self._socket = socket_path(home)
        own_folder_of(self._socket)
        self._conf = self._run / "supervisord.conf"
        self._conf.write_text(supervisord_conf(programs, home, self._socket))
        self.remote = Remote(self._socket)
        self._child = self._spawn({**environment, tether.PARENT: str(os.getpid())})

    def _spawn(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        supervisord = (sys.executable, "-m", "supervisor.supervisord", "--configuration", str(self._conf))
        with self._last_words.open("wb") as output:
            return subprocess.Popen(  # noqa: S603  our own command, built here
                tethered("TERM", supervisord),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for `up` alone: it stops the rest in turn
            )

    @property
    def _last_words(self) -> Path:
        return self._run / "supervisord.err"

    @property
    def is_alive(self) -> bool:
        return self._child.poll() is None

    def answers(self) -> bool:
        """Raises: ConfigError when it ended instead."""
        if not self.is_alive:
            said = self._last_words.read_text(errors="replace").strip()
            raise ConfigError(
                f"supervisord ended at once: {said or 'it said nothing'}", where=str(self._conf)
            )
        try:
            self.remote.processes()
        except SupervisorGone:
            return False
        return True

    def end(self, patience_s: float) -> None:
        """SIGTERM, then SIGKILL, for it and for all that is below it. Returns when all of them are gone."""
        end_family(self._child.pid, patience_s)
        self._child.wait()
        self._socket.unlink(missing_ok=True)


def end_family(pid: int, patience_s: float) -> None:
    """End a process politely, with time to stop its own children, then kill what is left of all of them."""
    try:
        head = psutil.Process(pid)
        family = [head, *head.children(recursive=True)]
        head.send_signal(signal.SIGTERM)
    except psutil.NoSuchProcess:
        return
    psutil.wait_procs([head], timeout=patience_s)
    for process in family:
        _kill(process)
    psutil.wait_procs(family, timeout=5)


def _kill(process: psutil.Process) -> None:
    try:
        process.send_signal(signal.SIGKILL)  # psutil tells a process from another one with its old number
    except psutil.NoSuchProcess:
        return
