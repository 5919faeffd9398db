"""`python -m benchmarks`: what a decision costs, on this machine, now."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from rich.console import Console

from benchmarks import profiling, report, running, saying
from benchmarks.measures import FULL, KINDS, QUICK
from console import output
from tests.support.servers import PostgresServer, Unavailable


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    made.add_argument("--quick", action="store_true", help="less of everything: under a minute, and noisier")
    made.add_argument(
        "--only", choices=running.PARTS, action="append", help="only this part; may be repeated"
    )
    made.add_argument("--ledger", choices=("sqlite", "postgres"), default="sqlite")
    made.add_argument(
        "--profile", choices=tuple(KINDS), help="where the CPU goes, stage by stage, in this process"
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything was measured, 2 when it cannot be on this machine."""
    wanted = parser().parse_args(arguments)
    console = output.console()
    try:
        server = PostgresServer() if wanted.ledger == "postgres" else None
    except Unavailable as problem:
        sys.stderr.write(f"benchmarks: {problem}\n")
        return 2
    try:
        _run(wanted, console, server)
    finally:
        if server is not None:
            server.stop()
    return 0


def _run(wanted: argparse.Namespace, console: Console, server: PostgresServer | None) -> None:
    if wanted.profile:
        profiling.show(KINDS[wanted.profile], console, server)
        return
    plan = QUICK if wanted.quick else FULL
    results = running.Run(wanted.only or running.PARTS, plan, saying.on_stderr(), server).results()
    if wanted.json:
        print(json.dumps(report.as_record(results), indent=2))
    else:
        report.show(results, console)


if __name__ == "__main__":
    sys.exit(main())
