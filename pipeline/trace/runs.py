"""A run and its configuration: told in the log, kept in a folder of its own, compared with the run before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import orjson

from config.home import FOLDER_MODE, Home, write_private
from config.settings import Settings
from config.snapshot import Change, Override, config_hash, diff, snapshot
from pipeline.domain.events import EventName, Events
from pipeline.domain.ports import Unit
from pipeline.domain.timeframes import iso


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One start of the program. `changes` is None when the ledger knows no run before it. Holds no secret."""

    session_id: str
    started_at: datetime
    config_hash: str
    snapshot: Mapping[str, object]
    overrides: Sequence[Override]
    changes: Sequence[Change] | None


def begin(
    unit: Unit,
    settings: Settings,
    overrides: Sequence[Override],
    *,
    account: str,
    at: datetime,
    role: str = "",
) -> Run:
    """Record a run in the ledger and compare it with the one before. `role`: of one that runs a single role.

    Raises: LedgerUnavailable.
    """
    before = unit.sessions.latest()
    run = described(settings, overrides, before, at, role)
    unit.sessions.start(
        session_id=run.session_id,
        config_hash=run.config_hash,
        account=account,
        mode=settings.mode.value,
        snapshot=run.snapshot,
        at=at,
    )
    return run


def described(
    settings: Settings,
    overrides: Sequence[Override],
    before: Mapping[str, object] | None,
    at: datetime,
    role: str = "",
) -> Run:
    """The run as it will be told. `before` is the ledger's row of the last one."""
    taken = snapshot(settings)
    last = None if before is None else before.get("snapshot")
    return Run(
        session_id=f"session_{at:%Y%m%d_%H%M%S}" + (f"_{role}" if role else ""),
        started_at=at,
        config_hash=config_hash(settings),
        snapshot=taken,
        overrides=tuple(overrides),
        changes=tuple(diff(last, taken)) if isinstance(last, Mapping) else None,
    )


def tell(run: Run, events: Events) -> None:
    """CONFIG_HASH always; CONFIG_OVERRIDES and CONFIG_DIFF when there is something to say."""
    events.emit(EventName.CONFIG_HASH, session_id=run.session_id, config_hash=run.config_hash)
    if run.overrides:
        events.emit(EventName.CONFIG_OVERRIDES, overrides=[asdict(each) for each in run.overrides])
    if run.changes:
        events.emit(EventName.CONFIG_DIFF, changes=[asdict(each) for each in run.changes])


def keep(run: Run, home: Home) -> Path:
    """Write `sessions/<session>/config.json`, readable by the owner only. Raises: OSError."""
    folder = home.sessions / run.session_id
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    record = {
        "session_id": run.session_id,
        "started_at": iso(run.started_at),
        "config_hash": run.config_hash,
        "snapshot": run.snapshot,
        "overrides": [asdict(each) for each in run.overrides],
        "changes": None if run.changes is None else [asdict(each) for each in run.changes],
    }
    path = folder / "config.json"
    write_private(path, orjson.dumps(record, option=orjson.OPT_INDENT_2))
    return path
