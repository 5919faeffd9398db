"""The table of codes for the documentation, made from the registry so that it cannot lie."""

from __future__ import annotations

import inspect

from pipeline.domain.checks import CheckCode
from pipeline.governor.checks import REGISTRY, check_failed
from pipeline.governor.exposure import Effect

_HEAD = ("code", "denies when", *(effect.value for effect in Effect))


def table() -> str:
    """Markdown: one row for each rule in the order of the registry, and which intents it is asked about."""
    rows = [_row(check.code, check.rule, check.applies_to) for check in REGISTRY]
    rows.append(_row(CheckCode.CHECK_FAILED, check_failed, frozenset(Effect)))
    return "\n".join(_line(cells) for cells in (_HEAD, ("---",) * len(_HEAD), *rows))


def unused_codes() -> tuple[CheckCode, ...]:
    """Codes of the closed list that no rule gives."""
    used = {check.code for check in REGISTRY} | {CheckCode.CHECK_FAILED}
    return tuple(code for code in CheckCode if code not in used)


def _row(code: CheckCode, rule: object, applies_to: frozenset[Effect]) -> tuple[str, ...]:
    return (f"`{code}`", _when(rule), *("yes" if effect in applies_to else "" for effect in Effect))


def _when(rule: object) -> str:
    said = " ".join((inspect.getdoc(rule) or "").split())
    return said.removeprefix("Denies when ").removesuffix(".")


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
