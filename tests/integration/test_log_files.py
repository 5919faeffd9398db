"""Log files that several real processes write at once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PROCESSES, LINES = 4, 4000

CHATTERBOX = """
import os, sys
from pathlib import Path
from config.home import ensure_home
from config.loading import load
from pipeline.domain.events import EventName
from pipeline.trace import logs
from pipeline.trace.events import LoggedEvents

settings = load(cwd=Path(sys.argv[1]))
ensure_home(settings.home)
logs.configure("worker", settings)
events = LoggedEvents()
child = os.fork() == 0
for number in range(int(sys.argv[3])):
    events.emit(EventName.DATA_FETCH, who=f"{sys.argv[2]}-{child}", number=number, filler="x" * 200)
if child:
    os._exit(0)
os.wait()
"""


def test_processes_and_their_forked_children_lose_and_tear_no_line(tmp_path: Path) -> None:
    """Workers write the combined file together, and any of them may rotate it under the others."""
    env = {"PYTHONPATH": str(ROOT), "THROUGHLINE_HOME": str(tmp_path), "THROUGHLINE_LOGGING_MAX_FILE_MB": "1"}
    env["THROUGHLINE_LOGGING_KEEP_FILES"] = "50"
    started = [
        subprocess.Popen([sys.executable, "-c", CHATTERBOX, str(tmp_path), str(n), str(LINES)], env=env)
        for n in range(PROCESSES)
    ]
    assert [process.wait(60) for process in started] == [0] * PROCESSES

    files = sorted((tmp_path / "logs").glob("all.jsonl*"))
    records = [json.loads(line) for path in files for line in path.read_text().splitlines()]

    assert [record for record in records if "who" not in record] == []
    told = {(record["who"], record["number"]) for record in records}
    assert len(records) == len(told) == PROCESSES * 2 * LINES
    assert len({record["pid"] for record in records}) == PROCESSES * 2
    assert len(files) > 5
    longest = max(len(line) for line in files[0].read_bytes().splitlines(keepends=True))
    assert max(path.stat().st_size for path in files) <= 1_000_000 + PROCESSES * 2 * (longest + 10)
