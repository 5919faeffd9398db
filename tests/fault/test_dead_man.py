"""Everything of ours is killed while an entry rests: the exchange cancels it by itself."""

from __future__ import annotations

import subprocess
import sys

from tests.integration.exchange_worlds import Rehearsal
from tests.support.servers import Simulator
from tests.support.waiting import eventually


def test_an_entry_does_not_outlive_all_of_our_processes() -> None:
    """Filled hours later, it would be a position that nobody watches."""
    server = Simulator("--seed", "7", "--weight-limit", "1000000")
    rehearsal = Rehearsal(server)
    command = (sys.executable, "-m", "tests.fault.resting_entry", server.url, rehearsal.key)
    child = subprocess.Popen(command)
    try:
        eventually(lambda: len(rehearsal.accepted()) == 1, timeout=30, what="the entry to rest")
        child.kill()
        child.wait()

        def kinds() -> list[object]:
            return [entry["kind"] for entry in rehearsal.mine()]

        eventually(lambda: "order_canceled" in kinds(), timeout=30, what="the exchange to cancel it")
        assert "order_filled" not in kinds()
        cancelled = [entry for entry in rehearsal.mine() if entry.get("method") == "DELETE"]
        assert cancelled == []
    finally:
        child.kill()
        child.wait()
        server.stop()
