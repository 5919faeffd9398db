"""Which code this is: hosts that run different code decide differently, whatever their settings say."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DECIDING = ("pipeline", "tasks", "config")
"""The packages whose code the chain runs. What people look through (console) may differ between hosts."""
BEAT = "beat_schedule.py"
UNRELEASED = "0"


@cache
def release() -> str:
    """`0.1.0+3f2a9c1b7d04`: the version, and a fingerprint of the code itself, which no patch escapes."""
    files = [ROOT / BEAT, *(file for name in DECIDING for file in (ROOT / name).rglob("*.py"))]
    return f"{_version()}+{fingerprint(ROOT, files)}"


def fingerprint(folder: Path, files: Iterable[Path]) -> str:
    """12 hex characters over names and contents. A file that cannot be read counts as empty."""
    told = hashlib.sha256()
    for file in sorted(files):
        told.update(f"{file.relative_to(folder).as_posix()}\0".encode())
        told.update(_content(file) + b"\0")
    return told.hexdigest()[:12]


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _version() -> str:
    try:
        return version("throughline")
    except PackageNotFoundError:
        return UNRELEASED
