"""The enqueuing process: opens and publishes decisions as beat does, and starts the empty chains.

One command a line comes in as JSON, one answer goes out when everything it asked for is published.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from benchmarks.noop import publish_chain
from pipeline.domain.decisions import Decision, Origin
from pipeline.stages.opening import PassRequest
from tasks.enqueue import enqueue_pass
from tasks.services import configure_logging, services

LOOK_AGAIN_S = 0.01
OPEN = "SELECT symbol FROM decisions WHERE ended_at IS NULL"

_numbers = itertools.count(time.time_ns() // 1_000_000)


def decisions(symbols: Sequence[str]) -> list[str]:
    """One decision over each symbol; returns their ids."""
    return [_open(symbol).decision_id for symbol in symbols]


def _open(symbol: str) -> Decision:
    request = PassRequest(symbol=symbol, slot=services().clock.now(), origin=Origin.BEAT)
    return enqueue_pass(request)


def flow(symbols: Sequence[str], count: int) -> list[str]:
    """`count` decisions in the order of the symbols, as fast as may be: a symbol waits for its last one to end."""
    ids, open_symbols = [], set[str]()
    for symbol in itertools.islice(itertools.cycle(symbols), count):
        while symbol in open_symbols:
            open_symbols = _still_open()
            if symbol in open_symbols:
                time.sleep(LOOK_AGAIN_S)
        ids.append(_open(symbol).decision_id)
        open_symbols.add(symbol)
    return [str(each) for each in ids]


def _still_open() -> set[str]:
    with services().ledger.engine.connect() as connection:
        return {row[0] for row in connection.exec_driver_sql(OPEN)}


def chains(symbols: Sequence[str], length: int) -> list[str]:
    """One empty chain for each symbol; each counts its time from the first one's beginning."""
    began = time.time()
    for symbol in symbols:
        publish_chain(symbol, length, next(_numbers), began)
    return []


COMMANDS: Mapping[str, Callable[..., list[str]]] = {"decisions": decisions, "flow": flow, "chains": chains}


def main() -> None:
    """Until the input ends."""
    configure_logging()
    services().warm_up()
    services().universe()
    for line in sys.stdin:
        command = json.loads(line)
        answer = COMMANDS[command.pop("do")](**command)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
