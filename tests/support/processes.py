"""Processes that a test starts: known by id, always ended, with their output at hand when something fails."""

from __future__ import annotations

import atexit
import functools
import os
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from tests.support.waiting import BUSY, eventually
from tests.support.watchdog import descendants

ROOT = Path(__file__).resolve().parents[2]
STOP_S = 30.0
WAIT_S = 60.0
_running: set[Started] = set()
"""Kept until they have ended: what a failed test forgot must not disturb the test in which the collector comes by."""


class Started:
    """A running process whose output goes to `log`."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        user: str | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._popen: subprocess.Popen[bytes] = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=child_environment(env or {}),
                start_new_session=True,  # Ctrl-C reaches pytest only; it is pytest that stops its processes
                user=user,
                group=None if user is None else pwd.getpwnam(user).pw_gid,
                extra_groups=None if user is None else [],
            )
        _running.add(self)
        _watchdog().tell(f"run {self.pid}")

    @property
    def pid(self) -> int:
        """The process id of the process itself, not of what it starts."""
        return self._popen.pid

    def is_running(self) -> bool:
        """True until the process has ended."""
        return self._popen.poll() is None

    def output(self) -> str:
        """Everything the process has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def send(self, number: signal.Signals) -> None:
        """Sends one signal to this process alone."""
        self._popen.send_signal(number)

    def wait(self, timeout: float = WAIT_S) -> int:
        """The exit code, once the process has ended by itself. `timeout`: as of `eventually`."""
        code = self._popen.wait(timeout * BUSY)
        _running.discard(self)
        _watchdog().tell(f"end {self.pid}")
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = STOP_S) -> int:
        """Asks the process to end, kills it when it does not, and kills what it left behind.

        Returns its exit code.
        """
        family = self._family()
        if self.is_running():
            self.send(number)
        try:
            self._popen.wait(timeout * BUSY)
        except subprocess.TimeoutExpired:
            family = self._family()
            self._popen.kill()
        _kill(family)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL to this process alone: what it started lives on, as after a real accident, until `stop`."""
        self._popen.kill()
        self._popen.wait()
        _running.discard(self)

    def _family(self) -> list[psutil.Process]:
        try:
            return descendants([psutil.Process(self.pid)])
        except psutil.NoSuchProcess:
            return []

    def await_output(self, text: str, timeout: float = 20.0) -> str:
        """The first line of output that contains `text`.

        Raises: RuntimeError with the output, at once, when the process ends before.
        """
        return eventually(lambda: self._line_with(text), timeout, f"{self.name} to print {text!r}")

    def _line_with(self, text: str) -> str | None:
        running = self.is_running()
        output = self.output()
        for line in output.splitlines():
            if text in line:
                return line
        if not running:
            raise RuntimeError(f"{self.name} ended with {self._popen.returncode} and said:\n{output[-4000:]}")
        return None


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process' environment with the project importable, output unbuffered, and `extra` on top."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **extra}


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def temporary_folder(purpose: str) -> Path:
    """A new folder with a short path (sockets allow 107 bytes), removed when the test run is over."""
    folder = Path(tempfile.mkdtemp(prefix=f"throughline-{purpose}-"))
    _watchdog().tell(f"dir {folder}")
    return folder


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


class _Watchdog:
    """The pipe to the program that cleans up after this one (tests/support/watchdog.py)."""

    def __init__(self) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "tests.support.watchdog"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd=ROOT,
            env=child_environment({}),
            start_new_session=True,
            text=True,
        )
        atexit.register(self.close)

    def tell(self, line: str) -> None:
        """One line, at once."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(f"{line}\n")
        self._popen.stdin.flush()

    def close(self) -> None:
        """Lets it clean up and waits for it."""
        self._popen.communicate()


@functools.cache
def _watchdog() -> _Watchdog:
    return _Watchdog()
