"""Options that several commands have."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from pipeline.domain.timeframes import from_iso

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]
Symbol = Annotated[str | None, typer.Option("--symbol", help="Only this symbol, in any usual spelling.")]
Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="At most so many, the newest.")]

_AGO = re.compile(r"^(\d+(?:\.\d+)?)\s*([smhd])$")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def instant(text: str | None) -> datetime | None:
    """`10m`, `2h`, `1d` ago, or an ISO 8601 time (UTC where it names no zone).

    Raises: typer.BadParameter when it is neither.
    """
    if text is None:
        return None
    ago = _AGO.match(text.strip())
    if ago:
        return datetime.now(UTC) - timedelta(seconds=float(ago[1]) * _SECONDS[ago[2]])
    try:
        naive = datetime.fromisoformat(text).tzinfo is None
        return from_iso(
            f"{text}Z" if naive and len(text) > len("2026-01-31") else f"{text}T00:00Z" if naive else text
        )
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no time; write 10m, 2h, 1d or 2026-01-31T10:15:00Z") from None


def choice(text: str | None, known: list[str], what: str) -> str | None:
    """The known spelling of a word, whatever its case. Raises: typer.BadParameter with the list."""
    if text is None:
        return None
    for word in known:
        if word.lower() == text.lower():
            return word
    raise typer.BadParameter(f"'{text}' is no {what}; there are: {', '.join(known)}")


def words(text: str) -> str:
    """Without the blanks around them. Raises: typer.BadParameter when there are none: nobody learns from them."""
    if not text.strip():
        raise typer.BadParameter("it must say something")
    return text.strip()
