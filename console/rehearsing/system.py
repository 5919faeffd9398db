"""The system that is rehearsed with: `throughline up` as people start it, in a home of its own, with quick habits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import requests
import yaml

from config.home import FOLDER_MODE
from config.loading import load
from console import roles
from console.supervise.control import end_family
from console.supervise.last_words import last_lines
from console.supervise.programs import Role
from console.supervise.remote import Remote, socket_path
from pipeline.domain.errors import ConfigError, LedgerUnavailable
from pipeline.domain.levels import Level, LevelCode, Severity

if TYPE_CHECKING:
    from pipeline.bootstrap import Pipeline

START_S = 120.0
STOP_S = 60.0
LOOK_EVERY_S = 0.25
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT")
FOREIGN = 50
STRATEGY = "hangs_on_demand"

SETTINGS: Mapping[str, Mapping[str, object]] = {
    "universe": {"symbols": list(SYMBOLS)},
    "market": {"timeframes": ["1m", "5m", "15m"]},
    "chain": {"cadence_s": 5, "skip_unchanged": False},
    "strategies": {"enabled": ["adaptive_ob", "adaptive_str", "trend_follow", STRATEGY]},
    "governor": {"breaker_window_s": 60},
    "flower": {"enabled": False, "port": 0},
    "redis": {"port": 0},
    "simulator": {"port": 0, "symbols": len(SYMBOLS) + FOREIGN},
}
"""A fast cadence, every pass goes through both market stages, and the circuit breaker forgets within a minute; all that
watches is as it comes.
"""


class NotInTime(Exception):
    """Something that was waited for did not come."""


class System:
    """One run of `throughline up` below `folder`. `settings` are laid over `SETTINGS`, section by section."""

    def __init__(self, folder: Path, settings: Mapping[str, Mapping[str, object]]) -> None:
        self.home = folder / "home"
        self.switch = folder / "strategies" / "hang"
        self._file = folder / "throughline.yaml"
        self._log = folder / "up.log"
        self._prepare(folder, settings)
        self._up = self._spawn(self._log, (sys.executable, "-m", "console", "up"))
        self._others: list[subprocess.Popen[bytes]] = []

    def _prepare(self, folder: Path, settings: Mapping[str, Mapping[str, object]]) -> None:
        self.switch.parent.mkdir(mode=FOLDER_MODE, parents=True)
        template = resources.files("console").joinpath("templates", f"{STRATEGY}.py.txt")
        (self.switch.parent / f"{STRATEGY}.py").write_text(template.read_text(encoding="utf-8"))
        told: dict[str, Any] = {name: dict(section) for name, section in SETTINGS.items()}
        told["strategies"]["folder"] = str(self.switch.parent)
        for name, section in settings.items():
            told.setdefault(name, {}).update(section)
        self._file.write_text(yaml.safe_dump(told))

    @property
    def _environment(self) -> dict[str, str]:
        """Nothing of the user's own configuration: a rehearsal must never touch a real account."""
        foreign = ("THROUGHLINE_", "TRADING_SYMBOLS")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        return {**kept, "THROUGHLINE_HOME": str(self.home), "THROUGHLINE_CONFIG": str(self._file)}

    def _spawn(self, log: Path, command: Sequence[str], **variables: str) -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603  our own commands
                list(command),
                env={**self._environment, **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    # -- its life ---------------------------------------------------------------------------------------------

    def await_up(self) -> None:
        """Raises: ConfigError with its last words when it ends instead; NotInTime."""
        self.wait(self._is_up, START_S, "the system to be up")

    def _is_up(self) -> bool:
        if self._up.poll() is not None:
            words = "".join(f"\n    {line}" for line in last_lines(self._log))
            raise ConfigError(f"`throughline up` ended instead of starting:{words}", where=str(self._log))
        return "Ctrl-C stops" in self._log.read_text(errors="replace")

    def stop(self) -> None:
        """Everything is gone when this returns."""
        for other in self._others:
            end_family(other.pid, 10)
            other.wait()
        end_family(self._up.pid, STOP_S)
        self._up.wait()

    @staticmethod
    def wait(ready: Callable[[], object], timeout_s: float, what: str) -> float:
        """Seconds until it was so. Raises: NotInTime."""
        began = time.monotonic()
        while not ready():
            if time.monotonic() - began > timeout_s:
                raise NotInTime(f"waited {timeout_s:.0f} s for {what}")
            time.sleep(LOOK_EVERY_S)
        return time.monotonic() - began

    # -- what is done to it -----------------------------------------------------------------------------------

    @cached_property
    def remote(self) -> Remote:
        return Remote(socket_path(self.home))

    def kill(self, role: Role) -> None:
        """Kill a program with all its children, for good: its supervisor has just been asked to stop it, and it is
        frozen meanwhile, so that it cannot say goodbye.
        """
        family = self._family(role)
        for process in family:
            process.suspend()
        self.remote.stop(role.value)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _family(self, role: Role) -> list[psutil.Process]:
        head = psutil.Process(self.remote.process(role.value).pid)
        return [head, *head.children(recursive=True)]

    def stop_politely(self, role: Role) -> None:
        self.remote.stop(role.value)
        self.wait(lambda: self.remote.process(role.value).is_gone, STOP_S, f"{role} to stop")

    def start(self, role: Role) -> None:
        self.remote.start(role.value)

    def start_worker(self, queues: Sequence[str], **variables: str) -> None:
        """One more worker, until `end_others`."""
        command = roles.worker(queues, concurrency=1)
        self._others.append(self._spawn(self.home / "logs" / "other.out", command, **variables))

    def start_generator(self) -> None:
        """A program that enqueues every symbol that the exchange lists and the universe does not allow."""
        settings = self.pipeline.settings
        listed = requests.get(f"{settings.simulator_url}/_sim/health", timeout=5).json()["symbols"]
        foreign = [name for name in listed if name not in settings.universe.symbols]
        command = (sys.executable, "-m", "console.rehearsing.generator", *foreign)
        self._others.append(self._spawn(self.home / "logs" / "other.out", command))

    def end_others(self) -> None:
        for other in self._others:
            other.send_signal(signal.SIGTERM)
            other.wait(STOP_S)
        self._others.clear()

    def fault(self, kind: str, **fields: object) -> None:
        """Make the simulated exchange misbehave."""
        url = f"{self.pipeline.settings.simulator_url}/_sim/faults"
        body: dict[str, Any] = {"kind": kind, **fields}
        requests.post(url, json=body, timeout=5).raise_for_status()

    def heal_exchange(self) -> None:
        url = f"{self.pipeline.settings.simulator_url}/_sim/faults"
        requests.delete(url, timeout=5).raise_for_status()

    # -- what is seen -----------------------------------------------------------------------------------------

    @cached_property
    def pipeline(self) -> Pipeline:
        """The system's, as any command sees it."""
        from pipeline.bootstrap import build  # noqa: PLC0415  the exchange's library takes a while

        return build(load(self._environment))

    def levels(self) -> Sequence[Level]:
        """Those that stand, notices left out."""
        try:
            with self.pipeline.ledger.read() as unit:
                standing = unit.levels.standing(self.pipeline.account)
        except LedgerUnavailable:
            return ()
        return [level for level in standing if level.severity is not Severity.NOTICE]

    def level(self, code: LevelCode) -> Level | None:
        return next((level for level in self.levels() if level.code is code), None)

    def decisions_ended(self) -> int:
        with self.pipeline.ledger.read() as unit:
            counts = unit.decisions.counts()
        return sum(many for outcome, many in counts.items() if outcome != "open")
