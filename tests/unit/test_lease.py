"""How a process is called where it has a lease; what a lease does is tried on a real Redis."""

from __future__ import annotations

import os
import subprocess
import sys

from pipeline.lease import holder


def test_two_starts_of_the_same_name_and_pid_are_two_holders() -> None:
    """Containers have a host's name and small pids: both would believe that the lease is theirs."""
    here = holder(os.getpid())
    program = f"from pipeline.lease import holder; print(holder({os.getpid()}))"
    there = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert there != here
    assert there.endswith(f"/{os.getpid()}")
