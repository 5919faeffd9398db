"""The runbook's table, made from the codes' meanings: `python -m pipeline.watch.reference docs/watch.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.domain.levels import LevelCode
from pipeline.domain.meanings import MEANINGS, Meaning

BEGIN, END = "<!-- levels:begin", "<!-- levels:end -->"


def renewed(page: str) -> str:
    """The page with its table made anew. Raises: ValueError when it has no place for it."""
    before, _, rest = page.partition(BEGIN)
    mark, _, old = rest.partition("\n")
    _, found, after = old.partition(END)
    if not found:
        raise ValueError(f"the page has no {BEGIN} … {END}")
    return f"{before}{BEGIN}{mark}\n" + "\n".join(_entries()) + f"\n{END}{after}"


def _entries() -> Iterator[str]:
    yield "| code | severity | rung | what it says | what to do | its consequences |"
    yield "|---|---|---|---|---|---|"
    for code in LevelCode:
        yield _row(code, MEANINGS[code])


def _row(code: LevelCode, meaning: Meaning) -> str:
    consequences = " ".join(f"`{other}`" for other in LevelCode if other in meaning.explains)
    return (
        f"| `{code}` | {meaning.severity} | {meaning.rung} | {meaning.says} | {meaning.do} | {consequences} |"
    )


def main(arguments: list[str]) -> None:
    page = Path(arguments[0])
    page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
