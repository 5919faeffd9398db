"""Logging for a process: every record, ours or a library's, as one JSON line in two files.

`logs/<component>.jsonl` has what one role said, `logs/all.jsonl` what everybody did. Events are written
directly; structlog and the standard library's logging (Celery, kombu, ccxt ...) end in the same writer.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import structlog

from config.home import Home
from config.loading import secret_values
from config.sections.processes import LoggingSettings
from config.settings import Settings
from pipeline.domain.errors import ConfigError
from pipeline.domain.events import EventName
from pipeline.trace.debugging import Debugging, path_in
from pipeline.trace.lines import LineMaker
from pipeline.trace.listening import Listeners, load
from pipeline.trace.logfile import LogFile
from pipeline.trace.redaction import SECRETS, passwords_in
from pipeline.trace.rendering import render_line

LIBRARY_RECORD = "LOG"
"""The event name of what libraries say; their words stand in `message`, their name in `logger`."""

RANKS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50, "exception": 40}

QUIET = (
    "celery.app.trace",
    "celery.worker.strategy",
    "tornado.access",
    "urllib3",
    "asyncio",
    "ccxt",
    "kombu",
)
"""Libraries that say at INFO or DEBUG what our own events say better; their warnings stay."""


class Writer:
    """Where this process's lines go. It never raises: what cannot be written is counted, and said later."""

    def __init__(
        self, component: str, *, level: str, files: tuple[LogFile, ...] = (), screen: TextIO | None = None
    ) -> None:
        self._maker = LineMaker(component)
        self._least = RANKS[level.lower()]
        self._files = files
        self._screen = screen

    def write(self, level: str, event: str, fields: Mapping[str, Any], *, wanted: bool = False) -> None:
        """Write one record, if it is loud enough, or `wanted` by somebody who debugs."""
        if RANKS[level] < self._least and not wanted:
            return
        try:
            line = self._maker.line(level, event, _with_traceback(fields) if "exc_info" in fields else fields)
        except Exception as error:  # noqa: BLE001 - a record that cannot be made must not stop a trade
            line = self._maker.line("error", event, {"unwritable": repr(error)})
        if not self._kept(line) and self._files and RANKS[level] >= RANKS["error"]:
            self._cry(line)
        if self._screen is not None:
            self._show(line)

    def _kept(self, line: bytes) -> bool:
        """Whether one of the files took it."""
        kept = False
        for file in self._files:
            had_stopped = file.stopped
            if file.write(line):
                kept = True
                if file.lost:
                    self._tell_losses(file)
            elif file.stopped and not had_stopped:
                self._tell_stop(file)
        return kept

    def _tell_stop(self, file: LogFile) -> None:
        """The last line of the file, and a word to whoever reads what the process prints."""
        name = EventName.LOGGING_STOPPED
        told = {"file": file.path.name, "free_mb": _mb(file.free_bytes), "least_mb": _mb(file.keep_free)}
        line = self._maker.line(name.level.value, name.value, told)
        file.write(line, last=True)
        self._cry(line)

    @property
    def problem(self) -> str:
        """Why lines were lost and still are; empty while they are kept."""
        broken = [file for file in self._files if file.lost]
        if not broken:
            return ""
        names = ", ".join(file.path.name for file in broken)
        why = "the disk is nearly full" if any(file.stopped for file in broken) else "they cannot be written"
        return f"{why}: {sum(file.lost for file in broken)} lines of {names} are lost so far"

    @staticmethod
    def _cry(line: bytes) -> None:
        """What the files cannot take and must not be lost goes to stderr, which may lead to another disk."""
        try:
            sys.stderr.write(line.decode("utf-8", "replace"))
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):
            return

    def close(self) -> None:
        """Give the files back."""
        for file in self._files:
            file.close()

    def _tell_losses(self, file: LogFile) -> None:
        lost, file.lost = file.lost, 0
        name = EventName.LOG_LINES_LOST
        file.write(self._maker.line(name.level.value, name.value, {"lines": lost, "file": file.path.name}))

    def _show(self, line: bytes) -> None:
        screen = self._screen
        try:
            if screen is not None:
                screen.write(render_line(line, colour=screen.isatty()) + "\n")
                screen.flush()
        except (OSError, ValueError):
            self._screen = None  # the terminal has gone; the files have everything


def _mb(count: int) -> float:
    return round(count / 1_000_000, 1)


def _with_traceback(fields: Mapping[str, Any]) -> dict[str, Any]:
    """`exc_info` as in the standard library: True, an exception, or the usual three."""
    rest = dict(fields)
    given = rest.pop("exc_info")
    error = given if isinstance(given, BaseException) else sys.exc_info()[1] if given is True else None
    if isinstance(given, tuple):
        error = given[1]
    if error is not None:
        rest["traceback"] = "".join(traceback.format_exception(error))
    return rest


_writer = Writer("unconfigured", level="WARNING", screen=sys.stderr)
_debugging = Debugging()
_listeners = Listeners({})
_hooks = (sys.excepthook, threading.excepthook)


def writer() -> Writer:
    """This process's writer. Before `configure` it shows warnings and errors on stderr and keeps nothing."""
    return _writer


def debugging() -> Debugging:
    """Which areas somebody is debugging; none before `configure`."""
    return _debugging


