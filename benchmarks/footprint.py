"""`python -m benchmarks.footprint`: what one decision leaves behind and asks for: rows, bytes, commands, CPU.

The measured figures behind `benchmarks/capacity.py`; a minute and a half. On PostgreSQL, with the workers of `up`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import redis

from benchmarks import cpu
from benchmarks.rig import Rig, rig
from tests.support.servers import PostgresServer, Unavailable

SYMBOLS = 200
PASSES = 3
KINDS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "unchanged": ("adaptive_ob,adaptive_str", {"CHAIN_SKIP_UNCHANGED": "true"}),
    "no_signal": ("adaptive_ob,adaptive_str", {}),
    "executed": ("always_buys", {}),
}


@dataclass(frozen=True, slots=True)
class Footprint:
    """Of one decision. `commands`, `bytes_in` and `bytes_out` are Redis'."""

    rows: float
    ledger_bytes: float
    commands: float
    bytes_in: float
    bytes_out: float
    cpu_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class State:
    """What the stores have counted so far."""

    rows: int
    size: int
    commands: int
    came: int
    went: int


def state(on: Rig, client: redis.Redis) -> State:
    tables = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'"
    with on.pipeline.ledger.engine.connect() as connection:
        names = [row[0] for row in connection.exec_driver_sql(tables)]
        rows = sum(connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in names)  # noqa: S608 - the database's own names
        size = sum(
            connection.exec_driver_sql(f"SELECT pg_total_relation_size('{name}')").scalar_one()
            for name in names
        )
    told = client.info("stats")
    return State(
        rows,
        size,
        told["total_commands_processed"],
        told["total_net_input_bytes"],
        told["total_net_output_bytes"],
    )


def footprint(on: Rig) -> Footprint:
    """Over some passes; the first one fills the candle store and is not counted."""
    client = redis.Redis.from_url(on.redis.url)
    on.decide(on.symbols)
    before, count = state(on, client), 0

    def passes() -> None:
        nonlocal count
        for _ in range(PASSES):
            on.flatten()
            count += len(on.decide(on.symbols))

    used = cpu.spent(on.roles, passes)
    after = state(on, client)
    return Footprint(
        (after.rows - before.rows) / count,
        (after.size - before.size) / count,
        (after.commands - before.commands) / count,
        (after.came - before.came) / count,
        (after.went - before.went) / count,
        {role: round(seconds * 1000 / count, 2) for role, seconds in used.cpu.items()},
    )


def main(_arguments: Sequence[str] = ()) -> int:
    """0 when it was measured, 2 when it cannot be on this machine."""
    try:
        server = PostgresServer()
    except Unavailable as problem:
        sys.stderr.write(f"benchmarks.footprint: {problem}\n")
        return 2
    try:
        for kind, (strategies, settings) in KINDS.items():
            with rig(symbols=SYMBOLS, strategies=strategies, postgres=server, settings=settings) as on:
                on.start_workers()
                told = asdict(footprint(on))
            numbers = ", ".join(
                f"{name} {value:.1f}" for name, value in told.items() if isinstance(value, float)
            )
            sys.stdout.write(f"{kind}: {numbers}; CPU ms {told['cpu_ms']}\n")
            sys.stdout.flush()
    finally:
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
