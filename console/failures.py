"""What goes wrong, said in a few lines: what, where, what to do. The stack trace goes to a file."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path

from rich.markup import escape

from console.output import console
from console.stories import NotInLedger
from console.supervise.remote import SupervisorGone
from pipeline.domain.errors import (
    ConfigError,
    ExchangeRefused,
    ExchangeUnavailable,
    LedgerUnavailable,
    ThroughlineError,
    UnknownSymbol,
)
from pipeline.exchange.budget.ports import UNASKED

FINDING = 1
USAGE = 2
NO_REDIS = "`throughline up` starts one; THROUGHLINE_REDIS_URL names another"

_REMEDIES: dict[type[Exception], str] = {
    LedgerUnavailable: "is its server running, and is ledger.url (THROUGHLINE_LEDGER_URL) right?",
    ExchangeUnavailable: "is it reachable from here? In mode paper `throughline up` runs the simulated one",
    ExchangeRefused: "check exchange.api_key and exchange.api_secret, and that they belong to this mode",
    UnknownSymbol: "`throughline universe` lists what may be traded",
}


def explain(error: Exception) -> int:
    """Say it on stderr; the exit code that belongs to it."""
    if isinstance(error, ConfigError):
        _say(error.what, error.where, error.remedy)
        return USAGE
    if isinstance(error, (NotInLedger, SupervisorGone)):
        _say(str(error), "", "")
        return FINDING
    if isinstance(error, ThroughlineError):
        _say(str(error), "", _remedy(error))
        return USAGE if _expected(error) else FINDING
    if type(error).__module__.startswith(("redis.", "kombu.")):
        _say(f"Redis: {error}", "redis.url", NO_REDIS)
        return USAGE
    _say(f"unexpected {type(error).__name__}: {error}", "", f"the full trace is in {_log_trace(error)}")
    return FINDING


def _expected(error: ThroughlineError) -> bool:
    return isinstance(error, tuple(_REMEDIES))


def _remedy(error: ThroughlineError) -> str:
    if UNASKED in str(error):  # not the exchange is out of reach, but who counts what we ask of it
        return NO_REDIS
    for kind, remedy in _REMEDIES.items():
        if isinstance(error, kind):
            return remedy
    return f"the full trace is in {_log_trace(error)}"


def _say(what: str, where: str, remedy: str) -> None:
    lines = [f"[bold red]error[/] {escape(what)}"]
    lines += [f"  where {escape(where)}"] if where else []
    lines += [f"  so    {escape(remedy)}"] if remedy else []
    console(sys.stderr).print("\n".join(lines), soft_wrap=True)


def _log_trace(error: Exception) -> Path:
    """Append the trace to the home's logs, or to a file of the system's temporary folder."""
    trace = "".join(traceback.format_exception(error))
    text = f"{datetime.now(UTC).isoformat()} {' '.join(sys.argv)}\n{trace}\n"
    home = Path(os.environ.get("THROUGHLINE_HOME", "var")).absolute()
    for folder in (home / "logs", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"throughline-console-{os.getuid()}.log"
            with path.open("a") as log:
                log.write(text)
        except OSError:
            continue
        return path
    return Path("/dev/null")
