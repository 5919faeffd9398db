"""`python -m benchmarks.history`: a ledger with a million decisions, and how fast a trace is read in it.

A few real decisions are written through the ledger's own code; the database multiplies their rows, with ids, times and
symbols of their own. So every table and every index is as full as it would be.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.table import Table
from sqlalchemy import Column, Connection, text
from sqlalchemy import Table as SqlTable

from console import output
from pipeline.domain.checks import CheckCode, CheckVerdict
from pipeline.domain.decisions import Decision, Stage
from pipeline.domain.ids import DecisionId
from pipeline.domain.intents import Leg
from pipeline.domain.outcomes import EndReason
from pipeline.domain.positions import Position
from pipeline.ledger.columns import UtcDateTime
from pipeline.ledger.sql import SqlLedger
from pipeline.ledger.statistics import Span
from pipeline.ledger.tables import metadata
from pipeline.trace.reader import read_trace, trace_record
from pipeline.watch.chain_figures import chain_figures
from tests.support.servers import PostgresServer
from tests.unit.console import console_worlds as world

EXECUTED_EACH = 50
"""One decision of so many executes; the others end without a signal after two stages."""

STEP_US = 86_400
"""Microseconds between two decisions: a million of them in a day."""

SYMBOLS = 300
READS = 200
AIM_MS = 50.0
RENAMED = {"permit_id", "client_order_id", "exchange_order_id", "trade_id", "position_id"}
OF_DECISION = {"decision_id", "opened_by", "closed_by"}


@dataclass(frozen=True, slots=True)
class Read:
    """How long one way of asking took, over `READS` different decisions. Milliseconds."""

    ledger: str
    asked: str
    median: float
    p99: float
    slowest: float
    cpu: float


# ------------------------------------------------------------------------------------------- a large ledger


def fill(ledger: SqlLedger, decisions: int) -> None:
    """Put so many decisions into an empty, migrated ledger."""
    executed, quiet = _templates(ledger)
    with ledger.engine.begin() as connection:
        for table in metadata.sorted_tables:
            if _key(table) is not None:
                _multiply(connection, table, executed, f"i % {EXECUTED_EACH} = 0", decisions)
                _multiply(connection, table, quiet, f"i % {EXECUTED_EACH} <> 0", decisions)
    with ledger.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))


def _templates(ledger: SqlLedger) -> tuple[Decision, Decision]:
    executed, quiet = world.a_decision("T1/USDT:USDT"), world.a_decision("T2/USDT:USDT")
    world.execute(ledger, executed)
    world.enqueue(ledger, quiet)
    world.end(ledger, quiet, EndReason.NO_SIGNAL, 0.1, Stage.FETCH, Stage.EVALUATE)
    with ledger.begin() as unit:
        unit.verdicts.add(quiet.decision_id, world.verdicts())
        checks = [CheckVerdict(code, True, "42.000000", "100", "as it should be") for code in CheckCode]  # noqa: FBT003  the verdict's own field
        unit.verdicts.add_checks(executed.decision_id, Leg.STOP, checks)
        for position in unit.positions.touched_by(executed.decision_id):
            unit.positions.save(_closed(position))
    return executed, quiet


def _closed(position: Position) -> Position:
    ended = position.opened_at + timedelta(minutes=1)
    return replace(position, qty=position.qty * 0, closed_by=position.opened_by, closed_at=ended)


def _key(table: SqlTable) -> str | None:
    """The column that says which decision a row belongs to."""
    wanted = ("decision_id", "opened_by", "client_order_id")
    return next((name for name in wanted if name in table.c), None)


def _multiply(connection: Connection, table: SqlTable, of: Decision, which: str, many: int) -> None:
    """Each of the decision's rows once more for each number that fits."""
    columns = [column for column in table.c if column.name != "step_id"]
    wanted = ", ".join(f'"{column.name}"' for column in columns)
    copied = ", ".join(_copied(connection, column, many) for column in columns)
    numbers = _numbers(connection, many)
    rows = f'FROM "{table.name}" AS t, n WHERE {which} AND {_is_of(table)}'
    connection.execute(
        text(f'INSERT INTO "{table.name}" ({wanted}) {numbers} SELECT {copied} {rows}'),
        {"id": of.decision_id},
    )


def _is_of(table: SqlTable) -> str:
    key = _key(table)
    if key == "client_order_id":
        return "t.client_order_id IN (SELECT client_order_id FROM orders WHERE decision_id = :id)"
    return f"t.{key} = :id"


def _numbers(connection: Connection, many: int) -> str:
    if connection.dialect.name == "postgresql":
        return f"WITH n AS (SELECT generate_series(1, {many}) AS i)"
    counted = f"SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {many}"  # noqa: S608  a number
    return f"WITH RECURSIVE n(i) AS ({counted})"


def _copied(connection: Connection, column: Column[object], many: int) -> str:
    name = f't."{column.name}"'
    decision = "('dec_' || substr('0000000' || i, -8) || '_000000_0123456789ab')"
    if connection.dialect.name == "postgresql":
        decision = "('dec_' || lpad(i::text, 8, '0') || '_000000_0123456789ab')"
    if column.name in OF_DECISION:
        return f"CASE WHEN {name} IS NULL THEN NULL ELSE {decision} END"
    if column.name == "task_id":
        return f"{decision} || '.' || t.\"stage\""
    if column.name in RENAMED:
        return f"{name} || '-' || i"
    if column.name == "symbol":
        return f"'S' || (i % {SYMBOLS}) || '/USDT:USDT'"
    if isinstance(column.type, UtcDateTime):
        return f"{name} - ({many} - i) * {_step(connection)}"
    return name


