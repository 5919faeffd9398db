"""A disk that fills up: logging stops first, trading second, and both say so. On a real small disk of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMALL_DISK = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")

SCRIPT = """
import json, os, sys
from pathlib import Path
from config.home import ensure_home
from config.loading import load
from pipeline.domain.errors import LedgerUnavailable
from pipeline.domain.events import EventName
from pipeline.domain.timeframes import SystemClock
from pipeline.ledger.sql import SqlLedger
from pipeline.trace import logs
from pipeline.trace.events import LoggedEvents
from tests.unit.ledger.ledger_worlds import SECOND, NOW, a_decision

home = Path(sys.argv[1])
settings = load(cwd=home)
ensure_home(settings.home)
ledger = SqlLedger(settings.ledger_url)
ledger.migrate()
logs.configure("worker", settings)
events, said = LoggedEvents(), {}

def free_mb():
    found = os.statvfs(home)
    return found.f_bavail * found.f_frsize / 1e6

def trade(number):
    with ledger.begin(durable=True) as unit:
        at = NOW + number * SECOND
        unit.decisions.add_ended(a_decision(slot=at, ended_at=at, outcome="no_signal", reason="NO_SIGNAL"))

for number in range(60_000):
    events.emit(EventName.NO_SIGNAL, why="x" * 1000)
said["free_mb_when_logging_stopped"] = free_mb()
for number in range(50):
    trade(number)
said["traded_after_that"] = 50

with open(home / "filler", "wb", buffering=0) as filler:
    try:
        while True:
            filler.write(b"x" * 65536)
    except OSError as error:
        said["filler"] = error.strerror
try:
    for number in range(50, 5000):
        trade(number)
except LedgerUnavailable as error:
    said["ledger"] = str(error)
    events.emit(EventName.UPKEEP_FAILED, what="a trade", problem=str(error))

(home / "filler").unlink()
for old in (home / "logs").glob("*.jsonl.*"):
    old.unlink()
import time
time.sleep(1.1)  # a writer looks at the disk once a second
events.emit(EventName.NO_SIGNAL, why="there is room again")
trade(6000)
lines = (home / "logs/all.jsonl").read_text().splitlines()
said["events"] = [json.loads(line)["event"] for line in lines[-3:]]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """The script's run with a home on a disk of 64 MB, of which 20 are kept free by the log."""
    folder = tmp_path_factory.mktemp("disk")
    mount = f"mount -t tmpfs -o size=64m tmpfs {folder}"
    if shutil.which("unshare") is None or not _works(mount):
        pytest.skip("this machine lets nobody make a small disk (unshare --user --mount)")
    env = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(ROOT),
        "THROUGHLINE_HOME": str(folder),
        "THROUGHLINE_LOGGING_KEEP_FREE_MB": "20",
        "THROUGHLINE_LOGGING_MAX_FILE_MB": "5",
        "THROUGHLINE_LOGGING_KEEP_FILES": "50",
    }
    command = f'{mount} && exec "{sys.executable}" -c "$0" "{folder}"'
    return subprocess.run(
        [*SMALL_DISK, command, SCRIPT], env=env, capture_output=True, text=True, timeout=300, check=True
    )


def _works(mount: str) -> bool:
    tried = subprocess.run([*SMALL_DISK, mount], check=False, capture_output=True)
    return tried.returncode == 0


def test_logging_stops_before_trading_does(ran: subprocess.CompletedProcess[str]) -> None:
    """The ledger's room is still there when the log has no more."""
    said = json.loads(ran.stdout)

    assert 15 < said["free_mb_when_logging_stopped"] < 20
    assert said["traded_after_that"] == 50
    assert said["filler"] == "No space left on device"
    assert "the disk is full" in said["ledger"]


def test_both_are_said(ran: subprocess.CompletedProcess[str]) -> None:
    """In the log while there is room, then on stderr; and what was lost once there is room again."""
    lines = [json.loads(line) for line in ran.stderr.splitlines() if line.startswith("{")]

    assert [line["event"] for line in lines] == ["LOGGING_STOPPED", "LOGGING_STOPPED", "UPKEEP_FAILED"]
    assert "the disk is full" in lines[-1]["problem"]
    assert json.loads(ran.stdout)["events"] == ["LOGGING_STOPPED", "NO_SIGNAL", "LOG_LINES_LOST"]