def listeners() -> Listeners:
    """The user's callbacks; none before `configure`."""
    return _listeners


def configure(component: str, settings: Settings, *, console: bool = False) -> None:
    """Send every record of this process to its files under the home, and to stderr if `console`.

    May be called again, in a forked child for instance. The folder must exist (`ensure_home`).
    """
    global _writer, _debugging, _listeners  # noqa: PLW0603 - a process has one log, as it has one stderr
    SECRETS.register(_secrets_of(settings))
    _writer.close()
    level = settings.logging.level_in(settings.mode)
    _writer = Writer(
        component,
        level=level,
        files=_files(Home(settings.home).logs, component, settings.logging),
        screen=sys.stderr if console else None,
    )
    _bridge_structlog()
    _bridge_logging(level)
    sys.excepthook, threading.excepthook = _uncaught, _uncaught_in_thread
    _debugging = Debugging(path_in(settings.home))
    _listeners = _loaded(settings.logging.callbacks)


def _loaded(names: Sequence[str]) -> Listeners:
    """A callback that cannot be used is told, and stops nothing."""
    try:
        return Listeners(load(names))
    except ConfigError as error:
        broken = EventName.CALLBACK_BROKEN
        _writer.write(broken.level.value, broken.value, {"problem": str(error)})
        return Listeners({})


def mute() -> None:
    """Where there is no folder for logs yet, and the command itself says what is wrong."""
    global _writer  # noqa: PLW0603 - see configure
    _writer = Writer("unconfigured", level="WARNING")


def unconfigure() -> None:
    """Undo `configure`: files closed, the standard library's logging as it is in a fresh process."""
    global _writer, _debugging, _listeners  # noqa: PLW0603 - see configure
    _debugging, _listeners = Debugging(), Listeners({})
    _writer.close()
    _writer = Writer("unconfigured", level="WARNING", screen=sys.stderr)
    structlog.reset_defaults()
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, Bridge)]
    root.setLevel(logging.WARNING)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.captureWarnings(capture=False)
    sys.excepthook, threading.excepthook = _hooks


def hide(*secrets: str) -> None:
    """Keep further values out of every line: keys that were made or read later than the settings."""
    SECRETS.register(secrets)


def _files(folder: Path, component: str, wanted: LoggingSettings) -> tuple[LogFile, ...]:
    names = dict.fromkeys([f"{component}.jsonl", "all.jsonl"])
    return tuple(
        LogFile(
            folder / name,
            max_bytes=wanted.max_file_mb * 1_000_000,
            keep=wanted.keep_files,
            keep_free=wanted.keep_free_mb * 1_000_000,
        )
        for name in names
    )


def _secrets_of(settings: Settings) -> set[str]:
    urls = (settings.redis.url, settings.ledger.url, settings.simulator.url)
    return {*secret_values(settings), *(password for url in urls for password in passwords_in(url))}


# --------------------------------------------------------------------------------------------- structlog


class _Target:
    """What structlog calls its logger. The processor has written the record already."""

    def __getattr__(self, method: str) -> Any:
        return lambda *args, **fields: None


def _to_writer(target: Any, method: str, record: structlog.typing.EventDict) -> Mapping[str, Any]:
    """The one processor: everything else that structlog offers is slower than the line itself."""
    event = str(record.pop("event", ""))
    if method == "exception":
        record.setdefault("exc_info", True)
    _writer.write("error" if method == "exception" else method, event, record)
    raise structlog.DropEvent


def _bridge_structlog() -> None:
    structlog.configure(
        processors=[_to_writer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),  # the writer knows the level
        logger_factory=lambda *_: _Target(),
        cache_logger_on_first_use=True,
    )


# ----------------------------------------------------------------------------- standard library's logging


class Bridge(logging.Handler):
    """Writes the records of libraries. They carry the decision that is being worked on, like ours."""

    def emit(self, record: logging.LogRecord) -> None:
        fields: dict[str, Any] = {"logger": record.name, "message": _message(record)}
        if record.exc_info:
            fields["exc_info"] = record.exc_info
        _writer.write(_level(record.levelno), LIBRARY_RECORD, fields)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - a library's mistake in its own log call
        return f"{record.msg!r} {record.args!r}"


def _level(number: int) -> str:
    return next((name for name in ("critical", "error", "warning", "info") if number >= RANKS[name]), "debug")


def _bridge_logging(level: str) -> None:
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not _replaceable(handler)] + [Bridge()]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def _replaceable(handler: logging.Handler) -> bool:
    """Ours from an earlier call, and what prints to the terminal; others (a test's, Sentry's) stay."""
    return isinstance(handler, Bridge) or type(handler) is logging.StreamHandler


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A process that dies of an exception says so in its log, then as ever on stderr."""
    if not issubclass(kind, KeyboardInterrupt):
        _writer.write(
            "critical", LIBRARY_RECORD, {"message": "the process ends: uncaught", "exc_info": error}
        )
    _hooks[0](kind, error, trace)


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    """A thread that dies alone is how a process lives on and does nothing."""
    name = args.thread.name if args.thread else "?"
    _writer.write("critical", LIBRARY_RECORD, {"message": f"thread {name} died", "exc_info": args.exc_value})
    _hooks[1](args)
