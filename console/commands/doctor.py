"""`throughline doctor`: what is wrong, the first cause first; and why one symbol does not trade."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from config.home import Home
from config.loading import read
from console import failures
from console.accounts import settings_of_account
from console.commands.options import AsJson, choice
from console.output import print_json, show
from console.records import COMPONENT, pipeline_of
from console.render.doctor import render_diagnosis, render_examination
from pipeline.domain.errors import ConfigError, ExchangeRefused, LedgerUnavailable, Transient
from pipeline.trace import logs
from pipeline.watch.checks import Status
from pipeline.watch.doctor import Diagnosis, examine
from pipeline.watch.symptoms import Examination, examine_symbol

if TYPE_CHECKING:
    from pipeline.bootstrap import Pipeline


def doctor(
    symbol: Annotated[str | None, typer.Argument(help="Why does this symbol not trade?")] = None,
    *,
    security: Annotated[bool, typer.Option("--security", help="Is this deployment closed?")] = False,
    role: Annotated[str, typer.Option(help="With --security: the role that this environment is of.")] = "",
    as_json: AsJson = False,
) -> None:
    """Check everything from the broker to the fills. Exit code 1: something is wrong, or could not be checked."""
    if security:
        if symbol is not None:
            raise typer.BadParameter("--security is about the deployment, and takes no symbol")
        _secure(_known(role), as_json=as_json)
        return
    if role:
        raise typer.BadParameter("--role belongs to --security")
    from pipeline.oversight import looker_of  # noqa: PLC0415  with it comes the exchange's library, which takes a while

    pipeline = pipeline_of(settings_of_account())
    if Home(pipeline.settings.home).logs.is_dir():
        logs.configure(COMPONENT, pipeline.settings)  # what the parts say of their troubles goes there
    else:
        logs.mute()
    diagnosis = examine(looker_of(pipeline, with_account=True))
    examination = _examined(pipeline, symbol) if symbol else None
    _say(diagnosis, examination, as_json=as_json)
    if not diagnosis.is_well or (examination is not None and examination.blocked_by is not None):
        raise typer.Exit(failures.FINDING)


def _known(role: str) -> str:
    from console.securing.keys import NEEDED  # noqa: PLC0415  only --security needs it

    return choice(role, list(NEEDED), "role") or "" if role else ""


def _secure(role: str, *, as_json: bool) -> None:
    from console.render.security import render_security  # noqa: PLC0415  only this needs it
    from console.securing.looking import secured  # noqa: PLC0415  the same

    told = secured(read(), os.environ, role)
    if as_json:
        print_json([each.as_record() for each in told])
    else:
        show(render_security(told))
    if any(each.status in (Status.FINDING, Status.UNKNOWN) for each in told):
        raise typer.Exit(failures.FINDING)


def _examined(pipeline: Pipeline, symbol: str) -> Examination | None:
    """None when the ledger is away: the diagnosis says so."""
    with suppress(Transient, ExchangeRefused):  # the diagnosis says that the exchange is away
        symbol = pipeline.canonical(symbol)
    try:
        pipeline.ledger.check_version()
        with pipeline.ledger.read() as unit:
            return examine_symbol(unit, pipeline.account, symbol, pipeline.clock.now())
    except (LedgerUnavailable, ConfigError):
        return None


def _say(diagnosis: Diagnosis, examination: Examination | None, *, as_json: bool) -> None:
    if as_json:
        record = diagnosis.as_record()
        print_json(record if examination is None else {**record, "symbol": examination.as_record()})
        return
    show(render_diagnosis(diagnosis))
    if examination is not None:
        show(render_examination(examination))
