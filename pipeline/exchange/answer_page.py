"""Prints `docs/exchange-answers.md` from the tables: `python -m pipeline.exchange.answer_page`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from http import HTTPStatus

from pipeline.exchange.tables import TABLES, Refusal, Table

HEAD = """# What the exchanges' answers mean

Printed from `pipeline/exchange/tables.py` by `python -m pipeline.exchange.answer_page`; do not edit by hand.

For every exchange, whatever it says:

| answer to a submission | means |
|---|---|
| 200, no complaint, our client order id beside an id of theirs (Kraken: one transaction id) | **placed** |
| the connection could not be opened | **refused**, may be tried again: no byte left this machine |
| a word below under *refused*, with an HTTP status that fits it | **refused**: nothing was placed |
| a word below under *exists* | **exists**: an order with this id is there; it is asked for, never sent again |
| anything else: silence, reset, truncated, empty, HTML, redirect, 5xx, unlisted words | **unknown**: asked for |

A question by client order id is answered *not found* only by the exchange's own word, under 200 or 400.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(line for table in TABLES.values() for line in _section(table))]) + "\n"


def _section(table: Table) -> Iterator[str]:
    yield f"## {table.name}\n\n| word | means | because |\n|---|---|---|"
    for code, refusal in table.refused.items():
        yield _row(f"`{code}`", _refused(refusal), refusal.meaning)
    for (status, text), refusal in table.refused_texts.items():
        yield _row(f"HTTP {status} “{text}”", _refused(refusal), refusal.meaning)
    for status, refusal in table.refused_statuses.items():
        yield _row(f"HTTP {status} ({_phrase(status)})", _refused(refusal), refusal.meaning)
    for code, meaning in table.exists.items():
        yield _row(f"`{code}`", "exists", meaning)
    for code, meaning in table.unknown.items():
        yield _row(f"`{code}`", "unknown", meaning)
    for code in sorted(table.not_found):
        yield _row(f"`{code}`", "not found", "there is no such order, it says")
    yield ""


def _refused(refusal: Refusal) -> str:
    return "refused, may be tried again" if refusal.retryable else "refused"


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.stdout.write(page())
