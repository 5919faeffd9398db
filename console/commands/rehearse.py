"""`throughline rehearse`: an incident on purpose, against the simulated exchange."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape

from console import failures
from console.commands.options import AsJson
from console.output import console, print_json, print_table, table
from console.rehearsing.incidents import INCIDENTS, Incident
from console.rehearsing.rehearsal import DETECT_S, Quiet, Result, keep_quiet, rehearse, running_system
from pipeline.domain.meanings import MEANINGS

ALL, QUIET, LIST = "all", "quiet", "list"
LISTENS_S = 600.0


def rehearse_command(
    incident: Annotated[str, typer.Argument(help="Its name; `all`, `list`, or `quiet`.")] = LIST,
    *,
    seconds: Annotated[
        float | None, typer.Option(min=1, help=f"How long `quiet` listens; {LISTENS_S:.0f} if not given.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the real system against the simulated exchange, bring an incident about, and see who notices it when.

    Its home, ports and account are its own; nothing of yours is touched. Exit code 1: it was not noticed in time, not
    named rightly, or it did not heal.
    """
    if seconds is not None and incident != QUIET:
        raise typer.BadParameter(f"--seconds belongs to `{QUIET}`")
    if incident == LIST:
        _list(as_json=as_json)
        return
    if incident == QUIET:
        _listen(seconds or LISTENS_S, as_json=as_json)
        return
    results = _rehearse(_wanted(incident), quiet=as_json)
    if as_json:
        print_json([result.as_record() for result in results])
    if not all(result.passed for result in results):
        raise typer.Exit(failures.FINDING)


def _wanted(name: str) -> Sequence[Incident]:
    if name == ALL:
        return list(INCIDENTS.values())
    if name not in INCIDENTS:
        raise typer.BadParameter(
            f"'{name}' is no incident; there are: {', '.join(INCIDENTS)}, {ALL}, {QUIET}"
        )
    return [INCIDENTS[name]]


def _list(*, as_json: bool) -> None:
    rows = [(each.name, each.tells, each.code.value, MEANINGS[each.code].says) for each in INCIDENTS.values()]
    if as_json:
        print_json([dict(zip(("incident", "tells", "code", "says"), row, strict=True)) for row in rows])
    else:
        print_table(
            table(("incident", "what happens", "level"), [row[:3] for row in rows], gives=("what happens",))
        )


def _rehearse(incidents: Sequence[Incident], *, quiet: bool) -> list[Result]:
    out, results = console(), []
    with running_system() as system:
        for incident in incidents:
            if not quiet:
                out.print(f"[bold]{incident.name}[/]: {incident.tells}")
            results.append(rehearse(incident, system))
            if not quiet:
                for line in _told(results[-1]):
                    out.print(line, soft_wrap=True)
    return results


def _told(result: Result) -> Sequence[str]:
    seen = (
        f"{result.expected} after {result.detected_s} s"
        if result.detected_s is not None
        else f"[bold red]{result.expected} did not come within {DETECT_S:.0f} s[/], but {result.loudest}"
    )
    named = f"the doctor names {result.cause or 'nothing'}"
    healed = (
        f"well again after {result.recovered_s} s" if result.recovered_s is not None else "it did not heal"
    )
    mark = "[green]passed[/]" if result.passed else "[bold red]failed[/]"
    lines = [f"  {mark}  {seen}; {named}; {healed}"]
    return [*lines, f"          {escape(result.detail)}"] if result.detail else lines


def _listen(seconds: float, *, as_json: bool) -> None:
    with running_system() as system:
        result = keep_quiet(system, seconds)
    if as_json:
        print_json(result.as_record())
    else:
        _tell_quiet(result)
    if not result.passed:
        raise typer.Exit(failures.FINDING)


def _tell_quiet(result: Quiet) -> None:
    out = console()
    out.print(f"{result.decisions} decisions in {result.seconds:.0f} s, {len(result.alarms)} false alarms")
    for alarm in result.alarms:
        out.print(f"  [bold red]{escape(alarm)}[/]", soft_wrap=True)
