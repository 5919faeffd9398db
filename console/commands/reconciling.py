"""`throughline reconcile`: ledger and exchange compared now, and the ledger put right where a rule can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape

from console.commands.options import AsJson, words
from console.output import console, print_json, print_table, table
from console.records import writing
from pipeline.domain.reconciliation import Finding, Subject


def reconcile(
    *,
    accept_balance: Annotated[
        str | None,
        typer.Option(
            help="Why what nothing explains of the wallet is all right: it is booked as accepted.",
            callback=lambda text: None if text is None else words(text),
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare ledger and exchange now: orders, fills, positions, wallet; and add up the books. Exit code 1: something
    needs a person.
    """
    pipeline = writing()
    pipeline.resolver.resolve(pipeline.account)
    findings = pipeline.safeguarding.reconcile()
    if accept_balance is not None and any(
        each.subject is Subject.BALANCE and each.blocks for each in findings
    ):
        pipeline.safeguarding.accept_balance(accept_balance)
        findings = pipeline.safeguarding.reconcile()
    findings = [*findings, *pipeline.safeguarding.audit()]
    if as_json:
        print_json([_record(each) for each in findings])
    else:
        _show(pipeline.account, findings)
    if any(each.blocks for each in findings):
        raise typer.Exit(1)


def _record(finding: Finding) -> dict[str, str]:
    return {
        "subject": finding.subject.value,
        "symbol": finding.symbol,
        "what": finding.what,
        "remedy": finding.remedy.value,
    }


def _show(account: str, findings: Sequence[Finding]) -> None:
    if not findings:
        console().print(f"ledger and exchange agree on {escape(account)}")
        return
    rows = [(each.subject, escape(each.symbol), escape(each.what), each.remedy) for each in findings]
    print_table(table(("about", "symbol", "what", "remedy"), rows, gives=("what",)))
