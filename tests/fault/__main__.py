"""`make faults`: the long form. Prints what it injects, ends with a table, and exits 1 on a violation.

python -m tests.fault [--part kills --part redis …] [--seed N] [--scale 0.1]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence

from tests.fault.campaigns import PARTS, Plan, Tally

SHOWN = 20


def main() -> int:
    """0 when nothing was violated, 1 otherwise."""
    arguments = parser().parse_args()
    seed = arguments.seed if arguments.seed is not None else int(time.time())
    say(f'seed {seed}; the same accidents again: ARGS="--seed {seed}" (their moments depend on the machine)')
    plan = Plan(seed, arguments.scale, say)
    tallies = [run(name, plan) for name in arguments.part or PARTS]
    for line in table(tallies):
        sys.stdout.write(line + "\n")
    return 1 if any(tally.found or tally.broke for tally in tallies) else 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="make faults", description="The long form of the fault suite.")
    made.add_argument("--part", action="append", choices=list(PARTS), help="only this one; may be repeated")
    made.add_argument("--seed", type=int, help="of all dice (default: another one each time)")
    made.add_argument("--scale", type=float, default=1.0, help="how much of everything (default: 1)")
    return made


def run(name: str, plan: Plan) -> Tally:
    """One part. What breaks in it is a finding, and does not keep the others from running."""
    began = time.monotonic()
    say(f"{name}: begins")
    try:
        tally = PARTS[name](plan)
    except Exception as error:  # noqa: BLE001 - a pipeline that does not come to rest is what this looks for
        tally = Tally(name, plan.seed, broke=f"{type(error).__name__}: {error}")
    say(f"{name}: {tally.verdict} after {time.monotonic() - began:.0f} s")
    for violation in tally.found[:SHOWN]:
        say(f"  {violation}")
    return tally


def table(tallies: Sequence[Tally]) -> list[str]:
    """What was done, what was injected, what was found."""
    lines = [
        "",
        "| part | ledger | decisions | sent | accepted | fills | accidents | violations |",
        "|---" * 8 + "|",
    ]
    lines += [
        f"| {each.part} | {each.ledger} | {sum(each.outcomes.values())} | {each.sent} | {each.accepted} "
        f"| {each.fills} | {sum(each.injected.values())} | {each.verdict} |"
        for each in tallies
    ]
    injected = sum((each.injected for each in tallies), Counter())
    outcomes = sum((each.outcomes for each in tallies), Counter())
    lines += ["", "| injected | times |", "|---|---|"]
    lines += [f"| {name} | {count} |" for name, count in sorted(injected.items())]
    lines += [
        "",
        "decisions ended as " + ", ".join(f"{name} {count}" for name, count in outcomes.most_common()),
    ]
    return lines


STARTED = time.monotonic()


def say(line: str) -> None:
    """Progress, as it happens."""
    sys.stdout.write(f"[{time.monotonic() - STARTED:6.0f} s] {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
