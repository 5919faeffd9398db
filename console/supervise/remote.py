"""The questions that supervisord answers over its socket."""

from __future__ import annotations

import http.client
import os
import socket
import tempfile
import xmlrpc.client
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from signal import Signals
from typing import Any, cast

from pipeline.domain.errors import ConfigError, ThroughlineError
from pipeline.domain.ids import digest

_ANSWER_WITHIN_S = 5.0
_SOCKET_PATH_LIMIT = 90
"""Bytes. The kernel takes 107 on Linux, 103 on macOS; supervisord adds its pid while it binds."""


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One program as supervisord sees it.

    `state` is STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL or STOPPED.
    """

    name: str
    state: str
    pid: int
    description: str

    @property
    def is_up(self) -> bool:
        return self.state in {"STARTING", "RUNNING"}

    @property
    def is_gone(self) -> bool:
        return self.state in {"STOPPED", "EXITED", "FATAL"}


class SupervisorGone(ThroughlineError):
    """supervisord does not answer: it ended, was killed, or has not started."""


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a socket of the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_ANSWER_WITHIN_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_ANSWER_WITHIN_S)
        self.sock.connect(str(self._path))


class Remote:
    """Every method raises SupervisorGone when nobody answers."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def processes(self) -> tuple[ProcessState, ...]:
        """In the order of their start."""
        rows = cast("Sequence[Mapping[str, object]]", self._call("getAllProcessInfo"))
        return tuple(
            ProcessState(
                str(row["name"]), str(row["statename"]), int(str(row["pid"])), str(row["description"])
            )
            for row in rows
        )

    def process(self, name: str) -> ProcessState:
        return next(process for process in self.processes() if process.name == name)

    def start(self, name: str) -> None:
        """Ask for the start and do not wait: being ready is more than being up. One that is up stays so."""
        self._ask("startProcess", name, False)  # noqa: FBT003  the protocol's own "wait"

    def stop(self, name: str) -> None:
        """Ask for the stop and do not wait."""
        self._ask("stopProcess", name, False)  # noqa: FBT003  the protocol's own "wait"

    def signal(self, name: str, which: Signals) -> None:
        self._ask("signalProcess", name, which.name.removeprefix("SIG"))

    def _ask(self, method: str, *arguments: object) -> None:
        try:
            self._call(method, *arguments)
        except xmlrpc.client.Fault:
            return  # it already is what it was asked to become

    def _call(self, method: str, *arguments: object) -> object:
        """One question over a connection of its own. Raises: xmlrpc.client.Fault when supervisord refuses."""
        body = xmlrpc.client.dumps(cast("tuple[Any, ...]", arguments), f"supervisor.{method}")
        try:
            with closing(_SocketConnection(self._path)) as connection:
                connection.request("POST", "/RPC2", body, {"Content-Type": "text/xml"})
                answer = connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise SupervisorGone(f"the supervisor of this host does not answer: {error}") from error
        return xmlrpc.client.loads(answer)[0][0]


def socket_path(home: Path) -> Path:
    """`<home>/run/supervisor.sock`, or in a private temporary folder where that is too long for a socket."""
    usual = home.absolute() / "run" / "supervisor.sock"
    if len(os.fsencode(usual)) <= _SOCKET_PATH_LIMIT:
        return usual
    name = f"throughline-{os.getuid()}-{digest(home.absolute())[:12]}"
    return Path(tempfile.gettempdir()) / name / "supervisor.sock"


def own_folder_of(socket: Path) -> None:
    """Make the socket's folder, for us alone. Raises: ConfigError when it belongs to somebody else."""
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if socket.parent.stat().st_uid != os.getuid():
        raise ConfigError("this folder belongs to another user", where=str(socket.parent), remedy="remove it")
