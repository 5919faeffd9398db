"""The configuration that supervisord is started with."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from console.supervise import tether
from console.supervise.programs import Program

_HEAD = """\
[supervisord]
nodaemon=true
silent=true
nocleanup=true
directory={directory}
logfile={logs}/supervisord.out
logfile_maxbytes=5MB
logfile_backups=1
pidfile={run}/supervisord.pid

[unix_http_server]
file={socket}
chmod=0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""

# `up` starts the programs itself, one after the other, each when the one before is ready; from then on
# supervisord restarts what dies. A program may need its neighbours (a worker its Redis): it gets five tries.
_PROGRAM = """
[program:{name}]
command={command}
priority={priority}
autostart=false
autorestart=true
startsecs={start_s}
startretries=5
stopsignal=TERM
stopwaitsecs={stop_wait_s}
stopasgroup=false
killasgroup=true
redirect_stderr=true
stdout_logfile={logs}/{name}.out
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=2
"""


def supervisord_conf(programs: Sequence[Program], home: Path, socket: Path) -> str:
    """The text of the file. Programs stop in the opposite order of their priority, Redis last."""
    paths = {"directory": Path.cwd(), "logs": home / "logs", "run": home / "run", "socket": socket}
    escaped = {key: _escape(str(value)) for key, value in paths.items()}
    head = _HEAD.format(**escaped)
    return head + "".join(_program(program, escaped["logs"]) for program in programs)


def _program(program: Program, logs: str) -> str:
    return _PROGRAM.format(
        name=program.role.value,
        command=_escape(shlex.join(tethered("KILL", program.command))),
        priority=program.priority,
        start_s=program.start_s,
        stop_wait_s=program.stop_wait_s,
        logs=logs,
    )


def tethered(signal_name: str, command: Sequence[str]) -> tuple[str, ...]:
    """The command, made to get that signal when its parent dies."""
    return (sys.executable, "-I", tether.__file__, signal_name, *command)


def _escape(text: str) -> str:
    """Supervisor expands `%(name)s` in every value."""
    return text.replace("%", "%%")