def _step(connection: Connection) -> str:
    return f"INTERVAL '{STEP_US} microseconds'" if connection.dialect.name == "postgresql" else str(STEP_US)


# --------------------------------------------------------------------------------------------------- reading


def measure(ledger: SqlLedger, decisions: int) -> list[Read]:
    """Traces asked for in each way, of decisions all over the ledger."""
    chosen = random.Random(7).sample(range(1, decisions // EXECUTED_EACH), READS)
    executed = [number * EXECUTED_EACH for number in chosen]
    with ledger.read() as unit:
        order = next(iter(unit.orders.of(_decision_id(executed[0])))).client_order_id.partition("-")[0]
        position = next(iter(unit.positions.touched_by(_decision_id(executed[0])))).position_id
    ways: dict[str, Callable[[int], str]] = {
        "no signal, by id": lambda number: _decision_id(number + 1),
        "executed, by id": _decision_id,
        "executed, by its beginning": lambda number: _decision_id(number)[:18],
        "executed, by client order id": lambda number: f"{order}-{number}",
        "executed, by the exchange's order id": lambda number: f"8000000001-{number}",
        "executed, by position id": lambda number: f"{position.partition('-')[0]}-{number}",
    }
    return [_timed(ledger, asked, [way(number) for number in executed]) for asked, way in ways.items()]


def _decision_id(number: int) -> DecisionId:
    return DecisionId(f"dec_{number:08}_000000_0123456789ab")


def _timed(ledger: SqlLedger, asked: str, names: Sequence[str]) -> Read:
    took: list[float] = []
    cpu = time.process_time()
    for name in names:
        began = time.perf_counter()
        with ledger.read() as unit:
            trace = read_trace(unit, name)
        if trace is None:
            raise RuntimeError(f"nothing is called {name}")
        trace_record(trace)
        took.append((time.perf_counter() - began) * 1000)
    spent = (time.process_time() - cpu) * 1000 / len(names)
    ordered = sorted(took)
    p99 = ordered[int(len(ordered) * 0.99) - 1]
    return Read(ledger.url.get_backend_name(), asked, statistics.median(took), p99, ordered[-1], spent)


def listing_ms(ledger: SqlLedger) -> dict[str, float]:
    """What else people ask for: the newest decisions, and the figures of the last hour."""
    newest = world.AT + timedelta(seconds=1)
    hour = Span(since=newest - timedelta(hours=1), until=newest)
    with ledger.read() as unit:
        return {
            "the 50 newest decisions": _once(lambda: unit.decisions.latest(limit=50)),
            "the 50 newest that executed": _once(lambda: unit.decisions.latest(outcome="executed", limit=50)),
            "metrics of the last hour": _once(lambda: chain_figures(unit.statistics, hour)),
        }


def _once(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


# --------------------------------------------------------------------------------------------- for people


@contextmanager
def _ledger(kind: str) -> Iterator[SqlLedger]:
    if kind == "sqlite":
        with TemporaryDirectory() as folder:
            yield SqlLedger(f"sqlite:///{Path(folder) / 'ledger.sqlite3'}")
        return
    server = PostgresServer()
    try:
        yield SqlLedger(server.url(server.create_database()))
    finally:
        server.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    """1 when the median of a way of asking is above the aim."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history", description=__doc__)
    parser.add_argument("--decisions", type=int, default=1_000_000)
    parser.add_argument("--ledger", choices=("sqlite", "postgres"), action="append")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    wanted = parser.parse_args(arguments)
    found: list[Read] = []
    listings: dict[str, dict[str, float]] = {}
    for kind in wanted.ledger or ("sqlite", "postgres"):
        with _ledger(kind) as ledger:
            ledger.migrate()
            began = time.monotonic()
            fill(ledger, wanted.decisions)
            print(f"{kind}: filled in {time.monotonic() - began:.0f} s", file=sys.stderr)
            found += measure(ledger, wanted.decisions)
            listings[kind] = listing_ms(ledger)
            ledger.close()
    _show(found, listings, wanted.decisions, as_json=wanted.json)
    return int(any(each.p99 > AIM_MS for each in found))


def _show(
    found: Sequence[Read], listings: dict[str, dict[str, float]], decisions: int, *, as_json: bool
) -> None:
    if as_json:
        reads = [asdict(read) for read in found]
        print(json.dumps({"decisions": decisions, "reads": reads, "listings": listings}, indent=2))
        return
    table = Table(title=f"a whole trace among {decisions:,} decisions, ms (aim: p99 < {AIM_MS:g})")
    for heading in ("ledger", "asked for", "median", "p99", "slowest", "CPU"):
        table.add_column(heading, justify="left" if heading in ("ledger", "asked for") else "right")
    for each in found:
        numbers = (f"{value:.2f}" for value in (each.median, each.p99, each.slowest, each.cpu))
        table.add_row(each.ledger, each.asked, *numbers)
    output.show(table)
    for kind, took in listings.items():
        print(kind + ": " + ", ".join(f"{what} {ms:.1f} ms" for what, ms in took.items()))


if __name__ == "__main__":
    sys.exit(main())
