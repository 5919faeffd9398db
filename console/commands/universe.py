"""`throughline universe`: what may be traded, and why each name is in or out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from console import failures
from console.accounts import settings_of_account
from console.commands.options import AsJson
from console.output import console, print_json, print_table, table
from console.records import asking
from pipeline.domain.errors import ConfigError, ExchangeRefused, ExchangeUnavailable
from pipeline.domain.guards import UniverseRecord
from pipeline.domain.timeframes import iso
from pipeline.governor.universe import UniverseReport, differences

if TYPE_CHECKING:
    from pipeline.bootstrap import Pipeline

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Look:
    """The version in force as the ledger keeps it, and what would be made now. At least one of them is known.

    `unknown_now` says why the second is missing.
    """

    kept: UniverseRecord | None
    now: UniverseReport | None
    unknown_now: str
    is_list: bool

    @property
    def shown(self) -> Record:
        """The report that decides: the one in force, or, before there is one, the one that would be made."""
        if self.kept is not None:
            return self.kept.report
        return self.now.as_record() if self.now is not None else {}

    @property
    def differences(self) -> Mapping[str, str]:
        if self.kept is None or self.now is None:
            return {}
        return differences(self.kept.symbols, self.now)

    @property
    def is_finding(self) -> bool:
        shown = self.shown
        all_in = len(shown["symbols"]) == len(shown["listings"]) or not self.is_list
        return bool(self.differences or shown["unused_blocks"] or not shown["symbols"] or not all_in)


def universe(as_json: AsJson = False) -> None:
    """The symbols that may be traded, and why each name is in or out: the version that decisions name, and
    how it differs from what would be made now. Exit code 1 when a name of the list is out, nothing is in,
    or the two differ.
    """
    settings = settings_of_account()
    seen = look(asking(settings), is_list=not settings.universe.top_by_volume)
    if as_json:
        print_json(as_record(seen))
    else:
        _show(seen)
    if seen.is_finding:
        raise typer.Exit(failures.FINDING)


def look(pipeline: Pipeline, *, is_list: bool) -> Look:
    """Raises: ExchangeUnavailable, ExchangeRefused when neither of the two can be told; LedgerUnavailable."""
    kept, now, unknown_now = _kept(pipeline), None, ""
    try:
        now = pipeline.universe_report()
    except (ExchangeUnavailable, ExchangeRefused) as error:
        if kept is None:
            raise
        unknown_now = str(error)
    return Look(kept, now, unknown_now, is_list)


def _kept(pipeline: Pipeline) -> UniverseRecord | None:
    """None also before there is a ledger: the command helps to set one up."""
    try:
        pipeline.ledger.check_version()
    except ConfigError:
        return None
    return pipeline.universe_keeper.kept()


def as_record(seen: Look) -> dict[str, object]:
    """The version in force as its report says it, or the one that would be made (`in_force` is false)."""
    return {
        **seen.shown,
        "in_force": seen.kept is not None,
        "checked_at": iso(seen.kept.checked_at) if seen.kept is not None else None,
        "now": seen.now.as_record() if seen.now is not None else None,
        "unknown_now": seen.unknown_now,
        "differences": dict(seen.differences),
    }


def _show(seen: Look) -> None:
    shown, out = seen.shown, console()
    rows = [_row(each) for each in shown["listings"]]
    print_table(table(("name", "symbol", "standing", "why"), rows))
    out.print(f"\n{escape(shown['summary'])}; version {shown['version']}, {_since(seen)}")
    for name in shown["unused_blocks"]:
        out.print(f"[yellow]{escape(name)} on the block list matches nothing[/]")
    for line in _about_now(seen):
        out.print(line)


def _row(listing: Record) -> Sequence[str]:
    return [escape(str(listing[name] or "")) for name in ("name", "symbol", "standing", "detail")]


def _since(seen: Look) -> str:
    if seen.kept is None:
        return "which no process has put in force yet"
    return f"in force, last checked {iso(seen.kept.checked_at)}"


def _about_now(seen: Look) -> Iterable[str]:
    if seen.unknown_now:
        yield f"[yellow]what would be made now is unknown: {escape(seen.unknown_now)}[/]"
    if seen.differences and seen.now is not None:
        yield f"[yellow]made now it would be version {seen.now.universe.version}:[/]"
    for symbol, what in seen.differences.items():
        yield f"  {escape(symbol)} {escape(what)}"
