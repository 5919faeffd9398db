"""Copies a lock file from standard input to standard output, without the packages that are named."""

from __future__ import annotations

import re
import sys

ENTRY = re.compile(r"(?m)^[A-Za-z0-9].*\n(?:[ \t]+.*\n)*")


def without(lock: str, names: list[str]) -> str:
    """The entries of a lock file, each with its hashes, but for those packages."""
    entries = ENTRY.findall(lock)
    left_out = tuple(f"{name}==" for name in names)
    return "".join(entry for entry in entries if not entry.startswith(left_out))


if __name__ == "__main__":
    sys.stdout.write(without(sys.stdin.read(), sys.argv[1:]))
