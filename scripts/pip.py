"""Runs pip and turns its output into a few lines of progress, and its failures into a sentence."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

QUIET_S = 5.0
NEEDED_MB = 900
NO_INDEX = (
    "The package index could not be reached, or does not have this package. Check the network; "
    "with a mirror or a folder of wheels set PIP_INDEX_URL or PIP_FIND_LINKS."
)
TELLING = re.compile(r"ERROR|OSError|\s+\S+==\S+ from ")
# What pip or the system says, and what it means for the person who waits. The first that occurs counts.
CAUSES = {
    "No space left on device": f"The disk is full. Free about {NEEDED_MB} MB and run the command again.",
    "DO NOT MATCH THE HASHES": (
        "A downloaded package is not the one in the lock file: its hash differs. It was not installed. "
        "Clear the cache (`pip cache purge`) and try again; if it stays, the index serves something else."
    ),
    "Permission denied": "A file may not be written. Check who owns this folder and .venv.",
    "Read-only file system": "This folder is read-only. Copy the project to one that can be written.",
    "CERTIFICATE_VERIFY_FAILED": (
        "The certificate of the package index is not trusted here. "
        "Behind a proxy of your own set PIP_CERT to the file with its certificate."
    ),
    "NameResolutionError": NO_INDEX,
    "Temporary failure in name resolution": NO_INDEX,
    "NewConnectionError": NO_INDEX,
    "ConnectTimeoutError": NO_INDEX,
    "Connection refused": NO_INDEX,
    "Network is unreachable": NO_INDEX,
    "No matching distribution found": NO_INDEX,
}


class InstallError(Exception):
    """The installation cannot go on; the text says why and what to do."""


class Steps:
    """Prints one line for each step, with the time since the start."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        """One line, at once."""
        print(f"[{time.monotonic() - self._started:5.1f} s] {text}", flush=True)


class Pip:
    """The pip of one environment. Everything it says goes to `log`, which starts empty."""

    def __init__(self, python: Path, log: Path, steps: Steps) -> None:
        self._python, self._log, self.steps = python, log, steps
        log.write_text("", encoding="utf-8")

    def run(self, *arguments: str | Path, count_to: int = 0) -> bool:
        """True when pip succeeded. With `count_to` packages are counted aloud."""
        command = [str(self._python), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input"]
        command += map(str, arguments)
        meter = Meter(self.steps, count_to)
        with self._log.open("a", encoding="utf-8") as log, meter.speaking(), _running(command) as pip:
            log.write(f"\n$ {' '.join(command)}\n")
            for raw in pip.stdout or ():
                line = raw.decode("utf-8", "replace")
                log.write(line)
                meter.read(line)
        return pip.returncode == 0

    def failure(self, what: str) -> InstallError:
        """The error for a failed run: the cause in a sentence, pip's own words, and where the rest is."""
        text = self._log.read_text(encoding="utf-8").rsplit("\n$ ", 1)[-1]
        said = [f"  pip: {line.strip()[:240]}" for line in text.splitlines() if TELLING.match(line)]
        lines = [f"{what} failed.", explain(text), *said[:3], f"Everything pip said is in {self._log}."]
        return InstallError("\n".join(filter(None, lines)))


@contextmanager
def _running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PIP_PROGRESS_BAR": "off"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=Path.cwd(), env=environment
    )
    try:
        yield process
    except BaseException:
        process.terminate()
        raise
    finally:
        process.wait()


def explain(output: str) -> str:
    """What a failure means for the person who waits, or nothing."""
    return next((sentence for sign, sentence in CAUSES.items() if sign in output), "")


class Meter:
    """Reads pip's output; speaks at every quarter of the packages, and at least every few seconds."""

    def __init__(self, steps: Steps, total: int) -> None:
        self._steps, self._total = steps, total
        self._collected, self._quarter = 0, 0
        self._doing = "starting pip"

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Repeats what is going on while nothing new happens: silence looks like a hang."""
        over = threading.Event()
        voice = threading.Thread(target=self._keep_speaking, args=(over,), daemon=True)
        voice.start()
        try:
            yield
        finally:
            over.set()
            voice.join()

    def _keep_speaking(self, over: threading.Event) -> None:
        while not over.wait(QUIET_S):
            self._steps.say(f"  {self._doing}")

    def read(self, line: str) -> None:
        """Takes note of one line of pip's."""
        if "Retrying" in line:
            self._doing = "the package index does not answer, trying again"
        elif line.startswith("Collecting "):
            self._collect(re.split(r"[=<>! ;\[]", line.split(maxsplit=1)[1].strip())[0])
        elif line.startswith("Building wheel"):
            self._doing = "compiling (no ready-made wheel for this machine)"
        elif line.startswith("Installing collected packages"):
            self._unpack()

    def _unpack(self) -> None:
        self._doing = "unpacking"
        if self._total:
            self._steps.say("  all collected, unpacking")

    def _collect(self, name: str) -> None:
        self._collected += 1
        self._doing = f"{self._collected} of {self._total} packages ({name})" if self._total else name
        if self._total and self._collected * 4 // self._total > self._quarter:
            self._quarter = self._collected * 4 // self._total
            self._steps.say(f"  {self._doing}")
